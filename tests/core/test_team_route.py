"""A model behind a rule of a team's own route, told as stories; see `test_stories.py`."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from seatrial.api.status import PARTS, Phase
from seatrial.build.names import FINALIZER
from seatrial.core.commands import Action
from seatrial.core.state import Manifest, Plan, Ref
from tests.core.test_stories import check_story, ends, served
from tests.sim.invariants import Invariants
from tests.sim.world import (
    LEGACY,
    NAME,
    TEAM,
    Behaviour,
    Moment,
    PassEnds,
    World,
    base_spec,
    rule_of,
    settled,
    team_route,
)

TOLD: dict[str, Any] = {}
RULE = Ref("HTTPRoute", TEAM)
THROUGH = {"routeRef": {"name": TEAM, "rule": NAME}, "drain": "30s"}


def story(tell: Any) -> Any:
    TOLD[tell.__name__] = tell
    return tell


def behind_a_rule(*stages: dict[str, Any], hands_off: bool = True) -> World:
    spec = base_spec(traffic=copy.deepcopy(THROUGH))
    if stages:
        spec["strategy"]["stages"] = list(stages)
    return served(spec=spec, team=True, hands_off=hands_off)


def rule(world: World) -> Manifest:
    return rule_of(world.objects[RULE]["spec"])


def others_untouched(world: World) -> None:
    """Whatever of the route is not ours to say is as its owner wrote it."""
    found, born = copy.deepcopy(world.objects[RULE]["spec"]), team_route()["spec"]
    for spec in (found, born):
        del rule_of(spec)["backendRefs"]
    assert found == born


def stalled(world: World) -> str:
    held = next(c for c in world.status.conditions if c.type == "Stalled")
    return held.reason if held.status == "True" else ""


def contest(world: World, manager: str, *services: str) -> None:
    for _ in range(2):
        world.reset(manager, *services)
        world.run(20)


@story
def a_canary_behind_a_teams_rule() -> World:
    world = behind_a_rule()
    assert world.status.url == "http://web.example.com/fraud"
    assert world.served[LEGACY] > 0, "the rule led somewhere before"
    new = world.image("fraud:v2")
    ends(world, Phase.STABLE)
    assert world.status.stable == new
    assert world.weight(new) == PARTS, "both backends lead to the one that serves"
    others_untouched(world)
    return world


@story
def a_bad_model_in_a_shadow_behind_a_teams_rule() -> World:
    """Copies are the second filter of the rule: the first one is the team's."""
    world = behind_a_rule({"shadow": {"percent": 20, "minDuration": "1m"}})
    new = world.image("fraud:v2", Behaviour(errors=0.3))
    assert world.run(60, until=lambda w: w.status.traffic.mirror is not None)
    assert [entry["type"] for entry in rule(world)["filters"]] == ["RequestHeaderModifier", "RequestMirror"]
    ends(world, Phase.ROLLED_BACK)
    assert world.copied[new] > 0
    others_untouched(world)
    return world


@story
def a_reset_is_put_back_and_another_is_left() -> World:
    world = behind_a_rule(hands_off=False)
    new = world.image("fraud:v2")
    assert world.run(120, until=lambda w: w.status.weight == "25")
    world.run(10)
    before = world.status.checks
    world.reset("kustomize-controller", NAME)
    world.run(10)
    assert world.weight(new) == PARTS // 4, "the weight is kept"
    assert world.status.checks[0].trial is not None
    assert before[0].trial is not None
    assert world.status.checks[0].trial.candidate.total >= before[0].trial.candidate.total, "and so is the evidence"
    world.run(60)
    world.reset("kustomize-controller", NAME)
    world.run(300)
    assert stalled(world) == "RouteContested"
    assert [ref["name"] for ref in rule(world)["backendRefs"]] == [NAME], "nobody fights over it"
    assert world.status.rollout is not None, "the trial is held"
    writes = world.writes
    world.run(1200)
    assert world.writes == writes, "for ever"
    world.tell(f"{world.status.phase}: {world.status.message}")
    world.command(Action.RETRY, new)
    ends(world, Phase.STABLE)
    assert world.status.stable == new
    others_untouched(world)
    return world


@story
def a_contested_rule_that_settles_by_itself() -> World:
    world = behind_a_rule(hands_off=False)
    ours = copy.deepcopy(rule(world)["backendRefs"])
    contest(world, "argocd-controller", NAME)
    assert stalled(world) == "RouteContested"

    def put_back(spec: Manifest) -> None:
        rule_of(spec)["backendRefs"] = ours

    world.write_route("kubectl-edit", put_back, "the rule is as Seatrial wrote it")
    world.run(60)
    assert not stalled(world)
    return world


@story
def deleted_in_mid_trial() -> World:
    """The rule leads back to what was there, before any pod goes."""
    world = behind_a_rule()
    world.image("fraud:v2")
    assert world.run(120, until=lambda w: w.status.weight == "25")
    world.delete()
    world.run(20)
    assert rule(world)["backendRefs"] == rule_of(team_route()["spec"])["backendRefs"]
    assert world.pods, "requests in flight may still be answered"
    assert world.run(60, until=lambda w: w.gone)
    world.run(30)
    assert world.objects[RULE]["spec"] == team_route()["spec"]
    assert not world.lost
    return world


@story
def a_rule_is_inserted_before_ours() -> World:
    """The gateway counts by position: what it counted under the name before speaks of another rule now."""
    world = behind_a_rule(hands_off=False)
    new = world.image("fraud:v2")
    assert world.run(120, until=lambda w: w.status.weight == "25")
    world.run(40)

    def insert(spec: Manifest) -> None:
        spec["rules"].insert(0, {**copy.deepcopy(spec["rules"][0]), "name": "first"})

    have = world.status.traffic.borrowed
    assert have is not None
    assert have.index == 1
    world.write_route("kubectl-edit", insert, "another rule comes first")
    world.run(8)
    have = world.status.traffic.borrowed
    assert have is not None
    assert have.index == 2
    assert world.weight(new) == PARTS // 4
    counts = [check.trial.candidate.total for check in world.status.checks if check.trial is not None]
    assert not any(counts), "nothing that was counted at the old place is kept"
    ends(world, Phase.STABLE)
    assert world.status.stable == new
    return world


@story
def from_a_route_of_ours_to_a_teams_rule_and_back() -> World:
    world = served(spec=base_spec(), hands_off=False)
    world.route = RULE
    world.store(RULE, team_route())
    hosts = {"hostnames": ["fraud.example.com"], "drain": "30s"}
    world.edit(lambda spec: spec.update(traffic=copy.deepcopy(THROUGH)))
    world.run(20)
    assert Ref("HTTPRoute", NAME) in world.objects, "clients of the old address are still answered"
    world.run(60)
    assert Ref("HTTPRoute", NAME) not in world.objects
    assert rule(world)["backendRefs"][0]["name"].startswith(NAME)
    world.edit(lambda spec: spec.update(traffic=hosts))
    world.run(80)
    assert world.objects[RULE]["spec"] == team_route()["spec"]
    assert Ref("HTTPRoute", NAME) in world.objects
    assert world.resource["metadata"]["finalizers"] == []
    return world


def test_a_router_changes_between_two_trials() -> None:
    """The API server refuses it; where it came about all the same, nothing is touched and the spec is to be put back."""
    world = behind_a_rule(hands_off=False)
    new = world.image("fraud:v2")
    assert world.run(120, until=lambda w: w.status.weight == "25")
    world.edit(lambda spec: spec.update(traffic={"hostnames": ["fraud.example.com"], "drain": "30s"}))
    world.run(60)
    assert stalled(world) == "InvalidSpec"
    assert "RouteRef" in world.status.message
    assert world.weight(new) == PARTS // 4
    world.edit(lambda spec: spec.update(traffic=copy.deepcopy(THROUGH)))
    assert world.run(600, until=lambda w: w.status.stable == new)


def test_another_rule_is_taken_between_two_trials() -> None:
    """The one before goes back first, and not while a trial runs in it."""
    world = behind_a_rule(hands_off=False)
    new = world.image("fraud:v2")
    assert world.run(120, until=lambda w: w.status.weight == "25")
    other = {"routeRef": {"name": TEAM, "rule": "api"}, "drain": "30s"}
    world.edit(lambda spec: spec.update(traffic=other))
    world.run(20)
    assert world.weight(new) == PARTS // 4
    assert world.run(900, until=lambda w: w.status.stable == new and w.status.rollout is None)
    world.run(120)
    rules = world.objects[RULE]["spec"]["rules"]
    assert [rule["backendRefs"][0]["name"].startswith(f"{NAME}-") for rule in rules] == [True, False, False]
    assert rules[1] == rule_of(team_route()["spec"])


@pytest.mark.parametrize("name", sorted(TOLD))
def test_story(name: str) -> None:
    check_story(name, TOLD[name]())


def test_what_stood_there_is_stored_before_it_is_written_over() -> None:
    world = World(spec=base_spec(traffic=copy.deepcopy(THROUGH)), team=True)
    while rule(world) == rule_of(team_route()["spec"]):
        world.step()
    have = world.status.traffic.borrowed
    assert have is not None
    assert LEGACY in have.original
    assert world.resource["metadata"]["finalizers"] == [FINALIZER]


def test_the_original_follows_what_its_owner_writes() -> None:
    world = behind_a_rule(hands_off=False)
    world.reset("kustomize-controller", "other")
    world.run(10)
    assert world.status.traffic.borrowed is not None
    assert "other" in world.status.traffic.borrowed.original
    world.delete()
    assert world.run(90, until=lambda w: w.gone)
    assert [ref["name"] for ref in rule(world)["backendRefs"]] == ["other"]


def test_two_resets_far_apart_or_by_two_writers_are_no_quarrel() -> None:
    world = behind_a_rule(hands_off=False)
    for manager, then in (("kustomize-controller", 700), ("kustomize-controller", 20), ("kubectl-edit", 20)):
        world.reset(manager, NAME)
        world.run(then)
        assert not stalled(world)
        assert rule(world)["backendRefs"][0]["name"] != NAME


def test_a_lost_status_leads_the_rule_back_to_stable() -> None:
    world = behind_a_rule(hands_off=False)
    world.resource["status"] = {}
    world.kill_operator()
    world.run(60, until=settled)
    world.delete()
    assert world.run(90, until=lambda w: w.gone)
    assert [ref["name"] for ref in rule(world)["backendRefs"]] == [NAME]


def test_a_status_that_was_edited_leads_the_rule_back_to_stable() -> None:
    world = behind_a_rule(hands_off=False)
    world.resource["status"] = copy.deepcopy(world.resource["status"])
    world.resource["status"]["traffic"]["borrowed"]["original"] = "{"
    world.delete()
    assert world.run(90, until=lambda w: w.gone)
    assert [ref["name"] for ref in rule(world)["backendRefs"]] == [NAME]


def test_a_rule_that_is_missing_is_named_with_those_that_are_there() -> None:
    world = World(spec=base_spec(traffic={"routeRef": {"name": TEAM, "rule": "score"}, "drain": "30s"}), team=True)
    world.run(30)
    assert stalled(world) == "RouteNotFound"
    assert "api, fraud, static" in world.status.message
    assert not world.pods, "nothing is started for a route that leads nowhere"


def test_a_deletion_does_not_wait_for_a_gateway_that_is_silent() -> None:
    world = behind_a_rule()
    world.gateway_up = False
    world.delete()
    world.run(60)
    assert not world.gone
    assert world.run(60, until=lambda w: w.gone)


@pytest.mark.parametrize("spec", [{"replicas": "nonsense"}, {"suspend": True}])
def test_a_deletion_gives_back_whatever_the_spec_says(spec: dict[str, Any]) -> None:
    world = behind_a_rule()
    world.edit(lambda now: now.update(spec))
    world.delete()
    assert world.run(90, until=lambda w: w.gone)
    assert world.objects[RULE]["spec"] == team_route()["spec"]


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("number", [3, 11, 17, 29, 47, 65, 83, 101])
def test_an_operator_that_dies_at_any_write_ends_as_it_would_have(number: int, stored: bool) -> None:
    """Before or after the write is carried out, from the rule's adoption through a whole trial to its return."""
    spec = base_spec(traffic={**copy.deepcopy(THROUGH), "drain": "5s"})
    canary = {"canary": {"steps": [{"weight": 25, "minDuration": "15s"}]}}
    spec["strategy"]["stages"] = [{"shadow": {"percent": 20, "minDuration": "15s"}}, canary]
    world = World(spec=spec, team=True)
    world.watchers.append(Invariants(lossless=False))
    moments = 0

    def die(_: World, moment: Moment, __: Plan) -> None:
        nonlocal moments
        moments += moment is not Moment.DECIDED
        if moments == number and moment is not Moment.DECIDED:
            raise PassEnds(died=True, stored=stored)

    world.at = die
    world.image("fraud:v1")
    assert world.run(120, until=settled), world.status.message
    new = world.image("fraud:v2")
    assert world.run(400, until=lambda w: w.status.stable == new), world.status.message
    world.run(30)
    world.delete()
    assert world.run(120, until=lambda w: w.gone)
    assert moments > number
    assert world.objects[RULE]["spec"] == team_route()["spec"]
