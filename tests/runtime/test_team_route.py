"""A rule of a team's own route, in whole passes against an API server: what is written, and who else writes."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator
from typing import Any

import pytest

from seatrial.build.names import FINALIZER
from seatrial.build.rule import Splice, patch
from seatrial.cluster.apply import Applier
from seatrial.cluster.errors import Conflict, Refused
from seatrial.cluster.kinds import DEPLOYMENT, EVENT, HTTP_ROUTE, MODEL_DEPLOYMENT
from seatrial.cluster.ledger import Ledger
from seatrial.cluster.observe import Observer
from seatrial.core.state import Installation, Plan
from tests.cluster_io.conftest import Plane
from tests.runtime.test_reconcile import World, build, change_image, stable

Manifest = dict[str, Any]
HEADER = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "x-team", "value": "risk"}]}}


def team_route(namespace: str, *, to: str = "legacy") -> Manifest:
    """As a team writes it; only what it cares for."""

    def rule(name: str, service: str, **more: Any) -> Manifest:
        match = {"path": {"type": "PathPrefix", "value": f"/{name}"}}
        return {"name": name, "matches": [match], "backendRefs": [{"name": service, "port": 80}], **more}

    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "web", "namespace": namespace, "labels": {"team": "risk"}},
        "spec": {
            "hostnames": ["web.example.com"],
            "parentRefs": [{"name": "public"}],
            "rules": [rule("api", "api"), rule("score", to, filters=[HEADER]), rule("static", "static")],
        },
    }


async def applied(plane: Plane, manager: str, manifest: Manifest) -> None:
    """Server-side apply with force, as Flux does."""
    metadata = manifest["metadata"]
    path = HTTP_ROUTE.path(metadata["namespace"], metadata["name"])
    async with plane.client() as client:
        await client._json(
            "patch",
            HTTP_ROUTE,
            "PATCH",
            path,
            query={"fieldManager": manager, "force": "true"},
            body=manifest,
            content_type="application/apply-patch+yaml",
        )


async def synced(plane: Plane, manager: str, manifest: Manifest) -> None:
    """A merge patch of what differs from Git, as Argo CD's client-side apply sends for a custom resource."""
    async with plane.client(manager=manager) as client:
        await client.patch(HTTP_ROUTE, plane.namespace, "web", {"spec": {"rules": manifest["spec"]["rules"]}})


async def route_of(world: World) -> Manifest:
    return await world.client.get(HTTP_ROUTE, world.plane.namespace, "web")


async def score(world: World) -> Manifest:
    found: Manifest = (await route_of(world))["spec"]["rules"][1]
    return found


def stalled(status: Manifest) -> str:
    return next((c["reason"] for c in status["conditions"] if c["type"] == "Stalled" and c["status"] == "True"), "")


@pytest.fixture
async def world(plane: Plane, client: Any) -> AsyncIterator[World]:
    from tests.runtime.test_reconcile import started

    async with plane.client(manager="kubectl-client-side-apply") as person:
        await person.create(team_route(plane.namespace))
    through = {"routeRef": {"name": "web", "rule": "score"}}
    async with started(plane, client, traffic=through) as world:
        yield world


async def test_only_the_backends_of_the_rule_are_written(world: World) -> None:
    before = await route_of(world)
    status = await world.until(stable)
    await change_image(world, "registry.example.com/fraud:2")
    await world.until(lambda s: stable(s) and s["stable"] != status["stable"])
    after = await route_of(world)
    mine = after["spec"]["rules"][1].pop("backendRefs")
    assert {ref["name"] for ref in mine} <= {f"fraud-{r}" for r in (status["stable"], (await fresh(world))["stable"])}
    assert sum(ref["weight"] for ref in mine) == 1_000_000
    assert mine[0]["filters"][0]["type"] == "ResponseHeaderModifier"
    before["spec"]["rules"][1].pop("backendRefs")
    assert after["spec"] == before["spec"]
    for key in ("labels", "annotations", "ownerReferences", "finalizers", "uid"):
        assert after["metadata"].get(key) == before["metadata"].get(key)
    assert (await fresh(world))["url"] == "http://web.example.com/score"


async def fresh(world: World) -> Manifest:
    found: Manifest = (await world.client.get(MODEL_DEPLOYMENT, *world.key))["status"]
    return found


async def test_at_rest_it_costs_one_more_read_and_no_write(world: World) -> None:
    await world.until(stable)
    for _ in range(5):
        await world.run()
    world.plane.calls.clear()
    assert await world.run() is None
    assert sorted(call.verb for call in world.plane.calls) == [*(["get"] * 3), *(["list"] * 6)]


@pytest.mark.parametrize(
    ("write", "manager", "says"),
    [
        (applied, "kustomize-controller", "kustomize.toolkit.fluxcd.io/ssa: IfNotPresent"),
        (synced, "argocd-controller", "ignoreDifferences"),
    ],
)
async def test_a_writer_that_insists_is_named_and_left_alone(world: World, write: Any, manager: str, says: str) -> None:
    """As Flux and Argo CD write: what Git says, the other rules included."""
    await world.until(stable)
    ours = (await score(world))["backendRefs"]
    in_git = team_route(world.plane.namespace, to="fraud")
    await write(world.plane, manager, in_git)
    assert [ref["name"] for ref in (await score(world))["backendRefs"]] == ["fraud"]
    await world.until(stable)
    assert (await score(world))["backendRefs"] == ours, "put back once"
    await asyncio.sleep(1.1)
    await write(world.plane, manager, in_git)
    status = await world.until(stalled)
    assert stalled(status) == "RouteContested"
    assert manager in status["message"]
    assert says in status["message"]
    for _ in range(5):
        await world.run()
    assert [ref["name"] for ref in (await score(world))["backendRefs"]] == ["fraud"], "and left alone after that"
    reasons = [item["reason"] for item in (await world.client.list(EVENT, world.plane.namespace)).items]
    assert reasons.count("RouteContested") == 1
    restarted = build(world.plane, world.client)
    await restarted.until(stalled)
    assert [ref["name"] for ref in (await score(world))["backendRefs"]] == ["fraud"], "by another process, too"


async def test_deletion_waits_until_the_rule_is_its_owners_again(world: World) -> None:
    status = await world.until(stable)
    found = await world.client.get(MODEL_DEPLOYMENT, *world.key)
    assert found["metadata"]["finalizers"] == [FINALIZER]
    born = team_route(world.plane.namespace)["spec"]["rules"][1]
    await world.client.delete(MODEL_DEPLOYMENT, *world.key, uid=found["metadata"]["uid"])
    serving = f"fraud-{status['stable']}"
    async with asyncio.timeout(30):
        while await world.client.find(MODEL_DEPLOYMENT, *world.key) is not None:
            if (await score(world))["backendRefs"][0]["name"] == serving:
                assert await world.client.find(DEPLOYMENT, world.plane.namespace, serving) is not None
            await world.run()
            await world.cluster.step()
    after = await score(world)
    assert after["backendRefs"][0]["name"] == born["backendRefs"][0]["name"]
    assert after["filters"] == born["filters"]
    assert len(after["backendRefs"]) == 1


async def test_a_patch_of_an_old_version_changes_nothing(world: World) -> None:
    """A test that fails is a 422, and nothing of the patch is carried out."""
    seen = await route_of(world)
    splice = Splice("web", "score", ({"name": "other", "port": 80},))
    moved = copy.deepcopy(seen)
    moved["spec"]["rules"].reverse()
    async with world.plane.client(manager="kubectl-edit") as person:
        now = await person.replace(moved)
    with pytest.raises(Refused) as refused:
        await world.client.patch_json(HTTP_ROUTE, world.plane.namespace, "web", patch("fraud", seen, splice))
    assert refused.value.code == 422
    assert (await route_of(world))["spec"] == now["spec"]
    renamed = patch("fraud", seen, splice)
    renamed[0]["value"] = now["metadata"]["resourceVersion"]
    renamed[1]["path"] = "/spec/rules/0/name"
    with pytest.raises(Refused):
        await world.client.patch_json(HTTP_ROUTE, world.plane.namespace, "web", renamed)
    assert (await route_of(world))["spec"] == now["spec"]


async def test_a_race_with_the_owner_is_a_conflict_and_one_with_the_gateway_is_none(world: World) -> None:
    await world.until(stable)
    ledger, installation = Ledger(), Installation()
    observer = Observer(world.client, installation, world.index, ledger)
    view = await observer.look(world.key)
    assert view is not None
    splice = Splice("web", "score", ({"group": "", "kind": "Service", "name": "fraud", "port": 80, "weight": 1},))
    plan = Plan(apply=(), prune=(), status=view.observed.status, splice=splice)
    live = await route_of(world)
    live["status"]["parents"][0]["conditions"][0]["message"] = "the gateway says something"
    await world.client.patch(HTTP_ROUTE, world.plane.namespace, "web", {"status": live["status"]}, subresource="status")
    outcome = await Applier(world.client, ledger).apply(view, plan)
    assert outcome.changed
    view = await observer.look(world.key)
    assert view is not None
    async with world.plane.client(manager="kubectl-edit") as person:
        edited = await route_of(world)
        edited["spec"]["rules"].append({"name": "new", "backendRefs": [{"name": "api", "port": 80}]})
        await person.replace(edited)
    back = Splice("web", "score", ({"group": "", "kind": "Service", "name": "legacy", "port": 80, "weight": 1},))
    with pytest.raises(Conflict):
        await Applier(world.client, ledger).apply(view, Plan((), (), view.observed.status, splice=back))
    assert [r.get("name") for r in (await route_of(world))["spec"]["rules"]] == ["api", "score", "static", "new"]
