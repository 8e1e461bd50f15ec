"""What the comparer costs: `python -m benchmarks.compare [SECONDS]`, a minute on two cores, no cluster.

A real process between two real model servers. Prints what letting a request go costs, what comparing one costs for
answers of several sizes, how much memory it ever took, and what stable and the candidate were asked.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from aiohttp import web

from benchmarks.ground import table
from tests.compare.models import INFER, says, serving
from tests.compare.process import Process, running

CONNECTIONS = 16
COMPARED = 'seatrial_compare_answers_total{output="*",pair="candidate",result="agree"}'


def processor_time(process: Process) -> float:
    """Seconds of processor time it has taken so far."""
    fields = Path(f"/proc/{process.popen.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def most_memory(process: Process) -> float:
    """MiB that were resident at most."""
    for line in Path(f"/proc/{process.popen.pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmHWM")


async def flood(process: Process, body: bytes, seconds: float) -> int:
    """Send over kept connections as fast as it goes, as a gateway would; how many were answered."""
    port = int(process.url.rpartition(":")[2])
    head = (
        f"POST {INFER} HTTP/1.1\r\nHost: fraud\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    request, until, answered = head.encode() + body, time.monotonic() + seconds, 0

    async def sender() -> None:
        nonlocal answered
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.monotonic() < until:
            writer.write(request)
            await writer.drain()
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 202")
            answered += 1
        writer.close()

    await asyncio.gather(*(sender() for _ in range(CONNECTIONS)))
    return answered


def answer(values: int, shift: float = 0.0) -> dict[str, Any]:
    data = [round(0.1 + 0.8 * i / values + shift, 6) for i in range(values)]
    return {"outputs": [{"name": "scores", "shape": [1, values], "datatype": "FP32", "data": data}]}


def question(size: int) -> bytes:
    return json.dumps({"inputs": [], "padding": "x" * size}).encode()


async def letting_go(folder: Path, seconds: float) -> tuple[list[str], float]:
    """One row for each size of the request, and the most memory."""
    rows = []
    async with (
        serving(says(answer(10))) as stable,
        serving(says(answer(10))) as candidate,
        running(folder, stable.url, candidate.url) as process,
    ):
        idle = process.memory()
        for size in (200, 20_000, 1_000_000):
            before, asked, begun = processor_time(process), len(stable.seen), time.monotonic()
            sent = await flood(process, question(size), seconds)
            took, used = time.monotonic() - begun, processor_time(process) - before
            rows.append(
                f"{size:,} B|{sent / took:,.0f}|{used / sent * 1e6:.0f} µs|{sent / used:,.0f}|"
                f"{(len(stable.seen) - asked) / took:.1f}|{stable.most_in_hand}|{process.memory():.0f} MiB"
            )
        return [f"idle: {idle:.0f} MiB", *rows], most_memory(process)


async def comparing(folder: Path, values: int, seconds: float) -> str:
    """One row: what a comparison costs for answers of so many values."""
    asked = asyncio.Event()
    nearly = answer(values, shift=1e-6)

    async def answering(_: object, __: web.Request) -> web.Response:
        asked.set()
        return web.json_response(nearly)

    async with (
        serving(says(answer(values))) as stable,
        serving(answering) as candidate,
        running(folder, stable.url, candidate.url, "--rate", "1000000", "--queue", "64") as process,
    ):
        before, begun = processor_time(process), time.monotonic()
        while time.monotonic() - begun < seconds:
            asked.clear()
            async with process.client.post(
                process.url + INFER, data=question(1000), headers={"Content-Type": "application/json"}
            ) as said:
                assert said.status == 202
            await asked.wait()
        await asyncio.sleep(0.5)
        used, done = processor_time(process) - before, (await process.metrics())[COMPARED]
        size, each = len(json.dumps(nearly)), used / done
        return f"{values:,}|{size / 1000:,.0f} kB|{each * 1000:.1f} ms|{each * 2 * 100:.1f} %|{most_memory(process):.0f} MiB"


def nested(size: int) -> bytes:
    return b'{"outputs": [{"name": "p", "data": [' + b"[]," * (size // 3) + b"[]]}]}"


async def worst(folder: Path, seconds: float) -> str:
    """The answer that takes most memory for its bytes, on all sides, and requests of the largest size."""

    async def answering(_: object, __: web.Request) -> web.Response:
        return web.Response(body=nested(1_000_000), content_type="application/json")

    async with (
        serving(answering) as stable,
        serving(answering) as candidate,
        running(folder, stable.url, candidate.url, "--rate", "1000000") as process,
    ):
        await flood(process, question(1_000_000), seconds)
        return f"{most_memory(process):.0f} MiB"


async def main(seconds: float) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (idle, *rows), _ = await letting_go(folder, seconds)
        print(f"Letting go: {CONNECTIONS} connections as fast as they go, rate 2 a second ({idle})\n")
        head = ("request", "answered/s", "CPU each", "a core does/s", "stable asked/s", "at a time", "memory after")
        print(table(head, [row.split("|") for row in rows]), flush=True)
        print("\nComparing: CPU for one, and of a core at the usual rate of 2 a second\n")
        cells = [(await comparing(folder, values, seconds)).split("|") for values in (1, 1_000, 50_000)]
        print(table(("values", "answer", "CPU each", "at 2 a second", "memory, most"), cells), flush=True)
        print(f"\nMemory with requests of 1 MB and the costliest answers of 1 MB: {await worst(folder, seconds)}")


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 5.0))
