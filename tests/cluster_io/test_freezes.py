"""Freezes are heard of through a watch of namespaces, and wake whoever is on trial."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client.configuration import Configuration

from seatrial.build.names import FREEZE, FREEZE_CLUSTER
from seatrial.cluster import streams as module
from seatrial.cluster.client import Client, Connection
from seatrial.cluster.freezes import LONGEST, Freezes
from seatrial.cluster.house import House
from seatrial.cluster.index import Index
from seatrial.cluster.kinds import NAMESPACE
from seatrial.cluster.streams import Streams
from seatrial.core.state import Installation
from tests.cluster_io.conftest import Plane
from tests.support.fakeapi import FakeApi

AT_SEA, AT_REST, ELSEWHERE = "fraud", "iris", ("elsewhere", "other")


def model(namespace: str, name: str, *, on_trial: bool) -> dict[str, Any]:
    status = {"stable": "0123456789", **({"rollout": {"revision": "9876543210"}} if on_trial else {})}
    return {"metadata": {"namespace": namespace, "name": name, "uid": f"uid-{name}"}, "spec": {}, "status": status}


@asynccontextmanager
async def watching(
    client: Client, namespaces: list[str] | None, freezes: Freezes
) -> AsyncIterator[tuple[Streams, list[tuple[str, str]]]]:
    woken: list[tuple[str, str]] = []
    streams = Streams(client, namespaces, woken.append, lambda _: (), lambda _: (), namespaces, freezes, House(()))
    task = asyncio.create_task(streams.run())
    try:
        await asyncio.wait_for(streams.listed(), 10)
        yield streams, woken
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def annotate(client: Client, namespace: str, **annotations: str | None) -> None:
    named = {FREEZE if name == "freeze" else FREEZE_CLUSTER: value for name, value in annotations.items()}
    await client.patch(NAMESPACE, None, namespace, {"metadata": {"annotations": named}})


async def until(said: Any, seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not said():
            await asyncio.sleep(0.02)


def fleet(namespace: str, home: str = "") -> Index:
    index = Index(Installation(home=home))
    index.put(model(namespace, AT_SEA, on_trial=True))
    index.put(model(namespace, AT_REST, on_trial=False))
    index.put(model(*ELSEWHERE, on_trial=True))
    return index


@pytest.mark.parametrize("narrow", [False, True], ids=["all namespaces", "named ones"])
async def test_a_freeze_wakes_those_on_trial_there(plane: Plane, client: Client, narrow: bool) -> None:
    here = plane.namespace
    index = fleet(here)
    async with watching(client, [here] if narrow else None, index.freezes) as (_, woken):
        assert index.freezes.of(here) == ""
        await annotate(client, here, freeze="year-end\nclosing")
        await until(lambda: woken)
        assert woken == [(here, AT_SEA)]
        said = f"namespace {here} is frozen by its annotation {FREEZE}: year-end closing"
        assert index.freezes.of(here) == said
        assert index.freezes.of("elsewhere") == ""
        woken.clear()
        await annotate(client, here, freeze=None)
        await until(lambda: woken)
        assert woken == [(here, AT_SEA)]
        assert index.freezes.of(here) == ""


@pytest.mark.parametrize("narrow", [False, True], ids=["all namespaces", "named ones"])
async def test_the_operators_own_namespace_freezes_the_cluster(plane: Plane, client: Client, narrow: bool) -> None:
    home = plane.namespace
    index = fleet("models", home)
    async with watching(client, ["models"] if narrow else None, index.freezes) as (_, woken):
        await annotate(client, home, freeze_cluster="")
        await until(lambda: len(woken) == 2)
        assert set(woken) == {("models", AT_SEA), ELSEWHERE}
        assert index.freezes.of("models") == (
            f"the cluster is frozen by the annotation {FREEZE_CLUSTER} of namespace {home}: no reason is given"
        )


async def test_a_freeze_from_before_the_start_is_known_before_the_first_look(plane: Plane, client: Client) -> None:
    await annotate(client, plane.namespace, freeze="x" * 5000)
    index = fleet(plane.namespace)
    async with watching(client, None, index.freezes) as (_, woken):
        assert index.freezes.of(plane.namespace).endswith(": " + "x" * LONGEST)
        assert woken == []


async def test_nobody_else_freezes_the_cluster(plane: Plane, client: Client) -> None:
    """Who may annotate some namespace may not stop the others."""
    index = fleet(plane.namespace, "seatrial-system")
    await annotate(client, plane.namespace, freeze_cluster="mine")
    async with watching(client, None, index.freezes):
        assert index.freezes.of(plane.namespace) == ""


async def test_other_changes_of_a_namespace_wake_nobody(plane: Plane, client: Client) -> None:
    index = fleet(plane.namespace)
    async with watching(client, None, index.freezes) as (_, woken):
        await client.patch(NAMESPACE, None, plane.namespace, {"metadata": {"labels": {"team": "x"}}})
        await annotate(client, plane.namespace, freeze="now")
        await until(lambda: woken)
        assert woken == [(plane.namespace, AT_SEA)]


async def test_without_the_right_nothing_is_frozen_and_it_is_said_once(
    fake: FakeApi, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "FIRST_RETRY", 0.02)

    async def guard(request: web.Request) -> web.Response | None:
        if not request.path.endswith("/namespaces"):
            return None
        message = 'namespaces is forbidden: User "u" cannot list resource "namespaces"'
        return web.json_response({"message": message}, status=403)

    fake.faults.append(guard)
    index = fleet("models")
    with caplog.at_level(logging.WARNING):
        async with (
            Client(Connection(Configuration(host=fake.url))) as client,
            watching(client, None, index.freezes) as (streams, _),
        ):
            await until(lambda: sum(path.endswith("/namespaces") for _, path in fake.requests) > 3)
            assert index.freezes.of("models") == ""
            assert streams.silent(60) == []
    told = [record.getMessage() for record in caplog.records if "namespaces" in record.getMessage()]
    assert len(told) == 1
    assert told[0].endswith("nothing can be frozen by an annotation meanwhile")
