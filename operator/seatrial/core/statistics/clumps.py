"""How much events come in clumps: measured where there is something to measure, and prudent where there is not.

Counts of neighbouring windows are compared. For independent events the chi-square of two windows (one degree of freedom) is 1 on
average; events in clumps of geometric size with mean k make it 2k - 1. Neighbours, because a share that changes with the hour
is no clump, and a fault that begins and ends touches two pairs only, each of them bounded. A pair counts by the number of its
events, up to a limit: with a single event it is 1 whatever is true.

The measurement is drawn towards a prior (`PRIOR` worth `WORTH` events): with few events nobody knows, and a fault that might be one
clump must not decide alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

BOUND = 200.0
"""The most that one pair may say."""
HEAVIEST = 40.0
"""The most events that a pair counts for."""
PRIOR = 8.0
"""Inflation of the variance that is assumed without evidence: clumps of 4.5."""
WORTH = 10.0
"""Events after which the measurement weighs as much as the prior."""
MEMORY = 480
"""Windows after which what was seen begins to fade."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What was seen of one arm, window by window."""

    squares: float = 0.0
    """Sum of chi-squares of neighbouring windows, each times its weight."""
    weight: float = 0.0
    events: float = 0.0
    total: float = 0.0
    windows: int = 0
    last_events: float = 0.0
    last_total: float = 0.0


def observed(pace: Pace, events: float, total: float) -> Pace:
    """The pace with one more window; a window without requests says nothing."""
    if total <= 0:
        return pace
    square, weight = _pair(pace.last_events, pace.last_total, events, total)
    out = Pace(
        pace.squares + square * weight,
        pace.weight + weight,
        pace.events + events,
        pace.total + total,
        pace.windows + 1,
        events,
        total,
    )
    if out.windows < MEMORY:
        return out
    return replace(
        out,
        squares=out.squares / 2.0,
        weight=out.weight / 2.0,
        events=out.events / 2.0,
        total=out.total / 2.0,
        windows=out.windows // 2,
    )


def _pair(events: float, total: float, next_events: float, next_total: float) -> tuple[float, float]:
    """Chi-square of two windows, and its weight."""
    both, requests = events + next_events, total + next_total
    if total <= 0 or both <= 0 or both >= requests:
        return 0.0, 0.0
    share = both / requests
    variance = share * (1.0 - share) * (1.0 / total + 1.0 / next_total)
    gap = events / total - next_events / next_total
    return min(gap * gap / variance, BOUND), min(both, HEAVIEST)


def share(pace: Pace) -> float:
    """The arm's share of events; with little seen of it, half an event in a hundred requests more."""
    return (pace.events + 0.5) / (pace.total + 100.0)


def clump(pace: Pace, prior: float = PRIOR) -> float:
    """Mean size of a clump, at least 1."""
    inflation = (WORTH * prior + pace.squares) / (WORTH + pace.weight)
    return (max(1.0, inflation) + 1.0) / 2.0
