"""A small HTTP server that misbehaves on order: the path of a request says how."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import threading
from collections.abc import Iterator

GOOD = json.dumps({"model_name": "m", "outputs": [{"name": "predict", "shape": [1], "datatype": "INT64", "data": [1]}]})
WRONG = GOOD.replace("[1]}]", "[0]}]")
EVENTS = 5
"""In a whole stream, 0.02 s apart."""


class Server:
    """Counts what it was sent. `/wrong` misbehaves always, `/10/wrong` at each tenth request."""

    def __init__(self) -> None:
        self.requests = 0
        self.connections = 0
        self.port = 0
        self.writers: list[asyncio.StreamWriter] = []

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next(
                    int(line.split(":")[1]) for line in head.split("\r\n") if line.lower().startswith("content-length")
                )
                await reader.readexactly(length)
                path = head.split(" ")[1].strip("/")
                every, _, behaviour = path.rpartition("/")
                self.requests += 1
                if every and self.requests % int(every):
                    behaviour = "good"
                if not await self.answer(behaviour, writer):
                    break
        writer.close()

    async def answer(self, behaviour: str, writer: asyncio.StreamWriter) -> bool:
        body = GOOD.encode()
        revision = b"x-model-revision: 0123456789\r\n"
        if behaviour == "reset":
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            return False
        if behaviour == "half":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhalf of")
            await writer.drain()
            return False
        if behaviour == "hang":
            await asyncio.sleep(30)
        if behaviour == "slow":
            await asyncio.sleep(0.2)
        if behaviour.startswith("stream"):
            return await self.stream(behaviour, writer)
        if behaviour == "status":
            writer.write(b"HTTP/1.1 503 Service Unavailable\r\n" + revision + b"Content-Length: 9\r\n\r\nno stable")
        elif behaviour == "wrong":
            body = WRONG.encode()
            writer.write(b"HTTP/1.1 200 OK\r\n" + revision + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        elif behaviour == "chunked":
            first, second = body[:30], body[30:]
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + revision + b"\r\n")
            for part in (first, second):
                writer.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
                await writer.drain()
                await asyncio.sleep(0.01)
            writer.write(b"0\r\n\r\n")
        elif behaviour == "tillclose":
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n" + revision + b"\r\n" + body)
            await writer.drain()
            return False
        else:
            writer.write(b"HTTP/1.1 200 OK\r\n" + revision + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        return True

    async def stream(self, behaviour: str, writer: asyncio.StreamWriter) -> bool:
        """`stream` is whole; the others are wrong in the middle."""
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nx-model-revision: 0123456789\r\n\r\n")
        for number in range(EVENTS):
            if number == EVENTS // 2:
                if behaviour == "stream-gap":
                    continue
                if behaviour == "stream-stall":
                    await asyncio.sleep(30)
                if behaviour == "stream-early":
                    break
                if behaviour == "stream-cut":
                    return False
            body = WRONG if behaviour == "stream-wrong" and number == EVENTS // 2 else GOOD
            event = f"id: {number}\ndata: {body}\n\n"
            writer.write(f"{len(event):x}\r\n{event}\r\n".encode())
            await writer.drain()
            await asyncio.sleep(0.02)
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True


@contextlib.contextmanager
def running() -> Iterator[Server]:
    """The server on a free port of loopback, in a thread of its own."""
    server = Server()
    listening = threading.Event()
    loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        over = asyncio.Event()
        loops.append((asyncio.get_running_loop(), over))
        listener = await asyncio.start_server(server.handle, "127.0.0.1", 0)
        server.port = listener.sockets[0].getsockname()[1]
        listening.set()
        await over.wait()
        listener.close()
        for writer in server.writers:
            writer.transport.abort()
        await asyncio.sleep(0.05)

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    assert listening.wait(5)
    try:
        yield server
    finally:
        loop, over = loops[0]
        loop.call_soon_threadsafe(over.set)
        thread.join(5)
