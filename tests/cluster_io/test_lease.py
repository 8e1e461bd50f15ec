"""One leader at a time, on good days and bad ones."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client.configuration import Configuration

from seatrial.cluster.client import Client, Connection
from seatrial.cluster.kinds import LEASE
from seatrial.cluster.lease import Lease, LostLeadershipError, Pace
from tests.cluster_io.conftest import Plane
from tests.support.fakeapi import FakeApi

PACE = Pace(duration=2.0, deadline=1.4, retry=0.3)


class Ticks:
    """Who worked when."""

    def __init__(self) -> None:
        self.all: list[tuple[float, str]] = []

    def work(self, name: str) -> Callable[[], Awaitable[None]]:
        async def tick() -> None:
            while True:
                self.all.append((time.monotonic(), name))
                await asyncio.sleep(0.02)

        return tick

    def workers(self, since: float = 0.0) -> set[str]:
        return {name for at, name in self.all if at >= since}

    def overlaps(self) -> int:
        """How often two worked within the same stretch."""
        spans: dict[str, list[float]] = {}
        for at, name in self.all:
            spans.setdefault(name, [at, at])[1] = at
        ordered = sorted(spans.values())
        return sum(one[1] > next_[0] for one, next_ in itertools.pairwise(ordered))


async def until(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def test_of_many_candidates_one_leads(plane: Plane, client: Client) -> None:
    ticks = Ticks()
    leases = {name: Lease(client, plane.namespace, name, pace=PACE) for name in "abcde"}
    tasks = {name: asyncio.create_task(lease.run(ticks.work(name))) for name, lease in leases.items()}
    try:
        await asyncio.sleep(1.5)
        assert len(ticks.workers()) == 1
        (leader,) = ticks.workers()
        assert leases[leader].leading
        stored = await client.get(LEASE, plane.namespace, "seatrial")
        assert stored["spec"]["holderIdentity"] == leader
        assert stored["spec"]["leaseTransitions"] == 0
        assert [lease.leading for lease in leases.values()].count(True) == 1
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)


async def test_a_lease_that_is_given_back_is_taken_at_once(plane: Plane, client: Client) -> None:
    ticks = Ticks()
    first = asyncio.create_task(Lease(client, plane.namespace, "first", pace=PACE).run(ticks.work("first")))
    await until(lambda: "first" in ticks.workers())
    second = asyncio.create_task(Lease(client, plane.namespace, "second", pace=PACE).run(ticks.work("second")))
    await asyncio.sleep(0.5)
    begun = time.monotonic()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await until(lambda: "second" in ticks.workers())
    assert time.monotonic() - begun < PACE.duration / 2 + PACE.retry
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    assert ticks.overlaps() == 0
    stored = await client.get(LEASE, plane.namespace, "seatrial")
    assert stored["spec"].get("holderIdentity", "") == ""


async def test_a_leader_that_vanished_is_followed_when_its_time_is_up(plane: Plane, client: Client) -> None:
    """As after kill -9: nothing is given back."""
    now = "2030-01-01T00:00:00.000000Z"  # its clock is years ahead, and must not matter
    await client.create(
        {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": "seatrial", "namespace": plane.namespace},
            "spec": {"holderIdentity": "dead", "leaseDurationSeconds": 1, "renewTime": now, "acquireTime": now},
        }
    )
    ticks = Ticks()
    begun = time.monotonic()
    task = asyncio.create_task(Lease(client, plane.namespace, "heir", pace=PACE).run(ticks.work("heir")))
    await until(lambda: ticks.workers() == {"heir"})
    assert 1.0 <= time.monotonic() - begun < 3.0
    stored = await client.get(LEASE, plane.namespace, "seatrial")
    assert stored["spec"]["leaseTransitions"] == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_work_that_ends_gives_the_lease_back(plane: Plane, client: Client) -> None:
    changes: list[bool] = []

    async def work() -> None:
        await asyncio.sleep(0.05)

    await Lease(client, plane.namespace, "a", pace=PACE, on_change=changes.append).run(work)
    assert changes == [True, False]
    assert not (await client.get(LEASE, plane.namespace, "seatrial"))["spec"].get("holderIdentity")


async def test_an_error_of_the_work_is_raised(plane: Plane, client: Client) -> None:
    async def work() -> None:
        raise RuntimeError("broke")

    with pytest.raises(RuntimeError, match="broke"):
        await Lease(client, plane.namespace, "a", pace=PACE).run(work)


@pytest.mark.parametrize("fault", ["hang", "500"])
async def test_work_stops_before_another_may_begin(fake: FakeApi, fault: str) -> None:
    """The API server is gone for the leader: it stops within the deadline, well before its lease has run out."""
    cut = False

    async def broken(_: web.Request) -> web.Response | None:
        if not cut:
            return None
        if fault == "hang":
            await asyncio.sleep(30)
        return web.Response(status=500)

    fake.faults.append(broken)
    ticks = Ticks()
    async with Client(Connection(Configuration(host=fake.url))) as client:
        task = asyncio.create_task(Lease(client, "default", "a", pace=PACE).run(ticks.work("a")))
        await until(lambda: ticks.workers() == {"a"})
        cut = True
        begun = time.monotonic()
        with pytest.raises(LostLeadershipError, match="not renewed"):
            await asyncio.wait_for(task, 5)
        assert ticks.all[-1][0] - begun < PACE.duration
        assert ticks.all[-1][0] - begun <= PACE.deadline + 0.2


async def test_a_short_outage_costs_nothing(fake: FakeApi) -> None:
    cut = False

    async def broken(_: web.Request) -> web.Response | None:
        return web.Response(status=500) if cut else None

    fake.faults.append(broken)
    ticks = Ticks()
    async with Client(Connection(Configuration(host=fake.url))) as client:
        task = asyncio.create_task(Lease(client, "default", "a", pace=PACE).run(ticks.work("a")))
        await until(lambda: ticks.workers() == {"a"})
        cut = True
        await asyncio.sleep(PACE.retry * 2)
        cut = False
        await asyncio.sleep(PACE.duration)
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_stolen_lease_ends_the_work(fake: FakeApi) -> None:
    """Whoever edits the Lease by hand gets what he asked for: never two who work."""
    ticks = Ticks()
    async with Client(Connection(Configuration(host=fake.url))) as client:
        task = asyncio.create_task(Lease(client, "default", "a", pace=PACE).run(ticks.work("a")))
        await until(lambda: ticks.workers() == {"a"})

        async def keep() -> None:
            while True:
                await client.patch(
                    LEASE, "default", "seatrial", {"spec": {"holderIdentity": "thief", "renewTime": None}}
                )
                await asyncio.sleep(0.1)

        thief = asyncio.create_task(keep())
        with pytest.raises(LostLeadershipError, match="thief"):
            await asyncio.wait_for(task, 6)
        thief.cancel()
        await asyncio.gather(thief, return_exceptions=True)


def test_a_pace_that_cannot_be_safe_is_refused() -> None:
    with pytest.raises(ValueError, match="retry < deadline < duration"):
        Pace(duration=5, deadline=5, retry=1)
