"""The sender: one event loop, one HTTP/1.1 parser, no library, since 200 requests a second must cost little."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dev.traffic.report import BODY, REFUSED, RESET, STALL, STATUS, TIMEOUT, Loss, Report, Request, Second

LATE = 0.05
"""Seconds after which a send counts as late: the client's own fault, so it is told."""
KEPT_LOSSES = 1000
TOLERANCE = 1e-4
_DETAIL = 160


@dataclass(frozen=True, slots=True)
class Settings:
    """One run."""

    address: tuple[str, int]
    """IP and port: where connections go."""
    host: str
    """The Host header: which model is meant."""
    path: str
    requests: Sequence[Request]
    """Sent in turn, over and over."""
    rate: float
    """Requests a second."""
    total: int
    """How many to send, unless stopped before."""
    deadline: float
    """Seconds from the moment a request is due until it counts as lost."""
    fresh_every: int
    """Each n-th request opens a connection of its own and closes it; 0: none does."""
    stall: float | None = None
    """Seconds without a byte after which an answer counts as lost; None: only the deadline counts."""


class _Answer:
    """An HTTP/1.1 response as it arrives."""

    __slots__ = ("_body_at", "_chunked", "_length", "buffer", "close", "revision", "status")

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.status = 0
        self.revision = ""
        self.close = False
        self._body_at = -1
        self._length = -1
        self._chunked = False

    def feed(self, data: bytes) -> bool:
        """Take in some bytes; whether the answer is whole."""
        self.buffer += data
        if self._body_at < 0 and not self._head():
            return False
        if self._chunked:
            # A model server sends small answers; looking at the end is enough.
            return self.buffer.endswith(b"0\r\n\r\n")
        return self._length >= 0 and len(self.buffer) >= self._body_at + self._length

    def ends_by_close(self) -> bool:
        """Whether the end of the connection is the end of this answer."""
        return self._body_at >= 0 and self._length < 0 and not self._chunked

    def _head(self) -> bool:
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        first, *lines = bytes(self.buffer[:end]).decode("latin-1").split("\r\n")
        self.status = int(first.split(" ", 2)[1])
        for line in lines:
            name, _, value = line.partition(":")
            lower = name.lower()
            if lower == "content-length":
                self._length = int(value)
            elif lower == "transfer-encoding":
                self._chunked = "chunked" in value.lower()
            elif lower == "connection":
                self.close = "close" in value.lower()
            elif lower == "x-model-revision":
                self.revision = value.strip()
        self._body_at = end + 4
        return True

    def body(self) -> bytes:
        """The body, chunks put together."""
        raw = bytes(self.buffer[self._body_at :])
        if not self._chunked:
            return raw
        parts = []
        while raw:
            size, _, rest = raw.partition(b"\r\n")
            length = int(size.split(b";")[0], 16)
            parts.append(rest[:length])
            raw = rest[length + 2 :] if length else b""
        return b"".join(parts)


class _Sent:
    """One request under way."""

    __slots__ = ("due", "fresh", "heard", "over", "request", "silence", "timer")

    def __init__(self, due: float, request: int, fresh: bool) -> None:
        self.due = due
        self.heard = due
        """When its latest bytes came."""
        self.request = request
        self.fresh = fresh
        self.over = False
        self.timer: asyncio.TimerHandle | None = None
        self.silence: asyncio.TimerHandle | None = None


class _Connection(asyncio.Protocol):
    """One connection; carries one request at a time."""

    __slots__ = ("_answer", "_engine", "_sent", "transport")

    def __init__(self, engine: Engine, sent: _Sent) -> None:
        self._engine = engine
        self._sent: _Sent | None = sent
        self._answer = _Answer()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Write the request that this connection was opened for, if it is not too late."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        sent = self._sent
        if sent is None or sent.over:
            transport.abort()
            return
        self._engine.under_way[id(sent)] = self
        transport.write(self._engine.bytes_of(sent))

    def carry(self, sent: _Sent) -> None:
        """Send another request over this idle connection."""
        assert self.transport is not None
        self._sent = sent
        self._answer = _Answer()
        self._engine.under_way[id(sent)] = self
        self.transport.write(self._engine.bytes_of(sent))

    def data_received(self, data: bytes) -> None:
        """Collect the answer."""
        assert self.transport is not None
        if self._sent is None:
            self.transport.abort()
            return
        self._sent.heard = asyncio.get_running_loop().time()
        try:
            whole = self._answer.feed(data)
        except (ValueError, IndexError):
            self._fail(RESET, f"not HTTP: {data[:40]!r}")
            self.transport.abort()
            return
        if whole:
            self._finish(keep=not (self._answer.close or self._sent.fresh))

    def eof_received(self) -> bool:
        """The peer has said all it had to say."""
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """What is still under way is lost, unless the end of the connection is the end of the answer."""
        self._engine.forget(self)
        if self._sent is None:
            return
        if error is None and self._answer.ends_by_close():
            self._finish(keep=False)
        else:
            got = len(self._answer.buffer)
            self._fail(RESET, f"{error or 'the connection was closed'} after {got} bytes of the answer")

    def give_up(self) -> None:
        """Nobody waits any longer."""
        self._sent = None
        if self.transport is not None:
            self.transport.abort()

    def _finish(self, keep: bool) -> None:
        sent, answer = self._sent, self._answer
        assert sent is not None and self.transport is not None
        self._sent = None
        if keep:
            self._engine.idle.append(self)
        else:
            self.transport.close()
        self._engine.ended(sent, answer)

    def _fail(self, kind: str, detail: str) -> None:
        sent = self._sent
        self._sent = None
        if sent is not None:
            self._engine.lost(sent, kind, detail)


class Engine:
    """Sends, and counts how each request ended."""

    def __init__(self, settings: Settings, on_second: Callable[[Second], None] = lambda _: None) -> None:
        self.settings = settings
        self.idle: list[_Connection] = []
        self.under_way: dict[int, _Connection] = {}
        self._on_second = on_second
        self._payloads = [(self._payload(r, False), self._payload(r, True)) for r in settings.requests]
        self._seconds: dict[int, Second] = {}
        self._told = 0
        self._sent = 0
        self._open = 0
        self._late = 0
        self._worst_late = 0.0
        self._latencies: list[float] = []
        self._losses: list[Loss] = []
        self._lost: dict[str, int] = {}
        self._lost_by: dict[str, int] = {}
        self._revisions: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        self._done = asyncio.Event()

    def stop(self) -> None:
        """Send no more; what is under way still ends."""
        self._stop.set()

    async def run(self) -> Report:
        """Send everything, wait for every answer or deadline, and say what it came to."""
        loop = asyncio.get_running_loop()
        cpu = time.process_time()
        teller = asyncio.create_task(self._tell())
        start = loop.time()
        for number in range(self.settings.total):
            due = start + number / self.settings.rate
            if not await self._until(due):
                break
            self._send(number, due, loop)
        while self._open:
            self._done.clear()
            await self._done.wait()
        teller.cancel()
        for connection in [*self.idle]:
            if connection.transport is not None:
                connection.transport.close()
        self._tell_up_to(math.inf)
        return self._report(time.process_time() - cpu)

    async def _until(self, due: float) -> bool:
        """Wait for an instant; whether to go on."""
        loop = asyncio.get_running_loop()
        wait = due - loop.time()
        if wait > 0.1:
            try:
                await asyncio.wait_for(self._stop.wait(), wait)
            except TimeoutError:
                pass
        else:
            await asyncio.sleep(max(0.0, wait))
        return not self._stop.is_set()

    def _send(self, number: int, due: float, loop: asyncio.AbstractEventLoop) -> None:
        settings = self.settings
        fresh = settings.fresh_every > 0 and number % settings.fresh_every == 0
        sent = _Sent(due, number % len(settings.requests), fresh)
        self._sent += 1
        self._open += 1
        self._second().sent += 1
        behind = loop.time() - due
        self._worst_late = max(self._worst_late, behind)
        if behind > LATE:
            self._late += 1
        sent.timer = loop.call_at(due + settings.deadline, self._deadline, sent)
        if settings.stall is not None:
            sent.silence = loop.call_at(due + settings.stall, self._listen, sent, settings.stall, loop)
        while self.idle and not fresh:
            connection = self.idle.pop()
            if connection.transport is not None and not connection.transport.is_closing():
                connection.carry(sent)
                return
        task = loop.create_task(self._connect(sent, loop))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, sent: _Sent, loop: asyncio.AbstractEventLoop) -> None:
        host, port = self.settings.address
        try:
            await loop.create_connection(lambda: _Connection(self, sent), host, port)
        except OSError as error:
            self.lost(sent, REFUSED, str(error))

    def _deadline(self, sent: _Sent) -> None:
        self._give_up(sent, TIMEOUT, f"no whole answer within {self.settings.deadline:g} s")

    def _listen(self, sent: _Sent, stall: float, loop: asyncio.AbstractEventLoop) -> None:
        """Give up what is silent, and listen again when the others could be. Asked once in a while, not by each byte."""
        if loop.time() < sent.heard + stall:
            sent.silence = loop.call_at(sent.heard + stall, self._listen, sent, stall, loop)
        else:
            self._give_up(sent, STALL, f"nothing came for {stall:g} s")

    def _give_up(self, sent: _Sent, kind: str, detail: str) -> None:
        if sent.over:
            return
        connection = self.under_way.get(id(sent))
        self.lost(sent, kind, detail)
        if connection is not None:
            connection.give_up()

    def ended(self, sent: _Sent, answer: _Answer) -> None:
        """A whole answer has come."""
        if sent.over:
            return
        if answer.status != 200:
            start = answer.body()[:_DETAIL].decode(errors="replace")
            self.lost(sent, STATUS, f"{answer.status} {start}", answer.revision)
            return
        wrong = _difference(answer.body(), self.settings.requests[sent.request])
        if wrong:
            self.lost(sent, BODY, wrong, answer.revision)
            return
        self._close(sent)
        self._latencies.append(asyncio.get_running_loop().time() - sent.due)
        second = self._second()
        second.answered += 1
        second.revisions[answer.revision] = second.revisions.get(answer.revision, 0) + 1
        self._revisions[answer.revision] = self._revisions.get(answer.revision, 0) + 1

    def lost(self, sent: _Sent, kind: str, detail: str, revision: str = "") -> None:
        """A request that will not get its answer."""
        if sent.over:
            return
        self._close(sent)
        self._second().lost += 1
        self._lost[kind] = self._lost.get(kind, 0) + 1
        self._lost_by[revision] = self._lost_by.get(revision, 0) + 1
        if len(self._losses) < KEPT_LOSSES:
            after = asyncio.get_running_loop().time() - sent.due
            self._losses.append(Loss(time.time(), kind, detail, revision, sent.fresh, round(after, 4)))

    def forget(self, connection: _Connection) -> None:
        """A connection that is gone carries nothing any more."""
        if connection in self.idle:
            self.idle.remove(connection)

    def bytes_of(self, sent: _Sent) -> bytes:
        """The request as it goes over the wire."""
        return self._payloads[sent.request][sent.fresh]

    def _close(self, sent: _Sent) -> None:
        sent.over = True
        self.under_way.pop(id(sent), None)
        for timer in (sent.timer, sent.silence):
            if timer is not None:
                timer.cancel()
        self._open -= 1
        if not self._open:
            self._done.set()

    def _payload(self, request: Request, fresh: bool) -> bytes:
        body = request.body.encode()
        head = (
            f"POST {self.settings.path} HTTP/1.1\r\nHost: {self.settings.host}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nUser-Agent: seatrial-traffic\r\n"
            f"{'Connection: close' if fresh else 'Connection: keep-alive'}\r\n\r\n"
        )
        return head.encode() + body

    def _second(self) -> Second:
        at = int(time.time())
        second = self._seconds.get(at)
        if second is None:
            second = self._seconds[at] = Second(at)
        return second

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(1 - time.time() % 1 + 0.01)
            self._tell_up_to(time.time() - 1)

    def _tell_up_to(self, now: float) -> None:
        """Hand on every second that is over, once."""
        for at in sorted(self._seconds):
            if self._told < at <= now:
                self._told = at
                self._on_second(self._seconds[at])

    def _report(self, cpu: float) -> Report:
        ordered = sorted(self._latencies)
        quantiles = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
        latency = {name: round(ordered[math.ceil(q * len(ordered)) - 1], 5) for name, q in quantiles.items() if ordered}
        return Report(
            sent=self._sent,
            answered=len(ordered),
            lost=self._lost,
            late=self._late,
            worst_late=round(self._worst_late, 4),
            latency=latency,
            revisions=self._revisions,
            lost_by=self._lost_by,
            seconds=[self._seconds[at] for at in sorted(self._seconds)],
            losses=self._losses,
            cpu=round(cpu, 3),
        )


def _difference(body: bytes, request: Request) -> str:
    """How an answer differs from what was expected; empty if it does not."""
    if request.events is not None:
        return _gap(body, request, request.events)
    if request.data is None:
        return ""
    try:
        data = json.loads(body)["outputs"][0]["data"]
    except (ValueError, LookupError, TypeError):
        return f"not an inference response: {body[:_DETAIL].decode(errors='replace')}"
    if len(data) == len(request.data) and all(map(_same, data, request.data)):
        return ""
    return f"expected {list(request.data)}, got {data}"[:_DETAIL]


def _gap(body: bytes, request: Request, events: int) -> str:
    """How a stream differs from all its events in their order; empty if it does not."""
    came = body.split(b"\n\n")[:-1]
    for number, event in enumerate(came):
        head, _, data = event.partition(b"\ndata: ")
        if head != f"id: {number}".encode():
            return f"expected event {number} of {events}, got {head[:_DETAIL].decode(errors='replace')!r}"
        wrong = _difference(data, Request("", request.data))
        if wrong:
            return f"event {number} of {events}: {wrong}"
    return "" if len(came) == events else f"ended after {len(came)} of {events} events"


def _same(got: object, expected: object) -> bool:
    if isinstance(got, (int, float)) and isinstance(expected, (int, float)):
        return abs(got - expected) <= TOLERANCE * max(1.0, abs(expected))
    return got == expected
