"""Checks on expected performance: which edges, exact counts by bin, and verdicts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest

from seatrial.api.spec import Check, OnFail
from seatrial.api.status import MOST_SCORE_BINS, CheckStatus, ExpectedStatus, Outcome, Status
from seatrial.core import checks, histograms
from seatrial.core.checks.judging import FALSE_ALARM
from seatrial.core.house import stricter
from seatrial.core.promql import Named
from seatrial.core.questions import Bucket, Counters, ExistsQuestion, Found, MetricAnswer, Missing, NoData, Series
from seatrial.core.statistics import drift
from seatrial.core.statistics import expected as statistics
from seatrial.core.statistics.expected import Bins
from tests.checks.builders import CANDIDATE, STABLE, begun, situation
from tests.checks.world import EPOCH, T0, at


def check_of(points: str = "20", on_fail: OnFail | None = OnFail.PAUSE, **asked: Any) -> Check:
    wire = {"name": "quality", "expected": {"histogram": "model_score", **asked}, "margin": {"points": points}}
    return Check.model_validate(wire | ({} if on_fail is None else {"onFail": str(on_fail)}))


QUALITY = check_of()
EDGES = [k / 10 for k in range(1, 10)]
MARKS = [f"{edge:g}" for edge in EDGES]
TENTHS = ExpectedStatus(marks=MARKS, inflation=1500)


def own(revision: str) -> dict[str, str]:
    name = f"fraud-{revision}-x"
    return {"namespace": "payments", "pod": name, "instance": f"{name}:8082", "job": "pods"}


def scraped(
    revision: str, times: Sequence[float], values: Sequence[Sequence[int]], edges: Sequence[float] = EDGES
) -> list[Series]:
    """A pod's classic histogram: counts by bucket at each scrape, not cumulative."""
    labels = own(revision)
    out = [Series({"__name__": "up", **labels}, tuple((EPOCH + t, 1.0) for t in times))]
    for index, le in enumerate((*(f"{edge:g}" for edge in edges), "+Inf")):
        samples = tuple((EPOCH + t, float(sum(row[: index + 1]))) for t, row in zip(times, values, strict=True))
        out.append(Series({"__name__": "model_score_bucket", "le": le, **labels}, samples))
    return out


def hour(step: Sequence[int], edges: Sequence[float] = EDGES) -> list[Series]:
    """Scrapes of stable a minute apart up to T0, with so many more predictions by bucket each minute."""
    times = [60.0 * (k - 60) - 10 for k in range(61)]
    return scraped(STABLE, times, [[k * count for count in step] for k in range(61)], edges)


def opened(past: Sequence[Series], check: Check = QUALITY) -> CheckStatus | checks.Refusal | checks.Hold:
    answers: dict[str, MetricAnswer] = {
        q.key: Found(1) if isinstance(q, ExistsQuestion) else Counters(tuple(past))
        for q in checks.opening_questions(check, situation(), {})
    }
    return checks.opening(check, situation(), {}, answers)


def bins_of(found: CheckStatus | checks.Refusal | checks.Hold) -> ExpectedStatus:
    assert isinstance(found, CheckStatus)
    assert found.expected is not None
    return found.expected


def refusal(found: CheckStatus | checks.Refusal | checks.Hold) -> str:
    assert isinstance(found, checks.Refusal)
    return found.message


# --- opening ------------------------------------------------------------------------------------------


def test_a_trial_begins_with_the_histograms_own_edges() -> None:
    found = bins_of(opened(hour([5] * 10)))
    assert (found.marks, found.blind, found.inflation) == (MARKS, "", 1500)


def test_edges_beyond_probabilities_are_left_out() -> None:
    """Prometheus' usual edges go on to 10."""
    found = bins_of(opened(hour([5, 5, 5, 5, 0, 0], [0.25, 0.5, 0.75, 1, 2.5]), check_of("30")))
    assert found.marks == ["0.25", "0.5", "0.75", "1"]


def test_a_threshold_between_two_edges_is_refused() -> None:
    said = refusal(opened(hour([5] * 10), check_of(threshold="0.37", on_fail=None)))
    assert said == (
        "the threshold 0.37 is no edge of model_score, so one of its buckets holds predictions of both sides: give the "
        "histogram an edge there (nearest: 0.3 and 0.4)"
    )


def test_edges_too_coarse_for_the_margin_are_refused_where_the_check_decides() -> None:
    """Tenths leave ten points of accuracy open."""
    said = refusal(opened(hour([5] * 10), check_of("5")))
    assert said.startswith(
        "model_score cannot show that a margin of 5 points is kept: for stable's last hour the buckets leave 10 points of "
        "expected accuracy open; give the histogram edges closer together where the scores are"
    )
    assert said.endswith("or let the check only warn")


def test_as_advice_they_are_told() -> None:
    assert bins_of(opened(hour([5] * 10), check_of("5", on_fail=None))).blind.startswith("cannot show that a margin")


def test_more_edges_than_status_holds_are_put_together_and_the_threshold_stays() -> None:
    edges = [round(k / 300, 6) for k in range(1, 300)]
    found = bins_of(opened(hour([5] * 300, edges), check_of("2")))
    assert len(found.marks) == MOST_SCORE_BINS - 1
    assert "0.5" in found.marks
    assert found.blind == ""


def test_it_waits_for_stable_to_have_predicted_enough() -> None:
    found = opened(hour([0] * 9 + [3]))
    assert isinstance(found, CheckStatus)
    assert found.expected is None
    judged = checks.judge(QUALITY, found, situation(at(15)))
    assert "begins once stable has made 200 predictions within an hour" in judged.message
    asked = checks.ask(QUALITY, found, situation(at(15)), {})
    assert [q.key for q in asked] == ["quality/candidate", "quality/stable", "quality/opening"]
    answers: dict[str, MetricAnswer] = {"quality/opening": Counters(tuple(hour([5] * 10)))}
    later = checks.fold(QUALITY, begun(None, "quality"), situation(T0), {}, answers)
    assert bins_of(later).marks == MARKS
    assert bins_of(later).candidate == []


def test_a_metric_that_is_not_there_is_refused_with_near_names() -> None:
    questions = checks.opening_questions(QUALITY, situation(), {})
    answers: dict[str, MetricAnswer] = {q.key: Missing(("model_scores_bucket",)) for q in questions}
    said = refusal(checks.opening(QUALITY, situation(), {}, answers))
    assert "has no predictions in the last hour" in said
    assert "nearest names: model_scores_bucket" in said


@pytest.mark.parametrize(
    ("histogram", "said"),
    [
        ("model_score_bucket", "write the histogram's name, model_score"),
        ("rate(x[5m])", "is no plain selector"),
    ],
)
def test_what_cannot_be_read_is_refused(histogram: str, said: str) -> None:
    assert said in refusal(checks.opening(check_of(histogram=histogram), situation(), {}, {}))


# --- counting -----------------------------------------------------------------------------------------


def folded(candidate: Sequence[Series], stable: Sequence[Series], have: CheckStatus | None = None) -> CheckStatus:
    answers: Mapping[str, MetricAnswer] = {
        "quality/candidate": Counters(tuple(candidate)),
        "quality/stable": Counters(tuple(stable)),
    }
    return checks.fold(QUALITY, have or begun(None, "quality", expected=TENTHS), situation(at(15)), {}, answers)


def test_both_arms_are_counted_by_bin() -> None:
    stored = folded(
        scraped(CANDIDATE, [-6, 10], [[7] * 10, [7] * 10]), scraped(STABLE, [-6, 10], [[1] * 10, [3] * 9 + [9]])
    )
    assert bins_of(stored).candidate == [0] * 10
    assert bins_of(stored).stable == [2] * 9 + [8]
    assert stored.through == at(15)


def native(samples: Sequence[tuple[float, Sequence[tuple[float, float, float]]]]) -> list[Series]:
    rows = [(t, tuple(Bucket(*bucket) for bucket in buckets)) for t, buckets in samples]
    counted = tuple((EPOCH + t, sum(bucket.count for bucket in buckets)) for t, buckets in rows)
    return [Series({"__name__": "model_score", **own(STABLE)}, counted, tuple(buckets for _, buckets in rows))]


def test_a_native_histogram_needs_no_edge_at_the_threshold_but_no_bucket_across_it() -> None:
    """Only buckets with something in them have edges: none ends at 0.5 here."""
    named, series = Named("model_score"), native([(0, [(0.25, 0.35, 4), (0.5, 0.71, 3)])])
    assert histograms.divides(series, named, 0.5)
    assert histograms.divides(series, named, 0.4)
    assert not histograms.divides(series, named, 0.6)
    past = native([(60.0 * (k - 60) - 10, [(0.25, 0.35, 4.0 * k), (0.5, 0.71, 3.0 * k)]) for k in range(61)])
    past.append(
        Series({"__name__": "up", **own(STABLE)}, tuple((EPOCH + 60.0 * (k - 60) - 10, 1.0) for k in range(61)))
    )
    assert bins_of(opened(past, check_of("40"))).marks == ["0.35", "0.5", "0.71"]


def test_one_arm_unanswered_leaves_both_alone() -> None:
    answers: Mapping[str, MetricAnswer] = {
        "quality/candidate": Counters(tuple(scraped(CANDIDATE, [-6, 10], [[1] * 10, [9] * 10]))),
        "quality/stable": NoData("nothing"),
    }
    stored = checks.fold(QUALITY, begun(None, "quality", expected=TENTHS), situation(at(15)), {}, answers)
    assert (stored.outcome, stored.expected, stored.through) == (Outcome.NO_DATA, TENTHS, T0)


# --- verdicts -----------------------------------------------------------------------------------------

SURE = [400, 100, 0, 0, 0, 0, 0, 0, 100, 400]
"""Accuracy 88 to 98 %."""
UNSURE = [0, 0, 0, 100, 400, 400, 100, 0, 0, 0]
"""Accuracy 52 to 62 %."""


def judged(
    candidate: Sequence[int], stable: Sequence[int], check: Check = QUALITY, times: int = 10, **changes: Any
) -> CheckStatus:
    where = {"confirmed_at": T0, **{k: v for k, v in changes.items() if k not in ("message", "expected")}}
    update = {"candidate": [times * n for n in candidate], "stable": [times * n for n in stable]}
    expected = changes.get("expected", TENTHS).model_copy(update=update)
    have = begun(None, "quality", expected=expected, through=at(60), message=changes.get("message", ""))
    return checks.judge(check, have, situation(at(60), **where))


def test_a_candidate_as_good_passes() -> None:
    status = judged(SURE, SURE)
    assert status.outcome is Outcome.PASS
    assert status.message == (
        "quality: expected accuracy 88.0–98.0 % vs 88.0–98.0 % (10,000 vs 10,000 predictions; assumes calibrated scores), "
        "surely at most 20 points lower: pass"
    )
    assert status.value == Decimal("0.93")


def test_a_candidate_surely_worse_fails() -> None:
    status = judged(UNSURE, SURE)
    assert status.outcome is Outcome.FAIL
    assert status.message == (
        "quality: expected accuracy 52.0–62.0 % vs 88.0–98.0 % (10,000 vs 10,000 predictions; assumes calibrated scores), "
        'surely more than 20 points lower: fail. If this is meant: seatrial accept fraud --check quality --reason "…"'
    )


def test_advice_is_not_to_be_accepted() -> None:
    assert judged(UNSURE, SURE, check_of("20", on_fail=None)).message.endswith("surely more than 20 points lower: fail")


def test_a_candidate_surely_better_passes() -> None:
    assert judged(SURE, UNSURE).outcome is Outcome.PASS


@pytest.mark.parametrize("metric", ["Precision", "Recall", "F1"])
def test_every_metric_is_judged_by_its_own_name(metric: str) -> None:
    check = check_of("20", metric=metric)
    worse = judged(UNSURE, SURE, check)
    assert worse.outcome is Outcome.FAIL
    assert f"expected {'F1' if metric == 'F1' else metric.lower()} " in worse.message
    assert judged(SURE, SURE, check, times=100).outcome is Outcome.PASS


def test_precision_counts_what_is_predicted_positive() -> None:
    low = [1000, *[0] * 8, 40]
    status = judged(low, low, check_of(metric="Precision"), times=1)
    assert "(40 vs 40 predictions above the threshold;" in status.message
    assert "needs about 2,900 more predictions" in status.message, "110 of them above the threshold"
    assert status.needs == 2900
    assert judged(low, low, times=1).outcome is Outcome.PASS


def test_another_threshold_is_another_metric() -> None:
    at_half, at_tenth = (judged(UNSURE, UNSURE, check_of(threshold=t)).value for t in ("0.5", "0.1"))
    assert at_half == Decimal("0.57")
    assert at_tenth == Decimal("0.5")


def test_too_few_predictions_say_how_many_and_how_long() -> None:
    status = judged(SURE, SURE, check_of("12"), times=1)
    assert status.outcome is Outcome.INCONCLUSIVE
    assert "needs about" in status.message
    assert "at today's rate" in status.message


def test_so_many_more_do_pass() -> None:
    """What is said to be missing is enough, and not ten times too much."""
    few = judged(SURE, SURE, check_of("12"), times=1)
    assert few.outcome is Outcome.INCONCLUSIVE
    more = int(few.message.split("needs about ")[1].split(" more")[0].replace(",", ""))
    assert judged(SURE, SURE, check_of("12"), times=1 + -(-more // 1000)).outcome is Outcome.PASS
    assert 1000 < more < 20_000


def test_where_the_bins_cannot_tell_it_is_said() -> None:
    """Ten points in each arm, and five are allowed."""
    status = judged(SURE, SURE, check_of("5"))
    assert status.outcome is Outcome.INCONCLUSIVE
    assert status.message.endswith(
        "the buckets leave 20 points of the difference open and the margin is 5 points, so they cannot tell: give the histogram "
        "edges closer together where the scores are, or widen the margin"
    )


def test_no_probability_is_told() -> None:
    have = ExpectedStatus(marks=["0.5", "1"], inflation=1500)
    status = judged([500, 490, 10], [500, 500, 0], check_of("60"), expected=have)
    assert "assumes calibrated scores, and 100 of the candidate's are above 1)" in status.message


def test_a_verdict_stands_until_the_sample_has_grown() -> None:
    passed = judged(SURE, SURE)
    assert passed.expected is not None
    again = judged(SURE, SURE, times=11, expected=passed.expected)
    assert (again.outcome, again.expected.looks if again.expected else 0) == (Outcome.PASS, 1)
    later = judged(SURE, SURE, times=13, expected=passed.expected)
    assert later.expected is not None
    assert later.expected.looks == 2


def test_more_checks_share_the_promise() -> None:
    assert judged(UNSURE, SURE, times=1).outcome is Outcome.FAIL
    assert judged(UNSURE, SURE, times=1, checks=10**60).outcome is Outcome.INCONCLUSIVE


def test_a_difference_that_is_allowed_is_no_failure() -> None:
    """Twenty-six points apart at the least, and thirty are allowed."""
    assert judged(UNSURE, SURE, check_of("25")).outcome is Outcome.FAIL
    assert judged(UNSURE, SURE, check_of("30")).outcome is Outcome.INCONCLUSIVE


def test_each_arm_is_wrong_with_half_of_a_looks_chance() -> None:
    """The verdict turns exactly where the bounds of both arms do."""
    bins, ends = Bins(tuple(EDGES), 0.5), set()
    for times in range(1, 13):
        ours, theirs = ([times * n for n in one] for one in (UNSURE, SURE))
        nats = drift.nats_of_look(FALSE_ALARM / 10**6, 1) + math.log(2.0)
        (_, most), (least, _) = (statistics.surely("Accuracy", bins, one, 1.5, nats) for one in (ours, theirs))
        fails = judged(UNSURE, SURE, times=times, checks=10**6).outcome is Outcome.FAIL
        assert fails == (most < least - 0.2), times
        ends.add(fails)
    assert ends == {False, True}


def test_a_pass_waits_for_samples_scrapes_and_every_pod() -> None:
    assert judged(SURE, SURE, min_samples=50_000).outcome is Outcome.INCONCLUSIVE
    assert "two scrapes" in judged(SURE, SURE, settled=False).message
    caveat = judged(SURE, SURE, message="pod x was last scraped 99 s ago")
    assert (caveat.outcome, caveat.message) == (Outcome.NO_DATA, "pod x was last scraped 99 s ago")


def test_without_stable_beside_it_nothing_is_compared() -> None:
    have = begun(None, "quality", expected=TENTHS)
    assert checks.ask(QUALITY, have, situation(at(15), concurrent=False), {}) == ()
    assert judged(SURE, SURE, concurrent=False).outcome is Outcome.INCONCLUSIVE
    assert checks.needs_control(QUALITY)
    next_step = checks.restart(judged(SURE, SURE), trial=False)
    assert next_step.expected is not None
    assert (next_step.expected.candidate, next_step.expected.looks) == ([], 1)
    assert checks.judge(QUALITY, next_step, situation(at(75), concurrent=False, last=True)).outcome is Outcome.PASS
    void = checks.restart(judged(SURE, SURE), trial=True)
    assert checks.judge(QUALITY, void, situation(at(75), concurrent=False, last=True)).outcome is Outcome.INCONCLUSIVE


def test_evidence_survives_a_restart_of_the_operator() -> None:
    status = judged(UNSURE, SURE)
    assert Status.model_validate(Status(checks=[status]).wire()).checks == [status]


@pytest.mark.parametrize("marks", [[], ["0.5", "0.1"], ["x"], ["0.4"], ["0.5", "7"], ["-1", "0.5"]])
def test_a_status_that_was_tampered_with_is_not_reckoned_with(marks: list[str]) -> None:
    have = TENTHS.model_copy(update={"marks": marks, "candidate": [5], "stable": [1, 2, 3]})
    status = checks.judge(QUALITY, begun(None, "quality", expected=have), situation(at(60)))
    assert "begins once stable has made 200 predictions" in status.message


# --- what a failure does ------------------------------------------------------------------------------


def test_it_is_advice_unless_the_user_says_otherwise() -> None:
    assert check_of(on_fail=None).failing is OnFail.WARN
    assert check_of(on_fail=OnFail.ROLLBACK).failing is OnFail.ROLLBACK


def test_the_stricter_of_two_has_the_smaller_margin_and_the_harder_failure() -> None:
    joined = stricter(check_of("5", on_fail=None), check_of("1", on_fail=OnFail.PAUSE))
    assert isinstance(joined, Check)
    assert joined.margin is not None
    assert (joined.margin.points, joined.failing) == (Decimal(1), OnFail.PAUSE)
    bare = Check.model_validate({"name": "quality", "expected": {"histogram": "model_score"}})
    usual = stricter(bare, check_of("9", on_fail=None))
    assert isinstance(usual, Check)
    assert usual.margin is not None
    assert usual.margin.points == Decimal(2)
    assert stricter(check_of(), check_of(metric="F1")) == "expected"
