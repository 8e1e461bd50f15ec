"""Trials with checks that only warn, and with expected metrics; see `test_stories.py`."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from seatrial.api.status import Outcome, Phase
from seatrial.core.commands import Action
from tests.core.test_stage_stories import CANARY, SHADOW, spec_of
from tests.core.test_stories import check_story, ends, served
from tests.sim.world import Behaviour, World

TOLD: dict[str, Any] = {}


def story(tell: Any) -> Any:
    TOLD[tell.__name__] = tell
    return tell


ERRORS = {"name": "errors", "preset": "Errors"}
QUALITY = {"name": "quality", "expected": {"histogram": "model_score"}}
RECALL = {
    "name": "recall",
    "expected": {"histogram": "model_score", "metric": "Recall"},
    "margin": {"points": "10"},
    "onFail": "Pause",
}


def judged(*checks: dict[str, Any], stages: Any = (CANARY,), **strategy: Any) -> dict[str, Any]:
    spec = spec_of(*copy.deepcopy(list(stages)), **strategy)
    spec["analysis"]["checks"] = list(checks)
    return spec


def warnings(world: World) -> list[str]:
    return [line for line in world.story if "Warned: " in line]


@story
def an_expected_accuracy_that_falls_warns_and_the_trial_goes_on() -> World:
    """Scores nearer to 0.5 than they were: told once for each weight, and nothing waits."""
    world = served(spec=judged(ERRORS, QUALITY))
    new = world.image("fraud:v2", Behaviour(scores=2.0))
    assert world.run(300, until=lambda w: bool(warnings(w)))
    quality = next(check for check in world.status.checks if check.name == "quality")
    world.tell(quality.message)
    assert quality.advisory
    ends(world, Phase.STABLE)
    assert world.status.stable == new
    assert world.status.paused is None
    return world


@story
def an_expected_recall_that_falls_pauses_where_it_is_told_to() -> World:
    world = served(spec=judged(ERRORS, RECALL, stages=(SHADOW, CANARY)))
    new = world.image("fraud:v2", Behaviour(scores=-2.0))
    assert world.run(1500, until=lambda w: w.status.paused is not None)
    world.tell(next(check.message for check in world.status.checks if check.name == "recall"))
    assert world.served[new] == 0, "it was found in the shadow"
    world.command(Action.ACCEPT, new, reason="recall a stricter model, see RISK-112")
    world.run(5)
    assert world.status.paused is None
    ends(world, Phase.STABLE)
    return world


@pytest.mark.parametrize("name", sorted(TOLD))
def test_story(name: str) -> None:
    check_story(name, TOLD[name]())


def test_the_same_scores_pass_a_check_that_decides() -> None:
    world = served(spec=judged(ERRORS, {**RECALL, "margin": {"points": "20"}}))
    new = world.image("fraud:v2")
    ends(world, Phase.STABLE)
    assert world.status.stable == new
    assert not warnings(world)


def test_buckets_that_cannot_show_a_margin_are_told_and_hold_nothing_up() -> None:
    """Twenty buckets leave four points of accuracy open, and two are allowed: no verdict, which is advice."""
    world = served(spec=judged(ERRORS, QUALITY))
    new = world.image("fraud:v2")
    ends(world, Phase.STABLE)
    assert world.status.stable == new
    told = [
        line for line in world.story if "NotSeen: check quality cannot show that a margin of 2 points is kept" in line
    ]
    assert len(told) == 1


def test_a_check_that_could_never_pass_is_refused_where_it_would_decide() -> None:
    world = served(spec=judged(ERRORS, {**QUALITY, "onFail": "Rollback"}))
    world.run(120)
    new = world.image("fraud:v2")
    world.run(60)
    stalled = next(c for c in world.status.conditions if c.type == "Stalled")
    assert (stalled.status, stalled.reason) == ("True", "NoSeries")
    assert "or let the check only warn" in stalled.message
    assert world.served[new] == 0


def test_a_check_of_any_kind_may_only_warn() -> None:
    """Its number is out of bounds at every look; `promote` asks only those that decide."""
    advice = {"name": "advice", "query": "sum(score{$selector})", "max": "0.5", "onFail": "Warn"}
    world = served(spec=judged(ERRORS, advice))
    new = world.image("fraud:v2")
    assert world.run(200, until=lambda w: any(c.outcome is Outcome.FAIL for c in w.status.checks))
    world.command(Action.PROMOTE, new)
    ends(world, Phase.STABLE)
    assert world.status.stable == new
    assert len(warnings(world)) == 2, "once at each weight"
    assert [line for line in world.story if "PromotionAsked: " in line]


def test_numbers_that_only_advise_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The models' own page is not scraped any more; the gateway's is, and nothing holds."""
    world = served(spec=judged(ERRORS, QUALITY))
    new = world.image("fraud:v2")
    assert world.run(60, until=lambda w: w.status.phase is Phase.CANARY)
    monkeypatch.setattr(world, "_scores", lambda: None)
    monkeypatch.setattr(world, "_decisions", lambda: None)
    gone = {("__name__", "up"), ("__name__", "model_score_bucket")}
    for key in [key for key in world.counters if gone & set(key)]:
        del world.counters[key]
    assert world.run(60, until=lambda w: any(c.outcome is Outcome.NO_DATA for c in w.status.checks))
    ends(world, Phase.STABLE)
    assert world.status.stable == new


def test_advice_does_not_send_a_probation_back_and_is_no_part_of_its_verdict() -> None:
    world = served(spec=judged(ERRORS, QUALITY, probation={"duration": "5m", "holdback": 10}))
    new = world.image("fraud:v2", Behaviour(scores=2.0))
    ends(world, Phase.STABLE, seconds=3000)
    assert world.status.stable == new
    assert world.status.history[0].probation == "Pass"
