"""What a classifier's metric may be expected to be, from its scores alone, and how surely: no labels.

A *calibrated* score p is the chance that the answer is positive. With a threshold every prediction then adds to an expected
confusion matrix (confidence-based performance estimation, CBPE, as NannyML calls it): above it p to the true positives and
1 - p to the false ones, below it 1 - p to the true negatives and p to the false ones.

**Metrics** are ratios Σa / Σb of what each prediction adds, with the a and b of `_PARTS`. Precision is a mean over what was
predicted positive.

**Bins.** Of a prediction only its bin is known. Every metric here rises with the scores above the threshold and falls with
those below it, so it is largest with the former at their upper edges and the latter at their lower ones (`HIGH`), and smallest
the other way round (`LOW`). The true value lies between.

**How surely.** A ratio is at most r if the mean of z = a - r b is not above 0, and z is bounded. Its mean is bounded by
Maurer and Pontil's empirical Bernstein bound ("Empirical Bernstein bounds and sample variance penalization", 2009): it is below
mean + √(2 V c / n) + 7 R c / (3 (n - 1)) but for a chance of 2 e^-c, with the sample variance V and the range R of z. No
distribution is assumed. The largest r that is not ruled out is the upper bound of the metric (Fieller's way with ratios): what
rules r out is convex in r, so there is one such point. No promise is spent on the search, since the truth is one r.

**Predictions that hang together** divide the sample size by the `inflation` of `drift.inflation`, and promises are split over looks
as there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Corner = Literal["low", "high"]
LOW: Corner = "low"
HIGH: Corner = "high"
Metric = Literal["Accuracy", "Precision", "Recall", "F1"]
HALVINGS = 40
"""Steps of the search for a bound: exact to a millionth of a millionth."""

_Part = Callable[[float, bool], tuple[float, float]]
_PARTS: dict[Metric, _Part] = {
    "Accuracy": lambda p, positive: (p if positive else 1.0 - p, 1.0),
    "Precision": lambda p, positive: (p, 1.0) if positive else (0.0, 0.0),
    "Recall": lambda p, positive: (p if positive else 0.0, p),
    "F1": lambda p, positive: (2.0 * p, 1.0 + p) if positive else (0.0, p),
}
"""What one prediction adds to numerator and denominator, by its score and whether that is above the threshold. F1 is
2 TP / (2 TP + FP + FN)."""
_RANGE: dict[Metric, float] = {"Accuracy": 1.0, "Precision": 1.0, "Recall": 1.0, "F1": 2.0}
"""The largest range of a - r b, for any r from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Bins:
    """Where scores are counted: ascending edges within 0 and 1, the last bin above them all; and the threshold, one of the edges."""

    edges: tuple[float, ...]
    threshold: float

    def parts(self, metric: Metric, corner: Corner) -> list[tuple[float, float]]:
        """What a prediction of each bin adds, at this corner of the bins. Above an edge of 1 is no probability: it may be any."""
        lower, upper = (0.0, *self.edges), (*self.edges, 1.0)
        out = []
        for left, right in zip(lower, upper, strict=True):
            positive = left >= self.threshold
            low = 0.0 if left >= 1.0 else left
            out.append(_PARTS[metric](right if positive == (corner == HIGH) else low, positive))
        return out

    def asked(self, metric: Metric, counts: Sequence[int]) -> list[int]:
        """The counts that the metric is a mean over: of precision those above the threshold, else all."""
        positive = (left >= self.threshold for left in (0.0, *self.edges))
        return [n if above or metric != "Precision" else 0 for n, above in zip(counts, positive, strict=True)]


def expected(metric: Metric, bins: Bins, counts: Sequence[int]) -> tuple[float, float]:
    """The least and the largest value of the metric that these counts by bin allow; 0 and 1 where it is of nothing.

    >>> expected("Accuracy", Bins((0.1, 0.5, 0.9), 0.5), [50, 0, 0, 50])
    (0.9, 1.0)
    """
    low, high = (_ratio(bins.parts(metric, corner), counts) for corner in (LOW, HIGH))
    return (0.0 if low is None else low, 1.0 if high is None else high)


def _ratio(parts: Sequence[tuple[float, float]], counts: Sequence[int]) -> float | None:
    below = math.fsum(n * b for n, (_, b) in zip(counts, parts, strict=True))
    return math.fsum(n * a for n, (a, _) in zip(counts, parts, strict=True)) / below if below > 0 else None


def surely(metric: Metric, bins: Bins, counts: Sequence[int], inflation: float, nats: float) -> tuple[float, float]:
    """Bounds of the true metric, each wrong with a chance of e^-`nats` at the most; 0 and 1 where nothing is known.

    >>> low, high = surely("Accuracy", Bins((0.1, 0.5, 0.9), 0.5), [5000, 0, 0, 5000], 1.5, 7.0)
    >>> round(low, 3), round(high, 3)
    (0.896, 1.0)
    """
    used = bins.asked(metric, counts)
    size = sum(used) / inflation
    if size <= 2.0:
        return 0.0, 1.0
    c = nats + math.log(2.0)
    rest = 7.0 * _RANGE[metric] * c / (3.0 * (size - 1.0))
    low, high = (_Sums.of(bins.parts(metric, corner), used) for corner in (LOW, HIGH))

    def away(sums: _Sums, r: float) -> float:
        return math.sqrt(2.0 * sums.variance(r) * c / size) + rest

    return (
        _last(lambda r: low.mean(r) - away(low, r) > 0.0, 0.0, 1.0),
        _last(lambda r: high.mean(r) + away(high, r) < 0.0, 1.0, 0.0),
    )


@dataclass(frozen=True, slots=True)
class _Sums:
    """Of what was counted: how much, and what it adds up to, so that z = a - r b is known for every r."""

    n: float
    a: float
    b: float
    aa: float
    ab: float
    bb: float

    @classmethod
    def of(cls, parts: Sequence[tuple[float, float]], counts: Sequence[int]) -> _Sums:
        """From what a prediction of each bin adds."""
        each = [(float(n), a, b) for n, (a, b) in zip(counts, parts, strict=True)]
        return cls(
            n=math.fsum(n for n, _, _ in each),
            a=math.fsum(n * a for n, a, _ in each),
            b=math.fsum(n * b for n, _, b in each),
            aa=math.fsum(n * a * a for n, a, _ in each),
            ab=math.fsum(n * a * b for n, a, b in each),
            bb=math.fsum(n * b * b for n, _, b in each),
        )

    def mean(self, r: float) -> float:
        """Of z."""
        return (self.a - r * self.b) / self.n

    def variance(self, r: float) -> float:
        """The sample variance of z."""
        squares = self.aa - 2.0 * r * self.ab + r * r * self.bb
        return max(0.0, squares - self.n * self.mean(r) ** 2) / (self.n - 1.0)


def _last(ruled_out: Callable[[float], bool], start: float, end: float) -> float:
    """Where from `start` towards `end` values stop being ruled out."""
    if not ruled_out(start):
        return start
    for _ in range(HALVINGS):
        middle = (start + end) / 2.0
        start, end = (middle, end) if ruled_out(middle) else (start, middle)
    return end


def growth(room: float, slack: float) -> float | None:
    """How many times as many predictions it takes until `slack`, which shrinks with their root, fits into `room`; None for never."""
    return (slack / room) ** 2 if room > 0 else None
