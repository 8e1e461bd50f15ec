"""The real passes and the real client, through a proxy that misbehaves at each kind of request of a trial."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client.configuration import Configuration

from seatrial.cluster.client import Client, Connection, Timeouts
from seatrial.cluster.kinds import DEPLOYMENT, EVENT, HTTP_ROUTE, MODEL_DEPLOYMENT, SERVICE
from seatrial.runtime.queue import AgainError
from tests.cluster_io.conftest import Plane
from tests.conftest import QUICK
from tests.runtime.test_reconcile import World, change_image, stable, started
from tests.support.cluster import SmallCluster
from tests.weather.proxy import HTTP_FAULTS, FaultyProxy, HttpFault, kind_of

Manifest = dict[str, Any]
QUICKLY = {"stages": [{"canary": {"steps": [{"weight": 50, "minDuration": "1s"}]}}], "probation": {"duration": "0s"}}
PATIENCE = Timeouts(connect=0.6, read=0.6, list=0.6, silence=0.6)
FAULTS = HTTP_FAULTS[:3] if QUICK else HTTP_FAULTS
WRITES = ("POST", "PUT", "PATCH", "DELETE")


@asynccontextmanager
async def behind(plane: Plane) -> AsyncIterator[tuple[World, FaultyProxy, Client]]:
    """A resource, an operator behind a proxy, and a cluster that is not."""
    async with FaultyProxy(plane.connection).run() as proxy, plane.client() as direct:
        way = Plane(Connection(Configuration(host=proxy.url)), plane.namespace, plane.fake, plane.calls)
        async with way.client(timeouts=PATIENCE) as client, started(way, client, strategy=QUICKLY) as world:
            world.cluster = SmallCluster(direct, plane.namespace)
            yield world, proxy, direct


async def passes(world: World, direct: Client, done: Callable[[Manifest], object], seconds: float = 90.0) -> Manifest:
    """Passes as the queue makes them, each after the wait that was asked for."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                await world.reconciler(world.key)
            except AgainError as again:
                await asyncio.sleep(again.after or 0.02)
            await world.cluster.step()
            status: Manifest = (await direct.get(MODEL_DEPLOYMENT, *world.key)).get("status") or {}
            await leads_somewhere(world, direct)
            if done(status):
                return status
            await asyncio.sleep(0.02)


async def leads_somewhere(world: World, direct: Client) -> None:
    """At every moment the route's weights are whole, and every Service that it names exists."""
    route = await direct.find(HTTP_ROUTE, *world.key)
    if route is None:
        return
    refs = route["spec"]["rules"][0]["backendRefs"]
    assert sum(ref["weight"] for ref in refs) == 1_000_000
    services = {item["metadata"]["name"] for item in (await direct.list(SERVICE, world.key[0])).items}
    assert {ref["name"] for ref in refs} <= services


def once_each(fault: HttpFault, *, reads: bool = False) -> Callable[[web.Request], HttpFault | None]:
    """The fault hits the first request of each kind, and then the second of each kind at another time."""
    seen: Counter[str] = Counter()

    def choose(request: web.Request) -> HttpFault | None:
        if request.query.get("watch") == "true" or (request.method not in WRITES) is not reads:
            return None
        kind = kind_of(request)
        seen[kind] += 1
        return fault if seen[kind] in (1, 4) else None

    return choose


async def promoted(world: World, proxy: FaultyProxy, direct: Client) -> None:
    """A first revision, then a second one, promoted: as in calm water, whatever happened."""
    await passes(world, direct, stable)
    first = (await direct.get(MODEL_DEPLOYMENT, *world.key))["status"]["stable"]
    await change_image(World(**{**vars(world), "client": direct}), "registry.example.com/fraud:2")
    status = await passes(world, direct, lambda s: stable(s) and s["stable"] != first)
    await passes(world, direct, lambda s: len(s.get("revisions", [])) == 1)
    outcomes = [entry["outcome"] for entry in status["history"]]
    assert outcomes == ["Promoted", "Promoted"], "each trial is in the history once"
    names = {item["metadata"]["name"] for item in (await direct.list(DEPLOYMENT, world.key[0])).items}
    assert names == {f"fraud-{status['stable']}"}
    said = Counter(item["reason"] for item in (await direct.list(EVENT, world.key[0])).items)
    assert said["Promoted"] <= 1, "the event is not told twice"
    assert proxy.hits, "nothing happened"


@pytest.mark.timeout(180)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_every_kind_of_write_meets_a_fault(plane: Plane, fault: HttpFault) -> None:
    async with behind(plane) as (world, proxy, direct):
        proxy.choose = once_each(fault)
        await promoted(world, proxy, direct)
        hit = {kind for _, kind in proxy.hits}
        wanted = {
            "POST controllerrevisions",
            "POST deployments",
            "POST services",
            "POST httproutes",
            "PUT httproutes",
            "PUT services",
            "PATCH modeldeployments/status",
            "DELETE deployments",
            "DELETE services",
            "DELETE controllerrevisions",
        }
        assert wanted <= hit, f"not met: {wanted - hit}"


@pytest.mark.timeout(180)
@pytest.mark.parametrize("fault", FAULTS[1:], ids=lambda fault: fault.name)
async def test_every_kind_of_read_meets_a_fault(plane: Plane, fault: HttpFault) -> None:
    async with behind(plane) as (world, proxy, direct):
        proxy.choose = once_each(fault, reads=True)
        await promoted(world, proxy, direct)


async def test_retry_after_is_honoured(plane: Plane) -> None:
    """After a 429 the same request comes again, and not before its time."""
    busy = HTTP_FAULTS[1]
    came: defaultdict[str, list[float]] = defaultdict(list)
    async with behind(plane) as (world, proxy, direct):

        def choose(request: web.Request) -> HttpFault | None:
            if request.method != "POST" or "deployments" not in request.path or request.query.get("dryRun"):
                return None
            came[request.path].append(time.monotonic())
            return busy if len(came[request.path]) == 1 else None

        proxy.choose = choose
        await passes(world, direct, stable)
    (times,) = came.values()
    assert len(times) == 2
    assert times[1] - times[0] >= 1.0
