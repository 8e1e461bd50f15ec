"""Commands that cannot be carried out are refused once, with the reason."""

from __future__ import annotations

import pytest

from seatrial.api.status import Phase
from seatrial.build.names import COMMANDS
from seatrial.core.commands import Action
from tests.sim.world import Behaviour, World, settled


def serving() -> World:
    world = World()
    assert world.run(60, until=settled)
    world.run(100)
    return world


def refusals(world: World) -> list[str]:
    return [event.message for event in world.events if event.reason == "CommandRefused"]


@pytest.mark.parametrize(
    ("action", "says"),
    [
        (Action.PAUSE, "no trial is under way"),
        (Action.RESUME, "no trial is under way"),
        (Action.APPROVE, "no trial is under way"),
        (Action.PROMOTE, "no trial is under way"),
        (Action.ABORT, "no trial is under way"),
        (Action.RETRY, "no revision was sent back"),
        (Action.SKIP_CHECKS, "no trial is under way"),
    ],
)
def test_at_rest(action: Action, says: str) -> None:
    world = serving()
    world.command(action, world.wanted)
    world.run(30)
    assert len(refusals(world)) == 1, "refused once, not at every pass"
    assert says in refusals(world)[0]


@pytest.mark.parametrize(
    ("action", "says"),
    [
        (Action.RESUME, "is not paused"),
        (Action.APPROVE, "nothing waits for an approval"),
        (Action.RETRY, "no revision was sent back"),
        (Action.SKIP_CHECKS, "with a reason only"),
    ],
)
def test_in_mid_trial(action: Action, says: str) -> None:
    world = serving()
    new = world.image("fraud:v2")
    world.run(30)
    world.command(action, new)
    world.run(5)
    assert says in refusals(world)[0]


def test_promote_is_refused_while_a_check_fails() -> None:
    """A person cannot promote past a failure; the check that failed is named with its numbers."""
    world = World()
    world.edit(lambda s: s["analysis"].update(checks=[{"name": "errors", "preset": "Errors", "onFail": "Pause"}]))
    world.run(60, until=settled)
    world.run(100)
    new = world.image("fraud:v2", Behaviour(errors=0.5))
    assert world.run(200, until=lambda w: w.status.paused is not None)
    world.command(Action.PROMOTE, new)
    world.run(5)
    assert "check errors fails" in refusals(world)[0]
    world.command(Action.RESUME, new)
    world.run(60)
    assert world.status.paused is not None, "it fails still, and pauses again"
    world.command(Action.ABORT, new)
    assert world.run(120, until=lambda w: w.status.phase is Phase.ROLLED_BACK)


def test_a_command_is_obeyed_once_however_often_it_is_read() -> None:
    world = serving()
    new = world.image("fraud:v2")
    world.run(60)
    world.command(Action.ABORT, new)
    world.run(120, until=lambda w: w.status.phase is Phase.ROLLED_BACK)
    world.command(Action.RETRY, new)
    world.run(60)
    assert world.status.candidate == new, "the old abort, still in the annotation, does not strike again"


def test_a_line_that_cannot_be_read_is_told_of_once() -> None:
    world = serving()
    world.resource["metadata"]["annotations"][COMMANDS] = "please abort it"
    world.run(30)
    world.step()
    assert len(refusals(world)) == 1
    assert "is not a command" in refusals(world)[0]
