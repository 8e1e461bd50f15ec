"""A few processes that live and die with the one that started them."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dev.errors import DevError
from dev.progress import tail

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends.

    For `preexec_fn`; the caller must start it from a thread that stays.
    """
    if hasattr(_LIBC, "prctl"):
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@dataclass
class Supervisor:
    """Starts processes with a log each, and stops them in reverse order."""

    logs: Path
    env: Mapping[str, str] = field(default_factory=dict)
    """Added to the environment of every process."""
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _commands: dict[str, list[str]] = field(default_factory=dict)

    def start(self, name: str, argv: Sequence[str | Path]) -> None:
        """Start one process; its output is appended to ``<logs>/<name>.log``."""
        self.logs.mkdir(parents=True, exist_ok=True)
        command = [str(part) for part in argv]
        self._commands[name] = command
        with open(self.logs / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.env},
                preexec_fn=die_with_parent,
            )

    def wait_until(self, name: str, ready: Callable[[], bool], seconds: float) -> None:
        """Wait for `ready()`; a process that ends or stays unready raises with its log."""
        limit = time.monotonic() + seconds
        while not ready():
            process = self.processes.get(name)
            log = self.logs / f"{name}.log"
            if process is not None and process.poll() is not None:
                raise DevError(f"{name} ended with exit code {process.returncode}. {tail(log)}")
            if time.monotonic() > limit:
                raise DevError(f"{name} was not ready after {seconds:.0f} s. {tail(log)}")
            time.sleep(0.05)

    def restart_ended(self) -> list[str]:
        """Start again what has ended, and name it."""
        ended = [name for name, process in self.processes.items() if process.poll() is not None]
        for name in ended:
            self.start(name, self._commands[name])
        return ended

    def stop(self, grace_seconds: float = 2) -> None:
        """Ask the processes to end, last one first, then kill what is left."""
        for process in reversed(list(self.processes.values())):
            process.terminate()
        limit = time.monotonic() + grace_seconds
        for process in self.processes.values():
            try:
                process.wait(max(0.0, limit - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()
