"""What is heard and read of routes that are not ours."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from seatrial.cluster.client import Client
from seatrial.cluster.index import Index
from seatrial.cluster.kinds import HTTP_ROUTE
from seatrial.core.routers.team_route import parse_team_route
from seatrial.core.state import Installation
from tests.cluster_io.conftest import Plane
from tests.cluster_io.test_streams import watching
from tests.runtime.test_team_route import team_route

Manifest = dict[str, Any]


def claiming(name: str, created: str, route: str = "web", rule: str = "score") -> Manifest:
    return {
        "metadata": {"namespace": "payments", "name": name, "uid": name, "creationTimestamp": created},
        "spec": {"traffic": {"routeRef": {"name": route, "rule": rule}}},
    }


async def test_a_change_of_a_teams_route_wakes_who_steers_it(plane: Plane, client: Client) -> None:
    key = (plane.namespace, "fraud")

    def routed(route: tuple[str, str]) -> list[tuple[str, str]]:
        return [key] if route == (plane.namespace, "web") else []

    other = team_route(plane.namespace)
    other["metadata"]["name"] = "other"
    async with watching(client, plane.namespace, routed=routed) as (streams, wakes):
        made = await client.create(team_route(plane.namespace))
        await wakes.wait(key)
        wakes.clear()
        made["spec"]["hostnames"] = ["other.example.com"]
        await client.replace(made)
        await wakes.wait(key)
        wakes.clear()
        await client.create(other)
        last = await client.create({**copy.deepcopy(other), "metadata": {**other["metadata"], "name": "last"}})
        await client.delete(HTTP_ROUTE, plane.namespace, "last", uid=last["metadata"]["uid"])
        await client.delete(HTTP_ROUTE, plane.namespace, "web", uid=made["metadata"]["uid"])
        await wakes.wait(key)
        assert set(wakes.keys) == {key}, "nobody is woken for a route that nobody steers"
        assert sum(len(stream) for stream in streams.all) == 0, "and nothing of it is remembered"


def test_of_two_that_name_one_rule_the_younger_waits() -> None:
    index = Index(Installation())
    older, younger = claiming("b", "2026-01-01T00:00:00Z"), claiming("a", "2026-01-02T00:00:00Z")
    assert index.put(older) == set()
    assert index.put(younger) == {("payments", "b")}
    assert index.conflict(("payments", "b"), index.claim_of(older)) == ""
    said = index.conflict(("payments", "a"), index.claim_of(younger))
    assert said == (
        "rule score of HTTPRoute web belongs to ModelDeployment payments/b, which is older: name another rule, or "
        "delete that one"
    )
    assert index.drop(("payments", "b")) == {("payments", "a")}
    assert index.conflict(("payments", "a"), index.claim_of(younger)) == ""


@pytest.mark.parametrize("other", [claiming("b", "2026-01-01T00:00:00Z", rule="api"), claiming("b", "", route="x")])
def test_two_rules_are_no_conflict(other: Manifest) -> None:
    index = Index(Installation())
    mine = claiming("a", "2026-01-02T00:00:00Z")
    index.put(other)
    index.put(mine)
    assert index.conflict(("payments", "a"), index.claim_of(mine)) == ""


def made(**metadata: Any) -> Manifest:
    route = team_route("payments")
    route["metadata"] |= {"resourceVersion": "1", "generation": 1, **metadata}
    return route


def test_a_route_of_another_model_is_nobodys_to_name() -> None:
    owner = {"kind": "ModelDeployment", "name": "other", "controller": True}
    assert "is made for ModelDeployment other" in parse_team_route("fraud", made(ownerReferences=[owner]), "score")[2]


def test_backends_that_cannot_be_kept_are_refused() -> None:
    route = made()
    route["spec"]["rules"][1]["backendRefs"] = [{"name": "x" * 60, "port": 80}] * 300
    assert "can be kept" in parse_team_route("fraud", route, "score")[2]


def test_who_owns_the_rules_wrote_them_last() -> None:
    owned: Manifest = {"f:spec": {"f:rules": {}}}
    managed = [
        {"manager": "kubectl", "time": "2026-01-03T00:00:00Z", "fieldsV1": {"f:metadata": {}}},
        {"manager": "argocd-controller", "time": "2026-01-01T00:00:00Z", "fieldsV1": owned},
    ]
    _, rule, _ = parse_team_route("fraud", made(managedFields=managed), "score")
    assert rule is not None
    assert rule.manager == "argocd-controller"
    managed.append({"manager": "seatrial", "time": "2026-01-01T00:00:00Z", "fieldsV1": owned})
    _, rule, _ = parse_team_route("fraud", made(managedFields=managed), "score")
    assert rule is not None
    assert rule.manager == "seatrial", "whoever else owns them agrees with what we wrote"
