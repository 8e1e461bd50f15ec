"""The work queue: a key is never worked on by two workers, wakes merge, failures back off.

The shape is controller-runtime's: a key says only *who*, never *what happened*; whoever works it off
reads everything anew. Waking a key that is being worked on makes it run once more afterwards.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class AgainError(Exception):
    """The work is not done, as could be expected: run the key again, with backoff.

    `after` is the least time to wait in seconds, where somebody (a Retry-After) asked for one.
    """

    def __init__(self, message: str, *, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class WorkQueue(Generic[K]):
    """`add(key)` for now, `add(key, after=s)` for later (the earliest wake wins), `run(n, work)` to work it off.

    `work` returns the seconds until the key wants to run again, or None. An exception means: again, with
    backoff. `on_start` hears how long a key waited beyond its time, in seconds.
    """

    def __init__(
        self,
        *,
        base: float = 0.5,
        cap: float = 60.0,
        on_error: Callable[[K, Exception, float], None] = lambda _key, _error, _after: None,
        on_start: Callable[[K, float], None] = lambda _key, _late: None,
    ) -> None:
        self._due: dict[K, float] = {}
        """The truth: when each waiting key is due."""
        self._heap: list[tuple[float, int, K]] = []
        """Pruned late; may hold entries that were superseded."""
        self._sequence = 0
        self._busy: dict[K, float] = {}
        self._again: dict[K, float] = {}
        self._fails: dict[K, int] = {}
        self._base, self._cap = base, cap
        self._on_error, self._on_start = on_error, on_start
        self._changed = asyncio.Event()
        self._stopping = False

    def __len__(self) -> int:
        """Keys that are due and wait for a worker."""
        now = self._now()
        return sum(1 for at in self._due.values() if at <= now)

    @property
    def busy(self) -> int:
        """Keys being worked on."""
        return len(self._busy)

    @property
    def longest(self) -> float:
        """Seconds the key that has been worked on for longest has taken so far."""
        return self._now() - min(self._busy.values()) if self._busy else 0.0

    def add(self, key: K, after: float = 0.0) -> None:
        """Wake a key now, or after some seconds."""
        at = self._now() + after
        if key in self._busy:
            # Never run twice at once: remember, and run when the worker is back.
            self._again[key] = min(at, self._again.get(key, at))
        elif at < self._due.get(key, float("inf")):
            self._due[key] = at
            self._sequence += 1
            heapq.heappush(self._heap, (at, self._sequence, key))
            self._changed.set()

    def forget(self, key: K) -> None:
        """The key is gone: no backoff is remembered for it."""
        self._fails.pop(key, None)

    async def run(self, workers: int, work: Callable[[K], Awaitable[float | None]]) -> None:
        """Work until `stop`, then return once nothing is in hand."""
        async with asyncio.TaskGroup() as group:
            for number in range(workers):
                group.create_task(self._worker(work), name=f"worker {number}")

    def stop(self) -> None:
        """Take no new key; `run` returns when the ones in hand are done."""
        self._stopping = True
        self._changed.set()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    async def _next(self) -> K | None:
        while not self._stopping:
            while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
                heapq.heappop(self._heap)
            wait = self._heap[0][0] - self._now() if self._heap else None
            if wait is not None and wait <= 0:
                at, _, key = heapq.heappop(self._heap)
                del self._due[key]
                now = self._now()
                self._busy[key] = now
                self._on_start(key, now - at)
                return key
            self._changed.clear()
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                pass
        return None

    async def _worker(self, work: Callable[[K], Awaitable[float | None]]) -> None:
        while (key := await self._next()) is not None:
            after: float | None = None
            try:
                after = await work(key)
                self._fails.pop(key, None)
            except Exception as error:  # noqa: BLE001 - one key must never end the worker
                after = self._backoff(key, error)
                self._on_error(key, error, after)
            finally:
                self._busy.pop(key, None)
            again = self._again.pop(key, None)
            if again is not None:
                # A key that fails does not outrun its backoff because something woke it meanwhile.
                soon = max(0.0, again - self._now())
                self.add(key, max(soon, min(after or 0.0, self._base * 4)) if key in self._fails else soon)
            if after is not None:
                self.add(key, after)

    def _backoff(self, key: K, error: Exception) -> float:
        count = self._fails[key] = self._fails.get(key, 0) + 1
        after = min(self._cap, self._base * 2.0 ** min(count - 1, 16)) * random.uniform(0.8, 1.2)
        return max(after, error.after or 0.0) if isinstance(error, AgainError) else after
