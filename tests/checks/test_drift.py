"""Drift checks: bins, exact counts by bin, and verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest

from seatrial.api.spec import Check, OnFail
from seatrial.api.status import CheckStatus, DriftStatus, Outcome
from seatrial.core import bins, checks, counters, histograms
from seatrial.core.promql import Named
from seatrial.core.questions import (
    Bucket,
    CounterQuestion,
    Counters,
    ExistsQuestion,
    Found,
    MetricAnswer,
    Missing,
    NoData,
    Series,
)
from tests.checks.builders import CANDIDATE, STABLE, begun, situation
from tests.checks.world import EPOCH, T0, at

SCORES = Check.model_validate({"name": "scores", "drift": {"histogram": "model_score"}})
CLASSES = Check.model_validate(
    {"name": "classes", "drift": {"classes": "decisions_total", "by": "decision", "statistic": "JS"}}
)
EDGES = [round(number / 20, 2) for number in range(1, 20)]
EVEN = [100] * 20
"""Scores spread evenly over the twenty buckets."""
Times = Sequence[float]


def own(revision: str, pod: str = "x", **more: str) -> dict[str, str]:
    name = f"fraud-{revision}-{pod}"
    return {"namespace": "payments", "pod": name, "instance": f"{name}:8082", "job": "pods", **more}


def scraped(revision: str, times: Times, values: Sequence[Sequence[int]], pod: str = "x", **more: str) -> list[Series]:
    """A pod's classic histogram: counts by bucket at each scrape, not cumulative."""
    labels = own(revision, pod, **more)
    out = [Series({"__name__": "up", **labels}, tuple((EPOCH + t, 1.0) for t in times))]
    for index, le in enumerate((*map(str, EDGES), "+Inf")):
        samples = tuple((EPOCH + t, float(sum(row[: index + 1]))) for t, row in zip(times, values, strict=True))
        out.append(Series({"__name__": "model_score_bucket", "le": le, **labels}, samples))
    return out


def opened(past: list[Series], check: Check = SCORES, **changes: Any) -> Any:
    where = situation(**changes)
    questions = checks.opening_questions(check, where, {})
    answers: dict[str, MetricAnswer] = {
        q.key: Found(1) if isinstance(q, ExistsQuestion) else Counters(tuple(past)) for q in questions
    }
    return checks.opening(check, where, {}, answers)


def hour(step: Sequence[int], revision: str = STABLE, minutes: int = 60) -> list[Series]:
    """Scrapes a minute apart up to T0, with so many more predictions by bucket each minute."""
    times = [60.0 * (k - minutes) - 10 for k in range(minutes + 1)]
    return scraped(revision, times, [[k * count for count in step] for k in range(minutes + 1)])


def test_bins_hold_a_tenth_each_and_the_tails_their_own() -> None:
    """A hundred fine buckets of equal mass, and two of 0.9 % and 0.1 % on top."""
    edges = {k / 100: f"{k / 100:g}" for k in range(1, 102)}
    counts = [990] * 100 + [891, 99]
    counts[-2:] = [900, 100]
    frozen = bins.of_histogram(edges, counts)
    assert isinstance(frozen, bins.Frozen)
    assert frozen.marks == ("0.11", "0.22", "0.33", "0.44", "0.55", "0.66", "0.77", "0.88", "1", "1.01")
    assert frozen.blind == ""


def test_buckets_that_cannot_show_the_top_say_so() -> None:
    frozen = bins.of_histogram({edge: f"{edge:g}" for edge in EDGES}, EVEN)
    assert isinstance(frozen, bins.Frozen)
    assert len(frozen.marks) == 9
    assert frozen.blind.startswith(
        "cannot see the top 1 %: the last edge with predictions above it is 0.95, and 5.00% of stable's are above it; "
        "give the histogram finer buckets there, or add a share check of the decisions beside it"
    )


def test_no_bin_is_empty_for_stable() -> None:
    edges = {edge: f"{edge:g}" for edge in EDGES}
    for counts in ([0] * 8 + [100] * 4 + [0] * 8, [40] * 10 + [0] * 10, [0] * 17 + [100] * 3):
        frozen = bins.of_histogram(edges, counts)
        assert isinstance(frozen, bins.Frozen)
        cuts = [float(mark) for mark in frozen.marks]
        held = [0] * (len(cuts) + 1)
        for index, count in enumerate(counts):
            edge = EDGES[index] if index < len(EDGES) else 99.0
            held[sum(cut < edge for cut in cuts)] += count
        assert min(held) > 0


def test_web_latency_buckets_on_scores_are_refused_with_what_to_do() -> None:
    """Default buckets, 0.005 to 10, on scores of which nearly all are above 0.5."""
    edges = {edge: f"{edge:g}" for edge in (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 10)}
    refused = bins.of_histogram(edges, [0, 0, 1, 2, 5, 8, 14, 400, 570, 0, 0, 0, 0])
    assert isinstance(refused, str)
    assert refused.startswith(
        "97.0% of stable's 1,000 predictions of the last hour lie in 0.5–0.75 (40.0%) and 0.75–1 (57.0%)"
    )
    assert "give the histogram edges where the predictions are" in refused


def test_classes_have_bins_the_rare_ones_together() -> None:
    frozen = bins.of_classes({"pass": 900, "block": 80, "review": 20, "odd": 2, "": 9})
    assert frozen.marks == ("pass", "block", "review")
    many = bins.of_classes({f"c{k:02}": 1000 - k for k in range(60)})
    assert many.marks == tuple(f"c{k:02}" for k in range(23))


def test_a_trial_begins_with_bins_of_stables_last_hour() -> None:
    status = opened(hour([5] * 20))
    assert isinstance(status, CheckStatus)
    assert status.drift is not None
    assert status.drift.marks == ["0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9"]
    assert status.drift.inflation == 1500


def test_a_metric_that_is_not_there_is_refused_with_near_names() -> None:
    questions = checks.opening_questions(SCORES, situation(), {})
    exist = [q for q in questions if isinstance(q, ExistsQuestion)]
    assert [q.selector for q in exist] == [
        f'{{__name__="model_score",namespace="payments",pod=~"fraud-{STABLE}-.*"}}',
        f'{{__name__="model_score_bucket",namespace="payments",pod=~"fraud-{STABLE}-.*"}}',
    ]
    answers: dict[str, MetricAnswer] = {q.key: Missing(("model_scores_bucket",)) for q in exist}
    refused = checks.opening(SCORES, situation(), {}, answers)
    assert isinstance(refused, checks.Refusal)
    assert f"stable revision {STABLE} has no predictions in the last hour" in refused.message
    assert "nearest names: model_scores_bucket" in refused.message


@pytest.mark.parametrize(
    ("drift", "said"),
    [
        ({"histogram": "model_score_bucket"}, "write the histogram's name, model_score"),
        ({"histogram": "rate(x[5m])"}, "is no plain selector"),
    ],
)
def test_what_cannot_be_read_is_refused(drift: dict[str, str], said: str) -> None:
    refused = checks.opening(Check.model_validate({"name": "c", "drift": drift}), situation(), {}, {})
    assert isinstance(refused, checks.Refusal)
    assert said in refused.message


def test_a_failed_drift_check_pauses_unless_it_is_to_go_back() -> None:
    assert SCORES.failing is OnFail.PAUSE
    assert SCORES.model_copy(update={"on_fail": OnFail.ROLLBACK}).failing is OnFail.ROLLBACK
    assert Check.model_validate({"name": "e", "preset": "Errors"}).failing is OnFail.ROLLBACK


def test_bins_wait_for_stable_to_have_predicted_enough() -> None:
    status = opened(hour([0] * 19 + [3]))
    assert status.drift is None
    folded = checks.fold(SCORES, begun(None, "scores"), situation(at(15)), {}, {"scores/opening": Counters(())})
    judged = checks.judge(SCORES, folded, situation(at(15)))
    assert judged.outcome is Outcome.INCONCLUSIVE
    assert "bins are chosen once stable has made 200 predictions within an hour" in judged.message
    asked = checks.ask(SCORES, begun(None, "scores"), situation(at(15)), {})
    past = next(q for q in asked if q.key == "scores/opening")
    assert isinstance(past, CounterQuestion)
    assert past.end - past.start == timedelta(hours=1)


TEN = DriftStatus(marks=["0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9"], inflation=1500)


def folded(
    candidate: list[Series], stable: list[Series], have: CheckStatus | None = None, check: Check = SCORES
) -> Any:
    answers: Mapping[str, MetricAnswer] = {
        f"{check.name}/candidate": Counters(tuple(candidate)),
        f"{check.name}/stable": Counters(tuple(stable)),
    }
    return checks.fold(check, have or begun(None, check.name, drift=TEN), situation(at(15)), {}, answers)


def test_both_arms_are_counted_by_bin() -> None:
    stored = folded(
        scraped(CANDIDATE, [-6, 10], [[7] * 20, [7] * 20]), scraped(STABLE, [-6, 10], [[1] * 20, [3] * 18 + [2, 9]])
    )
    assert stored.drift.candidate == [0] * 10
    assert stored.drift.stable == [4] * 9 + [9]
    assert stored.through == at(15)


def test_a_restart_that_the_total_hides_is_seen_in_one_bin() -> None:
    """40 in the first bucket, then a restart, then 60 in the last one: 60 were counted since, and not 20."""
    low, high = [40] + [0] * 19, [0] * 19 + [60]
    stored = folded(scraped(CANDIDATE, [-6, 10], [low, high]), scraped(STABLE, [-6, 10], [EVEN, EVEN]))
    assert stored.drift.candidate == [0] * 9 + [60]


def test_pods_come_and_go() -> None:
    """One leaves, one is born and scraped late; the first one's last scrape counts."""
    gone = scraped(CANDIDATE, [-6, 5], [[0] * 20, [1] * 20], pod="gone")
    new = scraped(CANDIDATE, [11], [[2] * 20], pod="new")
    answers: Mapping[str, MetricAnswer] = {
        "scores/candidate": Counters((*gone, *new)),
        "scores/stable": Counters(tuple(scraped(STABLE, [-6, 10], [EVEN, EVEN]))),
    }
    arm = checks.Arm(CANDIDATE, "b", pods={f"fraud-{CANDIDATE}-new": at(3)})
    stored = checks.fold(SCORES, begun(None, "scores", drift=TEN), situation(at(15), candidate=arm), {}, answers)
    assert stored.drift is not None
    assert stored.drift.candidate == [6] * 10


def test_a_gap_in_scrapes_is_counted_when_it_ends() -> None:
    first = folded(scraped(CANDIDATE, [-6], [EVEN]), scraped(STABLE, [-6, 10], [EVEN, EVEN]))
    assert first.drift.candidate == [0] * 10
    answers: Mapping[str, MetricAnswer] = {
        "scores/candidate": Counters(tuple(scraped(CANDIDATE, [-6, 65], [EVEN, [103] * 20]))),
        "scores/stable": Counters(tuple(scraped(STABLE, [-6, 65], [EVEN, EVEN]))),
    }
    stored = checks.fold(SCORES, first, situation(at(70)), {}, answers)
    assert stored.drift is not None
    assert stored.drift.candidate == [6] * 10


def test_buckets_that_lack_a_cut_are_an_error() -> None:
    other = [one for one in scraped(CANDIDATE, [-6, 10], [EVEN, EVEN]) if one.labels.get("le") != "0.5"]
    stored = folded(other, scraped(STABLE, [-6, 10], [EVEN, EVEN]))
    assert stored.outcome is Outcome.ERROR
    assert "has no bucket with the edge 0.5" in stored.message
    assert stored.through == T0


def test_one_arm_unanswered_leaves_both_alone() -> None:
    answers: Mapping[str, MetricAnswer] = {
        "scores/candidate": Counters(tuple(scraped(CANDIDATE, [-6, 10], [EVEN, [200] * 20]))),
        "scores/stable": NoData("nothing"),
    }
    stored = checks.fold(SCORES, begun(None, "scores", drift=TEN), situation(at(15)), {}, answers)
    assert (stored.outcome, stored.drift, stored.through) == (Outcome.NO_DATA, TEN, T0)


def test_matchers_choose_the_series() -> None:
    check = Check.model_validate({"name": "scores", "drift": {"histogram": 'model_score{model="a"}'}})
    mine = scraped(CANDIDATE, [-6, 10], [[0] * 20, [1] * 20], model="a")
    theirs = scraped(CANDIDATE, [-6, 10], [[0] * 20, [5] * 20], model="b")
    stable = scraped(STABLE, [-6, 10], [EVEN, EVEN], model="a")
    assert folded([*mine, *theirs], stable, check=check).drift.candidate == [2] * 10


def test_another_spelling_of_an_edge_is_the_same_edge() -> None:
    """Prometheus 3 writes 1.0 where 2 kept 1."""
    series = [
        Series(
            {**one.labels, "le": f"{one.labels['le']}0"} if one.labels.get("le", "+Inf") != "+Inf" else one.labels,
            one.samples,
        )
        for one in scraped(CANDIDATE, [-6, 10], [[0] * 20, [1] * 20])
    ]
    assert folded(series, scraped(STABLE, [-6, 10], [EVEN, EVEN])).drift.candidate == [2] * 10


# --- native histograms --------------------------------------------------------------------------------


def native(revision: str, samples: Sequence[tuple[float, Sequence[tuple[float, float, float]]]]) -> list[Series]:
    """(time, (left, right, count)…) of one pod."""
    labels = {"__name__": "model_score", **own(revision)}
    rows = [(t, tuple(Bucket(*bucket) for bucket in buckets)) for t, buckets in samples]
    counted = tuple((EPOCH + t, sum(bucket.count for bucket in buckets)) for t, buckets in rows)
    return [Series(labels, counted, tuple(buckets for _, buckets in rows))]


def test_native_buckets_are_counted_in_the_same_bins() -> None:
    named = Named("model_score")
    series = native(CANDIDATE, [(-6, [(0.25, 0.5, 4)]), (10, [(0.25, 0.5, 6), (0.5, 0.75, 3), (0.75, 1.0, 1)])])
    assert sorted(histograms.edges(series, named)) == [0.5, 0.75, 1.0]
    rows = histograms.rows(series, named, [0.5, 0.75])
    assert not isinstance(rows, NoData)
    seen = counters.scrapes(series)
    assert histograms.count(rows, 3, EPOCH, EPOCH + 15, seen, {}) == [2, 3, 1]


def test_native_buckets_that_grew_coarser_are_an_error() -> None:
    series = native(CANDIDATE, [(-6, [(0.25, 0.5, 4)]), (10, [(0.25, 0.75, 9)])])
    assert sorted(histograms.edges(series, Named("model_score"))) == [0.75]
    found = histograms.rows(series, Named("model_score"), [0.5])
    assert isinstance(found, NoData)
    assert "have become coarser" in found.message


# --- classes ------------------------------------------------------------------------------------------


def decided(revision: str, **counts: tuple[int, int]) -> list[Series]:
    labels = own(revision)
    out = [Series({"__name__": "up", **labels}, ((EPOCH - 6, 1.0), (EPOCH + 10, 1.0)))]
    for decision, (before, after) in counts.items():
        samples = ((EPOCH - 6, float(before)), (EPOCH + 10, float(after)))
        name = {"__name__": "decisions_total", "decision": decision}
        out.append(Series({**name, **labels}, samples if before else samples[1:]))
    return out


def test_a_trial_begins_with_stables_classes() -> None:
    times = [60.0 * k - 3610 for k in range(61)]
    past = [Series({"__name__": "up", **own(STABLE)}, tuple((EPOCH + t, 1.0) for t in times))]
    for name, a_minute in (("pass", 20), ("block", 5), ("odd", 0)):
        samples = tuple((EPOCH + t, float(k * a_minute)) for k, t in enumerate(times))
        past.append(Series({"__name__": "decisions_total", "decision": name, **own(STABLE)}, samples))
    status = opened(past, CLASSES)
    assert isinstance(status, CheckStatus)
    assert status.drift is not None
    assert status.drift.marks == ["pass", "block"]
    assert status.drift.inflation == 1500


def test_a_class_that_stable_never_had_is_one_of_the_others() -> None:
    have = begun(None, "classes", drift=DriftStatus(marks=["pass", "block"], inflation=1500))
    stored = folded(
        decided(CANDIDATE, **{"pass": (10, 60), "block": (5, 9), "new": (0, 3)}),
        decided(STABLE, **{"pass": (10, 110), "block": (5, 15)}),
        have,
        CLASSES,
    )
    assert stored.drift.candidate == [50, 4, 3]
    assert stored.drift.stable == [100, 10, 0]


# --- verdicts -----------------------------------------------------------------------------------------


def judged(candidate: list[int], stable: list[int], check: Check = SCORES, **changes: Any) -> CheckStatus:
    where = {"confirmed_at": T0, **{k: v for k, v in changes.items() if k not in ("message", "drift")}}
    drift = changes.get("drift", TEN).model_copy(update={"candidate": candidate, "stable": stable})
    have = begun(None, check.name, drift=drift, through=at(60), message=changes.get("message", ""))
    return checks.judge(check, have, situation(at(60), **where))


def test_the_same_distribution_passes_once_it_is_sure() -> None:
    status = judged([300] * 10, [3000] * 10)
    assert status.outcome is Outcome.PASS
    assert status.message == (
        "scores: PSI 0.000 (≤ 0.1: 10.0 % → 10.0 %; 30,000 → 3,000 predictions), surely less than 0.25: pass"
    )
    assert status.value is not None


def test_a_sure_difference_fails_and_names_the_bin_that_moved_most() -> None:
    status = judged([200] * 9 + [2000], [3000] * 10)
    assert status.outcome is Outcome.FAIL
    assert "> 0.9: 10.0 % → 52.6 %; 30,000 → 3,800 predictions), surely more than 0.25: fail" in status.message
    assert "seatrial accept fraud --check scores" in status.message
    assert status.drift is not None
    assert status.drift.looks == 1


def test_too_few_predictions_say_how_many_and_how_long() -> None:
    """Sixty seconds at 100 predictions a minute."""
    status = judged([10] * 10, [1000] * 10)
    assert status.outcome is Outcome.INCONCLUSIVE
    assert "needs about" in status.message
    assert "more predictions, " in status.message
    assert "at today's rate" in status.message
    assert f"needs about {status.needs:,} more" in status.message
    assert status.drift is not None
    assert status.drift.looks == 0


def test_a_hundred_of_each_decide_nothing_however_far_apart_they_look() -> None:
    """Two samples of 100 of one distribution have a PSI above 0.1 in 85 of 100 cases."""
    status = judged([4, 16, 8, 12, 10, 6, 14, 12, 9, 9], [10, 8, 14, 9, 11, 12, 6, 10, 12, 8])
    assert status.value is not None
    assert status.value > 0.1
    assert status.outcome is Outcome.INCONCLUSIVE


def test_a_verdict_stands_until_the_sample_has_grown() -> None:
    passed = judged([300] * 10, [3000] * 10)
    assert passed.drift is not None
    again = judged([301] * 10, [3001] * 10, drift=passed.drift)
    assert (again.outcome, again.drift.looks if again.drift else 0) == (Outcome.PASS, 1)
    later = judged([400] * 10, [4000] * 10, drift=passed.drift)
    assert later.drift is not None
    assert later.drift.looks == 2


def test_more_checks_share_the_promise() -> None:
    """What surely differs for one check alone is not sure enough for one of 10,000."""
    counts = ([60] * 9 + [350], [2000] * 10)
    assert judged(*counts).outcome is Outcome.FAIL
    assert judged(*counts, checks=10**9).outcome is Outcome.INCONCLUSIVE


def test_a_pass_waits_for_samples_scrapes_and_every_pod() -> None:
    assert judged([300] * 10, [3000] * 10, min_samples=5000).outcome is Outcome.INCONCLUSIVE
    assert "two scrapes" in judged([300] * 10, [3000] * 10, settled=False).message
    caveat = judged([300] * 10, [3000] * 10, message="pod x was last scraped 99 s ago")
    assert (caveat.outcome, caveat.message) == (Outcome.NO_DATA, "pod x was last scraped 99 s ago")


def test_a_pass_says_what_it_cannot_see() -> None:
    blind = TEN.model_copy(update={"blind": "cannot see the top 1 %: too coarse"})
    assert judged([300] * 10, [3000] * 10, drift=blind).message.endswith("pass; it cannot see the top 1 %: too coarse")


def test_without_stable_beside_it_nothing_is_compared() -> None:
    assert checks.ask(SCORES, begun(None, "scores", drift=TEN), situation(at(15), concurrent=False), {}) == ()
    alone = judged([300] * 10, [3000] * 10, concurrent=False)
    assert alone.outcome is Outcome.INCONCLUSIVE
    assert checks.needs_control(SCORES)
    passed = judged([300] * 10, [3000] * 10)
    next_step = checks.restart(passed, trial=False)
    assert checks.judge(SCORES, next_step, situation(at(75), concurrent=False, last=True)).outcome is Outcome.PASS
    assert checks.judge(SCORES, next_step, situation(at(75))).outcome is Outcome.INCONCLUSIVE


def test_a_new_step_keeps_the_bins_and_what_was_spent() -> None:
    passed = judged([300] * 10, [3000] * 10)
    for trial in (False, True):
        have = checks.restart(passed, trial=trial).drift
        assert have is not None
        assert (have.marks, have.inflation, have.looks) == (TEN.marks, TEN.inflation, 1)
        assert (have.candidate, have.stable, have.next) == ([], [], 0)
        assert have.outcome is (Outcome.INCONCLUSIVE if trial else Outcome.PASS)


@pytest.mark.parametrize("marks", [["x"], ["0.5", "0.2"], []])
def test_bins_that_somebody_wrote_by_hand_are_chosen_anew(marks: list[str]) -> None:
    have = begun(None, "scores", drift=DriftStatus(marks=marks, candidate=[1] * 24))
    asked = checks.ask(SCORES, have, situation(at(15)), {})
    assert "scores/opening" in [question.key for question in asked]
    assert checks.judge(SCORES, have, situation(at(15))).outcome is Outcome.INCONCLUSIVE


def test_classes_are_judged_by_name() -> None:
    """The bin of all other classes is empty here, and goes together with the rarest class."""
    bins_ = DriftStatus(marks=["pass", "block"], inflation=1500)
    status = judged([800, 900, 0], [18000, 2000, 0], CLASSES, drift=bins_)
    assert status.outcome is Outcome.FAIL
    assert "classes: JS 0." in status.message
    assert "block and rarer classes: 10.0 % → 52.9 %" in status.message
