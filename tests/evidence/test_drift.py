"""Distances of distributions, and what is sure of them: against SciPy, and under repeated looks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.core.statistics import drift
from seatrial.core.statistics.drift import JS, KS, PSI, Measure


def two_of(most: int) -> st.SearchStrategy[tuple[list[int], list[int]]]:
    """Counts of two arms by the same bins, neither without any."""

    def arm(bins: int) -> st.SearchStrategy[list[int]]:
        return st.lists(st.integers(0, most), min_size=bins, max_size=bins).filter(lambda a: sum(a) > 0)

    return st.integers(2, 12).flatmap(lambda bins: st.tuples(arm(bins), arm(bins)))


pairs, few = two_of(500), two_of(30)
MEASURES = pytest.mark.parametrize("measure", [PSI, JS, KS], ids=lambda measure: measure.name)


@given(pairs)
def test_distances_are_symmetric_and_nought_for_the_same(pair: tuple[list[int], list[int]]) -> None:
    a, b = pair
    for measure in (PSI, JS, KS):
        assert measure.measured(a, a) == pytest.approx(0, abs=1e-7)
        assert measure.measured(a, b) == pytest.approx(measure.measured(b, a))
        assert measure.measured(a, b) >= 0


def test_half_a_standard_deviation_is_what_the_defaults_allow() -> None:
    """Ten bins of equal mass of a normal distribution, moved by half of its deviation: about every measure's limit."""
    normal = NormalDist()
    edges = [normal.inv_cdf(k / 50) for k in range(1, 50)]

    def shares(shift: float) -> list[float]:
        cumulative = [0.0, *(normal.cdf(edge - shift) for edge in edges), 1.0]
        return [b - a for a, b in zip(cumulative, cumulative[1:], strict=False)]

    moved, still = shares(0.5), shares(0.0)
    assert drift.psi(moved, still) == pytest.approx(PSI.usual, abs=0.01)
    assert drift.js(moved, still) == pytest.approx(JS.usual, abs=0.01)
    assert drift.ks(moved, still) == pytest.approx(KS.usual, abs=0.01)


def test_the_psi_of_a_published_example() -> None:
    """Yurdakul, "Statistical Properties of Population Stability Index" (2018), defines it so; worked by hand for three bins."""
    assert drift.psi([0.2, 0.3, 0.5], [0.3, 0.3, 0.4]) == pytest.approx(-0.1 * math.log(2 / 3) + 0.1 * math.log(5 / 4))


@given(pairs)
def test_jensen_shannon_is_scipys(pair: tuple[list[int], list[int]]) -> None:
    distance = pytest.importorskip("scipy.spatial.distance")
    p, q = (drift.smoothed(one) for one in pair)
    assert drift.js(p, q) == pytest.approx(distance.jensenshannon(p, q), abs=1e-7)


@given(few)
def test_kolmogorov_smirnov_is_scipys(pair: tuple[list[int], list[int]]) -> None:
    stats = pytest.importorskip("scipy.stats")
    a, b = ([i for i, count in enumerate(one) for _ in range(count)] for one in pair)
    assert KS.measured(*pair) == pytest.approx(stats.ks_2samp(a, b, method="asymp").statistic)


@given(pairs)
def test_psi_is_the_sum_of_both_entropies_of_scipy(pair: tuple[list[int], list[int]]) -> None:
    stats = pytest.importorskip("scipy.stats")
    p, q = (drift.smoothed(one) for one in pair)
    assert drift.psi(p, q) == pytest.approx(stats.entropy(p, q) + stats.entropy(q, p), abs=1e-9)


@given(st.integers(1, 30), st.floats(0.5, 60.0))
def test_the_tail_of_a_chi_square_is_bounded(k: int, x: float) -> None:
    """Laurent and Massart's bound, against the real quantile."""
    chi2 = pytest.importorskip("scipy.stats").chi2
    assert k + 2 * math.sqrt(k * x) + 2 * x >= chi2.isf(math.exp(-x), k)


@given(pairs, st.booleans())
def test_bins_are_put_together_and_none_is_lost(pair: tuple[list[int], list[int]], ordered: bool) -> None:
    a, b = pair
    groups = drift.together(a, b, ordered=ordered)
    assert sorted(index for group in groups for index in group) == list(range(len(a)))
    if ordered:
        assert [index for group in groups for index in group] == list(range(len(a)))
    both, fewer = sum(a) + sum(b), min(sum(a), sum(b))
    if len(groups) > 1:
        for group in groups:
            assert sum(a[i] + b[i] for i in group) * fewer / both >= drift.LEAST * (1 - 1e-9)


@MEASURES
@given(pair=pairs, limit=st.floats(0.01, 0.8), nats=st.floats(0.7, 20.0), inflation=st.floats(1.0, 5.0))
def test_never_sure_of_both(
    measure: Measure, pair: tuple[list[int], list[int]], limit: float, nats: float, inflation: float
) -> None:
    a, b = pair
    assert not (measure.above(a, b, limit, inflation, nats) and measure.below(a, b, limit, inflation, nats))


@MEASURES
def test_so_many_more_predictions_do_pass(measure: Measure) -> None:
    """What is said to be missing is what is missing, where shares stay as they are."""
    a, b = [12, 20, 35, 22, 11], [110, 200, 350, 230, 110]
    growth = measure.growth(a, b, measure.usual, 1.5, 6.0)
    assert growth is not None
    assert growth > 1
    assert not measure.below(a, b, measure.usual, 1.5, 6.0)
    for factor, enough in ((0.4, False), (1.6, True)):
        more = [[round(count * growth * factor) for count in one] for one in (a, b)]
        assert measure.below(more[0], more[1], measure.usual, 1.5, 6.0) is enough


def test_clumps_are_measured() -> None:
    """Predictions that come in fours have four times the variance; independent ones are given what is prudent."""
    numpy = pytest.importorskip("numpy")
    random = numpy.random.default_rng(3)
    windows = random.multinomial(50, [0.2] * 5, size=60)
    assert drift.inflation((4 * windows).tolist()) == pytest.approx(4.0, rel=0.25)
    assert drift.inflation(windows.tolist()) == drift.LOWEST
    assert drift.inflation([]) == drift.PRIOR


def looked(
    measure: Measure, a: Sequence[Sequence[int]], b: Sequence[Sequence[int]], inflation: float = 1.5
) -> tuple[str, int]:
    """The verdict after looks at rising counts, as `core/checks/drift.py` takes them, and the candidate's predictions."""
    number, later, last = 0, 0.0, "undecided"
    for mine, other in zip(a, b, strict=True):
        if min(sum(mine), sum(other)) < drift.FLOOR * inflation:
            continue
        size = 1.0 / drift.spread(mine, other, inflation)
        if size < later:
            continue
        later, number = size * drift.GROWTH, number + 1
        groups = drift.together(mine, other, ordered=True)
        x, y = drift.sums(mine, groups), drift.sums(other, groups)
        if measure.above(x, y, measure.usual, inflation, drift.nats_of_look(0.01, number)):
            return "fail", sum(mine)
        last = (
            "pass" if measure.below(x, y, measure.usual, inflation, drift.nats_of_look(0.02, number)) else "undecided"
        )
    return last, sum(a[-1])


@MEASURES
@pytest.mark.parametrize("clump", [1, 3])
def test_two_hundred_looks_at_one_distribution_and_at_another(measure: Measure, clump: int) -> None:
    """Of 400 identical candidates none fails, and nearly all pass; of those twice the limit away, all fail and none passes."""
    numpy = pytest.importorskip("numpy")
    normal = pytest.importorskip("scipy.stats").norm
    random = numpy.random.default_rng(11)
    edges = normal.ppf([*(k / 10 for k in range(1, 10)), 0.99, 0.999])
    inflation = max(drift.LOWEST, float(clump))

    def trials(shift: float, number: int) -> list[str]:
        still = numpy.diff([0, *normal.cdf(edges), 1])
        moved = numpy.diff([0, *normal.cdf(edges - shift), 1])
        out = []
        for _ in range(number):
            a = clump * random.multinomial(30, moved, size=200).cumsum(0)
            b = clump * random.multinomial(270, still, size=200).cumsum(0)
            out.append(looked(measure, a.tolist(), b.tolist(), inflation)[0])
        return out

    same = trials(0.0, 400)
    assert same.count("fail") == 0
    assert same.count("pass") >= 396
    assert trials(1.0, 50).count("fail") == 50
