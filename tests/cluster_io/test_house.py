"""House rules are heard of through watches of policies, and wake whom they may concern."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client.configuration import Configuration

from seatrial.cluster import streams as module
from seatrial.cluster.client import Client, Connection
from seatrial.cluster.index import Index
from seatrial.cluster.kinds import CLUSTER_TRIAL_POLICY, NAMESPACE, TRIAL_POLICY
from seatrial.cluster.streams import Streams
from seatrial.core.state import Installation
from tests.cluster_io.conftest import Plane
from tests.support.fakeapi import FakeApi

ELSEWHERE = ("elsewhere", "other")
REQUIRE = {"require": {"minSamples": 500}}


def fleet(namespace: str) -> Index:
    index = Index(Installation())
    for space, name in ((namespace, "fraud"), ELSEWHERE):
        index.put({"metadata": {"namespace": space, "name": name, "uid": f"uid-{name}"}, "spec": {}, "status": {}})
    return index


def policy(namespace: str, name: str = "team", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": TRIAL_POLICY.api_version,
        "kind": "TrialPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec or REQUIRE,
    }


def cluster_policy(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": TRIAL_POLICY.api_version,
        "kind": "ClusterTrialPolicy",
        "metadata": {"name": name},
        "spec": {**REQUIRE, **spec},
    }


async def create(client: Client, manifest: dict[str, Any]) -> None:
    """As a person does: the operator itself writes no policy, and its client does not know how."""
    namespace = manifest["metadata"].get("namespace")
    kind = TRIAL_POLICY if namespace else CLUSTER_TRIAL_POLICY
    await client._json("create", kind, "POST", kind.path(namespace), body=manifest)


async def delete(client: Client, namespace: str | None, name: str) -> None:
    kind = TRIAL_POLICY if namespace else CLUSTER_TRIAL_POLICY
    await client._json("delete", kind, "DELETE", kind.path(namespace, name))


@asynccontextmanager
async def watching(client: Client, index: Index) -> AsyncIterator[tuple[Streams, set[tuple[str, str]]]]:
    woken: set[tuple[str, str]] = set()
    streams = Streams(client, None, woken.add, lambda _: (), lambda _: (), None, index.freezes, index.house)
    task = asyncio.create_task(streams.run())
    try:
        await asyncio.wait_for(streams.listed(), 10)
        yield streams, woken
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(said: Any, seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not said():
            await asyncio.sleep(0.02)


def names(index: Index, namespace: str) -> list[str]:
    return [one.ref for one in index.house.of(namespace).in_force]


async def test_an_edit_wakes_the_models_of_the_namespace(plane: Plane, client: Client) -> None:
    here = plane.namespace
    index = fleet(here)
    async with watching(client, index) as (_, woken):
        assert names(index, here) == []
        await create(client, policy(here))
        await until(lambda: woken)
        assert woken == {(here, "fraud")}
        assert names(index, here) == ["TrialPolicy/team"]
        assert names(index, "elsewhere") == []
        woken.clear()
        await client.patch(TRIAL_POLICY, here, "team", {"metadata": {"labels": {"a": "b"}}})
        await client.patch(TRIAL_POLICY, here, "team", {"spec": {"require": {"minSamples": 900}}})
        await until(lambda: index.house.of(here).in_force[0].spec.require.min_samples == 900)  # type: ignore[union-attr] # it has one
        await until(lambda: woken)
        woken.clear()
        await delete(client, here, "team")
        await until(lambda: woken)
        known = index.house.of(here)
        assert (known.in_force, known.exist) == ((), frozenset())


async def test_a_label_alone_wakes_nobody(plane: Plane, client: Client) -> None:
    here = plane.namespace
    index = fleet(here)
    await create(client, policy(here))
    async with watching(client, index) as (_, woken):
        await client.patch(TRIAL_POLICY, here, "team", {"metadata": {"labels": {"a": "b"}}})
        await create(client, cluster_policy(f"{here}-after"))
        await until(lambda: ELSEWHERE in woken)
        await delete(client, None, f"{here}-after")
    fresh = fleet(here)
    async with watching(client, fresh) as (_, woken):
        await client.patch(TRIAL_POLICY, here, "team", {"metadata": {"labels": {"a": "c"}}})
        await asyncio.sleep(0.3)
        assert woken == set()


async def test_labels_of_a_namespace_choose(plane: Plane, client: Client) -> None:
    here, name = plane.namespace, f"{plane.namespace}-critical"
    index = fleet(here)
    await create(client, cluster_policy(name, namespaceSelector={"matchLabels": {"tier": here}}))
    try:
        async with watching(client, index) as (_, woken):
            known = index.house.of(here)
            assert (known.in_force, known.unread) == ((), "")
            assert f"ClusterTrialPolicy/{name}" in known.exist
            assert "those of elsewhere are not known yet" in index.house.of("elsewhere").unread
            await client.patch(NAMESPACE, None, here, {"metadata": {"labels": {"tier": here}}})
            await until(lambda: names(index, here))
            assert woken == {(here, "fraud")}
            await client.patch(NAMESPACE, None, here, {"metadata": {"labels": {"tier": None}}})
            await until(lambda: not names(index, here))
    finally:
        await delete(client, None, name)


async def test_one_that_was_deleted_while_nobody_watched_is_gone(fake: FakeApi) -> None:
    """It concerned no model when it was seen, and it is kept track of all the same."""
    async with Client(Connection(Configuration(host=fake.url))) as client:
        index = Index(Installation())
        await create(client, policy("models"))
        async with watching(client, index) as (_, _woken):
            assert names(index, "models") == ["TrialPolicy/team"]
            fake.cut_watches()
            place = ("seatrial.dev", "v1alpha1", "trialpolicies")
            del fake.objects[place, "models", "team"]
            fake._version += 1
            fake.compact()
            await until(lambda: not names(index, "models"), 20)


async def test_without_the_right_it_is_said_and_with_it_everybody_looks_again(
    fake: FakeApi, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "FIRST_RETRY", 0.02)
    forbidden = True

    async def guard(request: web.Request) -> web.Response | None:
        if not (forbidden and request.path.endswith("/clustertrialpolicies")):
            return None
        message = 'clustertrialpolicies is forbidden: User "u" cannot list resource "clustertrialpolicies"'
        return web.json_response({"message": message}, status=403)

    fake.faults.append(guard)
    index = fleet("models")
    with caplog.at_level(logging.WARNING):
        async with Client(Connection(Configuration(host=fake.url))) as client, watching(client, index) as (_, woken):
            said = index.house.of("models").unread
            assert said.startswith("house rules cannot be read, give the operator the rights of its chart: ")
            assert "clustertrialpolicies is forbidden" in said
            assert woken == set(), "whoever is looked at first hears of it then"
            forbidden = False
            await until(lambda: woken == {("models", "fraud"), ELSEWHERE})
            assert index.house.of("models").unread == ""
    told = [record.getMessage() for record in caplog.records if "clustertrialpolicies" in record.getMessage()]
    assert len(told) == 1
    assert told[0].endswith("no new trial begins meanwhile: house rules may be missed")


async def test_where_the_kind_is_not_installed_there_are_no_rules(fake: FakeApi) -> None:
    fake.served = {place for place in fake.served if "policies" not in place[2]}
    index = fleet("models")
    async with Client(Connection(Configuration(host=fake.url))) as client, watching(client, index):
        known = index.house.of("models")
        assert (known.in_force, known.unread) == ((), "")
