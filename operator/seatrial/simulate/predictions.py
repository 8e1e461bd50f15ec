"""What models predict in a simulation: shares by bin or class, of stable and of a candidate whose predictions have moved.

Where nobody says how stable's predictions are distributed, a score says how large a part of stable's predictions lies below it: it
is even from 0 to 1. A shift is told in standard deviations of a normal variable that has as much above and below each edge, which
is what the limits of `core/statistics/drift.py` are told in; classes are in the order in which they are named.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

from seatrial.api.spec import Check
from seatrial.core import bins
from seatrial.core.checks.drift import limit_of
from seatrial.core.checks.predictions import MEASURES

EVEN = (*(k / 40 for k in range(1, 40)), 0.98, 0.985, 0.99, 0.995, 0.998, 0.999, 0.9995)
"""The edges of scores that nobody has described."""
ANYTHING = "+Inf"
FARTHEST = 6.0
"""Standard deviations that a shift may have at the most."""
_NORMAL = NormalDist()
_HOUR = 1_000_000
"""Predictions from which bins are chosen where chance is to play no part."""


@dataclass(frozen=True, slots=True)
class Shares:
    """How predictions are divided: by the upper edges of buckets, of which the last one is `+Inf`, or by classes."""

    marks: tuple[str, ...]
    parts: tuple[float, ...]
    """Shares, together 1."""
    inflation: float | None = None
    """How much more counts vary than those of independent predictions, where a past has shown it."""

    def moved(self, shift: float) -> Shares:
        """All predictions moved by so many standard deviations."""
        return replace(self, parts=tuple(_moved(self.parts, shift)))


def even() -> Shares:
    """Scores of which nothing is known."""
    cuts = (0.0, *EVEN, 1.0)
    return Shares((*(f"{edge:g}" for edge in EVEN), ANYTHING), tuple(b - a for a, b in itertools.pairwise(cuts)))


def _moved(parts: Sequence[float], shift: float) -> list[float]:
    below = list(itertools.accumulate(parts))[:-1]
    cuts = [0.0, *(_NORMAL.cdf(_NORMAL.inv_cdf(part) - shift) if 0.0 < part < 1.0 else part for part in below), 1.0]
    return [max(0.0, b - a) for a, b in itertools.pairwise(cuts)]


def frozen(check: Check, stable: Shares) -> tuple[tuple[int, ...], ...] | str:
    """Which parts make up each bin that the operator would choose of them, or why it would refuse."""
    assert check.drift is not None
    counts = [round(part * _HOUR) for part in stable.parts]
    if check.drift.classes is not None:
        named = bins.of_classes(dict(zip(stable.marks, counts, strict=True))).marks
        own = tuple((stable.marks.index(name),) for name in named)
        return (*own, tuple(i for i, name in enumerate(stable.marks) if name not in named))
    edges = {float(mark): mark for mark in stable.marks[:-1]}
    chosen = bins.of_histogram(edges, counts)
    if isinstance(chosen, str):
        return chosen.replace(f" {_HOUR:,} predictions of the last hour", " predictions")
    ends = [0, *(stable.marks.index(mark) + 1 for mark in chosen.marks), len(stable.marks)]
    return tuple(tuple(range(a, b)) for a, b in itertools.pairwise(ends))


def by_bin(shares: Shares, chosen: Sequence[Sequence[int]]) -> list[float]:
    """The share of each bin."""
    return [sum(shares.parts[i] for i in group) for group in chosen]


def distance(check: Check, stable: Shares, candidate: Shares) -> float:
    """How far both really are apart, in the bins that the operator chooses."""
    assert check.drift is not None
    chosen = frozen(check, stable)
    if isinstance(chosen, str):
        return 0.0
    a, b = ([round(part * _HOUR) for part in by_bin(one, chosen)] for one in (candidate, stable))
    return MEASURES[check.drift.statistic].measured(a, b)


def shift_to_the_limit(check: Check, stable: Shares) -> float:
    """The shift that makes just the largest acceptable distance; the farthest one where none makes it."""
    limit, low, high = limit_of(check), 0.0, FARTHEST
    for _ in range(40):
        middle = (low + high) / 2.0
        low, high = (middle, high) if distance(check, stable, stable.moved(middle)) < limit else (low, middle)
    return high
