"""The client in a process of its own, so that a busy test does not make it late."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from dev.errors import DevError
from dev.traffic.report import Report, Request, Second

ROOT = Path(__file__).resolve().parent.parent.parent
LATE = 10.0
"""Seconds that a running client may be late with what it tells of a second."""


class TrafficClient:
    """Sends `requests` in turn at a constant rate, from `start` (or the `with` block's begin) to `stop` (its end)."""

    def __init__(
        self,
        address: tuple[str, int],
        host: str,
        path: str,
        requests: Sequence[Request],
        rate: float = 100,
        *,
        deadline: float = 5.0,
        fresh_every: int = 4,
        stall: float | None = None,
        seconds: float = 900,
        anywhere: bool = False,
    ) -> None:
        self._requests = requests
        self._argv = [sys.executable, "-m", "dev.traffic", "--json", "--until-stdin-closes"]
        self._argv += ["--address", f"{address[0]}:{address[1]}", "--host", host, "--path", path]
        self._argv += ["--rate", str(rate), "--deadline", str(deadline), "--fresh-every", str(fresh_every)]
        self._argv += ["--seconds", str(seconds), *(["--anywhere"] if anywhere else [])]
        self._argv += [] if stall is None else ["--stall", str(stall)]
        self._deadline = deadline
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._seconds: list[Second] = []
        self._report: Report | None = None
        self._other: list[str] = []

    def start(self) -> Self:
        """Begin sending; returns once the first second is being sent."""
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
            file.writelines(request.line() + "\n" for request in self._requests)
            file.flush()
            self._process = subprocess.Popen(
                [*self._argv, "--requests", file.name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                text=True,
                # Control-C is for the owner of this client: it closes the pipe when it has cleaned up.
                start_new_session=True,
            )
            assert self._process.stdout is not None
            first = self._process.stdout.readline()
        if first.strip() != '"sending"':
            self._process.kill()
            raise DevError(f"The traffic client did not start: {first}{self._process.communicate()[0]}")
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def stop(self) -> Report:
        """Send no more, wait for what is under way, and say what it came to."""
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        if process.returncode is None:
            try:
                process.stdin.close()
            except BrokenPipeError:
                pass
            if self._reader is not None:
                self._reader.join(self._deadline + 10)
            process.kill()
            process.wait()
            process.stdout.close()
        if self._report is None:
            raise DevError("The traffic client ended without a report:\n" + "".join(self._other[-20:]))
        return self._report

    def wait(self) -> Report:
        """Let it send everything by itself, and say what it came to."""
        assert self._reader is not None
        self._reader.join()
        return self.stop()

    @property
    def started(self) -> bool:
        """Whether it was ever started."""
        return self._process is not None

    @property
    def report(self) -> Report:
        """The final report; stops the client if it still sends."""
        return self.stop()

    @property
    def seconds(self) -> Sequence[Second]:
        """The seconds that are over, as far as they have been told."""
        return tuple(self._seconds)

    def totals(self) -> tuple[int, int, int]:
        """Sent, answered and lost so far, up to the last whole second."""
        seconds = self.seconds
        return sum(s.sent for s in seconds), sum(s.answered for s in seconds), sum(s.lost for s in seconds)

    def answers(self, last: float = 3.0) -> dict[str, int]:
        """Who answered in the latest seconds, by revision. Waits for a client that a busy machine has made late to tell."""
        since, limit = time.time() - last - 1, time.monotonic() + LATE
        while not any(second.at >= since for second in self.seconds) and time.monotonic() < limit:
            time.sleep(0.05)
        found: dict[str, int] = {}
        for second in self.seconds:
            if second.at >= since:
                for revision, count in second.revisions.items():
                    found[revision] = found.get(revision, 0) + count
        return found

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _read(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        for line in self._process.stdout:
            try:
                value = json.loads(line)
                if "second" in value:
                    self._seconds.append(Second(**value["second"]))
                else:
                    self._report = Report.from_json(value["report"])
            except (ValueError, TypeError, KeyError):
                self._other.append(line)
