"""About when a step will be through: from what the operator says is missing, and how fast it comes."""

from __future__ import annotations

import doctest
from datetime import timedelta
from typing import Any

import pytest

from seatrial.api.status import OverlayKind, Paused
from seatrial.cli import estimate as module
from seatrial.cli import view
from seatrial.cli.estimate import Estimate, estimate
from seatrial.cli.reading import Reading
from tests.cli.test_view import drawn
from tests.cli.worlds import NOW, before, canary, obj, overlaid, rollout

AT = before(minutes=10)
"""When the weight was confirmed."""


def model(*checks: dict[str, Any], status: Any = None, **spec: Any) -> dict[str, Any]:
    """A model on its second step, whose least time is over."""
    out = obj(status or canary(rollout=rollout(confirmed_at=AT)), **spec)
    out["status"]["checks"] = [{"outcome": "Inconclusive", "message": "…", **check} for check in checks]
    return out


def check(name: str = "errors", needs: object = 600, counted: object = 1200, **more: Any) -> dict[str, Any]:
    step = {"candidate": {"events": 3, "total": counted}, "stable": {"events": 9, "total": 3600}}
    return {"name": name, "needs": needs, "through": f"{NOW:%Y-%m-%dT%H:%M:%SZ}", "step": step, **more}


def left(obj: dict[str, Any]) -> Estimate | None:
    return estimate(Reading(obj), NOW)


def test_what_is_missing_comes_as_fast_as_what_came() -> None:
    """1,200 requests in ten minutes: 600 take five."""
    assert left(model(check())) == Estimate(timedelta(minutes=5), "errors")


def test_time_since_the_last_look_is_taken_off() -> None:
    stale = check(through=f"{before(minutes=4):%Y-%m-%dT%H:%M:%SZ}")  # 1,200 in six minutes
    found = left(model(stale))
    assert found is not None
    assert found.left.total_seconds() == pytest.approx(180 - 240 + 60, abs=1)


def test_the_slowest_check_decides() -> None:
    checks = (check("a", 120), check("b", 2400), check("c", 240), check("done", None, outcome="Pass"))
    assert left(model(*checks)) == Estimate(timedelta(minutes=20), "b")


def test_predictions_and_means_have_counts_of_their_own() -> None:
    drift = {"name": "scores", "needs": 300, "drift": {"candidate": [400, 200], "stable": [4000, 2000]}}
    at = {"through": f"{NOW:%Y-%m-%dT%H:%M:%SZ}"}
    assert left(model({**drift, **at})) == Estimate(timedelta(minutes=5), "scores")
    arms = {"candidate": {"sum": "8000", "count": "200"}, "stable": {"sum": "1", "count": "1"}}
    mean = {"name": "revenue", "needs": 300, "mean": {"since": f"{AT:%Y-%m-%dT%H:%M:%SZ}", "step": arms}}
    asked = {"name": "revenue", "mean": {"of": "a", "per": "b"}, "worseWhen": "Lower", "margin": {"relative": "5%"}}
    assert left(model({**mean, **at})) == Estimate(timedelta(minutes=15), "revenue")
    hour = model({**mean, "needs": 0, **at}, analysis={"checks": [asked]})
    assert left(hour) == Estimate(timedelta(minutes=50), "revenue")
    longer = model({**mean, "needs": 0, **at}, analysis={"checks": [{**asked, "minDuration": "90m"}]})
    assert left(longer) == Estimate(timedelta(minutes=80), "revenue")


def test_the_least_time_of_a_step_is_no_estimate() -> None:
    early = model(check(needs=1), status=canary(rollout=rollout(confirmed_at=before(minutes=2))))
    assert left(early) == Estimate(timedelta(minutes=3), "")
    assert "at today's rate, until" not in drawn(view.why(early, NOW))


@pytest.mark.parametrize(
    "one",
    [
        check(needs=None),
        check(needs=-5),
        check(needs="many"),
        check(needs=10**40),
        check(counted=0),
        check(counted=float("nan")),
        check(outcome="NoData"),
        check(outcome="Error"),
        check(through="soon"),
    ],
)
def test_what_nobody_knows_is_not_said(one: dict[str, Any]) -> None:
    assert left(model(check("other"), one)) is None


def test_a_trial_that_waits_for_something_else_has_none() -> None:
    paused = Paused(by="ada", since=before(minutes=1))
    for status in (
        canary(rollout=overlaid(OverlayKind.HOLDING, "no metrics")),
        canary(rollout=rollout(confirmed_at=None)),
        canary(rollout=rollout(confirmed_at=AT), paused=paused),
        canary(rollout=rollout(confirmed_at=AT, promoting=True)),
    ):
        assert left(model(check(), status=status)) is None


def test_both_commands_tell_it() -> None:
    waiting = model(check("errors", 1500))
    assert "waiting for errors, about 13m more" in drawn(view.live(waiting, NOW))
    said = " ".join(drawn(view.why(waiting, NOW)).split())
    assert "• step 2 of 3 in all: about 13m more at today's rate, until " in said
    assert ", for errors" in said
    early = model(check("errors", 1500), status=canary(rollout=rollout(confirmed_at=before(minutes=4))))
    assert "1m left of at least 5m, about 5m more for errors" in drawn(view.live(early, NOW))


def test_a_step_that_is_over_before_says_so() -> None:
    steps = [{"weight": w, "minDuration": "5m", "maxDuration": "12m"} for w in (5, 25, 50)]
    said = drawn(view.why(model(check(), strategy={"stages": [{"canary": {"steps": steps}}]}), NOW), 200)
    assert "about 5m more at today's rate" in said
    assert "which is more than the 2m that the step has left" in said


def test_estimates_are_rounded() -> None:
    assert doctest.testmod(module).failed == 0
