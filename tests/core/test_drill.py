"""Drills of going back, told as stories; see `test_stories.py`."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from seatrial.api.spec import MetricSource
from seatrial.api.status import DrillReport, DrillResult, Phase
from seatrial.build.drill import drill_revision
from seatrial.build.names import child_name
from seatrial.core import voyage
from seatrial.core.commands import Action
from seatrial.core.state import Ref
from tests.core.test_stories import check_story, ends, served
from tests.sim.prometheus import Weather
from tests.sim.world import NAME, NAMESPACE, TEAM, Behaviour, Moment, PassEnds, World, base_spec, settled

TOLD: dict[str, Any] = {}


def story(tell: Any) -> Any:
    TOLD[tell.__name__] = tell
    return tell


def asked(world: World) -> str:
    """Ask for a drill; returns the copy's revision."""
    stable = str(world.status.stable)
    world.command(Action.DRILL, stable, reason="quarterly proof")
    return drill_revision(stable)


def over(world: World) -> bool:
    return world.status.rollout is None and world.status.drill is not None and world.status.drill.last is not None


def report(world: World, seconds: float = 1500) -> DrillReport:
    """How the drill ended; afterwards nothing of it is left."""
    before = world.status.stable
    assert world.run(seconds, until=over), f"{world.status.phase}: {world.status.message}"
    world.run(60)
    assert world.status.drill is not None and world.status.drill.last is not None
    if world.status.stable == before and world.status.rollout is None:
        nothing_left(world, drill_revision(str(before)))
    return world.status.drill.last


def nothing_left(world: World, copied: str) -> None:
    name = child_name(NAME, copied)
    assert not [ref for ref in world.objects if ref.name == name], "something of the drill is left"
    assert copied not in (world.status.traffic.slots.a, world.status.traffic.slots.b)


def condition(world: World, kind: str) -> str:
    return next(c.status for c in world.status.conditions if c.type == kind)


@story
def a_drill_passes() -> World:
    world = served()
    stable, copied = world.status.stable, asked(world)
    history = world.status.history
    seen = set()
    for _ in range(600):
        world.step()
        seen |= {(kind, condition(world, kind)) for kind in ("Ready", "Reconciling", "Stalled", "Available")}
        if over(world):
            break
    assert seen == {("Ready", "True"), ("Reconciling", "False"), ("Stalled", "False"), ("Available", "True")}
    last = report(world)
    assert last.result is DrillResult.PASSED, last.message
    assert (last.revision, last.by, last.reason) == (stable, "ann", "quarterly proof")
    assert last.requests == world.served[copied] > 0
    assert last.lost == 0 and not world.lost
    assert last.minimum_after is not None and last.zero_after is not None
    assert timedelta(0) < last.minimum_after < last.zero_after < timedelta(seconds=45)
    assert world.status.drill is not None and world.status.drill.passed_at == last.ended
    assert (world.status.stable, world.status.history) == (stable, history)
    assert world.status.phase is Phase.STABLE
    return world


@story
def a_drill_whose_copy_never_gets_ready() -> World:
    world = served()
    copied = asked(world)
    world.behaviours["fraud:v1"] = Behaviour(start=1e9)
    for pod in world.pods:
        pod.created -= timedelta(days=99999)
    last = report(world)
    assert last.result is DrillResult.FAILED
    assert "0 of 1 pods were ready" in last.message
    assert (last.requests, last.lost, last.minimum_after) == (None, None, None)
    assert world.served[copied] == 0
    assert world.status.phase is Phase.STABLE and condition(world, "Ready") == "True"
    return world


def test_a_copy_that_runs_another_image_meets_nobody() -> None:
    """Behind a tag that was moved there is a model that nobody has judged."""
    world = served()
    copied = asked(world)
    assert world.run(30, until=lambda w: any(pod.revision == copied for pod in w.pods))
    for pod in world.pods:
        if pod.revision == copied:
            pod.image = "registry.example.com/fraud:moved"
    last = report(world)
    assert last.result is DrillResult.FAILED
    assert "the tag was moved" in last.message
    assert world.served[copied] == 0


def test_the_preview_stays_with_stable() -> None:
    spec = base_spec()
    spec["traffic"]["preview"] = {"header": "x-preview"}
    world = served(spec=spec)
    copied = asked(world)
    assert world.run(120, until=lambda w: w.weight(copied) == 50_000)
    assert world.status.traffic.preview == world.status.stable


@story
def a_new_revision_ends_a_drill() -> World:
    world = served()
    copied = asked(world)
    assert world.run(120, until=lambda w: w.weight(copied) == 50_000)
    new = world.image("fraud:v2")
    world.step()
    assert world.status.rollout is not None and world.status.rollout.revision == new, "the trial begins at once"
    assert world.status.drill is not None and world.status.drill.last is not None
    assert world.status.drill.last.result is DrillResult.ABORTED
    ends(world, Phase.STABLE)
    assert world.status.stable == new
    nothing_left(world, copied)
    return world


@story
def a_drill_is_aborted() -> World:
    world = served()
    copied = asked(world)
    assert world.run(120, until=lambda w: w.weight(copied) == 50_000)
    world.command(Action.ABORT, copied, by="ben")
    last = report(world)
    assert last.result is DrillResult.ABORTED
    assert "ben" in last.message
    return world


@story
def prometheus_goes_down_in_a_drill() -> World:
    world = served()
    copied = asked(world)
    assert world.run(120, until=lambda w: w.weight(copied) == 50_000)
    world.prometheus.weather = Weather.DOWN
    world.tell("Prometheus goes down")
    last = report(world)
    assert last.result is DrillResult.UNDECIDED
    assert (last.requests, last.lost) == (None, None), "what is not known is not 0"
    assert last.minimum_after is not None
    return world


@story
def requests_are_lost_in_a_drill() -> World:
    """Going back costs requests: the drill has failed, and says how many."""
    world = served()
    asked(world)
    assert world.run(120, until=lambda w: w.status.rollout is not None and w.status.rollout.back is not None)
    world._count(f"httproute/{NAMESPACE}/{NAME}/rule/0/backend/1", 7, errors=7, slow=0)
    world.tell("7 requests to the copy are answered 503 on its way back")
    last = report(world)
    assert last.result is DrillResult.FAILED
    assert last.lost == 7
    return world


@story
def a_drill_of_a_model_that_makes_errors() -> World:
    """What stable does, its copy may: nothing of it is called lost."""
    world = served()
    world.behaviours["fraud:v1"].errors = 0.1
    copied = asked(world)
    last = report(world)
    assert world.user_errors > 0
    assert (last.result, last.lost, last.requests) == (DrillResult.PASSED, 0, world.served[copied])
    return world


@story
def the_schedule_calls_for_a_drill() -> World:
    spec = base_spec()
    spec["strategy"]["drill"] = {"every": "1h"}
    world = served(spec=spec)
    assert world.status.drill is not None and world.status.drill.next is not None
    due = world.status.drill.next
    assert world.now < due <= world.now + timedelta(hours=1)
    assert world.run(3700, until=lambda w: w.status.phase is Phase.DRILL)
    assert abs(world.now - due) < timedelta(seconds=5)
    last = report(world)
    assert (last.result, last.by) == (DrillResult.PASSED, "schedule")
    assert world.status.drill is not None
    assert world.status.drill.next == due + timedelta(hours=1)
    return world


@story
def a_drill_that_was_missed_is_done_once() -> World:
    spec = base_spec()
    spec["strategy"]["drill"] = {"every": "1h"}
    spec["strategy"]["probation"] = {"duration": "3h30m"}
    world = served(spec=spec)
    world.image("fraud:v2")
    assert world.run(1500, until=lambda w: w.status.phase is Phase.PROBATION)
    drills: list[int] = []
    for second in range(5 * 3600):
        before = world.status.phase
        world.step()
        if world.status.phase is Phase.DRILL is not before:
            drills.append(second // 60)
    assert 3.4 * 60 <= drills[0] <= 3.6 * 60, "it begins when the probation is over"
    assert len(drills) in (2, 3), "three were missed, one is done"
    assert world.status.drill is not None and world.status.drill.last is not None
    assert world.status.drill.last.result is DrillResult.PASSED
    return world


def test_a_drill_of_a_revision_that_was_just_accepted_waits_for_its_first_scrapes() -> None:
    world = World()
    world.image("fraud:v1")
    assert world.run(60, until=settled)
    world.prometheus.weather = Weather.EMPTY
    asked(world)
    world.run(20)
    assert world.status.rollout is None
    assert "waiting for its first scrapes" in world.status.message
    world.prometheus.weather = Weather.FINE
    assert report(world).result is DrillResult.PASSED


@story
def a_drill_waits_for_its_turn() -> World:
    world = served()
    world.turn = "1 of 1 trials run in the cluster: models/other"
    asked(world)
    world.run(30)
    assert world.status.rollout is None
    assert "waits for its turn" in world.status.message
    assert condition(world, "Ready") == "True"
    world.turn = ""
    assert report(world).result is DrillResult.PASSED
    return world


@pytest.mark.parametrize("name", sorted(TOLD))
def test_story(name: str) -> None:
    check_story(name, TOLD[name]())


def refusal(world: World) -> str:
    asked(world)
    world.run(5)
    assert world.status.rollout is None or world.status.rollout.drill is None
    return next(event.message for event in reversed(world.events) if event.reason == "CommandRefused")


def test_a_drill_is_refused_where_it_would_be_in_the_way() -> None:
    world = served()
    new = world.image("fraud:v2")
    world.run(30)
    assert f"a trial of revision {new} is under way" in refusal(world)
    world = served(hands_off=False)
    world.edit(lambda spec: spec.update(replicas=0))
    world.run(60)
    assert "parked" in refusal(world)
    world = served()
    asked(world)
    world.run(30)
    assert world.status.phase is Phase.DRILL
    world.command(Action.DRILL, str(world.status.stable))
    world.run(5)
    assert "a drill is under way" in world.events[-1].message


def test_a_drill_is_refused_after_a_trial_that_failed() -> None:
    world = served()
    world.image("fraud:v2", Behaviour(errors=1.0))
    ends(world, Phase.ROLLED_BACK)
    assert "that comes first" in refusal(world)


def test_a_drill_is_refused_on_probation_and_outside_of_the_windows() -> None:
    spec = base_spec()
    spec["strategy"]["probation"] = {"duration": "1h"}
    world = served(spec=spec)
    world.image("fraud:v2")
    assert world.run(1500, until=lambda w: w.status.phase is Phase.PROBATION)
    assert "on probation until" in refusal(world)
    spec = base_spec()
    spec["strategy"]["windows"] = [{"days": ["Sun"], "from": "02:00", "to": "03:00"}]
    assert "outside strategy.windows" in refusal(served(spec=spec))
    world = served()
    world.freezes("end of year")
    assert "end of year" in refusal(world)
    by_pods = served(spec=base_spec(traffic={"replicaRatio": {}, "drain": "30s"}))
    assert "ReplicaRatio has no gateway" in refusal(by_pods)


def test_a_drill_is_refused_where_nothing_counts_lost_requests() -> None:
    world = served()
    world.prometheus.weather = Weather.DOWN
    assert "nothing counts the requests that it could lose" in refusal(world)
    assert world.status.phase is Phase.STABLE and condition(world, "Stalled") == "False"
    world = served()
    world.run(90)  # a revision that was just accepted is given time for its first scrapes
    presets = {name: one for name, one in world.installation.presets.items() if one.source is MetricSource.RUNTIME}
    world.installation = replace(world.installation, presets=presets)
    assert "there is no metric preset for from: Gateway" in refusal(world)


@pytest.mark.parametrize(
    "action", [Action.PAUSE, Action.RESUME, Action.APPROVE, Action.PROMOTE, Action.SKIP_CHECKS, Action.RETRY]
)
def test_nobody_can_turn_a_drill_into_anything_else(action: Action) -> None:
    world = served()
    copied = asked(world)
    assert world.run(120, until=lambda w: w.weight(copied) == 50_000)
    world.command(action, copied, reason="hurry")
    world.run(3)
    assert [event.message for event in world.events if event.reason == "CommandRefused"]
    assert report(world).result is DrillResult.PASSED


def test_a_drill_too_slow_to_go_back_has_failed() -> None:
    world = served(hands_off=False)
    copied = asked(world)
    assert world.run(120, until=lambda w: w.weight(copied) == 50_000)
    assert world.run(120, until=lambda w: w.status.rollout is not None and w.status.rollout.back is not None)
    world.gateway_up = False
    world.run(90)
    world.gateway_up = True
    last = report(world)
    assert last.result is DrillResult.FAILED
    assert "45s is the limit" in last.message


def test_a_copy_that_is_gone_before_it_was_counted() -> None:
    """At weight 0 the gateway forgets what it counted: that is said, and the drill ends all the same."""
    world = served(hands_off=False)
    copied = asked(world)
    assert world.run(200, until=lambda w: w.status.rollout is not None and w.status.rollout.back is not None)
    world.behaviours["fraud:v1"].start = 1e9
    for pod in world.pods:
        if pod.revision == copied:
            pod.created = world.now
        else:
            pod.created -= timedelta(days=99999)
    last = report(world)
    assert last.result is DrillResult.UNDECIDED
    assert "the requests could not be counted" in last.message
    assert last.lost is None


def test_a_drill_through_a_rule_of_a_teams_own_route() -> None:
    spec = base_spec(traffic={"routeRef": {"name": TEAM, "rule": "fraud"}, "drain": "30s"})
    world = served(spec=spec, team=True)
    copied = asked(world)
    last = report(world)
    assert (last.result, last.requests, last.lost) == (DrillResult.PASSED, world.served[copied], 0), last.message


@pytest.mark.parametrize("capacity", ["Extra", "Shared"])
def test_a_drill_where_users_stay_and_pods_are_shared(capacity: str) -> None:
    """It goes the way of a trial: users whom the copy was given are counted in every rule, and pods are shared."""
    spec = base_spec(replicas=40)
    spec["traffic"]["stickiness"] = {"cookie": {}}
    spec["strategy"]["stages"][0]["canary"]["capacity"] = capacity
    world = served(spec=spec)
    copied = asked(world)
    last = report(world)
    assert (last.result, last.requests, last.lost) == (DrillResult.PASSED, world.served[copied], 0), last.message


def test_too_few_requests_decide_nothing() -> None:
    world = served(rate=0.2)
    asked(world)
    last = report(world)
    assert last.result is DrillResult.UNDECIDED
    assert "fewer than 20 requests" in last.message
    assert last.requests is not None and last.lost == 0, "what was counted is told all the same"


@pytest.mark.parametrize("moment", list(Moment))
def test_the_operator_is_killed_at_each_transition(moment: Moment) -> None:
    """However often it dies, and wherever in a pass: the drill is finished, or undone; nothing is lost or promoted."""
    world = served()
    stable = world.status.stable
    copied = asked(world)
    killed: set[object] = set()

    def kill(w: World, at: Moment, plan: Any) -> None:
        rollout = plan.status.rollout
        here = (plan.status.phase, rollout and (rollout.exposed, rollout.back is None), plan.status.traffic.wanted.a)
        if at is moment and here not in killed:
            killed.add(here)
            raise PassEnds(died=True)

    world.at = kill
    last = report(world)
    assert len(killed) >= 5
    assert last.result is DrillResult.PASSED, last.message
    assert world.status.stable == stable
    assert last.requests == world.served[copied]
    assert not world.lost


def test_a_status_lost_in_mid_drill_undoes_it() -> None:
    world = served(hands_off=False)
    stable = world.status.stable
    copied = asked(world)
    assert world.run(120, until=lambda w: w.weight(copied) == 50_000)
    world.resource["status"] = {}
    world.resource["metadata"]["annotations"] = {}
    world._seen = None
    world.run(120)
    assert world.status.stable == stable
    assert world.status.phase is Phase.STABLE
    nothing_left(world, copied)
    assert not world.lost


def test_a_drill_in_a_forged_status_is_never_promoted() -> None:
    """Somebody writes into status that nothing is stable while a drill is on its way."""
    world = served(hands_off=False)
    stable, copied = world.status.stable, asked(world)
    assert world.run(120, until=lambda w: w.weight(copied) == 50_000)
    status = dict(world.resource["status"])
    status.pop("stable")
    world.resource["status"] = status
    world._seen = None
    world.run(120)
    assert world.status.stable == stable
    nothing_left(world, copied)


def test_a_drill_that_promoted_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The invariant catches what it is there to catch."""
    original = voyage.advance

    def promotes(p: Any, status: Any) -> Any:
        status = original(p, status)
        if status.rollout is None or not status.rollout.exposed or status.rollout.drill is None:
            return status
        return status.model_copy(update={"rollout": status.rollout.model_copy(update={"promoting": True})})

    world = served()
    asked(world)
    monkeypatch.setattr(voyage, "advance", promotes)
    with pytest.raises(AssertionError):
        world.run(200)


def test_the_names_of_a_copy() -> None:
    """Ten hex digits like any revision, so it fits where that does; no pattern of stable's pods matches its own."""
    world = served()
    stable = str(world.status.stable)
    copied = asked(world)
    assert world.run(120, until=lambda w: w.ready(copied) == 1)
    assert len(copied) == len(stable)
    assert not child_name(NAME, copied).startswith(child_name(NAME, stable))
    mine = world.objects[Ref("Deployment", child_name(NAME, copied))]["spec"]
    theirs = world.objects[Ref("Deployment", child_name(NAME, stable))]["spec"]
    assert mine["template"]["spec"] == theirs["template"]["spec"], "the same template"
    assert mine["selector"] != theirs["selector"]
