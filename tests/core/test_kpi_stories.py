"""Trials in which another service's numbers speak, told as stories; see `test_stories.py`."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.api.status import Outcome, Phase
from tests.core.test_stories import check_story, ends, served
from tests.sim.world import Behaviour, World, base_spec

TOLD: dict[str, Any] = {}
CANARY = {"canary": {"steps": [{"weight": weight, "minDuration": "2m"} for weight in (5, 25, 50)]}}
SHADOW = {"shadow": {"percent": 20, "minDuration": "2m"}}
REVENUE = {
    "name": "revenue",
    "mean": {"of": "shop_revenue_total", "per": "shop_orders_total", "revisionLabel": "model_revision"},
    "worseWhen": "Lower",
    "margin": {"relative": "5%"},
    "minSamples": 500,
    "minDuration": "20m",
}


def story(tell: Any) -> Any:
    TOLD[tell.__name__] = tell
    return tell


def shop(*stages: dict[str, Any], **strategy: Any) -> World:
    """A model behind a shop that has taken orders for a quarter of an hour."""
    strategy.setdefault("probation", {"duration": "0s"})
    checks = [{"name": "errors", "preset": "Errors"}, REVENUE]
    spec = base_spec(
        strategy={"stages": list(stages or (CANARY,)), **strategy}, analysis={"interval": "15s", "checks": checks}
    )
    world = served(spec=spec)
    world.run(900)
    return world


def said(world: World) -> str:
    """The latest verdict on the revenue."""
    return next(check.message for check in world.status.checks if check.name == "revenue")


@story
def orders_that_bring_less() -> World:
    """Quick, without any error, and a tenth of the money is missing: sent back, once it has been watched long enough."""
    world = shop()
    new = world.image("fraud:v2", Behaviour(revenue=35.0))
    assert world.run(1300, until=lambda w: w.status.phase is Phase.CANARY)
    world.run(1100)
    assert world.status.weight == "5", "the first step waits for the horizon of the check"
    assert "no verdict before 500 shop_orders_total and 20m: needs " in said(world)
    ends(world, Phase.ROLLED_BACK, 3000)
    assert world.weight(new) == 0
    assert "surely more than 5% lower" in world.status.history[0].message
    return world


@story
def orders_that_bring_as_much() -> World:
    world = shop()
    new = world.image("fraud:v2")
    ends(world, Phase.STABLE, 6000)
    assert world.status.stable == new
    return world


@story
def a_shadow_is_not_asked_for_orders() -> World:
    """Nobody orders from a copy: the shadow is judged on errors, and the revenue from the canary on."""
    world = shop(SHADOW, CANARY)
    world.image("fraud:v2", Behaviour(revenue=20.0))
    assert world.run(600, until=lambda w: w.status.phase is Phase.SHADOW)
    world.run(60)
    assert [check.name for check in world.status.checks] == ["errors"]
    assert world.run(600, until=lambda w: w.status.phase is Phase.CANARY)
    ends(world, Phase.ROLLED_BACK, 3000)
    return world


@story
def less_revenue_on_probation_with_a_holdback() -> World:
    """Late numbers: promoted before anybody knew, and compared with the share that the revision before has kept."""
    quick = {"canary": {"steps": [{"weight": 50, "minDuration": "2m"}]}}
    world = shop(quick, probation={"duration": "2h", "holdback": 20})
    old = world.status.stable
    # Revenue falls after the promotion only.
    world.image("fraud:v2")
    assert world.run(6000, until=lambda w: w.status.phase is Phase.PROBATION)
    world.behaviours["fraud:v2"].revenue = 30.0
    assert world.run(6000, until=lambda w: w.status.stable == old), said(world)
    return world


@pytest.mark.parametrize("name", sorted(TOLD))
def test_story(name: str) -> None:
    world = TOLD[name]()
    assert all(check.outcome is not Outcome.ERROR for check in world.status.checks)
    check_story(name, world)
