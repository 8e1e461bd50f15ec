"""Autoscalers, drains and full clusters in a simulated world: who is counted, who is spared, who waits how long."""

from __future__ import annotations

from datetime import timedelta

import pytest

from seatrial.api.status import PARTS, BackReason, OverlayKind, Phase, Status
from seatrial.build.names import child_name
from seatrial.core.state import Ref
from tests.sim.invariants import Invariants
from tests.sim.world import NAME, Behaviour, World, base_spec, settled

NO_GPU = "0/1 nodes are available: 1 Insufficient example.com/gpu. preemption: 0/1 nodes are available."


def served(**spec: object) -> tuple[World, str]:
    world = World(spec=base_spec(**spec))
    world.watchers.append(Invariants())
    world.image("fraud:v1")
    assert world.run(60, until=settled), world.status.message
    world.run(30)
    return world, str(world.status.stable)


def budgets(world: World) -> set[str]:
    return {ref.name for ref in world.objects if ref.kind == "PodDisruptionBudget"}


def on_step(world: World, weight: str) -> str:
    assert world.run(400, until=lambda w: w.status.weight == weight), world.status.message
    return str(world.status.candidate)


def overlay(status: Status) -> tuple[OverlayKind, str] | None:
    found = status.rollout.overlay if status.rollout is not None else None
    return None if found is None else (found.kind, found.then)


# --- autoscalers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [2, 10])
def test_an_autoscaler_in_mid_trial_moves_both_sides_and_no_weight(size: int) -> None:
    """Upwards and downwards: shares stay, nothing is lost, and the number is the autoscaler's alone."""
    world, first = served()
    world.image("fraud:v2")
    second = on_step(world, "25")
    world.edit(lambda spec: spec.update(replicas=size))
    world.run(30)
    assert (world.weight(first), world.weight(second)) == (PARTS * 75 // 100, PARTS * 25 // 100)
    assert world.ready(first) == size
    assert world.ready(second) >= -(-size * 25 // 100)
    assert world.resource["spec"]["replicas"] == size
    assert world.run(600, until=lambda w: w.status.stable == second and settled(w)), world.status.message
    assert world.ready(second) == size
    assert not world.lost


def test_what_an_autoscaler_counts_is_what_gets_traffic() -> None:
    """Not the candidate before its weight, not the old revision after it, and no pod on its way out."""
    world, first = served()
    assert (world.status.selector, world.status.replicas) == (f"{labels(first)})", 4)
    world.image("fraud:v2", Behaviour(start=20))
    world.run(10)
    assert world.ready(world.wanted) == 0
    assert (world.status.selector, world.status.replicas) == (f"{labels(first)})", 4), "it has no weight yet"
    second = on_step(world, "25")
    assert world.status.selector == f"{labels(*sorted((first, second)))})"
    assert world.status.replicas == 5
    assert world.run(600, until=lambda w: w.status.stable == second and settled(w))
    assert (world.status.selector, world.status.replicas) == (f"{labels(second)})", 4)


def labels(*revisions: str) -> str:
    return f"seatrial.dev/model={NAME},seatrial.dev/revision in ({','.join(revisions)}"


def test_parked_in_mid_trial_and_back() -> None:
    """Nothing runs at 0; back at two, stable serves first and the trial begins anew."""
    world, first = served(replicas=2)
    second = world.image("fraud:v2")
    on_step(world, "25")
    world.watchers.clear()  # parking costs requests by its nature
    world.edit(lambda spec: spec.update(replicas=0))
    assert world.run(90, until=lambda w: w.status.phase is Phase.PARKED), world.status.message
    world.run(60)
    assert not [pod for pod in world.pods if pod.gone_at is None]
    assert world.status.stable == first
    world.edit(lambda spec: spec.update(replicas=2))
    assert world.run(60, until=lambda w: w.ready(first) == 2)
    assert on_step(world, "5") == second
    assert world.status.rejected is None


# --- drains ---------------------------------------------------------------------------------------------------


def test_a_budget_for_each_revision_with_weight() -> None:
    world, first = served()
    assert budgets(world) == {child_name(NAME, first)}
    second = world.image("fraud:v2", Behaviour(start=30))
    world.run(15)
    assert budgets(world) == {child_name(NAME, first)}, "pods that still start hold no node up"
    on_step(world, "25")
    assert budgets(world) == {child_name(NAME, first), child_name(NAME, second)}
    spec = world.objects[Ref("PodDisruptionBudget", child_name(NAME, second))]["spec"]
    selected = {"seatrial.dev/model": NAME, "seatrial.dev/revision": second}
    assert spec["selector"] == {"matchLabels": selected}, "its own pods alone: one pod may have one budget"
    assert spec["maxUnavailable"] == 1
    assert world.run(600, until=lambda w: w.status.stable == second and settled(w))
    world.run(60)
    assert budgets(world) == {child_name(NAME, second)}


def test_the_budget_of_who_was_sent_back_goes() -> None:
    world, first = served()
    world.image("fraud:v2", Behaviour(errors=1.0))
    assert world.run(300, until=lambda w: w.status.phase is Phase.ROLLED_BACK)
    world.run(60)
    assert budgets(world) == {child_name(NAME, first)}


# --- no room --------------------------------------------------------------------------------------------------


def test_a_missing_gpu_is_waited_for_until_its_own_deadline() -> None:
    world, first = served(capacityDeadline="10m")
    second = world.image("fraud:v2", Behaviour(unschedulable=NO_GPU))
    world.run(300)
    status = world.status
    assert status.phase is Phase.PREPARING, "longer than the progress deadline of two minutes"
    assert overlay(status) == (OverlayKind.BLOCKED, "Rollback")
    rollout = status.rollout
    assert rollout is not None and rollout.overlay is not None and rollout.excused_since is not None
    assert rollout.overlay.deadline == rollout.excused_since + timedelta(minutes=10)
    assert "with enough example.com/gpu: 0/1 nodes" in status.message
    assert f"then revision {second} goes back" in status.message
    assert world.run(400, until=lambda w: w.status.phase is Phase.ROLLED_BACK)
    rejected = world.status.rejected
    assert rejected is not None
    assert rejected.reason == BackReason.NO_CAPACITY
    assert rejected.at - rollout.excused_since >= timedelta(minutes=10)
    assert "The model was not judged" in rejected.message
    assert "seatrial retry fraud" in rejected.message
    assert (world.status.stable, world.ready(first)) == (first, 4)


def test_what_comes_in_time_goes_on() -> None:
    """And the clock of the next wait begins anew."""
    world, _ = served(capacityDeadline="10m")
    second = world.image("fraud:v2", Behaviour(unschedulable=NO_GPU))
    world.run(500)
    world.behaviours["fraud:v2"].unschedulable = ""
    for pod in world.pods:
        if pod.revision == second:
            pod.created = world.now
    assert on_step(world, "5") == second
    assert overlay(world.status) is None
    assert world.status.rollout is not None and world.status.rollout.unready_excused == timedelta(0)


def test_waits_with_gaps_add_up() -> None:
    """Capacity that comes and goes, and never suffices, does not put the deadline off for ever."""
    world, _ = served(capacityDeadline="5m", progressDeadline="1h")
    second = world.image("fraud:v2", Behaviour(unschedulable=NO_GPU, start=1e6))
    for _ in range(8):
        world.run(45)
        world.behaviours["fraud:v2"].unschedulable = ""
        for pod in world.pods:
            if pod.revision == second:
                pod.created = world.now
                pod.restarts = 0
        world.run(15)
        world.behaviours["fraud:v2"].unschedulable = NO_GPU
    assert world.status.rejected is not None, world.status.message
    assert world.status.rejected.reason == BackReason.NO_CAPACITY


def test_a_first_revision_waits_on_and_calls_a_person() -> None:
    """There is nothing to go back to: at the deadline Stalled says so, and it goes on by itself when there is room."""
    world = World(spec=base_spec(capacityDeadline="5m"))
    world.watchers.append(Invariants())
    first = world.image("fraud:v1", Behaviour(unschedulable=NO_GPU))
    world.run(200)
    assert overlay(world.status) == (OverlayKind.BLOCKED, "Stall")
    world.run(200)
    stalled = next(c for c in world.status.conditions if c.type == "Stalled")
    assert (stalled.status, stalled.reason) == ("True", "NoCapacity")
    assert overlay(world.status) == (OverlayKind.BLOCKED, "")
    assert [event.reason for event in world.events].count("NoCapacity") == 1
    world.behaviours["fraud:v1"].unschedulable = ""
    for pod in world.pods:
        pod.created = world.now
    assert world.run(60, until=settled), world.status.message
    assert world.status.stable == first
    assert next(c for c in world.status.conditions if c.type == "Stalled").status == "False"


def test_a_volume_that_never_comes_is_no_lack_of_capacity() -> None:
    """It is excused as long, and ends under another name."""
    world, _ = served(capacityDeadline="5m")
    world.image("fraud:v2", Behaviour(pulling=1e6))
    assert world.run(400, until=lambda w: w.status.phase is Phase.ROLLED_BACK), world.status.message
    assert world.status.rejected is not None
    assert world.status.rejected.reason == BackReason.PROGRESS_DEADLINE


def test_stable_says_what_it_lacks_of_its_size() -> None:
    """An autoscaler asks for more than there is room for."""
    world, first = served()
    world.quota = "exceeded quota: pods"
    world.edit(lambda spec: spec.update(replicas=9))
    world.run(20)
    assert world.status.message == (
        f"revision {first} serves with 4 of 9 pods, waiting for capacity: no pod can be created: exceeded quota: pods"
    )
