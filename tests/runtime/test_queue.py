"""The work queue: no key twice at once, no wake lost, failures back off."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from seatrial.runtime.queue import AgainError, WorkQueue


@asynccontextmanager
async def running(
    queue: WorkQueue[str], workers: int, work: Callable[[str], Awaitable[float | None]]
) -> AsyncIterator[None]:
    task = asyncio.create_task(queue.run(workers, work))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_no_key_is_worked_twice_at_once_and_no_wake_is_lost() -> None:
    wanted: Counter[str] = Counter()
    seen: dict[str, int] = defaultdict(int)
    busy: set[str] = set()
    failures = 0

    async def work(key: str) -> None:
        nonlocal failures
        assert key not in busy, "two workers on one key"
        busy.add(key)
        now = wanted[key]
        await asyncio.sleep(random.random() * 0.002)
        busy.discard(key)
        if random.random() < 0.1:
            failures += 1
            raise RuntimeError("induced")
        seen[key] = now

    queue: WorkQueue[str] = WorkQueue(base=0.001, cap=0.01)
    async with running(queue, 8, work):
        for _ in range(3000):
            key = f"k{random.randrange(50)}"
            wanted[key] += 1
            queue.add(key, random.random() * 0.002)
            if random.random() < 0.05:
                await asyncio.sleep(0.001)
        async with asyncio.timeout(10):
            while any(seen[key] != count for key, count in wanted.items()):
                await asyncio.sleep(0.01)
    assert failures


async def test_the_earliest_wake_wins() -> None:
    ran: list[float] = []
    loop = asyncio.get_running_loop()
    begun = loop.time()

    async def work(_: str) -> None:
        ran.append(loop.time() - begun)

    queue: WorkQueue[str] = WorkQueue()
    async with running(queue, 1, work):
        queue.add("a", 5.0)
        queue.add("a", 0.05)
        queue.add("a", 3.0)
        await asyncio.sleep(0.3)
    assert len(ran) == 1
    assert 0.04 < ran[0] < 0.25


async def test_what_work_returns_is_when_it_runs_again() -> None:
    runs = 0

    async def work(_: str) -> float | None:
        nonlocal runs
        runs += 1
        return 0.01 if runs < 5 else None

    queue: WorkQueue[str] = WorkQueue()
    async with running(queue, 2, work):
        queue.add("a")
        await asyncio.sleep(0.3)
    assert runs == 5
    assert len(queue) == 0


async def test_failures_back_off_and_a_success_forgives() -> None:
    waits: list[float] = []
    fail = True

    async def work(_: str) -> None:
        if fail:
            raise RuntimeError("no")

    queue: WorkQueue[str] = WorkQueue(base=0.01, cap=0.05, on_error=lambda _k, _e, after: waits.append(after))
    async with running(queue, 1, work):
        queue.add("a")
        await asyncio.sleep(0.3)
        fail = False
        count = len(waits)
        await asyncio.sleep(0.2)
        assert len(waits) <= count + 1
        fail = True
        del waits[:]
        queue.add("a")
        await asyncio.sleep(0.03)
        assert waits[0] < 0.013
    assert all(wait <= 0.06 for wait in waits)


async def test_a_failing_key_that_is_woken_all_the_time_still_backs_off() -> None:
    runs = 0

    async def work(_: str) -> None:
        nonlocal runs
        runs += 1
        queue.add("a")
        raise RuntimeError("no")

    queue: WorkQueue[str] = WorkQueue(base=0.05, cap=1.0)
    async with running(queue, 1, work):
        queue.add("a")
        await asyncio.sleep(0.5)
    assert runs < 10


async def test_a_retry_after_is_kept_to() -> None:
    runs = 0

    async def work(_: str) -> None:
        nonlocal runs
        runs += 1
        raise AgainError("busy", after=10.0)

    queue: WorkQueue[str] = WorkQueue(base=0.01)
    async with running(queue, 1, work):
        queue.add("a")
        await asyncio.sleep(0.2)
    assert runs == 1


async def test_stopping_finishes_what_is_in_hand_and_takes_nothing_new() -> None:
    done: list[str] = []

    async def work(key: str) -> None:
        await asyncio.sleep(0.1)
        done.append(key)

    queue: WorkQueue[str] = WorkQueue()
    task = asyncio.create_task(queue.run(2, work))
    for key in "abcd":
        queue.add(key)
    await asyncio.sleep(0.05)
    assert queue.busy == 2
    assert len(queue) == 2
    assert queue.longest > 0
    queue.stop()
    await asyncio.wait_for(task, 1)
    assert sorted(done) == ["a", "b"]
