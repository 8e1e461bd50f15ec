"""Two operators and one Lease: the one that is cut off stops before the other begins, and the trial goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client.configuration import Configuration

from seatrial.cluster.client import Client, Connection, Timeouts
from seatrial.cluster.errors import ApiError
from seatrial.cluster.freezes import Freezes
from seatrial.cluster.house import House
from seatrial.cluster.kinds import DEPLOYMENT, HTTP_ROUTE, MODEL_DEPLOYMENT, SERVICE
from seatrial.cluster.lease import NAME, Lease, LostLeadershipError, Pace
from seatrial.cluster.streams import Streams
from seatrial.runtime.queue import AgainError, WorkQueue
from tests.cluster_io.conftest import Plane
from tests.runtime.test_reconcile import World, build, change_image, stable, started
from tests.support.cluster import SmallCluster
from tests.support.fakeapi import FakeApi
from tests.weather.proxy import HTTP_FAULTS, FaultyProxy

Manifest = dict[str, Any]
QUICKLY = {"stages": [{"canary": {"steps": [{"weight": 50, "minDuration": "1s"}]}}], "probation": {"duration": "0s"}}
PACE = Pace(duration=1.2, deadline=0.7, retry=0.15)
PATIENCE = Timeouts(connect=0.5, read=0.5, list=0.5, silence=5.0)
HANG = next(fault for fault in HTTP_FAULTS if fault.name == "hang")
LEASES = ("coordination.k8s.io", "v1", "leases")


def plane_of(fake: FakeApi, url: str) -> Plane:
    return Plane(Connection(Configuration(host=url)), "default", fake, [])


class Operator:
    """A process that takes part in the election and works while it leads; it begins anew when it has lost."""

    def __init__(self, fake: FakeApi, proxy: FaultyProxy, name: str) -> None:
        self.fake, self.proxy, self.name = fake, proxy, name
        self.terms = 0

    async def run(self) -> None:
        while True:
            plane = plane_of(self.fake, self.proxy.url)
            async with plane.client(manager=self.name, timeouts=PATIENCE) as client:
                world = build(plane, client)

                async def work(world: World = world) -> None:
                    self.terms += 1
                    while True:
                        try:
                            await world.reconciler(world.key)
                        except AgainError as again:
                            await asyncio.sleep(again.after or 0.05)
                        await asyncio.sleep(0.02)

                try:
                    await Lease(client, "default", self.name, pace=PACE).run(work)
                except LostLeadershipError:
                    await world.reconciler.preflight.close()


@asynccontextmanager
async def task(job: Any) -> AsyncIterator[None]:
    running = asyncio.create_task(job)
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.timeout(120)
async def test_only_the_holder_of_the_lease_writes(fake: FakeApi) -> None:
    strangers: list[str] = []

    async def watched(request: web.Request) -> web.StreamResponse | None:
        who = request.query.get("fieldManager", "")
        if who.startswith("operator-") and not request.path.endswith(f"leases/{NAME}") and "leases" not in request.path:
            lease = fake.objects.get((LEASES, "default", NAME), {"spec": {}})
            if lease["spec"].get("holderIdentity") != who:
                strangers.append(f"{who}: {request.method} {request.path}")
        return None

    fake.faults.append(watched)
    here = plane_of(fake, fake.url)
    async with (
        FaultyProxy(here.connection).run() as one,
        FaultyProxy(here.connection).run() as other,
        here.client() as direct,
        started(here, direct, strategy=QUICKLY) as world,
    ):
        operators = [Operator(fake, one, "operator-1"), Operator(fake, other, "operator-2")]
        world.cluster = SmallCluster(direct, "default")
        async with task(operators[0].run()), task(operators[1].run()), task(world.cluster.run()):

            async def until(done: Any) -> Manifest:
                async with asyncio.timeout(40):
                    while True:
                        status: Manifest = (await direct.get(MODEL_DEPLOYMENT, *world.key)).get("status") or {}
                        if done(status):
                            return status
                        await asyncio.sleep(0.05)

            first = (await until(stable))["stable"]
            await change_image(world, "registry.example.com/fraud:2")
            for proxy in (one, other, one, other):  # each in turn is cut off, whoever leads
                proxy.choose = lambda _request: HANG
                await asyncio.sleep(1.6)
                proxy.choose = lambda _request: None
            status = await until(lambda s: stable(s) and s["stable"] != first)
    assert [entry["outcome"] for entry in status["history"]] == ["Promoted", "Promoted"]
    assert operators[0].terms + operators[1].terms >= 3, "leadership changed hands"
    assert not strangers, strangers[0]


@pytest.mark.timeout(120)
async def test_hand_edits_are_put_back_while_watches_are_cut_and_expire(fake: FakeApi) -> None:
    """Every edit is heard of, whatever happens to the watches meanwhile."""
    plane = plane_of(fake, fake.url)
    async with plane.client() as client, started(plane, client) as world:
        status = await world.until(stable)
        queue: WorkQueue[tuple[str, str]] = WorkQueue(base=0.05)
        freezes, house = Freezes("", set()), House(())
        streams = Streams(client, ["default"], queue.add, lambda _: (), lambda _: (), ["default"], freezes, house)

        async def foul() -> None:
            while True:
                await asyncio.sleep(0.3)
                fake.cut_watches()
                await asyncio.sleep(0.3)
                fake.compact()
                fake.cut_watches()

        async with task(streams.run()), task(queue.run(2, world.reconciler)):
            await asyncio.wait_for(streams.listed(), 10)
            queue.add(world.key)
            async with task(foul()):
                child = f"fraud-{status['stable']}"
                for kind, name, edit in 4 * (
                    (HTTP_ROUTE, "fraud", {"spec": {"hostnames": ["elsewhere.example.com"]}}),
                    (SERVICE, "fraud", {"spec": {"selector": {"app": "elsewhere"}}}),
                    (DEPLOYMENT, child, {"spec": {"replicas": 0}}),
                ):
                    before = (await client.get(kind, "default", name))["spec"]
                    await client.patch(kind, "default", name, edit)
                    async with asyncio.timeout(15):
                        while (await _spec(client, kind, name)) != before:
                            await asyncio.sleep(0.05)
            queue.stop()


async def _spec(client: Client, kind: Any, name: str) -> Manifest:
    try:
        spec: Manifest = (await client.get(kind, "default", name))["spec"]
    except ApiError:
        return {}
    return spec
