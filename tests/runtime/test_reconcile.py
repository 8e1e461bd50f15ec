"""Whole passes, with the real planner, against an API server and what a cluster would do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client.configuration import Configuration

from seatrial.build.names import FREEZE
from seatrial.cluster.client import Client, Connection
from seatrial.cluster.index import Index
from seatrial.cluster.kinds import (
    CONTROLLER_REVISION,
    DEPLOYMENT,
    EVENT,
    GATEWAY,
    HTTP_ROUTE,
    MODEL_DEPLOYMENT,
    SERVICE,
    Kind,
)
from seatrial.core.questions import Failure, InstantQuestion, MetricAnswer, MetricQuestion, Questions
from seatrial.core.state import Installation
from seatrial.runtime.queue import AgainError
from seatrial.runtime.reconcile import NoSource, Reconciler, now_utc
from seatrial.runtime.telemetry import Telemetry
from tests.cluster_io.conftest import Plane
from tests.cluster_io.objects import gateway, model
from tests.support.cluster import SmallCluster
from tests.support.fakeapi import FakeApi

Manifest = dict[str, Any]


class BrokenSource:
    async def answer(self, questions: Sequence[MetricQuestion]) -> tuple[dict[str, MetricAnswer], float | None]:
        raise RuntimeError("a bug in the source")


@dataclass
class World:
    plane: Plane
    client: Client
    cluster: SmallCluster
    reconciler: Reconciler
    telemetry: Telemetry
    index: Index
    woken: list[tuple[str, str]]

    @property
    def key(self) -> tuple[str, str]:
        return self.plane.namespace, "fraud"

    async def run(self) -> float | None:
        """One pass, repeated while it loses races, as the queue does."""
        for _ in range(20):
            try:
                return await self.reconciler(self.key)
            except AgainError:
                await asyncio.sleep(0.02)
        raise AssertionError("twenty passes in a row did not come through")

    async def until(self, condition: Callable[[Manifest], object], seconds: float = 30.0) -> Manifest:
        """Passes and ticks of the cluster until the status is so."""
        async with asyncio.timeout(seconds):
            while True:
                await self.run()
                await self.cluster.step()
                status = (await self.client.get(MODEL_DEPLOYMENT, *self.key)).get("status") or {}
                if condition(status):
                    return status
                await asyncio.sleep(0.02)


def build(plane: Plane, client: Client, source: Any = None) -> World:
    installation = Installation(dwell=timedelta(milliseconds=50))
    telemetry, index = Telemetry(), Index(installation)
    woken: list[tuple[str, str]] = []
    reconciler = Reconciler(
        client,
        installation,
        source or NoSource(),
        index=index,
        telemetry=telemetry,
        wake=woken.append,
        instance="test",
    )
    return World(plane, client, SmallCluster(client, plane.namespace), reconciler, telemetry, index, woken)


@asynccontextmanager
async def started(plane: Plane, client: Client, **spec: Any) -> AsyncIterator[World]:
    world = build(plane, client)
    await client.create(gateway(plane.namespace))
    await world.cluster.step()
    steps = [{"weight": 50, "minDuration": "1s"}]
    strategy = {"stages": [{"canary": {"steps": steps}}], "probation": {"duration": "0s"}}
    quick = {"strategy": strategy, "analysis": {"none": "a test", "checks": []}}
    manifest = model(plane.namespace, **{**quick, **spec})
    manifest["spec"]["traffic"]["drain"] = "1s"
    await client.create(manifest)
    yield world
    await world.reconciler.preflight.close()


@pytest.fixture
async def world(plane: Plane, client: Client) -> AsyncIterator[World]:
    async with started(plane, client) as world:
        yield world


def stable(status: Manifest) -> bool:
    return status.get("phase") == "Stable"


SHADOWED = {"strategy": {"stages": [{"shadow": {"percent": 20}}], "probation": {"duration": "0s"}}}


async def test_no_pod_is_started_where_the_gateway_cannot_copy(plane: Plane, client: Client) -> None:
    """The class is read when a trial comes, and not before; it is said which feature it lacks, and stable is left alone."""
    name = f"{plane.namespace}-plain"
    plane.make_class(name, "HTTPRoute", "HTTPRouteRequestMirror")
    async with started(plane, client, **SHADOWED) as world:
        named = {"spec": {"gatewayClassName": name}}
        await client.patch(GATEWAY, plane.namespace, "public", named)
        await world.until(stable)
        assert not [call for call in plane.calls if call.resource == "gatewayclasses"]
        await change_image(world, "registry.example.com/fraud:2")
        status = await world.until(
            lambda status: "supported" in status["message"] or "does not have" in status["message"]
        )
        assert (
            f"GatewayClass {name} (example.com/controller) does not have HTTPRouteRequestPercentageMirror"
            in (status["message"])
        )
        stalled = next(c for c in status["conditions"] if c["type"] == "Stalled")
        assert (stalled["status"], stalled["reason"]) == ("True", "CannotMirror")
        assert len((await client.list(DEPLOYMENT, plane.namespace)).items) == 1


@pytest.mark.parametrize("why", ["no class", "forbidden"])
async def test_where_nothing_is_known_of_the_gateway_it_is_tried(
    fake: FakeApi, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    async def guard(request: web.Request) -> web.Response | None:
        if "gatewayclasses" not in request.path or why != "forbidden":
            return None
        message = 'gatewayclasses is forbidden: User "u" cannot get resource "gatewayclasses"'
        return web.json_response({"message": message}, status=403)

    fake.faults.append(guard)
    plane = Plane(Connection(Configuration(host=fake.url)), "default", fake, [])
    async with plane.client() as client, started(plane, client, **SHADOWED) as world:
        await world.until(stable)
        await change_image(world, "registry.example.com/fraud:2")
        await world.until(lambda status: status.get("rollout"))
        events = (await client.list(EVENT, "default")).items
        (said,) = [event["message"] for event in events if event["reason"] == "MirrorUnknown"]
        assert ("does not exist" if why == "no class" else "cannot be read by the operator") in said
        assert "it is tried" in said


async def test_a_frozen_trial_stays_where_it_is_until_it_is_not(world: World) -> None:
    """Both the weight and the reason are in the status that the API server keeps."""
    await world.until(stable)
    namespace: Manifest = {"metadata": {"name": world.plane.namespace, "annotations": {FREEZE: "year-end closing"}}}
    world.index.freezes.note(namespace)
    await change_image(world, "registry.example.com/fraud:2")
    status = await world.until(lambda status: ((status.get("rollout") or {}).get("overlay") or {}).get("kind"))
    assert status["rollout"]["overlay"]["kind"] == "Frozen"
    assert "year-end closing" in status["message"]
    for _ in range(10):
        await world.run()
        await world.cluster.step()
    assert world.index.on_trial == {world.key}
    status = (await world.client.get(MODEL_DEPLOYMENT, *world.key))["status"]
    assert (status["phase"], status["weight"]) == ("Preparing", "0")
    namespace["metadata"]["annotations"] = {}
    world.index.freezes.note(namespace)
    await world.until(stable)
    await world.run()
    assert world.index.on_trial == set()


REQUIRED = {
    "kind": "ClusterTrialPolicy",
    "metadata": {"name": "critical", "uid": "u1", "generation": 1},
    "spec": {"require": {"approval": {}}},
}


async def test_house_rules_are_remembered_and_outlive_their_policy_and_the_operator(
    plane: Plane, client: Client
) -> None:
    """What the API server keeps is enough for another operator that never saw the policy."""
    async with started(plane, client) as world:
        world.index.house.note(REQUIRED)
        status = await world.until(stable)
        (entry,) = status["house"]
        assert entry == {
            "policy": "ClusterTrialPolicy/critical",
            "rules": '{"require":{"approval":{"notAuthor":false}}}',
        }
        first = status["stable"]
        resource = await client.get(MODEL_DEPLOYMENT, *world.key)
        assert await world.reconciler.at_rest([resource]) == {world.key: None}
        next_one = build(plane, client)
        await change_image(next_one, "registry.example.com/fraud:2")
        status = await next_one.until(lambda s: "wants an approval" in s["message"])
        said = {c["type"]: c for c in status["conditions"]}["HouseRules"]
        assert (said["status"], said["reason"], status["stable"]) == ("False", "PolicyGone", first)
        reasons = [item["reason"] for item in (await client.list(EVENT, plane.namespace)).items]
        assert reasons.count("PolicyGone") == 1
        await next_one.reconciler.preflight.close()


async def test_a_conflict_with_house_rules_stalls_and_leaves_stable_alone(world: World) -> None:
    first = (await world.until(stable))["stable"]
    errors = {"name": "errors", "preset": "Errors"}
    spec = {"checks": [errors], "require": {"checks": ["errors"]}}
    world.index.house.note({**REQUIRED, "spec": spec})
    await change_image(world, "registry.example.com/fraud:2")
    status = await world.until(lambda s: any(c["reason"] == "RulesConflict" for c in s["conditions"]))
    said = {c["type"]: c for c in status["conditions"]}
    assert (said["Stalled"]["status"], said["Available"]["status"]) == ("True", "True")
    assert "says analysis.none, and ClusterTrialPolicy critical requires check errors" in status["message"]
    assert (status["stable"], status.get("rollout")) == (first, None)
    world.index.house.forget("u1")
    # Gone without letting go: it holds until an empty one lets go.
    await world.run()
    status = (await world.client.get(MODEL_DEPLOYMENT, *world.key))["status"]
    assert status.get("rollout") is None
    world.index.house.note({**REQUIRED, "spec": {}})
    await world.until(lambda s: stable(s) and s["stable"] != first, 60)


async def test_a_first_revision_gets_pods_and_traffic_and_then_rests(world: World) -> None:
    status = await world.until(stable)
    assert status["stable"]
    space, child = world.plane.namespace, f"fraud-{status['stable']}"
    for kind, name in ((DEPLOYMENT, child), (CONTROLLER_REVISION, child), (SERVICE, child), (SERVICE, "fraud")):
        assert await world.client.find(kind, space, name) is not None
    route = await world.client.get(HTTP_ROUTE, space, "fraud")
    assert sum(ref["weight"] for ref in route["spec"]["rules"][0]["backendRefs"]) == 1_000_000
    reasons = {item["reason"] for item in (await world.client.list(EVENT, space)).items}
    assert reasons
    for _ in range(5):
        await world.run()
    world.plane.calls.clear()
    after = await world.run()
    assert after is None, "at rest nothing but a change calls for a pass"
    assert {call.verb for call in world.plane.calls} == {"get", "list"}
    assert len(world.plane.calls) == 8
    assert world.telemetry.registry.get_sample_value("seatrial_reconciles_total", {"result": "rest"})


async def change_image(world: World, image: str) -> None:
    containers = [{"name": "model", "image": image}]
    await world.client.patch(MODEL_DEPLOYMENT, *world.key, {"spec": {"template": {"spec": {"containers": containers}}}})


async def test_a_new_revision_is_promoted_and_the_old_one_removed(world: World) -> None:
    first = (await world.until(stable))["stable"]
    await change_image(world, "registry.example.com/fraud:2")
    status = await world.until(lambda s: stable(s) and s["stable"] != first, 60)
    await world.until(lambda s: len(s.get("revisions", [])) == 1)
    for _ in range(3):
        await world.run()
    names = {item["metadata"]["name"] for item in (await world.client.list(DEPLOYMENT, world.plane.namespace)).items}
    assert names == {f"fraud-{status['stable']}"}
    assert status["history"][0]["outcome"] == "Promoted"
    trials = world.telemetry.registry.get_sample_value("seatrial_trial_seconds_count", {"outcome": "Promoted"})
    assert trials == 2, "the first deployment is a trial too"


async def test_a_canary_without_a_gateway(plane: Plane, client: Client) -> None:
    """The Service opens for the canary and closes at the promotion; the gateway is never asked about."""
    traffic: Manifest = {"replicaRatio": {}}
    async with started(plane, client, traffic=traffic) as world:
        world.cluster.endpoints.add("fraud")
        first = (await world.until(stable))["stable"]
        selected: list[str | None] = []

        async def look() -> None:
            service = await client.get(SERVICE, plane.namespace, "fraud")
            selected.append(service["spec"]["selector"].get("seatrial.dev/revision"))

        await look()
        await change_image(world, "registry.example.com/fraud:2")
        status = await world.until(lambda s: s.get("weight") == "50", 60)
        await look()
        second = status["candidate"]
        status = await world.until(lambda s: stable(s) and s["stable"] == second, 60)
        await look()
        assert selected == [first, None, second]
        assert status["url"] == f"http://fraud.{plane.namespace}.svc"
        assert await client.find(HTTP_ROUTE, plane.namespace, "fraud") is None
        assert not [call for call in plane.calls if call.verb == "get" and "gateways" in str(call)]


async def test_a_crashing_revision_goes_back(world: World) -> None:
    first = (await world.until(stable))["stable"]
    world.cluster.broken.add("registry.example.com/fraud:broken")
    await change_image(world, "registry.example.com/fraud:broken")
    status = await world.until(lambda s: s.get("phase") == "RolledBack", 60)
    assert status["stable"] == first
    assert "no model" in str(status) or "CrashLoopBackOff" in str(status)


async def test_hand_edits_of_every_object_are_put_back_with_one_pass(world: World) -> None:
    status = await world.until(stable)
    for _ in range(3):
        await world.run()
    space, child = world.plane.namespace, f"fraud-{status['stable']}"
    edits: list[tuple[Kind, str, Manifest]] = [
        (DEPLOYMENT, child, {"spec": {"replicas": 0}}),
        (DEPLOYMENT, child, {"spec": {"template": {"metadata": {"annotations": {"a": "b"}}}}}),
        (SERVICE, "fraud", {"spec": {"selector": {"seatrial.dev/revision": "0000000000"}}}),
        (SERVICE, child, {"metadata": {"labels": {"seatrial.dev/model": None}}}),
        (HTTP_ROUTE, "fraud", {"spec": {"hostnames": ["elsewhere.example.com"]}}),
        (CONTROLLER_REVISION, child, {"metadata": {"labels": {"seatrial.dev/revision": "0000000000"}}}),
    ]
    for kind, name, edit in edits:
        before = await world.client.get(kind, space, name)
        async with world.plane.client(manager="kubectl-edit") as person:
            edited = await person.patch(kind, space, name, edit)
        assert _content(edited) != _content(before)
        await world.run()
        assert _content(await world.client.get(kind, space, name)) == _content(before), f"{kind.kind} {edit}"


def _content(obj: Manifest) -> Manifest:
    return {"labels": obj["metadata"].get("labels"), "spec": obj.get("spec"), "data": obj.get("data")}


async def test_a_restart_repeats_nothing(world: World) -> None:
    await world.until(stable)
    for _ in range(3):
        await world.run()
    before = await world.client.get(MODEL_DEPLOYMENT, *world.key)
    other = build(world.plane, world.client)
    world.plane.calls.clear()
    for _ in range(3):
        await other.reconciler(world.key)
    assert {call.verb for call in world.plane.calls} == {"get", "list"}
    assert await world.client.get(MODEL_DEPLOYMENT, *world.key) == before


async def test_many_at_rest_are_seen_with_a_few_lists_and_nothing_is_written(world: World) -> None:
    await world.until(stable)
    for _ in range(3):
        await world.run()
    await world.client.create(model(world.plane.namespace, "young"))
    listed = (await world.client.list(MODEL_DEPLOYMENT, world.plane.namespace)).items
    other = build(world.plane, world.client)
    for item in listed:
        other.index.put(item)
    world.plane.calls.clear()
    assert await other.reconciler.at_rest(listed) == {world.key: None}, "the young one needs a pass of its own"
    assert {call.verb for call in world.plane.calls} <= {"get", "list"}
    assert sum(call.verb == "list" for call in world.plane.calls) == 6
    assert other.telemetry.registry.get_sample_value("seatrial_resources") == 1
    await world.client.patch(
        DEPLOYMENT, world.plane.namespace, f"fraud-{await revision(world)}", {"spec": {"replicas": 9}}
    )
    assert await other.reconciler.at_rest(listed) == {}, "an edit calls for a pass that writes"


async def revision(world: World) -> str:
    return str((await world.client.get(MODEL_DEPLOYMENT, *world.key))["status"]["stable"])


async def test_a_name_that_is_taken_is_said_and_left(plane: Plane, client: Client) -> None:
    theirs = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "fraud", "namespace": plane.namespace},
        "spec": {"ports": [{"port": 80}], "selector": {"app": "theirs"}},
    }
    stranger = await client.create(theirs)
    async with started(plane, client) as world:
        await world.run()
        status = (await client.get(MODEL_DEPLOYMENT, *world.key))["status"]
        stalled = next(c for c in status["conditions"] if c["type"] == "Stalled")
        assert (stalled["status"], stalled["reason"]) == ("True", "NameTaken")
        assert await client.get(SERVICE, plane.namespace, "fraud") == stranger


async def test_an_older_resource_keeps_its_host_name(world: World) -> None:
    await world.until(stable)
    await asyncio.sleep(1.1)  # ages are told in whole seconds
    other = model(world.plane.namespace, "younger")
    other["spec"]["traffic"]["hostnames"] = ["fraud.example.com"]
    await world.client.create(other)
    key = (world.plane.namespace, "younger")
    await world.reconciler(key)
    status = (await world.client.get(MODEL_DEPLOYMENT, *key))["status"]
    stalled = next(c for c in status["conditions"] if c["type"] == "Stalled")
    assert stalled["reason"] == "RouteConflict"
    assert f"{world.plane.namespace}/fraud" in stalled["message"]
    resource = await world.client.get(MODEL_DEPLOYMENT, *world.key)
    await world.client.delete(MODEL_DEPLOYMENT, *world.key, uid=resource["metadata"]["uid"])
    world.woken.clear()
    await world.reconciler(world.key)
    assert key in world.woken, "the way is free: the younger one hears of it"


async def test_a_resource_that_is_gone_is_forgotten(world: World) -> None:
    await world.until(stable)
    resource = await world.client.get(MODEL_DEPLOYMENT, *world.key)
    await world.client.delete(MODEL_DEPLOYMENT, *world.key, uid=resource["metadata"]["uid"])
    assert await world.reconciler(world.key) is None
    assert b'name="fraud"' not in world.telemetry.render()
    assert world.index.claims == {}


async def test_a_source_that_breaks_holds_and_breaks_no_pass(fake: Any) -> None:
    plane = Plane(Connection(Configuration(host=fake.url)), "default", fake, [])
    async with plane.client() as client:
        world = build(plane, client, BrokenSource())
        await client.create(gateway("default"))
        await client.create(model("default"))
        view = await world.reconciler._observer.look(world.key)
        assert view is not None
        asked = Questions(metrics=(InstantQuestion("k", "up", now_utc()),))
        answers = await world.reconciler._answer(view, asked)
        assert isinstance(answers.metrics["k"], Failure)
        assert "a bug in the source" in answers.metrics["k"].message


@pytest.mark.parametrize("verb", ["POST", "PATCH", "GET"])
async def test_an_api_server_that_fails_brings_the_key_back(plane: Plane, client: Client, verb: str) -> None:
    if plane.fake is None:
        pytest.skip("the real one cannot be asked to fail")
    async with started(plane, client) as world:
        broken = True

        async def fail(request: web.Request) -> web.Response | None:
            if broken and request.method == verb:
                return web.json_response({"message": "etcd is on fire"}, status=500)
            return None

        plane.fake.faults.append(fail)
        for _ in range(3):
            with pytest.raises(AgainError):
                await world.reconciler(world.key)
        broken = False
        assert stable(await world.until(stable))


async def test_a_quota_is_said_and_ends_by_itself(plane: Plane, client: Client) -> None:
    if plane.fake is None:
        pytest.skip("needs a quota controller")
    async with started(plane, client) as world:
        plane.fake.quota = "exceeded quota: compute, requested: count/deployments.apps=1"
        for _ in range(3):
            try:
                await world.reconciler(world.key)
            except AgainError:
                pass
        status = (await client.get(MODEL_DEPLOYMENT, *world.key))["status"]
        assert "exceeded quota" in str(status)
        plane.fake.quota = ""
        assert stable(await world.until(stable))
