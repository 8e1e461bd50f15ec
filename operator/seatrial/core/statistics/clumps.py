"""How much events come in clumps: measured where there is something to measure, and prudent where there is not.

Counts of neighbouring windows are compared. For independent events the chi-square of two windows (one degree of freedom) is 1 on
average; events in clumps of geometric size with mean k make it 2k - 1. Neighbours, because a share that changes with the hour
is no clump, and an outage that begins and ends touches two pairs only: the two that say most are left out. A pair counts by the
number of its events, up to a limit: with a single event it is 1 whatever is true.

The measurement is drawn towards a prior (`PRIOR` or `PRUDENT`, worth `WORTH` events): with few events nobody knows, and a fault that might be one
clump must not decide alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

BOUND = 200.0
"""The most that one pair may say."""
HEAVIEST = 40.0
"""The most events that a pair counts for."""
PRIOR = 8.0
"""Inflation of the variance that is assumed without evidence: clumps of 4.5."""
PRUDENT = 10.0
"""The same where a Pass is asked for, which has more time and more to lose: clumps of 5.5."""
WORTH = 10.0
"""Events after which the measurement weighs as much as the prior."""
MEMORY = 480
"""Windows after which what was seen begins to fade."""
FRESH = 8.0
"""Windows that make up the share of late."""
ODD = 4.0
"""Standard deviations, and clumps, by which a window is odd."""
STEADY = 300.0
"""Requests of the long run that stand beside them."""
Pair = tuple[float, float]
"""Chi-square of two windows times its weight, and the weight."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What was seen of one arm, window by window."""

    squares: float = 0.0
    """Sum of chi-squares of neighbouring windows, each times its weight, without the `outliers`."""
    weight: float = 0.0
    outliers: tuple[Pair, Pair] = ((0.0, 0.0), (0.0, 0.0))
    """The two pairs that say most, the first one first."""
    events: float = 0.0
    total: float = 0.0
    windows: int = 0
    last_events: float = 0.0
    last_total: float = 0.0
    fresh_events: float = 0.0
    fresh_total: float = 0.0
    """Of late: each window counts for less than the one after it."""


def observed(pace: Pace, events: float, total: float) -> Pace:
    """The pace with one more window; a window without requests says nothing."""
    if total <= 0:
        return pace
    pair = _pair(pace.last_events, pace.last_total, events, total)
    first, second, other = sorted((*pace.outliers, pair), reverse=True)
    kept = 1.0 - 1.0 / FRESH
    out = Pace(
        pace.squares + other[0],
        pace.weight + other[1],
        (first, second),
        pace.events + events,
        pace.total + total,
        pace.windows + 1,
        events,
        total,
        kept * pace.fresh_events + events,
        kept * pace.fresh_total + total,
    )
    if out.windows < MEMORY:
        return out
    return replace(
        out,
        squares=out.squares / 2.0,
        weight=out.weight / 2.0,
        outliers=((first[0] / 2.0, first[1] / 2.0), (second[0] / 2.0, second[1] / 2.0)),
        events=out.events / 2.0,
        total=out.total / 2.0,
        windows=out.windows // 2,
    )


def _pair(events: float, total: float, next_events: float, next_total: float) -> Pair:
    both, requests = events + next_events, total + next_total
    if total <= 0 or both <= 0 or both >= requests:
        return 0.0, 0.0
    share = both / requests
    variance = share * (1.0 - share) * (1.0 / total + 1.0 / next_total)
    gap = events / total - next_events / next_total
    weight = min(both, HEAVIEST)
    return min(gap * gap / variance, BOUND) * weight, weight


def share(pace: Pace) -> float:
    """The arm's share of events: of late, drawn towards that of the long run, with half an event in a hundred requests more.

    Of late, since an outage that is over must not be expected for hours.
    """
    return (pace.fresh_events + STEADY * long_run(pace)) / (pace.fresh_total + STEADY)


def long_run(pace: Pace) -> float:
    """The arm's share of events in all that was seen of it, with half an event in a hundred requests more."""
    return (pace.events + 0.5) / (pace.total + 100.0)


def odd(pace: Pace, events: float, total: float, size: float) -> bool:
    """Whether a window has many more events than the long run explains, in clumps of this size: the arm is in trouble."""
    mean = total * long_run(pace)
    return events > mean + ODD * (math.sqrt(mean * (2.0 * size - 1.0)) + size)


def clump(pace: Pace, prior: float = PRIOR) -> float:
    """Mean size of a clump, at least 1."""
    inflation = (WORTH * prior + pace.squares) / (WORTH + pace.weight)
    return (max(1.0, inflation) + 1.0) / 2.0
