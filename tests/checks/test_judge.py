"""What the evidence says: fail at once on what is known, pass on enough, else say what is missing."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.api.spec import Check, CheckPreset, Margin, MetricSource
from seatrial.api.status import Arms, CheckStatus, Outcome
from seatrial.core import checks
from tests.checks.builders import ERRORS, LATENCY, arms, begun, situation
from tests.checks.world import T0

NONE = arms((0, 0))


def judge(
    step: Arms, check: Check = ERRORS, *, trial: Arms | None = None, stored: dict[str, Any] | None = None, **where: Any
) -> CheckStatus:
    have = begun(name=check.name, step=step, trial=trial or step, recent=step, **(stored or {}))
    return checks.judge(check, have, situation(**where))


@pytest.mark.parametrize(
    ("step", "where", "outcome", "message"),
    [
        pytest.param(
            arms((10, 10), (3, 1000)),
            {},
            Outcome.FAIL,
            "errors 100.00% vs 0.30% (10 of 10 vs 3 of 1,000) at this weight, at least 39.50 points worse, margin 0.25 points: fail",
            id="ten-errors-in-ten",
        ),
        pytest.param(
            arms((10, 10), (0, 12)),
            {"settled": False},
            Outcome.FAIL,
            "errors 100.00% vs 0.00% (10 of 10 vs 0 of 12) at this weight, at least 19.41 points worse, margin 0.25 points: fail",
            id="unsettled-and-a-stable-with-few-requests",
        ),
        pytest.param(
            arms((30, 100)),
            {},
            Outcome.FAIL,
            "errors 30.00% (30 of 100) at this weight, at least 14.96%, ceiling 5.00%: fail",
            id="ceiling-without-a-stable",
        ),
        pytest.param(
            arms((38, 12410), (333, 111020)),
            {"last": True},
            Outcome.PASS,
            "errors 0.31% vs 0.30% (38 of 12,410 vs 333 of 111,020), at most 0.10 points worse (margin 0.25 points): pass",
            id="acceptance",
        ),
        pytest.param(
            arms((0, 250), (3, 10000)),
            {},
            Outcome.PASS,
            "errors 0.00% vs 0.03% (0 of 250 vs 3 of 10,000), at most 1.16 points worse, 0.06 points at 5% weight "
            "(margin 0.25 points): pass",
            id="exposure",
        ),
        pytest.param(
            arms((0, 250), (3, 10000)),
            {"last": True},
            Outcome.INCONCLUSIVE,
            "errors 0.00% vs 0.03% (0 of 250 vs 3 of 10,000), at most 1.16 points worse (margin 0.25 points): "
            "needs about 830 more requests",
            id="the-same-evidence-does-not-accept",
        ),
        pytest.param(
            arms((0, 40), (3, 1000)),
            {},
            Outcome.INCONCLUSIVE,
            "errors 0.00% vs 0.30% (0 of 40 vs 3 of 1,000), at most 6.92 points worse, 0.35 points at 5% weight "
            "(margin 0.25 points): needs 160 more requests of the 200 that a pass takes",
            id="too-few",
        ),
        pytest.param(
            arms((0, 250), (3, 10000)),
            {"settled": False},
            Outcome.INCONCLUSIVE,
            "errors 0.00% vs 0.03% (0 of 250 vs 3 of 10,000), at most 1.16 points worse, 0.06 points at 5% weight "
            "(margin 0.25 points): waits until the weight has been in force for two scrapes",
            id="not-settled",
        ),
        pytest.param(
            NONE,
            {},
            Outcome.INCONCLUSIVE,
            "errors 0.00% vs 0.00% (0 of 0 vs 0 of 0), at most 100.00 points worse, 5.00 points at 5% weight "
            "(margin 0.25 points): needs 200 more requests of the 200 that a pass takes",
            id="nobody-came",
        ),
        pytest.param(
            arms((24, 2000), (10, 2000)),
            {"last": True},
            Outcome.INCONCLUSIVE,
            "errors 1.20% vs 0.50% (24 of 2,000 vs 10 of 2,000), at most 1.23 points worse (margin 0.25 points): "
            "cannot pass at these shares, however many requests come",
            id="worse-than-the-margin-but-not-surely",
        ),
        pytest.param(
            arms((0, 300)),
            {"concurrent": False, "weight": 100.0, "last": True},
            Outcome.PASS,
            "errors 0.00% (0 of 300), at most 0.99% (ceiling 5.00%): pass",
            id="alone-the-ceiling-decides",
        ),
        pytest.param(
            arms((6, 300)),
            {"concurrent": False, "weight": 100.0, "last": True},
            Outcome.PASS,
            "errors 2.00% (6 of 300), at most 3.91% (ceiling 5.00%): pass",
            id="alone-relative-margins-cannot-act",
        ),
    ],
)  # fmt: skip
def test_verdicts_and_their_sentences(step: Arms, where: dict[str, Any], outcome: Outcome, message: str) -> None:
    said = judge(step, **where)
    assert (said.outcome, said.message) == (outcome, message)
    assert said.at == T0


def test_a_fresh_fault_fails_although_the_past_was_healthy() -> None:
    """An hour without errors, then 30 of 200: the whole is still at 0.12 %."""
    past = arms((0, 24_000), (240, 24_000))
    stored = begun(step=past, trial=past, recent=arms((30, 200), (2, 200)), previous=arms((0, 200), (2, 200)))
    said = checks.judge(ERRORS, stored, situation())
    assert said.outcome is Outcome.FAIL
    assert "15.00% vs 1.00% (30 of 200 vs 2 of 200) in the last five minutes" in said.message


def test_two_blocks_together_can_fail_where_one_cannot() -> None:
    half = arms((5, 200), (1, 2000))
    stored = begun(step=NONE, trial=NONE, recent=half, previous=half)
    assert "in the last ten minutes" in checks.judge(ERRORS, stored, situation()).message


def test_the_whole_trial_can_fail_where_no_step_can() -> None:
    stored = begun(step=NONE, recent=NONE, trial=arms((60, 2000), (30, 20_000)))
    assert "in the whole trial" in checks.judge(ERRORS, stored, situation()).message


def test_of_two_margins_the_stricter_counts() -> None:
    """2.2 % against 2 %, with 100,000 requests each."""
    step = arms((2200, 100_000), (2000, 100_000))

    def outcome(**margin: Any) -> Outcome:
        check = Check(name="errors", preset=CheckPreset.ERRORS, margin=Margin(**margin), max="50%")
        return judge(step, check, last=True).outcome

    assert outcome(points=Decimal("0.5")) is Outcome.PASS
    assert outcome(relative=Decimal(50)) is Outcome.PASS
    assert outcome(points=Decimal("0.02")) is Outcome.INCONCLUSIVE
    assert outcome(points=Decimal("0.5"), relative=Decimal(1)) is Outcome.INCONCLUSIVE, "0.25 points: the floor"


def test_a_relative_margin_is_of_stables_share_with_a_floor() -> None:
    from seatrial.core.checks.share import terms_of

    terms = terms_of(Check(name="e", preset=CheckPreset.ERRORS, margin=Margin(relative=Decimal(50))))
    assert terms.margin(0.10) == pytest.approx(0.05)
    assert terms.margin(0.0) == 0.0025
    both = terms_of(ERRORS)
    assert both.margin(0.10) == 0.005
    assert both.ceiling == 0.05
    assert terms_of(LATENCY).margin(0.5) == pytest.approx(0.02)
    assert terms_of(LATENCY).ceiling is None
    assert terms_of(Check(name="e", preset=CheckPreset.ERRORS, max="2%")).ceiling == 0.02


def test_at_full_weight_latency_is_accepted_on_what_was_seen_beside_stable() -> None:
    said = judge(
        arms((20, 2000)),
        LATENCY,
        trial=arms((40, 4000), (40, 4000)),
        concurrent=False,
        weight=100.0,
        last=True,
        stored={"slower_than": "250"},
    )
    assert said.outcome is Outcome.PASS
    assert said.message.startswith("latency: slower than 250ms 1.00% vs 1.00% (40 of 4,000 vs 40 of 4,000)")


def test_without_stable_and_without_ceiling_a_person_is_told_to_set_one() -> None:
    said = judge(arms((20, 2000)), LATENCY, concurrent=False, weight=100.0, last=True, stored={"slower_than": "0.25"})
    assert said.outcome is Outcome.INCONCLUSIVE
    assert "set max" in said.message


def test_what_could_not_be_counted_is_not_judged() -> None:
    stored = begun(step=arms((10, 10), (0, 1000)), outcome=Outcome.NO_DATA, message="nothing there")
    assert checks.judge(ERRORS, stored, situation()) == stored


def test_a_caveat_stops_a_pass_and_not_a_failure() -> None:
    caveat = "pod p was last scraped 60 s ago"
    good = begun(step=arms((0, 5000), (0, 50_000)), message=caveat)
    assert checks.judge(ERRORS, good, situation()).outcome is Outcome.NO_DATA
    assert checks.judge(ERRORS, good, situation()).message == caveat
    bad = begun(step=arms((10, 10), (0, 50_000)), message=caveat)
    assert checks.judge(ERRORS, bad, situation()).outcome is Outcome.FAIL


def test_seconds_of_a_runtime_are_named_as_seconds() -> None:
    stored = begun(MetricSource.RUNTIME, "p95", slower_than="0.25", step=arms((0, 300), (0, 300)))
    check = Check(name="p95", preset=CheckPreset.LATENCY)
    assert checks.judge(check, stored, situation()).message.startswith("p95: slower than 0.25s 0.00% vs 0.00%")


def test_the_number_of_missing_requests_is_enough_and_not_much_more() -> None:
    """The promise, kept: with that many more requests at the same shares it passes, with 10 % fewer it does not."""
    from seatrial.core.checks.share import _Evidence, requests_needed, terms_of

    seen = _Evidence(4, 400, 8, 800)
    more = requests_needed(terms_of(ERRORS), seen, 1.0, 1.0)
    assert more is not None

    def outcome(extra: float) -> Outcome:
        n, m = round(400 + extra), round(800 + extra)
        return judge(arms((round(n / 100), n), (round(m / 100), m)), last=True, weight=50.0).outcome

    assert outcome(more * 1.01) is Outcome.PASS
    assert outcome(more * 0.9) is Outcome.INCONCLUSIVE


@given(
    st.integers(0, 3000),
    st.integers(0, 3000),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.booleans(),
    st.booleans(),
)
def test_any_evidence_gets_a_verdict_that_status_can_hold(
    events: int, base_events: int, total: int, base_total: int, last: bool, concurrent: bool
) -> None:
    step = arms((min(events, total), total), (min(base_events, base_total), base_total))
    said = judge(step, last=last, concurrent=concurrent, now=T0 + timedelta(seconds=1))
    assert said.outcome in (Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE)
    assert CheckStatus.model_validate(said.wire()) == said
    if said.outcome is Outcome.PASS:
        assert total >= 200


@given(st.integers(1, 100_000), st.integers(1, 100_000))
def test_equal_shares_never_fail_by_the_margin(total: int, base_total: int) -> None:
    step = arms((total // 50, total), (-(-base_total // 50), base_total))
    assert judge(step).outcome is not Outcome.FAIL
