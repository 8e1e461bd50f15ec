"""Objects were written, and the status that would tell of it was lost: nothing is forgotten, nothing taken back."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from seatrial.api.status import PARTS, Phase, Status
from seatrial.build.names import child_name
from seatrial.core.commands import Action
from seatrial.core.state import Plan, Ref
from tests.sim.invariants import Invariants
from tests.sim.prometheus import Weather
from tests.sim.world import NAME, Behaviour, Moment, PassEnds, World, base_spec, settled


def serving() -> World:
    world = World()
    world.watchers.append(Invariants())
    assert world.run(60, until=settled)
    world.run(30)
    return world


def loses_the_status(world: World, when: object, *, died: bool) -> list[Status]:
    """The first status for which `when(before, after)` holds is not stored."""
    lost: list[Status] = []

    def at(world: World, moment: Moment, plan: Plan) -> None:
        if moment is Moment.APPLIED and not lost and when(world.status, plan.status):  # type: ignore[operator]
            lost.append(plan.status)
            raise PassEnds(died=died)

    world.at = at
    return lost


def left_the_route(before: Status, after: Status) -> bool:
    return before.traffic.slots.b is not None and after.traffic.slots.b is None


def at_nothing(before: Status, after: Status) -> bool:
    return before.traffic.wanted.b == 1 and after.traffic.wanted.b == 0


@pytest.mark.parametrize("died", [True, False])
def test_a_revision_that_left_the_route_is_removed(died: bool) -> None:
    """The gateway has told of the route already: without a look of our own, its pods would stay for ever."""
    world = serving()
    new = world.image("fraud:v2", Behaviour(errors=1.0))
    lost = loses_the_status(world, left_the_route, died=died)
    assert world.run(600, until=lambda w: bool(lost) and w.status.traffic.slots.b is None)
    world.run(60)
    assert Ref("Deployment", child_name(NAME, new)) not in world.objects


@pytest.mark.parametrize("died", [True, False])
def test_a_weight_that_fell_on_the_way_back_does_not_rise_again(died: bool) -> None:
    world = serving()
    new = world.image("fraud:v2", Behaviour(errors=1.0))
    lost = loses_the_status(world, at_nothing, died=died)
    assert world.run(600, until=lambda _: bool(lost))
    for _ in range(60):
        world.step()
        assert world.weight(new) == 0


@pytest.mark.parametrize("what", ["a stable pod dies", "replicas are edited"])
def test_a_weight_does_not_rise_again_because_stable_is_short_of_pods(what: str) -> None:
    """How far it may fall at once depends on stable; where it is already, it stays."""
    world = serving()
    new = world.image("fraud:v2")
    assert world.run(300, until=lambda w: w.status.weight == "25")
    world.command(Action.ABORT, new)
    assert world.run(60, until=lambda w: w.weight(new) <= 1)
    world.watchers[0].hands_off = False  # type: ignore[attr-defined]
    if what == "a stable pod dies":
        world.pods.remove(next(pod for pod in world.pods if pod.revision == world.status.stable))
    else:
        world.edit(lambda spec: spec.update(replicas=6))
    for _ in range(60):
        world.step()
        assert world.weight(new) <= 1
    assert world.run(60, until=lambda w: w.status.phase is Phase.ROLLED_BACK)


def test_a_record_made_again_in_mid_trial_does_not_speak_of_the_candidate() -> None:
    world = serving()
    stable = str(world.status.stable)
    world.watchers[0].hands_off = False  # type: ignore[attr-defined]
    world.image("fraud:v2")
    assert world.run(300, until=lambda w: w.status.weight == "5")
    world.hand_delete(Ref("ControllerRevision", child_name(NAME, stable)))
    world.run(5)
    data = world.objects[Ref("ControllerRevision", child_name(NAME, stable))]["data"]
    assert "fraud:v2" not in str(data)
    assert "fraud:v1" in str(data["deployment"])


def test_errors_of_the_revision_before_are_not_counted_as_the_next_ones() -> None:
    """The gateway counts by slot; a Prometheus that was stale when the slot changed hands saw them too late."""
    world = serving()
    world.image("fraud:v2", Behaviour(errors=1.0))
    assert world.run(120, until=lambda w: w.weight(w.wanted) > PARTS // 100)
    world.prometheus.weather = Weather.STALE
    world.run(4)
    third = world.image("fraud:v3")
    world.run(240)
    world.prometheus.weather = Weather.FINE
    assert world.run(900, until=lambda w: settled(w) and w.status.stable == third), world.status.message


@pytest.mark.parametrize("late", range(5))
def test_copies_of_the_revision_before_are_not_counted_as_the_next_ones(late: int) -> None:
    """A first look that ends before the first scrape of the new copies counts nothing, and nor does what it leaves.

    While the gateway takes no route, copies go on to the revision before: its last errors show in that scrape.
    """
    strategy = {
        "stages": [{"shadow": {"percent": 50, "minDuration": "20s"}}, {"blueGreen": {"minDuration": "20s"}}],
        "probation": {"duration": "0s"},
    }
    analysis = {"interval": "10s", "minSamples": 200}
    world = World(spec=base_spec(strategy=strategy, analysis=analysis))
    world.watchers.append(Invariants(lossless=False))
    assert world.run(60, until=settled)
    world.run(30)
    second = world.image("fraud:v2", Behaviour(errors=1.0))
    assert world.run(60, until=lambda w: w.copied[second] > 0)
    third = world.image("fraud:v3")
    world.gateway_up = False
    world.run(60 + late)
    world.gateway_up = True
    assert world.run(300, until=lambda w: settled(w) and w.status.stable == third), world.status.message


def test_steps_edited_as_the_candidate_enters_do_not_hold_it_at_one_part() -> None:
    world = serving()
    new = world.image("fraud:v2")
    assert world.run(60, until=lambda w: w.status.rollout is not None and w.status.rollout.exposed)
    steps = [{"weight": weight, "minDuration": "1m"} for weight in (1, 20, 40)]
    world.edit(lambda spec: spec["strategy"]["stages"][0]["canary"].update(steps=steps))
    assert world.run(1500, until=lambda w: settled(w) and w.status.stable == new), world.status.message


def test_a_trial_whose_pods_are_there_already_goes_on() -> None:
    """Suspended when the first objects were written: the trial begins later, and writes nothing."""
    world = World(spec=base_spec(preflight={"requests": {"configMapRef": {"name": "golden"}}}))
    assert world.run(60, until=settled)
    world.run(30)
    lost = loses_the_status(
        world, lambda before, after: before.rollout is None and after.rollout is not None, died=True
    )
    new = world.image("fraud:v2")
    assert world.run(30, until=lambda _: bool(lost))
    world.edit(lambda spec: spec.update(suspend=True))
    world.run(30)
    world.edit(lambda spec: spec.update(suspend=False))
    assert world.run(1500, until=lambda w: settled(w) and w.status.stable == new), world.status.message


def test_who_entered_the_route_unknown_to_the_status_leaves_it_like_any_other() -> None:
    """A proxy that is late still names the revision; its Service stays until the drain is over."""
    world = serving()
    drain = timedelta(seconds=30)
    second = world.image("fraud:v2")
    lost = loses_the_status(
        world,
        lambda before, after: before.traffic.slots.b is None and after.traffic.slots.b is not None,
        died=True,
    )
    assert world.run(60, until=lambda _: bool(lost))
    assert world.weight(second) == 1
    world.proxy_lag[1] = 5.0
    third = world.image("fraud:v3")
    left: list[datetime] = []
    while Ref("Service", child_name(NAME, second)) in world.objects:
        world.step()
        left += [] if world.weight(second) else [world.now]
    assert world.now - left[0] >= drain
    world.proxy_lag[1] = 0.4
    assert world.run(900, until=lambda w: settled(w) and w.status.stable == third), world.status.message
