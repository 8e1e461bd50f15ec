"""How much events come in clumps."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from seatrial.core.statistics import clumps
from seatrial.core.statistics.clumps import MEMORY, PRIOR, Pace


def watched(windows: int, rate: float, mean: float, seed: int, share: Callable[[int], float] = lambda _: 1.0) -> Pace:
    """Windows of 285 requests with events in clumps of geometric size; `share` scales their rate by window."""
    draw, pace = random.Random(seed), Pace()
    for index in range(windows):
        events = 0
        for _ in range(285):
            if draw.random() < rate * share(index) / mean:
                events += 1
                while draw.random() < 1.0 - 1.0 / mean:
                    events += 1
        pace = clumps.observed(pace, min(events, 285), 285)
    return pace


@pytest.mark.parametrize(("mean", "low", "high"), [(1.0, 1.0, 1.25), (3.0, 2.2, 4.0), (10.0, 6.5, 13.0)])
def test_an_hour_shows_the_size_of_clumps(mean: float, low: float, high: float) -> None:
    sizes = [clumps.clump(watched(240, 0.01, mean, seed)) for seed in range(10)]
    assert low <= sum(sizes) / len(sizes) <= high


def test_without_events_prudence_decides() -> None:
    assert clumps.clump(Pace()) == (PRIOR + 1) / 2
    assert clumps.clump(watched(240, 0.0, 1.0, 1)) == (PRIOR + 1) / 2


def test_a_share_that_changes_by_the_hour_is_no_clump() -> None:
    pace = watched(240, 0.02, 1.0, 4, lambda index: 0.2 + 1.6 * index / 240)
    assert clumps.clump(pace) < 1.3


def test_an_outage_touches_two_pairs_only() -> None:
    """Ten windows in which half of the requests fail."""
    calm = watched(240, 0.01, 1.0, 5)
    stormy = watched(240, 0.01, 1.0, 5, lambda index: 50.0 if 100 <= index < 110 else 1.0)
    assert clumps.clump(stormy) < clumps.clump(calm) + 0.5


def test_an_outage_is_trouble_and_a_clump_is_none() -> None:
    calm = watched(240, 0.01, 1.0, 5)
    assert not clumps.odd(calm, 8, 285, 1.0)
    assert clumps.odd(calm, 40, 285, 1.0)
    assert not clumps.odd(calm, 40, 285, 10.0), "four clumps of ten"
    stormy = watched(20, 1.0, 1.0, 5)
    assert not clumps.odd(stormy, 285, 285, 1.0), "that is how it always is"


def test_an_outage_that_is_over_is_not_expected_for_long() -> None:
    pace = watched(280, 0.001, 1.0, 9, lambda index: 900.0 if 200 <= index < 204 else 1.0)
    assert clumps.share(pace) < 0.02


def test_the_share_is_learned_and_what_is_old_fades() -> None:
    pace = watched(60, 0.05, 1.0, 6)
    assert clumps.share(pace) == pytest.approx(0.05, rel=0.1)
    assert clumps.share(Pace()) == 0.005
    long = watched(2 * MEMORY, 0.01, 1.0, 7, lambda index: 1.0 if index < MEMORY else 5.0)
    assert clumps.share(long) > 0.035
    assert long.windows <= MEMORY
