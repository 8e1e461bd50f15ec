"""Times of answers depend on how much a pod has to do: what that means for a verdict on them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.api.spec import Check, CheckPreset, Mean, Share
from seatrial.api.status import Arms, CheckStatus, Outcome, Tally
from seatrial.core import checks
from seatrial.core.checks import Arm
from seatrial.core.checks.forecast import Stable, decisions
from seatrial.core.checks.gathering import gathered
from seatrial.core.checks.load import as_slow_before
from seatrial.core.checks.terms import of_time, terms_of
from tests.checks.builders import CANDIDATE, ERRORS, INTERVAL, LATENCY, STABLE, arms, begun, looked, situation
from tests.checks.test_forecast import PLAN
from tests.checks.world import T0

STEADY = [arms((0, 0), (3, 285))] * 240
"""An hour in which 1 % of stable's answers were slow."""
BUSY = arms((0, 0), (500, 10_000)).stable
"""An hour in which 5 % were."""


def go_on(have: CheckStatus, looks: list[Arms], check: Check, since: int, **where: Any) -> CheckStatus:
    """More looks, and the verdict at the last one."""
    here = situation(**where)
    for index, new in enumerate(looks, since + 1):
        here = situation(T0 + index * INTERVAL, **where)
        have = gathered(have, here, new, terms_of(check))
    return checks.judge(check, have.model_copy(update={"outcome": Outcome.INCONCLUSIVE, "message": ""}), here)


# --- evidence per weight ------------------------------------------------------------------------------

LOW, HIGH = {"weight": 5.0}, {"weight": 50.0, "last": True}
LOOKS = st.lists(st.builds(lambda e, n: arms((min(e, n), n), (1, 150)), st.integers(0, 4), st.integers(1, 150)), min_size=1, max_size=12)  # fmt: skip


@pytest.mark.parametrize("preset", [CheckPreset.LATENCY, CheckPreset.FIRST_TOKEN, CheckPreset.INTER_TOKEN])
def test_a_healthy_time_at_a_lower_weight_does_not_pass_a_higher_one(preset: CheckPreset) -> None:
    """Errors of an hour at 5 % speak for the last step; times do not, and say so with the numbers of this weight."""
    hour, few = [arms((0, 300), (30, 3000))] * 240, [arms((0, 130), (1, 130))] * 2
    timed, counted = Check(name="latency", preset=preset), ERRORS
    after = {
        check.name: go_on(checks.restart(looked(hour, check, past=STEADY, **LOW), trial=False), few, check, 240, **HIGH)
        for check in (timed, counted)
    }
    assert after["errors"].outcome is Outcome.PASS
    assert "0 of 72,260" in after["errors"].message
    assert after["latency"].outcome is Outcome.INCONCLUSIVE
    assert "(0 of 260 vs 2 of 260): needs about " in after["latency"].message
    enough = go_on(after["latency"], [arms((1, 130), (1, 130))] * 60, timed, 242, **HIGH)
    assert enough.outcome is Outcome.PASS
    assert enough.message.endswith("at most 2.00 points worse at this weight: pass")


@given(LOOKS, LOOKS)
def test_what_speaks_for_the_candidate_is_of_this_weight_and_what_speaks_against_it_of_all(
    before: list[Arms], now: list[Arms]
) -> None:
    """Whatever came before, the evidence for a pass is that of this weight alone; the one for a failure forgets nothing."""
    low = looked(before, LATENCY, past=STEADY, **LOW)
    timed = checks.restart(low, trial=False)
    alone = timed.model_copy(update={"evidence": [low.evidence[0].model_copy(update={"step": [], "trial": []})]})
    carried, terms = timed, terms_of(LATENCY)
    for index, new in enumerate(now, len(before) + 1):
        here = situation(T0 + index * INTERVAL, **HIGH)
        timed, alone = (gathered(have, here, new, terms) for have in (timed, alone))
        carried = gathered(carried, here, new, replace(terms, carried=True))
    assert timed.evidence == alone.evidence
    (mine,), (all_of_it,) = timed.evidence, carried.evidence
    assert mine.trial == pytest.approx(
        [b - a for a, b in zip(low.evidence[0].trial, all_of_it.trial, strict=True)], abs=30
    )
    assert (mine.worse, mine.step) == (all_of_it.worse, all_of_it.step)


def test_before_the_first_look_at_a_weight_nothing_passes() -> None:
    """Even where one request would be enough."""
    hour = looked([arms((0, 300), (30, 3000))] * 240, LATENCY, past=STEADY, **LOW)
    said = checks.judge(
        LATENCY, checks.restart(hour, trial=False), situation(T0 + 241 * INTERVAL, min_samples=1, **HIGH)
    )
    assert said.outcome is Outcome.INCONCLUSIVE


def test_a_fault_that_was_found_at_a_lower_weight_stays_found() -> None:
    have = checks.restart(looked([arms((8, 100), (19, 1900))] * 20, LATENCY, past=STEADY, **LOW), trial=False)
    said = checks.judge(LATENCY, have, situation(T0 + 20 * INTERVAL, **HIGH))
    assert said.outcome is Outcome.FAIL


def test_the_forecast_knows_that_the_last_step_begins_anew() -> None:
    stable = Stable(100.0, 0.01, 1.0)
    carried = decisions(terms_of(LATENCY), stable, PLAN, INTERVAL, 200)
    errors = decisions(replace(terms_of(LATENCY), carried=True), stable, PLAN, INTERVAL, 200)
    assert [one.seconds for one in carried[:-1]] == [one.seconds for one in errors[:-1]]
    assert (carried[-1].seconds or 0.0) > (errors[-1].seconds or 0.0)


@pytest.mark.parametrize(
    ("of", "carried"),
    [('http_seconds_bucket{le="0.25"}', False), ("slow_seconds_total", True), ("score_bucket", True)],
)
def test_a_share_of_times_is_one_in_a_bucket(of: str, carried: bool) -> None:
    check = Check(name="own", share=Share(of=of, per="http_seconds_count"), margin=LATENCY.margin)
    assert terms_of(check).carried is carried


@pytest.mark.parametrize(
    ("of", "label", "timed"),
    [
        ("vllm:request_decode_time_seconds_sum", None, True),
        ('rest_server_request_duration_seconds_sum{path="x"}', None, True),
        ("nv_inference_request_duration_us", None, True),
        (":tensorflow:serving:request_latency_sum", None, True),
        ("shop_revenue_euros_total", "model_revision", False),
        ("shop_checkout_seconds_total", "model_revision", False),
        ("tokens_total", None, False),
    ],
)
def test_a_mean_of_times_is_known_by_its_name(of: str, label: str | None, timed: bool) -> None:
    """What another service takes is not the load of the model's pods."""
    assert of_time(Mean(of=of, per="requests_total", revision_label=label)) is timed


# --- like load ----------------------------------------------------------------------------------------


def at_half(
    slow: int, *, mine: int, theirs: int, past: Tally | None = BUSY, base: int = 10, **where: Any
) -> CheckStatus:
    """Twenty looks at a weight of 50 %: so many slow ones in a thousand of the candidate's, on so many ready pods."""
    pods = {"candidate": Arm(CANDIDATE, "b", ready=mine), "stable": Arm(STABLE, "a", ready=theirs)}
    looks, where = [arms((slow, 1000), (base, 1000))] * 20, {**HIGH, **pods, **where}
    have = begun(name="latency", past=past, pace=looked([], LATENCY, past=STEADY).pace)
    return go_on(have, looks, LATENCY, 0, **where)


def test_twice_the_load_and_as_slow_as_stable_was_under_it_is_no_failure() -> None:
    """Two pods against four at half the traffic: 5 % slow, as stable was when its pods answered as much."""
    said = at_half(50, mine=2, theirs=4)
    assert said.outcome is Outcome.INCONCLUSIVE
    assert said.message == (
        "latency: slower 5.00% vs 1.00% (1,000 of 20,000 vs 200 of 20,000): slower, but each of its pods answers 2 times as many "
        "requests as stable's, and it is not surely slower than stable was in the hour before the trial (5.00%): waits. With "
        "scale: Full at 50 %, or capacity: Shared, all pods have as much to do"
    )


def test_a_few_requests_are_not_called_slow() -> None:
    """Below minSamples nothing is said of the load."""
    said = at_half(50, mine=2, theirs=4, min_samples=50_000)
    assert said.message.endswith(
        "(1,000 of 20,000 vs 200 of 20,000): cannot pass at these shares, however many requests come"
    )


def test_what_was_seen_under_more_load_is_forgotten_once_it_is_alike() -> None:
    """Given as many pods as stable it is as quick, and passes; what spoke against it spoke of the load."""
    have = at_half(50, mine=2, theirs=4)
    pods = {"candidate": Arm(CANDIDATE, "b", ready=4), "stable": Arm(STABLE, "a", ready=4)}
    eased = go_on(have, [arms((11, 1000), (10, 1000))], LATENCY, 20, **HIGH, **pods)
    assert (eased.burdened, eased.step) == (None, arms((11, 1000), (10, 1000)))
    assert eased.trial == arms((1011, 21_000), (210, 21_000))
    said = go_on(eased, [arms((11, 1000), (10, 1000))] * 20, LATENCY, 21, **HIGH, **pods)
    assert said.outcome is Outcome.PASS


def test_a_load_about_a_quarter_higher_does_not_begin_anew_at_every_look() -> None:
    """One of five pods at a weight of 20 %: chance puts it on either side of the border."""
    pods = {"candidate": Arm(CANDIDATE, "b", ready=1), "stable": Arm(STABLE, "a", ready=5)}
    where = {"weight": 20.0, "last": True, **pods}
    have = begun(name="latency", past=BUSY, pace=looked([], LATENCY, past=STEADY).pace)
    looks = [arms((10, 1000 + (-100) ** (index % 2)), (40, 4000)) for index in range(40)]
    said = go_on(have, looks, LATENCY, 0, **where)
    assert said.outcome is Outcome.PASS
    assert said.step == said.trial


@given(st.lists(st.tuples(st.integers(0, 300), st.sampled_from([1, 2, 3, 4])), min_size=1, max_size=12))
def test_load_never_adds_to_what_speaks_for_a_failure(looks: list[tuple[int, int]]) -> None:
    """Whatever the pods: never more evidence than where nothing is known of them. So the promise of few false alarms holds."""
    plain = loaded = begun(name="latency", past=BUSY, pace=looked([], LATENCY, past=STEADY).pace)
    for index, (slow, ready) in enumerate(looks, 1):
        here, new = situation(T0 + index * INTERVAL, **HIGH), arms((slow, 1000), (10, 1000))
        known = replace(here, candidate=Arm(CANDIDATE, "b", ready=ready), stable=Arm(STABLE, "a", ready=4))
        plain, loaded = (gathered(have, at, new, terms_of(LATENCY)) for have, at in ((plain, here), (loaded, known)))
    rounding = 2 * len(looks)
    (mine,), (most,) = loaded.evidence, plain.evidence
    assert all(a <= b + rounding for a, b in zip(mine.worse, most.worse, strict=True))


@pytest.mark.parametrize(
    ("slow", "changes"),
    [
        pytest.param(120, {"mine": 2, "theirs": 4}, id="slower-than-stable-ever-was"),
        pytest.param(50, {"mine": 4, "theirs": 4}, id="like-load"),
        pytest.param(50, {"mine": 4, "theirs": 5}, id="loads-that-are-a-quarter-apart"),
        pytest.param(50, {"mine": 4, "theirs": 2}, id="less-load"),
        pytest.param(50, {"mine": 2, "theirs": 4, "past": None}, id="nothing-known-of-before"),
        pytest.param(
            50, {"mine": 2, "theirs": 4, "past": Tally(events=100, total=10_000)}, id="stable-was-quick-before"
        ),
        pytest.param(50, {"mine": 0, "theirs": 4}, id="no-pod-known-to-be-ready"),
    ],
)
def test_a_failure_that_load_does_not_explain_is_one(slow: int, changes: dict[str, Any]) -> None:
    assert at_half(slow, **changes).outcome is Outcome.FAIL


def test_a_ceiling_knows_no_excuse() -> None:
    check = LATENCY.model_copy(update={"max": "3%"})
    pods = {"candidate": Arm(CANDIDATE, "b", ready=2), "stable": Arm(STABLE, "a", ready=4)}
    have = begun(name="latency", past=BUSY, pace=looked([], LATENCY, past=STEADY).pace)
    said = go_on(have, [arms((50, 1000), (10, 1000))] * 20, check, 0, **HIGH, **pods)
    assert said.outcome is Outcome.FAIL
    assert "above the ceiling of 3.00%" in said.message


def test_a_pass_under_clearly_less_load_says_so() -> None:
    """One of three pods at 10 %: a pass, since there is nothing that could be waited for, and the sentence tells."""
    few = at_half(10, mine=4, theirs=2)
    assert few.outcome is Outcome.PASS
    assert few.message.endswith(
        "at most 2.00 points worse at this weight, where each of its pods answers 0.5 times as many requests as stable's: pass"
    )
    assert "each of its pods" not in at_half(10, mine=4, theirs=4).message


def test_the_hour_before_with_the_margin_is_the_limit() -> None:
    terms = terms_of(LATENCY)
    assert as_slow_before(Tally(events=50, total=1000), terms) == pytest.approx(0.07)
    assert as_slow_before(Tally(events=990, total=1000), terms) is None, "nothing is slower"
    assert as_slow_before(Tally(), terms) is None
    assert as_slow_before(None, terms) is None


def test_evidence_survives_a_restart_of_the_operator() -> None:
    have = at_half(50, mine=2, theirs=4)
    assert have.burdened
    assert CheckStatus.model_validate_json(have.model_dump_json(by_alias=True)) == have
