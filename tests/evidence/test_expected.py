"""Expected metrics from scores by bin: against the scores themselves, against scikit-learn, and under repeated looks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import cache
from statistics import NormalDist
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.core.statistics import drift, expected
from seatrial.core.statistics.expected import Bins, Metric

METRICS: tuple[Metric, ...] = get_args(Metric)
EACH = pytest.mark.parametrize("metric", METRICS)
EDGES = (0.01, 0.05, *(k / 10 for k in range(1, 10)), 0.95, 0.99)
BINS = Bins(EDGES, 0.5)
FINE = Bins(tuple(k / 100 for k in range(1, 100)), 0.5)


def binned(scores: Sequence[float], bins: Bins = BINS) -> list[int]:
    """Counts by bin, an edge belonging to the bin below it."""
    counts = [0] * (len(bins.edges) + 1)
    for score in scores:
        counts[sum(edge < score for edge in bins.edges)] += 1
    return counts


def directly(metric: Metric, scores: Sequence[float], threshold: float = 0.5) -> float:
    """The expected confusion matrix, prediction by prediction, and the metric of it by its definition."""
    tp = math.fsum(p for p in scores if p > threshold)
    fp = math.fsum(1 - p for p in scores if p > threshold)
    fn = math.fsum(p for p in scores if p <= threshold)
    tn = math.fsum(1 - p for p in scores if p <= threshold)
    of: dict[Metric, tuple[float, float]] = {
        "Accuracy": (tp + tn, tp + fp + fn + tn),
        "Precision": (tp, tp + fp),
        "Recall": (tp, tp + fn),
        "F1": (2 * tp, 2 * tp + fp + fn),
    }
    a, b = of[metric]
    return a / b if b else math.nan


probabilities = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=200)


@EACH
@given(scores=probabilities, threshold=st.sampled_from(EDGES))
def test_the_bins_contain_what_the_scores_themselves_say(metric: Metric, scores: list[float], threshold: float) -> None:
    bins = Bins(EDGES, threshold)
    low, high = expected.expected(metric, bins, binned(scores, bins))
    truth = directly(metric, scores, threshold)
    assert 0.0 <= low <= high <= 1.0 + 1e-12
    assert math.isnan(truth) or low - 1e-9 <= truth <= high + 1e-9


@EACH
@given(scores=probabilities)
def test_closer_edges_leave_less_open(metric: Metric, scores: list[float]) -> None:
    coarse = expected.expected(metric, Bins((0.5,), 0.5), binned(scores, Bins((0.5,), 0.5)))
    near = expected.expected(metric, Bins((0.2, 0.5, 0.8), 0.5), binned(scores, Bins((0.2, 0.5, 0.8), 0.5)))
    assert coarse[0] <= near[0] + 1e-9
    assert near[1] <= coarse[1] + 1e-9


def test_calibrated_scores_give_what_labels_would() -> None:
    """Labels drawn from 100,000 scores: scikit-learn's metrics of them lie within the bins, which are a point wide."""
    numpy, measured = pytest.importorskip("numpy"), pytest.importorskip("sklearn.metrics")
    random = numpy.random.default_rng(7)
    scores = 1 / (1 + numpy.exp(-random.normal(-1.0, 2.0, 100_000)))
    labels, predicted = random.random(scores.size) < scores, scores > 0.5
    edges = numpy.array(FINE.edges)
    counts = numpy.bincount(numpy.searchsorted(edges, scores), minlength=edges.size + 1).tolist()
    truths: dict[Metric, float] = {
        "Accuracy": measured.accuracy_score(labels, predicted),
        "Precision": measured.precision_score(labels, predicted),
        "Recall": measured.recall_score(labels, predicted),
        "F1": measured.f1_score(labels, predicted),
    }
    for metric, truth in truths.items():
        low, high = expected.expected(metric, FINE, counts)
        assert low - 0.004 <= truth <= high + 0.004, metric
        assert high - low < 0.03


def test_worked_by_hand() -> None:
    """Four at 0.8 to 0.9 and six at 0.1 to 0.2: TP 3.2 to 3.6, FN 0.6 to 1.2."""
    bins = Bins((0.1, 0.2, 0.5, 0.8, 0.9), 0.5)
    counts = [0, 6, 0, 0, 4, 0]
    assert expected.expected("Accuracy", bins, counts) == pytest.approx((0.8, 0.9))
    assert expected.expected("Precision", bins, counts) == pytest.approx((0.8, 0.9))
    assert expected.expected("Recall", bins, counts) == pytest.approx((3.2 / 4.4, 3.6 / 4.2))
    assert expected.expected("F1", bins, counts) == pytest.approx((6.4 / 8.4, 7.2 / 8.2))


def test_above_one_is_no_probability() -> None:
    """A score of 37 or NaN, counted above an edge of 1, may be as wrong as it likes."""
    assert expected.expected("Accuracy", Bins((0.5, 1.0), 0.5), [0, 0, 10]) == (0.0, 1.0)
    assert expected.expected("Accuracy", Bins((0.5,), 0.5), [0, 10]) == (0.5, 1.0)


@EACH
def test_of_nothing_nothing_is_known(metric: Metric) -> None:
    nothing = [0] * (len(EDGES) + 1)
    assert expected.expected(metric, BINS, nothing) == (0.0, 1.0)
    assert expected.surely(metric, BINS, nothing, 1.5, 5.0) == (0.0, 1.0)


def test_precision_of_no_positive_is_not_known() -> None:
    counts = [1000, *[0] * len(EDGES)]
    assert expected.surely("Precision", BINS, counts, 1.5, 5.0) == (0.0, 1.0)
    assert expected.surely("Accuracy", BINS, counts, 1.5, 5.0)[0] > 0.9


counts_by_bin = st.lists(st.integers(0, 2000), min_size=len(EDGES) + 1, max_size=len(EDGES) + 1)


@EACH
@given(counts=counts_by_bin, nats=st.floats(0.7, 20.0), inflation=st.floats(1.0, 5.0))
def test_what_is_sure_contains_what_is_measured(
    metric: Metric, counts: list[int], nats: float, inflation: float
) -> None:
    low, high = expected.expected(metric, BINS, counts)
    least, most = expected.surely(metric, BINS, counts, inflation, nats)
    assert 0.0 <= least <= low + 1e-9
    assert high - 1e-9 <= most <= 1.0
    surer = expected.surely(metric, BINS, counts, inflation, nats + 3.0)
    assert surer[0] <= least + 1e-9
    assert most <= surer[1] + 1e-9


@EACH
def test_the_bound_is_the_empirical_bernstein_bound(metric: Metric) -> None:
    """At the bound r, z = a - r b of the predictions themselves has exactly the mean that the inequality leaves possible."""
    numpy = pytest.importorskip("numpy")
    counts = [40, 30, 25, 40, 50, 60, 70, 80, 90, 100, 110, 60, 40, 20]
    tp_parts = {"Accuracy": (1, 1), "Precision": (1, 1), "Recall": (1, 1), "F1": (2, 1)}
    n_above = sum(counts[7:])
    nats, inflation = 6.0, 1.5
    _, most = expected.surely(metric, BINS, counts, inflation, nats)
    upper, lower = numpy.array((*EDGES, 1.0)), numpy.array((0.0, *EDGES))
    above = lower >= 0.5
    p = numpy.where(above, upper, lower)
    a = {
        "Accuracy": numpy.where(above, p, 1 - p),
        "Precision": p,
        "Recall": p * above,
        "F1": 2 * p * above,
    }[metric]
    b = {"Accuracy": p * 0 + 1, "Precision": p * 0 + 1, "Recall": p, "F1": p + above}[metric]
    keep = numpy.repeat(above if metric == "Precision" else above | True, counts)
    z = numpy.repeat(a - most * b, counts)[keep]
    n = (n_above if metric == "Precision" else sum(counts)) / inflation
    c = nats + math.log(2)
    away = math.sqrt(2 * z.var(ddof=1) * c / n) + 7 * tp_parts[metric][0] * c / (3 * (n - 1))
    assert z.mean() + away == pytest.approx(0.0, abs=1e-9)


# --- repeated looks -----------------------------------------------------------------------------------


LOOKS, MARGIN = 200, 0.02


def looked(metric: Metric, ours: Any, theirs: Any, margin: float = MARGIN) -> str:
    """The verdict after looks at rising counts (rows), as `core/checks/expected.py` takes them."""
    first = FINE.edges.index(0.5) + 1 if metric == "Precision" else 0
    made, beside = (arm[:, first:].sum(axis=1).tolist() for arm in (ours, theirs))
    number, later, at = 0, 0.0, 0

    def bounds(arm: Any, chance: float) -> tuple[float, float]:
        nats = drift.nats_of_look(chance, number) + math.log(2.0)
        return expected.surely(metric, FINE, arm[at].tolist(), drift.LOWEST, nats)

    for look in range(LOOKS):
        size = 1.0 / drift.spread([made[look]], [beside[look]], drift.LOWEST)
        if min(made[look], beside[look]) < drift.FLOOR * drift.LOWEST or size < later:
            continue
        later, number, at = size * drift.GROWTH, number + 1, look
        if bounds(ours, 0.01)[1] < bounds(theirs, 0.01)[0] - margin:
            return "fail"
    return "pass" if bounds(ours, 0.02)[0] > bounds(theirs, 0.02)[1] - margin else "undecided"


def shares(spread: float) -> list[float]:
    """Of scores that are normal in log-odds with this deviation, by bin."""
    usual = NormalDist(0.0, spread)
    below = [0.0, *(usual.cdf(math.log(edge / (1 - edge))) for edge in FINE.edges), 1.0]
    return [b - a for a, b in itertools.pairwise(below)]


@cache
def arm(spread: float, per_look: int, repeats: int) -> list[Any]:
    """Counts by bin after each look, of so many trials."""
    numpy = pytest.importorskip("numpy")
    random = numpy.random.default_rng(per_look)
    return [random.multinomial(per_look, shares(spread), size=LOOKS).cumsum(axis=0) for _ in range(repeats)]


def trials(metric: Metric, spread: float, repeats: int, margin: float = MARGIN) -> list[str]:
    """How trials of 200 looks end, at 100 predictions of the candidate a look and 300 of stable."""
    pairs = zip(arm(spread, 100, repeats), arm(3.0, 300, repeats), strict=True)
    return [looked(metric, ours, theirs, margin) for ours, theirs in pairs]


@EACH
def test_identical_candidates_are_not_failed_and_pass(metric: Metric) -> None:
    """In 200 looks at 20,000 predictions; the buckets, a point wide, leave two of the five points that the margin has."""
    ends = trials(metric, 3.0, 60, margin=0.05)
    assert ends.count("fail") == 0
    assert ends.count("pass") >= 58


@EACH
def test_a_candidate_that_is_really_worse_is_found(metric: Metric) -> None:
    """With half of the spread the scores are nearer to 0.5: 12 points lower, of which 2 are allowed and 2 not seen."""
    assert trials(metric, 1.5, 20).count("fail") == 20


@EACH
def test_a_candidate_right_at_the_margin_is_seldom_failed(metric: Metric) -> None:
    """The promise at its hardest, where the candidate's most is below stable's least by the margin itself: 1 in 100 trials."""
    ours, theirs = ([round(share * 1e9) for share in shares(spread)] for spread in (2.6, 3.0))
    apart = expected.expected(metric, FINE, theirs)[0] - expected.expected(metric, FINE, ours)[1]
    assert trials(metric, 2.6, 100, margin=apart).count("fail") <= 1
