"""Progress on stderr, and running long commands with their output in a log."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from dev.errors import DevError

TICK_SECONDS = 30.0
"""How often a step that takes long says that it is still alive."""

_BEGAN = time.monotonic()


def say(message: str) -> None:
    """One line for the person who waits; stdout stays free for results."""
    print(f"[{time.monotonic() - _BEGAN:6.1f}s] {message}", file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """``8 s`` or ``5 min 43 s``."""
    whole = int(seconds + 0.5)
    if whole < 100:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s"


@contextmanager
def step(what: str, usual_seconds: float) -> Iterator[None]:
    """Say what begins and how long it usually takes, that it lives, and how long it took."""
    say(f"{what}: making it, usually {duration(usual_seconds)}")
    began = time.monotonic()
    over = threading.Event()

    def tick() -> None:
        while not over.wait(TICK_SECONDS):
            say(f"{what}: {duration(time.monotonic() - began)} of usually {duration(usual_seconds)}")

    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    try:
        yield
    finally:
        over.set()
        ticker.join()
    say(f"{what}: done in {duration(time.monotonic() - began)}")


def run_logged(
    argv: Sequence[str | Path],
    log: Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> None:
    """Run a command with its output appended to `log`.

    `env` is added to the environment. A failure raises `DevError` with the
    last lines and the path of the log.
    """
    command = [str(part) for part in argv]
    with open(log, "a", encoding="utf-8") as out:
        out.write(f"$ {' '.join(command)}\n")
        out.flush()
        try:
            code = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env={**os.environ, **(env or {})},
                check=False,
            ).returncode
        except FileNotFoundError:
            raise DevError(f"The command {command[0]} is not on this machine.") from None
    if code != 0:
        raise DevError(f"`{' '.join(command[:4])} …` failed with exit code {code}. {tail(log)}")


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log and where the rest is, for an error message."""
    try:
        last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
    except OSError:
        last = []
    return "Its last lines:\n" + "\n".join(f"  | {line}" for line in last) + f"\nThe whole log: {log}"
