"""A process of ours from its flags to its exit code: what the operator and the comparer have in common."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from seatrial.runtime import logs

STOPPED, FAILED, UNUSABLE = 0, 1, 2
"""Exit codes: told to stop; a part broke, or leadership was lost; settings or ports that cannot be used."""


class SettingsError(Exception):
    """A flag or variable that cannot be used; the message names it."""


class Logging(Protocol):
    """Settings, as far as every process has them."""

    @property
    def log_format(self) -> str:
        """`json` or `text`."""

    @property
    def log_level(self) -> str:
        """`debug`, `info`, `warning` or `error`."""


Told = TypeVar("Told", bound=Logging)


def run(name: str, settings: Callable[[], Told], serve: Callable[[Told], Coroutine[Any, Any, int]]) -> int:
    """Serve until told to stop; the process's exit code. `name` is how it was called: `seatrial run`."""
    try:
        found = settings()
    except SettingsError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return UNUSABLE
    logs.configure(found.log_format, found.log_level)
    try:
        return asyncio.run(serve(found))
    except KeyboardInterrupt:
        return STOPPED
