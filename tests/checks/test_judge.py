"""What the evidence says: fail as soon as it is sure, pass once it is, else say what is missing."""

from __future__ import annotations

import math
import random
import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.api.spec import Check, CheckPreset, Margin, MetricSource, Share, WorseWhen
from seatrial.api.status import Arms, CheckStatus, Outcome
from seatrial.core import checks
from seatrial.core.checks.gathering import gathered
from seatrial.core.checks.judging import requests_needed, seen_in
from seatrial.core.checks.terms import terms_of
from tests.checks.builders import ERRORS, INTERVAL, LATENCY, arms, begun, looked, situation
from tests.checks.world import T0

CLEAN = [arms((0, 0), (0, 285))] * 240
"""An hour in which stable made no errors."""
STEADY = [arms((0, 0), (3, 285))] * 240
"""An hour of 1 % errors that come one by one."""


def judge(looks: list[Arms], check: Check = ERRORS, *, past: list[Arms] = CLEAN, **where: Any) -> CheckStatus:
    have = looked(looks, check, past=past, **where)
    return checks.judge(check, have, situation(T0 + len(looks) * INTERVAL, **where))


@pytest.mark.parametrize(
    ("looks", "where", "outcome", "message"),
    [
        pytest.param(
            [arms((10, 10), (0, 1000))] * 2,
            {},
            Outcome.FAIL,
            "errors 100.00% vs 0.00% (20 of 20 vs 0 of 2,000) at this weight, more than 0.25 points worse (chance 1 in 1,300): fail",
            id="twenty-errors-in-twenty",
        ),
        pytest.param(
            [arms((60, 60), (0, 12))],
            {"settled": False},
            Outcome.FAIL,
            "errors 100.00% vs 0.00% (60 of 60 vs 0 of 12) at this weight, above the ceiling of 5.00% (chance 1 in 11,000): fail",
            id="one-look-is-enough-where-all-fails",
        ),
        pytest.param(
            [arms((30, 100))] * 3,
            {"concurrent": False},
            Outcome.FAIL,
            "errors 30.00% (90 of 300) at this weight, above the ceiling of 5.00% (chance 1 in 130): fail",
            id="ceiling-without-a-stable",
        ),
        pytest.param(
            [arms((3, 1000), (27, 9000))] * 12,
            {"last": True, "weight": 10.0, "past": [arms((0, 0), (3, 1000))] * 240},
            Outcome.PASS,
            "errors 0.30% vs 0.30% (36 of 12,000 vs 324 of 108,000), at most 0.25 points worse: pass",
            id="acceptance",
        ),
        pytest.param(
            [arms((0, 50), (0, 950))] * 8,
            {},
            Outcome.PASS,
            "errors 0.00% vs 0.00% (0 of 400 vs 0 of 7,600), at most 0.25 points worse in all at 5% weight: pass",
            id="exposure",
        ),
        pytest.param(
            [arms((0, 50), (0, 950))] * 5,
            {"last": True},
            Outcome.INCONCLUSIVE,
            "errors 0.00% vs 0.00% (0 of 250 vs 0 of 4,750): needs about 11,000 more requests, 53m20s at today's rate",
            id="the-same-evidence-does-not-accept",
        ),
        pytest.param(
            [arms((0, 40), (0, 1000))],
            {},
            Outcome.INCONCLUSIVE,
            "errors 0.00% vs 0.00% (0 of 40 vs 0 of 1,000): needs about 370 more requests, 2m20s at today's rate",
            id="too-few",
        ),
        pytest.param(
            [arms((0, 50), (0, 950))] * 8,
            {"settled": False},
            Outcome.INCONCLUSIVE,
            "errors 0.00% vs 0.00% (0 of 400 vs 0 of 7,600), at most 0.25 points worse in all at 5% weight: "
            "waits until the weight has been in force for two scrapes",
            id="not-settled",
        ),
        pytest.param(
            [arms((0, 0))],
            {},
            Outcome.INCONCLUSIVE,
            "errors 0.00% vs 0.00% (0 of 0 vs 0 of 0): needs 200 more requests of the 200 that a pass takes",
            id="nobody-came",
        ),
        pytest.param(
            [arms((0, 250))] * 4,
            {"concurrent": False, "weight": 100.0, "last": True},
            Outcome.PASS,
            "errors 0.00% (0 of 1,000), below the ceiling of 5.00%: pass",
            id="alone-the-ceiling-decides",
        ),
    ],
)  # fmt: skip
def test_verdicts_and_their_sentences(looks: list[Arms], where: dict[str, Any], outcome: Outcome, message: str) -> None:
    said = judge(looks, **where)
    assert (said.outcome, said.message) == (outcome, message)
    assert said.at == T0 + len(looks) * INTERVAL
    missing = re.search(r"needs (?:about )?([\d,]+) more", message)
    only_time = 0 if "two scrapes" in message else None
    assert said.needs == (int(missing[1].replace(",", "")) if missing else only_time)


def test_what_is_worse_than_the_margin_without_being_sure_cannot_pass() -> None:
    said = judge([arms((12, 1000), (5, 1000))] * 6, past=[arms((0, 0), (1, 200))] * 240, last=True, weight=50.0)
    assert said.outcome is Outcome.INCONCLUSIVE
    assert said.message.endswith("cannot pass at these shares, however many requests come")
    assert said.needs is None


def test_a_fresh_fault_fails_although_the_past_was_healthy() -> None:
    """An hour at 1 %, then 15 %: the whole is still close to 1 %, and the sentence tells of the last minutes."""
    hour = [arms((1, 100), (3, 285))] * 240
    said = judge([*hour, *[arms((15, 100), (3, 285))] * 3], past=STEADY)
    assert said.outcome is Outcome.FAIL
    assert "3.80% vs 1.05% (57 of 1,500 vs 45 of 4,275) in the last five minutes" in said.message


def test_a_fault_common_to_both_is_none_of_the_candidates() -> None:
    """A dependency fails for five minutes: half of all requests, whoever answers. The ceiling is set out of the way."""
    check = Check(name="errors", preset=CheckPreset.ERRORS, max="90%")
    calm, storm = arms((1, 100), (3, 285)), arms((50, 100), (142, 285))
    said = judge([*[calm] * 40, *[storm] * 20, *[calm] * 40], check, past=STEADY)
    assert said.outcome is Outcome.PASS


@pytest.mark.parametrize("looks", [4, 20])
def test_an_outage_of_stable_neither_delays_an_acceptance_for_hours_nor_makes_one(looks: int) -> None:
    """A candidate without errors is accepted half an hour later at most; one that is worse by twice the margin is not."""
    calm, outage = arms((0, 1500), (0, 1500)), arms((0, 1500), (1500, 1500))

    def passed_after(bad: int, limit: int) -> int | None:
        trial = [calm] * 2 + [outage] * looks + [calm] * limit
        trial = [arms((bad, 1500), (look.stable.events, 1500)) for look in trial]
        have = looked(trial[: 2 + looks], past=CLEAN, last=True, weight=50.0)
        for index, new in enumerate(trial[2 + looks :], 3 + looks):
            have = _more(have, new, index, last=True, weight=50.0)
            said = checks.judge(
                ERRORS,
                have.model_copy(update={"message": ""}),
                situation(T0 + index * INTERVAL, last=True, weight=50.0),
            )
            if said.outcome is Outcome.PASS:
                return index
        return None

    good = passed_after(0, 120)
    assert good is not None
    assert good - looks < 120
    assert passed_after(8, 60) is None


def test_errors_that_come_in_clumps_need_more_of_them() -> None:
    """The same 2 % on both sides of a test: in an hour of clumps of ten, twenty errors are two events."""
    clumpy = [arms((0, 0), (30 if index % 10 == 0 else 0, 285)) for index in range(240)]
    looks = [arms((6, 75), (3, 285))] * 8
    assert judge(looks, past=STEADY).outcome is Outcome.FAIL
    assert judge(looks, past=clumpy).outcome is Outcome.INCONCLUSIVE


def test_nothing_passes_while_it_looks_worse_of_late() -> None:
    """Accepted on its long past, were it not for the last look."""
    looks = [*[arms((5, 500), (5, 500))] * 60, arms((37, 500), (5, 500))]
    assert judge(looks[:-1], past=STEADY, last=True, weight=50.0).outcome is Outcome.PASS
    said = judge(looks, past=STEADY, last=True, weight=50.0)
    assert said.outcome is Outcome.INCONCLUSIVE
    assert "worse of late" in said.message


def test_the_more_checks_the_surer_each_has_to_be() -> None:
    looks = [arms((10, 10), (0, 1000))] * 2
    assert judge(looks, checks=1).outcome is Outcome.FAIL
    assert judge(looks, checks=16).outcome is Outcome.INCONCLUSIVE


def test_of_two_margins_the_stricter_counts() -> None:
    """2.2 % against 2 %, with 200,000 requests each."""
    past = [arms((0, 0), (100, 5000))] * 60

    def outcome(**margin: Any) -> Outcome:
        check = Check(name="errors", preset=CheckPreset.ERRORS, margin=Margin(**margin), max="50%")
        return judge([arms((110, 5000), (100, 5000))] * 40, check, past=past, last=True, weight=50.0).outcome

    assert outcome(points=Decimal("0.5")) is Outcome.PASS
    assert outcome(relative=Decimal(50)) is Outcome.PASS
    assert outcome(points=Decimal("0.02")) is not Outcome.PASS
    assert outcome(points=Decimal("0.5"), relative=Decimal(1)) is not Outcome.PASS, "0.25 points: the floor"


@pytest.mark.parametrize(
    ("worse_when", "shares", "outcome", "words"),
    [
        ("Lower", (0.15, 0.20), Outcome.FAIL, "more than 2.00 points lower"),
        ("Lower", (0.25, 0.20), Outcome.PASS, "at most 2.00 points lower"),
        ("Higher", (0.25, 0.20), Outcome.FAIL, "more than 2.00 points worse"),
        ("Higher", (0.15, 0.20), Outcome.PASS, "at most 2.00 points worse"),
        ("Either", (0.15, 0.20), Outcome.FAIL, "more than 2.00 points lower"),
        ("Either", (0.25, 0.20), Outcome.FAIL, "more than 2.00 points higher"),
        ("Either", (0.20, 0.20), Outcome.PASS, "at most 2.00 points away"),
    ],
)
def test_a_share_of_ones_own_is_worse_when_it_is_said_to_be(
    worse_when: str, shares: tuple[float, float], outcome: Outcome, words: str
) -> None:
    check = Check(
        name="blocked",
        share=Share(of='decisions_total{decision="block"}', per="decisions_total"),
        worse_when=WorseWhen(worse_when),
        margin=Margin(points=Decimal(2)),
    )
    look = arms((round(1000 * shares[0]), 1000), (round(1000 * shares[1]), 1000))
    past = [arms((0, 0), (200 + index % 3, 1000)) for index in range(60)]
    said = judge([look] * 25, check, past=past, last=True, weight=50.0)
    assert said.outcome is outcome
    assert said.message.startswith("blocked ")
    assert words in said.message


def test_a_relative_margin_is_of_stables_share_with_a_floor() -> None:
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
    beside = looked([arms((10, 1000), (10, 1000))] * 8, LATENCY, past=STEADY, last=True, weight=50.0)
    beside = beside.model_copy(update={"slower_than": "250"})
    said = checks.judge(LATENCY, beside, situation(T0 + 9 * INTERVAL, concurrent=False, weight=100.0, last=True))
    assert said.outcome is Outcome.PASS
    assert said.message.startswith("latency: slower than 250ms 1.00% vs 1.00% (80 of 8,000 vs 80 of 8,000)")


def test_without_stable_and_without_ceiling_a_person_is_told_to_set_one() -> None:
    said = judge([arms((20, 2000))], LATENCY, concurrent=False, weight=100.0, last=True)
    assert said.outcome is Outcome.INCONCLUSIVE
    assert "set max" in said.message


def test_what_could_not_be_counted_is_not_judged() -> None:
    stored = looked([arms((60, 60), (0, 1000))]).model_copy(
        update={"outcome": Outcome.NO_DATA, "message": "nothing there"}
    )
    assert checks.judge(ERRORS, stored, situation()) == stored


def test_a_caveat_stops_a_pass_and_not_a_failure() -> None:
    caveat = "pod p was last scraped 60 s ago"

    def outcome(looks: list[Arms]) -> CheckStatus:
        have = looked(looks, past=CLEAN).model_copy(update={"message": caveat})
        return checks.judge(ERRORS, have, situation(T0 + len(looks) * INTERVAL))

    good = outcome([arms((0, 500), (0, 5000))] * 5)
    assert (good.outcome, good.message) == (Outcome.NO_DATA, caveat)
    assert outcome([arms((60, 60), (0, 5000))]).outcome is Outcome.FAIL


def test_seconds_of_a_runtime_are_named_as_seconds() -> None:
    check = Check(name="p95", preset=CheckPreset.LATENCY)
    stored = looked([arms((0, 300), (0, 300))], check).model_copy(
        update={"source": MetricSource.RUNTIME, "slower_than": "0.25"}
    )
    assert checks.judge(check, stored, situation()).message.startswith("p95: slower than 0.25s 0.00% vs 0.00%")


@pytest.mark.parametrize("last", [True, False])
def test_the_number_of_missing_requests_is_enough_and_not_much_more(last: bool) -> None:
    """The promise, kept: with that many more requests at the same shares it passes, with a quarter less it does not."""
    weight = 50.0 if last else 20.0
    look = arms((2, 200), (2, 200)) if last else arms((1, 100), (4, 400))
    where: dict[str, Any] = {"last": last, "weight": weight, "confirmed_at": T0}
    begin = [look] * 2
    have = looked(begin, past=STEADY, **where)
    at = situation(T0 + 2 * INTERVAL, **where)
    seen = seen_in(have.trial if last else have.step)
    more = requests_needed(terms_of(ERRORS), have, seen, at, compare=True)
    assert more is not None
    wanted = max(math.ceil(more / look.candidate.total), 1)
    assert judge([*begin, *[look] * (wanted + 1)], past=STEADY, **where).outcome is Outcome.PASS
    if last:
        assert judge([*begin, *[look] * (wanted * 3 // 4)], past=STEADY, **where).outcome is Outcome.INCONCLUSIVE


def test_an_identical_candidate_is_not_sent_back_by_looking_often() -> None:
    """Forty trials of an hour; on the same numbers a plain test at 5 % per look cries wolf, which shows that there is a wolf."""
    naive = failed = 0
    for seed in range(40):
        draw = random.Random(seed)

        def some(mean: int, draw: random.Random = draw) -> tuple[int, int]:
            return sum(draw.random() < 0.01 for _ in range(mean)), mean

        looks = [arms(some(15), some(135)) for _ in range(240)]
        have, cried = begun(), False
        total = looked(looks[:1])
        for index in range(1, len(looks) + 1):
            total = (
                looked(looks[index - 1 : index], past=STEADY) if index == 1 else _more(total, looks[index - 1], index)
            )
            have = checks.judge(ERRORS, total, situation(T0 + index * INTERVAL))
            failed += have.outcome is Outcome.FAIL
            cried = cried or _z(total) > 1.645
        naive += cried
    assert failed == 0
    assert naive >= 8


def _more(stored: CheckStatus, new: Arms, index: int, **where: Any) -> CheckStatus:
    return gathered(stored, situation(T0 + index * INTERVAL, **where), new, terms_of(ERRORS))


def _z(stored: CheckStatus) -> float:
    seen = seen_in(stored.trial)
    pooled = (seen.events + seen.base_events) / (seen.total + seen.base_total)
    spread = math.sqrt(pooled * (1 - pooled) * (1 / seen.total + 1 / seen.base_total))
    return (seen.share - seen.base) / spread if spread > 0 else 0.0


@settings(max_examples=60)
@given(
    st.lists(st.tuples(*[st.integers(0, 3000), st.integers(0, 3000), st.integers(0, 10**6), st.integers(0, 10**6)]), max_size=6),
    st.booleans(),
    st.booleans(),
    st.sampled_from([0.0001, 5.0, 50.0, 100.0]),
)  # fmt: skip
def test_any_evidence_gets_a_verdict_that_status_can_hold(
    counts: list[tuple[int, int, int, int]], last: bool, concurrent: bool, weight: float
) -> None:
    looks = [arms((min(e, n), n), (min(b, m), m)) for e, b, n, m in counts]
    where: dict[str, Any] = {
        "last": last,
        "concurrent": concurrent,
        "weight": weight,
        "confirmed_at": T0 + timedelta(1),
    }
    said = judge(looks, past=[], **where)
    assert said.outcome in (Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE)
    assert CheckStatus.model_validate(said.wire()) == said
    if said.outcome is Outcome.PASS:
        assert sum(look.candidate.total for look in looks) >= 200


@given(st.integers(1, 100_000), st.integers(1, 100_000))
def test_equal_shares_never_fail_by_the_margin(total: int, base_total: int) -> None:
    look = arms((total // 50, total), (-(-base_total // 50), base_total))
    past = [arms((0, 0), (20, 1000))] * 20
    check = Check(name="errors", preset=CheckPreset.ERRORS, max="100%")
    assert judge([look], check, past=past).outcome is not Outcome.FAIL
