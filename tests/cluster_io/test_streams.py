"""A change of what a resource owns wakes the resource, whatever happens to the watch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client.configuration import Configuration

from seatrial.build.names import owner_reference
from seatrial.build.overlay import owned
from seatrial.cluster import streams as module
from seatrial.cluster.client import Client, Connection
from seatrial.cluster.freezes import Freezes
from seatrial.cluster.house import House
from seatrial.cluster.kinds import DEPLOYMENT, GATEWAY, SERVICE
from seatrial.cluster.streams import Streams
from tests.cluster_io.conftest import Plane
from tests.cluster_io.objects import accepted, deployment, gateway, route, service
from tests.support.fakeapi import FakeApi

OWNER = owner_reference("fraud", "11111111-1111-1111-1111-111111111111")
ROUTES = ("gateway.networking.k8s.io", "v1", "httproutes")


class Wakes:
    def __init__(self) -> None:
        self.keys: list[tuple[str, str]] = []

    def clear(self) -> None:
        self.keys.clear()

    async def wait(self, key: tuple[str, str], seconds: float = 10.0) -> None:
        async with asyncio.timeout(seconds):
            while key not in self.keys:
                await asyncio.sleep(0.02)


@asynccontextmanager
async def watching(
    client: Client,
    namespace: str,
    attached: Callable[[Any], Any] = lambda _: (),
    routed: Callable[[Any], Any] = lambda _: (),
    freezes: Freezes | None = None,
) -> AsyncIterator[tuple[Streams, Wakes]]:
    wakes = Wakes()
    watched = freezes or Freezes("", set())
    streams = Streams(client, [namespace], wakes.keys.append, attached, routed, [namespace], watched, House(()))
    task = asyncio.create_task(streams.run())
    try:
        await asyncio.wait_for(streams.listed(), 10)
        await asyncio.sleep(0.1)
        wakes.clear()
        yield streams, wakes
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_every_change_of_a_child_wakes_its_owner(plane: Plane, client: Client) -> None:
    key = (plane.namespace, "fraud")
    async with watching(client, plane.namespace) as (_, wakes):
        made = await client.create(owned(service(plane.namespace), OWNER))
        await wakes.wait(key)
        wakes.clear()
        made["spec"]["selector"] = {"a": "b"}
        await client.replace(made)
        await wakes.wait(key)
        wakes.clear()
        await client.delete(SERVICE, plane.namespace, "fraud", uid=made["metadata"]["uid"])
        await wakes.wait(key)


async def test_a_label_taken_off_wakes_too(plane: Plane, client: Client) -> None:
    async with watching(client, plane.namespace) as (_, wakes):
        made = await client.create(owned(service(plane.namespace), OWNER))
        await wakes.wait((plane.namespace, "fraud"))
        wakes.clear()
        del made["metadata"]["labels"]
        await client.replace(made)
        await wakes.wait((plane.namespace, "fraud"))


async def test_a_status_of_a_child_wakes_its_owner(plane: Plane, client: Client) -> None:
    made = await client.create(owned(deployment(plane.namespace), OWNER))
    async with watching(client, plane.namespace) as (_, wakes):
        await client.patch(
            DEPLOYMENT,
            plane.namespace,
            made["metadata"]["name"],
            {"status": {"observedGeneration": 1}},
            subresource="status",
        )
        await wakes.wait((plane.namespace, "fraud"))


async def test_strangers_wake_nobody(plane: Plane, client: Client) -> None:
    async with watching(client, plane.namespace) as (_, wakes):
        stranger = service(plane.namespace, "theirs")
        stranger["metadata"]["labels"] = {"app": "theirs"}
        await client.create(stranger)
        await client.create(owned(service(plane.namespace), OWNER))
        await wakes.wait((plane.namespace, "fraud"))
        assert set(wakes.keys) == {(plane.namespace, "fraud")}


async def test_only_what_matters_of_a_gateway_wakes_those_attached(plane: Plane, client: Client) -> None:
    made = await client.create(gateway(plane.namespace))
    key = (plane.namespace, "fraud")

    def attached(parent: tuple[str, str]) -> list[tuple[str, str]]:
        return [key] if parent == (plane.namespace, "public") else []

    async with watching(client, plane.namespace, attached) as (_, wakes):
        counted = {"listeners": [{"name": "http", "attachedRoutes": 7, "supportedKinds": [], "conditions": []}]}
        await client.patch(GATEWAY, plane.namespace, "public", {"status": counted}, subresource="status")
        await asyncio.sleep(0.5)
        assert wakes.keys == []
        await client.patch(GATEWAY, plane.namespace, "public", {"status": accepted()}, subresource="status")
        await wakes.wait(key)
        wakes.clear()
        await client.delete(GATEWAY, plane.namespace, "public", uid=made["metadata"]["uid"])
        await wakes.wait(key)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_RETRY", 0.05)
    monkeypatch.setattr(module, "ABSENT_RETRY", 0.2)


@pytest.fixture
async def quick(fake: FakeApi) -> AsyncIterator[Client]:
    async with Client(Connection(Configuration(host=fake.url))) as client:
        yield client


async def test_a_cut_watch_goes_on_where_it_broke_off(fake: FakeApi, quick: Client, hasty: None) -> None:
    await quick.create(owned(service("default", "old"), OWNER))
    async with watching(quick, "default") as (_, wakes):
        fake.cut_watches()
        await quick.create(owned(service("default"), OWNER))
        await wakes.wait(("default", "fraud"))
        lists = [path for verb, path in fake.requests if verb == "GET" and path.endswith("services")]
        assert len(lists) == 1


async def test_after_a_gap_what_changed_wakes_and_what_did_not_sleeps(
    fake: FakeApi, quick: Client, hasty: None
) -> None:
    """410: the history is gone, and with it the news of a deletion."""
    other = owner_reference("iris", "22222222-2222-2222-2222-222222222222")
    gone = await quick.create(owned(service("default"), OWNER))
    await quick.create(owned(service("default", "iris"), other))
    async with watching(quick, "default") as (_, wakes):
        down = True

        async def refuse(request: web.Request) -> web.Response | None:
            return web.Response(status=500) if down and request.query.get("watch") else None

        fake.faults.append(refuse)
        fake.cut_watches()
        await asyncio.sleep(0.1)
        await quick.delete(SERVICE, "default", "fraud", uid=gone["metadata"]["uid"])
        fake.compact()
        down = False
        await wakes.wait(("default", "fraud"))
        await asyncio.sleep(0.2)
        assert ("default", "iris") not in wakes.keys


async def test_a_kind_that_appears_later_is_found(fake: FakeApi, quick: Client, hasty: None) -> None:
    fake.served.discard(ROUTES)
    async with watching(quick, "default") as (streams, wakes):
        assert any("httproutes" in stream.problem for stream in streams.all)
        fake.served.add(ROUTES)
        await quick.create(owned(route("default"), OWNER))
        await wakes.wait(("default", "fraud"))
        assert not any(stream.problem for stream in streams.all)


async def test_a_forbidden_kind_holds_nothing_up(fake: FakeApi, quick: Client, hasty: None) -> None:
    async def guard(request: web.Request) -> web.Response | None:
        if not request.path.endswith("gateways"):
            return None
        message = 'gateways is forbidden: User "u" cannot list resource "gateways"'
        return web.json_response({"message": message}, status=403)

    fake.faults.append(guard)
    async with watching(quick, "default") as (streams, wakes):
        await quick.create(owned(service("default"), OWNER))
        await wakes.wait(("default", "fraud"))
        assert streams.silent(60) == []


async def test_a_stream_remembers_next_to_nothing(fake: FakeApi, quick: Client, hasty: None) -> None:
    for number in range(3):
        await quick.create(owned(service("default", f"s{number}"), OWNER))
    async with watching(quick, "default") as (streams, _):
        (services,) = [stream for stream in streams.all if stream.spec.kind == SERVICE]
        assert len(services) == 3
