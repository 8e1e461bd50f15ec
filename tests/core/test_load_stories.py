"""Trials of models that get slower the more they have to do, told as stories; see `test_stories.py`."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.api.status import Outcome, Phase
from tests.core.test_stories import check_story, ends
from tests.sim.invariants import Invariants
from tests.sim.world import Behaviour, World, base_spec, settled

TOLD: dict[str, Any] = {}
LATENCY = {"name": "latency", "preset": "Latency", "slowerThan": "25ms"}
AS_BUSY_AS_EVER = 0.06
"""Share of slow answers where a pod has a quarter of the traffic, as each of four has between two trials."""


def story(tell: Any) -> Any:
    TOLD[tell.__name__] = tell
    return tell


def queueing() -> World:
    """Four pods of a model whose answers queue, after a quarter of an hour."""
    spec = base_spec(
        strategy={"stages": [_canary()], "probation": {"duration": "0s"}},
        analysis={"interval": "15s", "checks": [{"name": "errors", "preset": "Errors"}, LATENCY]},
    )
    world = World(spec=spec)
    world.watchers.append(Invariants())
    world.image("fraud:v1", Behaviour(slow=AS_BUSY_AS_EVER, queues=True))
    assert world.run(60, until=settled), world.status.message
    world.run(900)
    return world


def _canary(**more: Any) -> dict[str, Any]:
    return {"canary": {"steps": [{"weight": weight, "minDuration": "1m"} for weight in (5, 50)], **more}}


def said(world: World) -> tuple[Outcome, str]:
    """The latest verdict on the times."""
    return next((check.outcome, check.message) for check in world.status.checks if check.name == "latency")


@story
def as_quick_as_stable_under_the_same_load() -> World:
    """At 50 % two pods do what four of stable's do: slower, and no failure. Given four pods it is as quick, and passes."""
    world = queueing()
    new = world.image("fraud:v2", Behaviour(slow=AS_BUSY_AS_EVER, queues=True))
    assert world.run(900, until=lambda w: w.status.weight == "50")
    world.run(900)
    outcome, why = said(world)
    assert outcome is Outcome.INCONCLUSIVE, why
    assert "each of its pods answers 2 times as many requests as stable's" in why
    world.tell(why)
    world.edit(lambda spec: spec["strategy"].update(stages=[_canary(scale="Full")]))
    world.tell("kubectl: scale: Full for the canary")
    ends(world, Phase.STABLE, 3600)
    assert world.status.stable == new
    return world


@story
def too_slow_for_its_share_of_the_load() -> World:
    """Quick while it has little to do. At 50 % it is slower than stable ever was under as much: sent back."""
    world = queueing()
    world.image("fraud:v2", Behaviour(slow=4 * AS_BUSY_AS_EVER, queues=True))
    assert world.run(900, until=lambda w: w.status.weight == "50"), said(world)
    ends(world, Phase.ROLLED_BACK)
    return world


@pytest.mark.parametrize("name", sorted(TOLD))
def test_story(name: str) -> None:
    check_story(name, TOLD[name]())
