"""How far two distributions over the same bins are apart, and how surely.

**Measures.** With the shares p and q of both arms in each bin (Kullback's J divergence is the PSI of credit scoring; Lin, IEEE
Trans. Inf. Theory 37, 1991, for Jensen and Shannon's):

* PSI = Σ (p - q) ln(p / q)
* JS = √(½ Σ p ln(p / m) + ½ Σ q ln(q / m)), m = (p + q) / 2: the distance, with natural logarithms, 0 to √ln 2
* KS = max |P - Q| of the cumulative shares; at the edges of bins it is at most that of the samples themselves.

**Small bins.** A bin in which fewer than `LEAST` predictions of an arm are to be expected is put together with a neighbour, and
half a prediction is added to every bin: one empty bin would make PSI infinite, and filling it with 0.0001 makes it 0.3.

**How surely.** PSI and JS² are convex in (p, q) together. So what is measured is at least the true distance plus a sum of
independent terms of mean 0 (its linear part), whose variance σ² follows from the counts (delta method); what is left is
about c v times a chi-square with bins - 1 degrees of freedom, v = 1/n + 1/m, with c = 1 for PSI and 1/8 for JS².

* surely above: measured - z σ - c v (k + 2 √(k x) + 2 x) > limit, the last term by Laurent and Massart (Annals of Statistics 28,
  2000, lemma 1). Both parts get half of the chance.
* surely below: measured + z σ < limit. As σ is 0 where both arms look the same by chance, it is taken as no smaller than it is
  for two arms that far apart: σ² = 4 c v limit.
* KS by Hoeffding: at one edge the difference of both cumulative shares is wrong by more than √(v x / 2) with a chance of at most
  e^-x on either side. Above the limit takes all edges together, below it only the one where the true distance is.

**Predictions that hang together** (one user's, one batch's) multiply every variance by an `inflation`: the mean chi-square of
neighbouring windows over its degrees of freedom, drawn towards a prior.

**Looking again.** Verdicts are taken as the effective sample size 1 / (v inflation) grows by `GROWTH`, and the k-th one may be wrong
with a chance of α / (k (k + 1)): all of them together with at most α.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Protocol

LEAST = 5.0
"""Predictions that an arm is expected to have in a bin, or the bin is put together with its neighbour."""
SMOOTHING = 0.5
GROWTH = 1.25
FLOOR = 100.0
"""Predictions of either arm, after the inflation, before the first verdict."""
PRIOR, WORTH, LOWEST = 2.0, 10.0, 1.5
"""Inflation without any evidence, pairs of windows that it is worth, and the smallest one that is believed."""
_MEAN_KS = 0.87
"""Mean of the Kolmogorov distribution: what KS is of two samples of one distribution, in units of √v."""

Counts = Sequence[int]
Shares = Sequence[float]


def psi(p: Shares, q: Shares) -> float:
    """Population stability index of two distributions without empty bins.

    >>> round(psi([0.5, 0.5], [0.6, 0.4]), 4)
    0.0405
    """
    return math.fsum((a - b) * math.log(a / b) for a, b in zip(p, q, strict=True))


def js(p: Shares, q: Shares) -> float:
    """Jensen-Shannon distance, natural logarithms.

    >>> round(js([1.0, 0.0], [0.0, 1.0]), 4)
    0.8326
    """
    return math.sqrt(max(0.0, _jsd(p, q)))


def ks(p: Shares, q: Shares) -> float:
    """Largest difference of the cumulative shares.

    >>> round(ks([0.2, 0.3, 0.5], [0.1, 0.2, 0.7]), 4)
    0.2
    """
    return max(_gaps(p, q), default=0.0)


def _jsd(p: Shares, q: Shares) -> float:
    def towards(a: float, b: float) -> float:
        return a * math.log(2.0 * a / (a + b)) if a > 0 else 0.0

    return math.fsum((towards(a, b) + towards(b, a)) / 2.0 for a, b in zip(p, q, strict=True))


def _gaps(p: Shares, q: Shares) -> list[float]:
    out, gap = [], 0.0
    for a, b in zip(p, q, strict=True):
        gap += a - b
        out.append(abs(gap))
    return out[:-1]


def smoothed(counts: Counts) -> list[float]:
    """Shares with half a prediction more in each bin.

    >>> smoothed([0, 3])
    [0.125, 0.875]
    """
    total = sum(counts) + SMOOTHING * len(counts)
    return [(count + SMOOTHING) / total for count in counts]


def together(a: Counts, b: Counts, *, ordered: bool) -> list[list[int]]:
    """Which bins are put together, as lists of their positions, so that each arm is expected to have enough in each.

    Bins in order go to the neighbour below, the first ones to the one above; without an order they go to the last bin.

    >>> together([90, 9, 1], [900, 90, 10], ordered=True)
    [[0], [1, 2]]
    """
    fewer, both = min(sum(a), sum(b)), sum(a) + sum(b)
    expected = [(x + y) * fewer / both if both else 0.0 for x, y in zip(a, b, strict=True)]
    if not ordered:
        large = [[i] for i, e in enumerate(expected[:-1]) if e >= LEAST]
        rest = [i for i in range(len(expected)) if [i] not in large]
        if large and sum(expected[i] for i in rest) < LEAST:
            rest += large.pop(min(range(len(large)), key=lambda i: expected[large[i][0]]))
        return [*large, rest]
    out: list[list[int]] = []
    have: list[int] = []
    for index in range(len(expected) - 1, -1, -1):
        have.insert(0, index)
        if sum(expected[i] for i in have) >= LEAST:
            out.insert(0, have)
            have = []
    if have:
        out[:1] = [have + (out[0] if out else [])]
    return out


def sums(counts: Counts, groups: Sequence[Sequence[int]]) -> list[int]:
    """Counts of bins that were put together."""
    return [sum(counts[i] for i in group) for group in groups]


def spread(a: Counts, b: Counts, inflation: float) -> float:
    """v: the sum of both arms' inverse sample sizes, inflated; infinite while one is empty."""
    n, m = sum(a), sum(b)
    return inflation * (1.0 / n + 1.0 / m) if n and m else math.inf


class Measure(Protocol):
    """A distance of two arms' counts by bin, and what is sure of it. `nats` is -ln of the chance of being wrong."""

    @property
    def name(self) -> str:
        """As people call it."""

    @property
    def usual(self) -> float:
        """The default limit."""

    def measured(self, a: Counts, b: Counts) -> float:
        """The distance as counted."""

    def above(self, a: Counts, b: Counts, limit: float, inflation: float, nats: float) -> bool:
        """Whether the true distance surely exceeds the limit."""

    def below(self, a: Counts, b: Counts, limit: float, inflation: float, nats: float) -> bool:
        """Whether the true distance is surely under the limit."""

    def growth(self, a: Counts, b: Counts, limit: float, inflation: float, nats: float) -> float | None:
        """How many times as many predictions make it surely under the limit, if shares stay as they are; None for never."""


Gradient = Callable[[float, float], float]


@dataclass(frozen=True, slots=True)
class _Convex:
    """PSI, and JS by way of its square."""

    name: str
    usual: float
    divergence: Callable[[Shares, Shares], float]
    slope: Gradient
    """Derivative of one bin's term by the share that is named first; the divergence is symmetric."""
    curve: float
    """The divergence of two near distributions, over their chi-square distance."""
    power: float
    """The divergence is this power of what people call by the name."""

    def measured(self, a: Counts, b: Counts) -> float:
        return math.pow(max(0.0, self.divergence(smoothed(a), smoothed(b))), 1.0 / self.power)

    def above(self, a: Counts, b: Counts, limit: float, inflation: float, nats: float) -> bool:
        p, q = smoothed(a), smoothed(b)
        k, x = len(p) - 1, nats + math.log(2.0)
        bend = self.curve * spread(a, b, inflation) * (k + 2.0 * math.sqrt(k * x) + 2.0 * x)
        sure = self.divergence(p, q) - _quantile(x) * self._deviation(a, b, inflation) - bend
        return sure > math.pow(limit, self.power)

    def below(self, a: Counts, b: Counts, limit: float, inflation: float, nats: float) -> bool:
        p, q = smoothed(a), smoothed(b)
        return self.divergence(p, q) + self._slack(a, b, limit, inflation, nats) < math.pow(limit, self.power)

    def growth(self, a: Counts, b: Counts, limit: float, inflation: float, nats: float) -> float | None:
        noise = self.curve * spread(a, b, inflation) * (len(a) - 1)
        true = max(0.0, self.divergence(smoothed(a), smoothed(b)) - noise)
        room, slack = math.pow(limit, self.power) - true, self._slack(a, b, limit, inflation, nats)
        if room <= 0:
            return None
        # noise s² + slack s = room, where the sample is 1 / s² times as large
        s = 2.0 * room / (slack + math.sqrt(slack * slack + 4.0 * noise * room))
        return 1.0 / (s * s)

    def _slack(self, a: Counts, b: Counts, limit: float, inflation: float, nats: float) -> float:
        apart = 4.0 * self.curve * math.pow(limit, self.power) * spread(a, b, inflation)
        return _quantile(nats) * max(self._deviation(a, b, inflation), math.sqrt(apart))

    def _deviation(self, a: Counts, b: Counts, inflation: float) -> float:
        p, q = smoothed(a), smoothed(b)
        variance = 0.0
        for mine, other, counts in ((p, q, a), (q, p, b)):
            slopes = [self.slope(x, y) for x, y in zip(mine, other, strict=True)]
            mean = math.fsum(x * g for x, g in zip(mine, slopes, strict=True))
            variance += math.fsum(x * (g - mean) ** 2 for x, g in zip(mine, slopes, strict=True)) / sum(counts)
        return math.sqrt(inflation * variance)


@dataclass(frozen=True, slots=True)
class _Cumulative:
    """KS."""

    name: str = "KS"
    usual: float = 0.2

    def measured(self, a: Counts, b: Counts) -> float:
        return ks(_shares(a), _shares(b))

    def above(self, a: Counts, b: Counts, limit: float, inflation: float, nats: float) -> bool:
        edges = max(1, len(a) - 1)
        return self.measured(a, b) - _hoeffding(a, b, inflation, nats + math.log(2.0 * edges)) > limit

    def below(self, a: Counts, b: Counts, limit: float, inflation: float, nats: float) -> bool:
        return self.measured(a, b) + _hoeffding(a, b, inflation, nats) < limit

    def growth(self, a: Counts, b: Counts, limit: float, inflation: float, nats: float) -> float | None:
        noise = _MEAN_KS * math.sqrt(spread(a, b, inflation))
        room = limit - max(0.0, self.measured(a, b) - noise)
        if room <= 0:
            return None
        return ((noise + _hoeffding(a, b, inflation, nats)) / room) ** 2


def _hoeffding(a: Counts, b: Counts, inflation: float, nats: float) -> float:
    return math.sqrt(spread(a, b, inflation) * nats / 2.0)


def _shares(counts: Counts) -> list[float]:
    total = sum(counts)
    return [count / total for count in counts] if total else [0.0] * len(counts)


def _quantile(nats: float) -> float:
    """Standard deviations that a normal variable exceeds with a chance of e^-nats."""
    return -NormalDist().inv_cdf(math.exp(-min(nats, 600.0)))


PSI: Measure = _Convex(
    name="PSI", usual=0.25, divergence=psi, slope=lambda a, b: math.log(a / b) + 1.0 - b / a, curve=1.0, power=1.0
)
JS: Measure = _Convex(
    name="JS", usual=0.17, divergence=_jsd, slope=lambda a, b: math.log(2.0 * a / (a + b)) / 2.0, curve=1 / 8, power=2.0
)
KS: Measure = _Cumulative()


def nats_of_look(chance: float, look: int) -> float:
    """-ln of what the verdict number `look`, from 1, may spend of a chance.

    >>> round(sum(math.exp(-nats_of_look(0.01, look)) for look in range(1, 100_000)), 4)
    0.01
    """
    return -math.log(chance / (look * (look + 1.0)))


def inflation(windows: Sequence[Counts]) -> float:
    """How much more counts vary than those of independent predictions, from neighbouring windows of one arm."""
    total, pairs = 0.0, 0
    for a, b in itertools.pairwise(windows):
        n, m = sum(a), sum(b)
        both = [x + y for x, y in zip(a, b, strict=True)]
        free = sum(1 for count in both if count) - 1
        if n == 0 or m == 0 or free < 1:
            continue
        chi = math.fsum((x * m - y * n) ** 2 / (n * m * w) for x, y, w in zip(a, b, both, strict=True) if w)
        total, pairs = total + chi / free, pairs + 1
    return max(LOWEST, (WORTH * PRIOR + total) / (WORTH + pairs))
