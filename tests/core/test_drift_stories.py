"""Trials of models whose predictions differ from stable's; see `test_stories.py`."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from seatrial.api.status import Outcome, Phase
from seatrial.core.commands import Action
from tests.core.test_people import refusals
from tests.core.test_stage_stories import CANARY, SHADOW, spec_of
from tests.core.test_stories import check_story, ends, served
from tests.sim.world import Behaviour, World

TOLD: dict[str, Any] = {}


def story(tell: Any) -> Any:
    TOLD[tell.__name__] = tell
    return tell


SCORES = {"name": "scores", "drift": {"histogram": "model_score"}}
DECIDED = {"name": "decided", "drift": {"classes": "decisions_total", "by": "decision", "statistic": "JS"}}
BLOCKED = {
    "name": "blocked",
    "share": {"of": 'decisions_total{decision="block"}', "per": "decisions_total"},
    "worseWhen": "Either",
    "margin": {"points": "5"},
}


def judged(*checks: dict[str, Any], stages: Any = (CANARY,), **strategy: Any) -> dict[str, Any]:
    spec = spec_of(*copy.deepcopy(list(stages)), **strategy)
    spec["analysis"]["checks"] = list(checks)
    return spec


@story
def scores_that_drift_pause_and_are_accepted() -> World:
    """A retrained model is meant to differ: it pauses, and a person says so."""
    world = served(spec=judged(SCORES))
    new = world.image("fraud:v2", Behaviour(scores=1.5))
    assert world.run(300, until=lambda w: w.status.paused is not None)
    assert world.status.rollout is not None
    assert world.status.rollout.back is None
    world.tell(world.status.checks[0].message)
    world.run(30)
    world.command(Action.ACCEPT, new, reason="scores recalibrated on March, as announced")
    world.run(5)
    assert world.status.paused is None
    world.tell(world.status.checks[0].message)
    ends(world, Phase.STABLE)
    assert world.status.stable == new
    (accepted,) = world.status.history[0].accepted
    assert (accepted.check, accepted.by, accepted.reason) == ("scores", "ann", "recalibrated on March, as announced")
    return world


@story
def scores_that_drift_are_found_in_the_shadow() -> World:
    world = served(spec=judged({**SCORES, "onFail": "Rollback"}, stages=(SHADOW, CANARY)))
    new = world.image("fraud:v2", Behaviour(scores=1.5))
    ends(world, Phase.ROLLED_BACK)
    assert world.served[new] == 0, "not one user met it"
    return world


@story
def the_same_scores_and_classes_pass() -> World:
    world = served(spec=judged(SCORES, DECIDED))
    new = world.image("fraud:v2")
    ends(world, Phase.STABLE)
    assert world.status.stable == new
    return world


@pytest.mark.parametrize("name", sorted(TOLD))
def test_story(name: str) -> None:
    check_story(name, TOLD[name]())


def test_classes_that_drift_pause() -> None:
    world = served(spec=judged(DECIDED))
    world.image("fraud:v2", Behaviour(blocks=0.7))
    assert world.run(300, until=lambda w: w.status.paused is not None)
    assert world.status.paused is not None
    assert "decided: JS" in world.status.paused.reason


def test_a_resumed_trial_pauses_again_until_somebody_accepts() -> None:
    world = served(spec=judged(SCORES))
    new = world.image("fraud:v2", Behaviour(scores=1.5))
    assert world.run(300, until=lambda w: w.status.paused is not None)
    world.command(Action.RESUME, new)
    world.run(60)
    assert world.status.paused is not None


def test_an_accepted_share_is_judged_no_more_and_asks_nothing() -> None:
    """Also before it fails: the trial of a revision that was sent back is begun again, and its difference accepted."""
    world = served(spec=judged(BLOCKED))
    new = world.image("fraud:v2", Behaviour(blocks=0.6))
    ends(world, Phase.ROLLED_BACK)
    world.command(Action.RETRY, new)
    assert world.run(60, until=lambda w: w.status.rollout is not None and w.status.rollout.back is None)
    world.command(Action.ACCEPT, new, reason="blocked a stricter policy")
    ends(world, Phase.STABLE)
    assert world.status.stable == new


def test_another_revision_is_judged_again() -> None:
    world = served(spec=judged(SCORES))
    new = world.image("fraud:v2", Behaviour(scores=1.5))
    assert world.run(300, until=lambda w: w.status.paused is not None)
    world.command(Action.ACCEPT, new, reason="scores as meant")
    world.run(5)
    world.image("fraud:v3", Behaviour(scores=1.5))
    assert world.run(400, until=lambda w: w.status.paused is not None), "what was accepted was accepted for v2"


def test_a_check_that_was_changed_is_judged_again() -> None:
    world = served(spec=judged(SCORES))
    new = world.image("fraud:v2", Behaviour(scores=1.5))
    assert world.run(300, until=lambda w: w.status.paused is not None)
    world.command(Action.ACCEPT, new, reason="scores as meant")
    world.run(5)
    world.edit(lambda spec: spec["analysis"]["checks"][0]["drift"].update(max="0.3"))
    assert world.run(300, until=lambda w: w.status.paused is not None)


def test_a_difference_is_accepted_on_probation_too() -> None:
    """With a holdback: both models are asked, and the verdict of the probation does not wait for the check."""
    errors = {"name": "errors", "preset": "Errors"}
    world = served(spec=judged(errors, SCORES, probation={"duration": "5m", "holdback": 10}))
    world.edit(
        lambda spec: spec["strategy"].update(stages=[{"canary": {"steps": [{"weight": 50, "minDuration": "1m"}]}}])
    )
    new = world.image("fraud:v2", Behaviour(scores=0.0))
    ends(world, Phase.PROBATION)
    world.command(Action.ACCEPT, new, reason="scores as meant")
    world.run(5)
    assert world.status.probation is not None
    assert [one.check for one in world.status.probation.watch.accepted] == ["scores"]
    assert next(c for c in world.status.checks if c.name == "scores").outcome is Outcome.PASS
    ends(world, Phase.STABLE)
    assert world.status.history[0].probation == "Pass"


@pytest.mark.parametrize(
    ("reason", "says"),
    [
        ("scores", "with the check's name and a reason"),
        (
            "errors it is fine",
            "errors is no check of drift, of an expected metric or of a share of your own: those that can be are scores",
        ),
        ("nothing it is fine", "nothing is no check of drift"),
    ],
)
def test_what_cannot_be_accepted_is_refused_with_what_can(reason: str, says: str) -> None:
    world = served(spec=judged({"name": "errors", "preset": "Errors"}, SCORES))
    new = world.image("fraud:v2")
    world.run(60)
    world.command(Action.ACCEPT, new, reason=reason)
    world.run(5)
    assert says in refusals(world)[0]
    assert world.status.rollout is not None
    assert world.status.rollout.accepted == []


def test_the_bins_survive_an_operator_that_restarts() -> None:
    world = served(spec=judged(SCORES))
    world.image("fraud:v2")
    world.run(30)
    before = world.status.checks[0].drift
    assert before is not None
    world.kill_operator()
    world.run(30)
    after = world.status.checks[0].drift
    assert after is not None
    assert after.marks == before.marks
    assert sum(after.stable) > sum(before.stable)
