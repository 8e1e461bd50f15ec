"""`seatrial compare` as a process of its own, seen from outside."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from dev.controlplane import free_port


@dataclass
class Process:
    """One comparer."""

    popen: subprocess.Popen[bytes]
    url: str
    probes: str
    client: aiohttp.ClientSession
    log: Path

    async def metrics(self) -> dict[str, float]:
        """Every sample by its name and labels, as written."""
        async with self.client.get(f"{self.probes}/metrics") as answer:
            text = await answer.text()
        return {name: float(value) for name, value in re.findall(r"^(\w\S*) (\S+)$", text, re.MULTILINE)}

    def memory(self) -> float:
        """MiB resident."""
        status = Path(f"/proc/{self.popen.pid}/status").read_text(encoding="ascii")
        found = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
        assert found is not None
        return int(found.group(1)) / 1024


@asynccontextmanager
async def running(folder: Path, stable: str, candidate: str, *more: str) -> AsyncIterator[Process]:
    port, probes = free_port(), free_port()
    log = folder / "compare.log"
    command = [
        *(sys.executable, "-m", "seatrial.cli.main", "compare", "--stable", stable, "--candidate", candidate),
        *("--bind", "127.0.0.1", "--port", str(port), "--metrics-port", str(probes), *more),
    ]
    with log.open("wb") as out:
        popen = subprocess.Popen(command, stderr=out)
    # Hundreds of senders at a time, each with a connection of its own.
    connector = aiohttp.TCPConnector(limit=0)
    try:
        async with aiohttp.ClientSession(connector=connector) as client:
            process = Process(popen, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{probes}", client, log)
            async with asyncio.timeout(20):
                while not await _ready(process):
                    assert popen.poll() is None, log.read_text()
                    await asyncio.sleep(0.05)
            yield process
    finally:
        if popen.poll() is None:
            popen.kill()
        popen.wait()


async def _ready(process: Process) -> bool:
    try:
        async with process.client.get(f"{process.probes}/readyz") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False
