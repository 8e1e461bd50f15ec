"""`capacity: Shared`: a whole trial in a namespace with room for one pod more than the model has, in both directions."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.api.status import PARTS, Phase
from seatrial.build.names import child_name
from seatrial.core.capacity import pods_for
from seatrial.core.commands import Action
from seatrial.core.state import Plan, Ref
from seatrial.core.traffic import MINIMUM, weight_of
from tests.conftest import QUICK
from tests.core.test_stories import check_story, ends, served
from tests.sim.invariants import Invariants
from tests.sim.world import NAME, Behaviour, World, base_spec, settled

TOLD: dict[str, Any] = {}


def story(tell: Any) -> Any:
    TOLD[tell.__name__] = tell
    return tell


class Shares:
    """A watcher: each side carries what the proxies are known to send it, and nobody asks for more room than there is."""

    def __init__(self) -> None:
        self.most = 0
        self.seen: list[tuple[int, int]] = []
        """Pods that are ready, of stable and of the other one, as often as that changed."""

    def __call__(self, world: World, plan: Plan) -> None:
        replicas, traffic = world.resource["spec"]["replicas"], plan.status.traffic
        for name in (traffic.slots.a, traffic.slots.b):
            weight = weight_of(traffic, name, confirmed=True)
            if name is None or weight <= MINIMUM:
                continue
            need = pods_for(replicas, weight)
            assert world.ready(name) >= need, f"{name} has {world.ready(name)} of {need} pods for {weight} parts"
        self.most = max(self.most, len(world.pods))
        stable, candidate = plan.status.stable, plan.status.candidate
        pair = (world.ready(stable or ""), world.ready(candidate or ""))
        if not self.seen or self.seen[-1] != pair:
            self.seen.append(pair)
            world.tell(f"ready pods: {pair[0]} of stable, {pair[1]} of the candidate")


def shared(*weights: int, replicas: int = 4, **strategy: Any) -> dict[str, Any]:
    steps = [{"weight": weight, "minDuration": "30s"} for weight in weights]
    strategy.setdefault("probation", {"duration": "0s"})
    spec = base_spec(
        replicas=replicas, strategy={"stages": [{"canary": {"steps": steps, "capacity": "Shared"}}], **strategy}
    )
    spec["traffic"]["drain"] = "10s"
    return spec


def tight(spec: dict[str, Any], **options: Any) -> tuple[World, Shares]:
    """A world in which v1 serves, and a quota with room for one pod more."""
    world = served(spec=spec, **options)
    world.room = spec["replicas"] + 1
    watch = Shares()
    world.watchers.append(watch)
    return world, watch


@story
def shared_trial_in_a_full_namespace() -> World:
    world, watch = tight(shared(5, 50))
    new = world.image("fraud:v2")
    ends(world, Phase.STABLE)
    assert world.status.stable == new
    assert (watch.most, world.refused) == (5, 0), "never more than one pod beside the model's own"
    return world


@story
def shared_trial_walks_back_pod_by_pod() -> World:
    world, watch = tight(shared(5, 75))
    old, new = world.status.stable, world.image("fraud:v2")
    assert world.run(900, until=lambda w: w.status.weight == "75")
    world.run(10)
    world.tell(f"kept: {world.status.kept}")
    world.command(Action.ABORT, new, reason="orders fell")
    ends(world, Phase.ROLLED_BACK)
    assert world.status.stable == old
    assert world.ready(str(old)) == 4
    assert (watch.most, world.refused) == (5, 0)
    return world


@story
def shared_candidate_whose_pods_all_die() -> World:
    """With nobody left to share with, stable takes all at once and grows at once, whatever is full."""
    world = served(spec=shared(5, 75), hands_off=True)
    world.watchers = [Invariants(lossless=False)]
    old = str(world.status.stable)
    new = world.image("fraud:v2")
    assert world.run(900, until=lambda w: w.status.weight == "75")
    world.behaviours["fraud:v2"] = Behaviour(start=1e9)
    world.kill_pods(new)
    assert world.run(5, until=lambda w: w.weight(new) <= MINIMUM)
    assert world.objects[Ref("Deployment", child_name(NAME, old))]["spec"]["replicas"] == 4
    ends(world, Phase.ROLLED_BACK)
    return world


@story
def shared_trial_fails_on_probation() -> World:
    """The revision before has one pod: it walks back through the whole model."""
    world, watch = tight(shared(50, probation={"duration": "10m"}))
    old, new = world.status.stable, world.image("fraud:v2")
    assert world.run(900, until=lambda w: w.status.phase is Phase.PROBATION)
    world.run(60)
    world.command(Action.ABORT, new, reason="orders fell")
    ends(world, Phase.ROLLED_BACK)
    assert world.status.stable == old
    assert (watch.most, world.refused) == (5, 0)
    return world


@story
def another_revision_comes_into_a_shared_trial() -> World:
    """The first has to give its room back before the second one gets a pod."""
    world, watch = tight(shared(5, 50))
    world.image("fraud:v2")
    assert world.run(900, until=lambda w: w.status.weight == "50")
    third = world.image("fraud:v3")
    ends(world, Phase.STABLE)
    assert world.status.stable == third
    assert world.refused <= 1, "pods of a Deployment that is gone still take their room for a moment"
    assert watch.most == 5
    return world


@pytest.mark.parametrize("name", sorted(TOLD))
def test_story(name: str) -> None:
    check_story(name, TOLD[name]())


@pytest.mark.parametrize("replicas", [1, 2, 3, 7])
@pytest.mark.parametrize("weights", [(50,), (1, 99), (10, 33, 66)], ids=str)
def test_every_size_fits_with_one_pod_more(replicas: int, weights: tuple[int, ...]) -> None:
    world, watch = tight(shared(*weights, replicas=replicas))
    new = world.image("fraud:v2")
    ends(world, Phase.STABLE, 3000)
    assert (world.status.stable, watch.most, world.refused) == (new, replicas + 1, 0)
    assert not world.lost


@settings(max_examples=6 if QUICK else 30, deadline=None)
@pytest.mark.timeout(300)
@given(
    replicas=st.integers(1, 9),
    weights=st.lists(st.integers(5, 99), min_size=1, max_size=3, unique=True).map(sorted),
    after=st.integers(5, 200),
    then=st.sampled_from(["abort", "back", "another", "fails", "other steps"]),
)
def test_whenever_it_turns_each_side_carries_what_it_has(
    replicas: int, weights: list[int], after: int, then: str
) -> None:
    """Turned round at any second, mid-walk or not: no request lost, no pod refused, no side overloaded."""
    world, watch = tight(shared(*weights, replicas=replicas))
    world.plan_twice = 20
    new = world.image("fraud:v2")
    world.run(after)
    if then == "abort" and world.status.candidate:
        world.command(Action.ABORT, new)
    elif then == "back":
        world.image("fraud:v1")
    elif then == "another":
        world.image("fraud:v3")
    elif then == "fails":
        world.behaviours["fraud:v2"] = Behaviour(errors=0.6)
    else:
        world.edit(
            lambda spec: spec["strategy"]["stages"][0]["canary"].update(steps=[{"weight": 2, "minDuration": "30s"}])
        )
    assert world.run(3000, until=lambda w: settled(w) and len(w.pods) == replicas), world.status.message
    assert not world.lost
    assert (watch.most <= replicas + 1, world.refused) == (True, 0)


def test_replicas_edited_in_mid_trial_are_shared_too() -> None:
    spec = shared(50)
    spec["strategy"]["stages"][0]["canary"]["steps"][0]["minDuration"] = "1h"
    world = served(spec=spec)
    new = world.image("fraud:v2")
    assert world.run(300, until=lambda w: w.status.weight == "50")
    for replicas, each in ((8, 4), (2, 1)):
        world.edit(partial(dict.update, replicas=replicas))
        world.run(60)
        assert (world.ready(str(world.status.stable)), world.ready(new)) == (each, each)
        assert world.weight(new) == PARTS // 2
    assert not world.lost


def test_a_pod_of_stable_killed_in_mid_trial_stops_nothing() -> None:
    world, _ = tight(shared(5, 50))
    new = world.image("fraud:v2")
    assert world.run(600, until=lambda w: w.status.weight == "50")
    world.watchers = [Invariants(lossless=False)]
    world.pods.remove(next(pod for pod in world.pods if pod.revision == world.status.stable))
    ends(world, Phase.STABLE)
    assert world.status.stable == new


def test_a_candidate_that_waits_gives_back_what_stable_needs() -> None:
    """It may have got its pod while stable had none; with it, stable could never take over from the one before."""
    world = served(spec=shared(5, 75), hands_off=False)
    world.image("fraud:v2")
    assert world.run(600, until=lambda w: w.status.weight == "75")
    world.run(10)
    third = world.image("fraud:v3")
    world.run(2)
    world.hand_edit(Ref("Deployment", child_name(NAME, third)), lambda found: found["spec"].update(replicas=1))
    ends(world, Phase.STABLE)
    assert world.status.stable == third
    assert not world.lost


def test_a_shared_trial_becomes_an_extra_one_at_once() -> None:
    world = served(spec=shared(50))
    world.image("fraud:v2")
    assert world.run(300, until=lambda w: w.status.weight == "50")
    world.run(10)
    assert world.ready(str(world.status.stable)) == 2
    world.edit(lambda spec: spec["strategy"]["stages"][0]["canary"].update(capacity="Extra"))
    world.run(10)
    assert world.ready(str(world.status.stable)) == 4


def test_a_namespace_without_the_one_pod_more_waits_and_says_so() -> None:
    spec = shared(50)
    world = served(spec={**spec, "capacityDeadline": "5m"})
    world.room = 4
    world.image("fraud:v2")
    assert world.run(60, until=lambda w: "exceeded quota: pods: 4" in w.status.message)
    ends(world, Phase.ROLLED_BACK)
    assert world.status.rejected is not None
    assert world.status.rejected.reason == "NoCapacity"
