"""How long a plan takes to decide: the forecast, held against the judge itself."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from seatrial.api.spec import Analysis, Canary, CanaryStep, Shadow, Stage, Strategy
from seatrial.api.status import Outcome
from seatrial.core import checks
from seatrial.core.checks.forecast import Growth, Stable, arrived, decisions, discovery, per_minute, told, warning
from seatrial.core.checks.gathering import gathered
from seatrial.core.checks.terms import terms_of
from seatrial.core.legs import legs
from tests.checks.builders import ERRORS, INTERVAL, arms, looked, situation
from tests.checks.world import T0

TERMS = terms_of(ERRORS)
PLAN = legs(Strategy())


def warned(rate: float, share: float, clump: float = 1.0) -> str:
    return warning("errors", TERMS, Stable(rate, share, clump), PLAN, INTERVAL, 200)


def test_a_busy_model_is_decided_in_time() -> None:
    assert warned(200.0, 0.01) == ""


def test_a_quiet_model_cannot_be_decided() -> None:
    assert warned(2 / 60, 0.01) == (
        "check errors: at 2 requests a minute, 1% of them bad, 5 % takes about 34h to pass a candidate as good as stable, "
        "and that step ends undecided after 24h; a rise from 1% to 5% would take 4d to find there: widen the margin, raise the weight, or give it more time"
    )


def test_a_slow_plan_is_told_which_step_takes_long() -> None:
    assert warned(20.0, 0.0001, 4.5) == (
        "check errors: at 1,200 requests a minute, 0.01% of them bad, 50 % takes about 16m to pass a candidate as good as "
        "stable, one in twenty more than 34m, and its minDuration is 5m; a rise from 0.01% to 4% would take 7m to find there: widen the margin, raise the weight, or give it more time"
    )


def test_nobody_comes() -> None:
    first, *rest = decisions(TERMS, Stable(0.0, 0.005, 4.5), PLAN, INTERVAL, 200)
    assert first.seconds is None
    assert first.late and not rest
    assert "would never pass" in warned(0.0, 0.005)


def test_copies_are_counted_beside_all_of_stables_requests() -> None:
    shadow = legs(Strategy(stages=[Stage(shadow=Shadow(percent=50))]))
    canary = legs(Strategy(stages=[Stage(canary=Canary(steps=[CanaryStep(weight=50)]))]))
    stable = Stable(20.0, 0.01, 1.0)
    (copied,), (served,) = (decisions(TERMS, stable, plan, INTERVAL, 200) for plan in (shadow, canary))
    assert copied.seconds is not None and served.seconds is not None
    assert copied.seconds < served.seconds


@pytest.mark.parametrize("share", [0.003, 0.01, 0.05])
def test_the_judge_keeps_the_forecast(share: float) -> None:
    """Thirty trials at half the weight: the median comes within a factor of 1.6, and all but two are over when they should be."""
    (leg,) = legs(Strategy(stages=[Stage(canary=Canary(steps=[CanaryStep(weight=50)]))]))
    (decided,) = decisions(TERMS, Stable(40.0, share, 1.0), [leg], INTERVAL, 200)
    assert decided.seconds is not None
    took = sorted(_looks_until(Outcome.PASS, share, share, seed, weight=50.0, last=True) for seed in range(31))
    assert decided.seconds / 1.6 <= took[15] * 15 <= decided.seconds * 1.6
    assert decided.longest is not None
    assert decided.longest / 2.5 <= took[28] * 15 <= decided.longest


def test_a_plan_is_slow_by_its_spread_not_by_its_average() -> None:
    """The same average: what comes one by one is over when it should be, rare large steps are not."""
    smooth, rough = Growth(0.1, 0.01), Growth(0.1, 1.0)
    assert arrived(smooth, 4.0, 41.0) > 0.5
    assert arrived(smooth, 4.0, 60.0) > 0.99
    assert arrived(rough, 4.0, 60.0) < 0.9


def test_what_came_in_the_last_two_minutes_does_not_call_a_plan_slow() -> None:
    """A clump in the last windows of the hour, or in its first ones: it is the same stable."""
    past = [arms((0, 0), (10 if index % 10 == 3 else 0, 300)) for index in range(240)]
    past[:8] = [arms((0, 0), (0, 300))] * 8
    told_of = [checks.forecast(ERRORS, looked([], past=windows), PLAN, Analysis()) for windows in (past, past[::-1])]
    assert told_of[0] == told_of[1] != ""


def test_the_judge_finds_what_is_plainly_worse_about_when_it_was_said() -> None:
    leg = PLAN[0]
    expected = discovery(TERMS, Stable(40.0, 0.01, 1.0), leg, INTERVAL, 1)
    assert expected is not None
    took = sorted(_looks_until(Outcome.FAIL, 0.01, 0.05, seed, weight=5.0) for seed in range(31))
    assert expected / 1.6 <= took[15] * 15 <= expected * 1.6


def _looks_until(outcome: Outcome, base: float, share: float, seed: int, *, weight: float, last: bool = False) -> int:
    draw = random.Random(seed)

    def some(mean: int, chance: float) -> tuple[int, int]:
        return sum(draw.random() < chance for _ in range(mean)), mean

    requests = 600
    mine = int(requests * weight / 100)
    have = looked([], past=[arms((0, 0), some(requests, base)) for _ in range(240)])
    for index in range(1, 2000):
        here = situation(T0 + index * INTERVAL, weight=weight, last=last)
        have = gathered(have, here, arms(some(mine, share), some(requests - mine, base)), TERMS)
        if checks.judge(ERRORS, have.model_copy(update={"message": ""}), here).outcome is outcome:
            return index
    return 2000


@pytest.mark.parametrize(
    ("seconds", "text"), [(8, "8s"), (119, "119s"), (121, "3m"), (7200, "2h"), (100_000, "28h"), (1_000_000, "12d")]
)
def test_times_have_no_more_precision_than_they_have(seconds: float, text: str) -> None:
    assert told(seconds) == text


def test_rates_are_told_by_the_minute() -> None:
    assert [per_minute(rate) for rate in (0.001, 0.5, 20.0)] == ["0.06", "30", "1,200"]
    assert timedelta(minutes=1) > INTERVAL
