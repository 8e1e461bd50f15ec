"""A first revision that fails when requests could come to it already: nobody is there to take them over."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from seatrial.api.status import Phase
from seatrial.build.names import FINALIZER
from seatrial.core.commands import Action
from seatrial.core.state import Ref
from tests.sim.invariants import Invariants
from tests.sim.world import NAME, TEAM, Behaviour, World, base_spec, rule_of, settled, team_route

GATEWAY: dict[str, Any] = {"hostnames": ["fraud.example.com"], "drain": "30s"}
TEAMS: dict[str, Any] = {"routeRef": {"name": TEAM, "rule": NAME}, "drain": "30s"}
PODS: dict[str, Any] = {"replicaRatio": {}, "drain": "30s"}


def exposed(traffic: dict[str, Any]) -> World:
    """All traffic is written to the first revision, and nobody has confirmed it; then it fails.

    The gateway's controller is down, and its pods crash. Endpoints follow at once, so there a person is quicker.
    """
    world = World(spec=base_spec(traffic=copy.deepcopy(traffic)), team=traffic is TEAMS)
    world.watchers.append(Invariants(lossless=False))
    world.image("fraud:v1", Behaviour(crash_after=20))
    assert world.run(60, until=lambda w: w.status.rollout is not None and w.status.rollout.exposed)
    world.gateway_up = False
    if traffic is PODS:
        world.command(Action.ABORT, world.wanted)
    return world


def ours(world: World) -> list[str]:
    return [str(ref) for ref in world.objects if ref != Ref("HTTPRoute", TEAM)]


@pytest.mark.parametrize("traffic", [GATEWAY, TEAMS, PODS], ids=["gateway", "team", "pods"])
def test_it_ends_as_failed_with_no_weight(traffic: dict[str, Any]) -> None:
    """Its pods crash while its first weight is not confirmed; what was written for it goes, and stays gone."""
    world = exposed(traffic)
    world.run(120)
    world.gateway_up = True
    world.run(120)
    assert world.status.phase is Phase.FAILED, world.status.message
    assert ours(world) == []
    assert [event.reason for event in world.events].count("Failed") == 1
    writes, statuses = world.writes, world.status_writes
    world.run(120)
    assert (world.writes, world.status_writes) == (writes, statuses)


def test_a_teams_rule_leads_to_where_it_led_before() -> None:
    world = exposed(TEAMS)
    world.run(30)
    world.gateway_up = True
    world.run(120)
    assert rule_of(world.objects[world.route]["spec"]) == rule_of(team_route()["spec"])
    assert world.status.traffic.borrowed is None or not world.status.traffic.borrowed.returning_since
    assert world.status.phase is Phase.FAILED


@pytest.mark.parametrize("traffic", [GATEWAY, TEAMS, PODS], ids=["gateway", "team", "pods"])
def test_the_next_one_is_a_first_revision_again(traffic: dict[str, Any]) -> None:
    """Nothing that the failed one left behind is taken for stable."""
    world = exposed(traffic)
    world.run(60)
    world.gateway_up = True
    new = world.image("fraud:v2")
    assert world.run(300, until=lambda w: settled(w) and w.status.stable == new), world.status.message
    assert not [event for event in world.events if event.reason == "TrialStarted"]


def test_the_same_one_may_be_tried_again() -> None:
    world = exposed(GATEWAY)
    world.run(60)
    world.gateway_up = True
    world.behaviours["fraud:v1"] = Behaviour()
    world.pods.clear()
    world.command(Action.RETRY, world.wanted)
    assert world.run(300, until=settled), world.status.message


def test_it_goes_back_to_what_it_was_to_replace() -> None:
    """The revision before was never confirmed either, but it stands in the route and was not refused."""
    world = World()
    world.watchers.append(Invariants(lossless=False))
    world.gateway_up = False
    first = world.wanted
    assert world.run(60, until=lambda w: w.status.traffic.wanted.a > 0)
    second = world.image("fraud:v2", Behaviour(crash_after=20))
    assert world.run(60, until=lambda w: w.weight(second) > 0)
    world.run(120)
    world.gateway_up = True
    assert world.run(300, until=lambda w: w.status.phase is Phase.ROLLED_BACK), world.status.message
    assert world.status.stable == first


def test_the_finalizer_goes_with_the_rule() -> None:
    """A ModelDeployment that holds no rule is not held back when it is deleted."""
    world = exposed(TEAMS)
    world.run(30)
    world.gateway_up = True
    world.run(200)
    world.delete()
    assert world.run(60, until=lambda w: w.gone)
    assert FINALIZER not in world.resource["metadata"].get("finalizers", ())
