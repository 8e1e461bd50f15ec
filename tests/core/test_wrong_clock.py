"""The operator's clock is not that of Prometheus: a stretch of our time is another stretch of its samples."""

from __future__ import annotations

from datetime import timedelta

import pytest

from seatrial.api.status import BackReason, OverlayKind, Phase
from seatrial.build.names import child_name
from seatrial.core.commands import Action
from seatrial.core.state import Manifest, Ref
from tests.sim.invariants import Invariants
from tests.sim.prometheus import Weather
from tests.sim.world import NAME, Behaviour, World, settled


@pytest.mark.parametrize("weather", [Weather.STALE, Weather.FINE])
def test_numbers_of_another_time_speak_for_nobody(weather: Weather) -> None:
    """Ten minutes behind, what a step asks for are the numbers of the step before it, even of a Prometheus that sleeps."""
    world = World()
    world.watchers.append(Invariants())
    assert world.run(60, until=settled)
    world.run(30)
    new = world.image("fraud:v2")
    assert world.run(120, until=lambda w: w.status.weight == "5")
    world.command(Action.PAUSE, new)
    world.run(720)
    world.command(Action.RESUME, new)
    assert world.run(120, until=lambda w: w.status.rollout is not None and w.status.rollout.step == 1)
    world.skew, world.prometheus.weather = timedelta(minutes=-10), weather
    world.run(240)
    rollout = world.status.rollout
    assert rollout is not None
    assert rollout.step == 1
    assert rollout.overlay is not None
    assert rollout.overlay.kind is OverlayKind.HOLDING
    assert "clock" in rollout.overlay.message
    world.skew, world.prometheus.weather = timedelta(0), Weather.FINE
    assert world.run(900, until=lambda w: settled(w) and w.status.stable == new), world.status.message


def test_a_clock_that_went_ahead_makes_nobody_blind_afterwards() -> None:
    """Evidence voided then begins at a moment that is still to come: it is not waited for."""
    world = World()
    world.watchers.append(Invariants(hands_off=False))
    assert world.run(60, until=settled)
    world.run(30)
    new = world.image("fraud:v2", Behaviour(errors=1.0, errors_from=3000))
    assert world.run(60, until=lambda w: w.status.weight == "5")
    world.skew = timedelta(minutes=10)
    world.hand_edit(Ref("Deployment", child_name(NAME, new)), _annotated)
    world.run(5)
    world.skew = timedelta(0)
    assert world.run(240, until=lambda w: w.status.phase is Phase.ROLLED_BACK), world.status.message
    assert world.status.rejected is not None
    assert world.status.rejected.reason == BackReason.CHECK_FAILED


def _annotated(deployment: Manifest) -> None:
    deployment["spec"]["template"]["metadata"].setdefault("annotations", {})["edited"] = "by hand"
