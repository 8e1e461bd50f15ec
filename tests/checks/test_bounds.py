"""Bounds are those of Clopper and Pearson, to nine digits, for one request and for a thousand million."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.core import bounds
from tests.checks.scipy_bounds import BOUNDS


def tail(events: int, total: int, share: float) -> float:
    """P(X >= events) of a binomial count, by adding it up."""
    terms = (math.comb(total, k) * share**k * (1 - share) ** (total - k) for k in range(events, total + 1))
    return math.fsum(terms)


@pytest.mark.parametrize(("events", "total", "confidence", "lower", "upper"), BOUNDS)
def test_bounds_are_scipys(events: int, total: int, confidence: float, lower: float, upper: float) -> None:
    assert bounds.lower(events, total, confidence) == pytest.approx(lower, rel=1e-7, abs=1e-15)
    assert bounds.upper(events, total, confidence) == pytest.approx(upper, rel=1e-7, abs=1e-15)


def test_bounds_are_scipys_over_a_fresh_grid() -> None:
    """The table above, once more, wherever SciPy is installed."""
    beta = pytest.importorskip("scipy.stats").beta
    for total in (2, 7, 50, 999, 3001, 50_000, 10**7, 3 * 10**8):
        for events in {0, 1, min(5, total), total // 300, total // 7, total - total // 9, total}:
            for confidence in (0.9, 0.95, 0.99, 0.9999):
                if events:
                    expected = beta.ppf(1 - confidence, events, total - events + 1)
                    assert bounds.lower(events, total, confidence) == pytest.approx(expected, rel=1e-7)
                if events < total:
                    expected = beta.isf(1 - confidence, events + 1, total - events)
                    assert bounds.upper(events, total, confidence) == pytest.approx(expected, rel=1e-7)


@given(st.integers(1, 120).flatmap(lambda n: st.tuples(st.integers(1, n), st.just(n))), st.sampled_from([0.95, 0.9999]))
def test_the_lower_bound_is_where_as_many_events_become_improbable(counts: tuple[int, int], confidence: float) -> None:
    """By definition, without any beta function: P(X >= events | bound) is 1 - confidence."""
    events, total = counts
    assert tail(events, total, bounds.lower(events, total, confidence)) == pytest.approx(1 - confidence, rel=1e-5)


@given(st.integers(0, 10**9).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_bounds_enclose_the_share_and_mirror_each_other(counts: tuple[int, int]) -> None:
    events, total = counts
    low, high = bounds.lower(events, total, 0.9999), bounds.upper(events, total, 0.9999)
    share = events / total if total else 0.0
    assert 0.0 <= low <= share <= high <= 1.0
    assert 1.0 - bounds.upper(total - events, total, 0.9999) == pytest.approx(low, abs=1e-9) or total == 0


@given(st.integers(0, 500), st.integers(500, 10**6))
def test_more_confidence_is_a_wider_bound(events: int, total: int) -> None:
    assert bounds.lower(events, total, 0.9999) <= bounds.lower(events, total, 0.95)
    assert bounds.upper(events, total, 0.9999) >= bounds.upper(events, total, 0.95)


def test_nothing_counted_is_nothing_known() -> None:
    assert (bounds.lower(0, 0, 0.95), bounds.upper(0, 0, 0.95)) == (0.0, 1.0)
    assert bounds.difference_upper(0, 0, 5, 1000, 0.95) == 1.0
    assert bounds.difference_upper(0, 1000, 0, 0, 0.95) == 1.0
    assert bounds.difference_lower(10, 10, 0, 0, 0.9999) < 0


def test_the_difference_is_newcombes() -> None:
    """d - sqrt((p1 - l1)² + (u0 - p0)²), computed by hand from the bounds of the arms."""
    events, total, base_events, base_total = 12, 400, 30, 5000
    p1, p0 = events / total, base_events / base_total
    l1, u0 = bounds.lower(events, total, 0.99), bounds.upper(base_events, base_total, 0.99)
    expected = p1 - p0 - math.sqrt((p1 - l1) ** 2 + (u0 - p0) ** 2)
    assert bounds.difference_lower(events, total, base_events, base_total, 0.99) == pytest.approx(expected)
    mirrored = -bounds.difference_upper(base_events, base_total, events, total, 0.99)
    assert mirrored == pytest.approx(expected)


def test_counts_may_be_fractions() -> None:
    between = bounds.upper(1.5, 100, 0.95)
    assert bounds.upper(1, 100, 0.95) < between < bounds.upper(2, 100, 0.95)
