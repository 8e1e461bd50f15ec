"""A new operator version never changes a pod template that already runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.api.status import Phase
from seatrial.core.state import Manifest
from tests.sim.invariants import Invariants
from tests.sim.upgrade import upgraded
from tests.sim.world import World, settled


def generations(world: World) -> dict[str, int]:
    return {ref.name: obj["metadata"]["generation"] for ref, obj in world.objects.items() if ref.kind == "Deployment"}


def templates(world: World) -> dict[str, Manifest]:
    return {ref.name: obj["spec"]["template"] for ref, obj in world.objects.items() if ref.kind == "Deployment"}


def serving() -> World:
    world = World()
    world.watchers.append(Invariants())
    world.image("fraud:v1")
    assert world.run(60, until=settled)
    world.run(30)
    return world


def test_at_rest() -> None:
    """At rest: the Deployment's generation stays, and so does its template."""
    world = serving()
    before, shape = generations(world), templates(world)
    world.renders = upgraded
    world._seen = None
    world.run(60)
    assert generations(world) == before
    assert templates(world) == shape


def test_in_mid_trial() -> None:
    """In mid-trial: neither Deployment's template moves, and the trial goes on to its end."""
    world = serving()
    new = world.image("fraud:v2")
    world.run(200, until=lambda w: w.status.weight == "25")
    shape = templates(world)
    world.renders = upgraded
    world._seen = None
    world.run(1)
    assert templates(world) == shape
    pods = {pod.name for pod in world.pods}
    world.run(600, until=lambda w: w.status.phase is Phase.STABLE and w.status.stable == new)
    assert world.status.stable == new
    assert {pod.name for pod in world.pods if pod.revision == new} >= {p for p in pods if new in p}
    assert not world.lost


def test_a_lost_record_is_made_again_from_what_runs() -> None:
    """Even then: what runs is what is recorded, not what this version would render."""
    world = serving()
    shape = templates(world)
    world.renders = upgraded
    for ref in [ref for ref in world.objects if ref.kind == "ControllerRevision"]:
        world.hand_delete(ref)
    world.run(30)
    assert templates(world) == shape
    records = [obj for ref, obj in world.objects.items() if ref.kind == "ControllerRevision"]
    recorded: Mapping[str, Any] = records[0]["data"]["deployment"]["spec"]["template"]
    assert recorded == next(iter(shape.values()))
