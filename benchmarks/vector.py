"""The judge of shares for many trials at once, in arrays.

The same arithmetic as `core/statistics` and `core/checks`, of which `tests/evidence/test_vector.py` makes sure trial by trial. It
exists because the promise is about 1 trial in 100, and that takes many thousands of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from seatrial.core.checks.gathering import BETS
from seatrial.core.checks.terms import Terms
from seatrial.core.statistics import clumps
from seatrial.core.statistics.sequential import FAR, NEAR, begun

Array = Any
"""An array of one number for each trial."""
_ALWAYS = math.log(0.97 / 0.03)
_FULL = 1.0 - 1e-6


def projection(n: Array, m: Array, base: Array, share: Array, margin: Array) -> Array:
    """Stable's share at the claim's nearest point, by halving its logarithm: what that leaves is far below a hundredth of a nat."""
    low = np.maximum(np.minimum(base, share - margin), 1e-9)
    high = np.minimum(np.maximum(base, share - margin), 1.0 - margin - 1e-9)
    for _ in range(16):
        t = np.sqrt(low * high)
        c = t + margin
        rising = m * (t - base) * (c * (1.0 - c)) < n * (share - c) * (t * (1.0 - t))
        low, high = np.where(rising, t, low), np.where(rising, high, t)
    out: Array = np.sqrt(low * high)
    return out


def temper(log_ratio: Array, clump: Array) -> Array:
    """The power that clumps leave."""
    size, more = np.maximum(np.abs(log_ratio), 1e-12), np.maximum(clump - 1.0, 1e-9)
    sign = np.where(log_ratio > 0, 1.0, -1.0)
    average = np.abs(np.expm1(np.clip(log_ratio, -50.0, 50.0))) / size
    # The condition's two sides differ by a convex function of the weight: from the right, Newton's steps never pass its root.
    weight = np.minimum(size, np.abs(average - 1.0) / (more * average))
    for _ in range(12):
        y = np.abs(np.expm1(sign * weight))
        grown = 1.0 + sign * y
        over = sign * (y - weight * average) + more * y * weight * average
        slope = sign * (grown - average) + more * average * (y + weight * grown)
        weight = np.maximum(weight - over / slope, 0.0)
    low = np.minimum(weight / size, 1.0)
    return np.where((more <= 1e-9) | (size <= 1e-9), 1.0, low)


def _ratio(events: Array, total: Array, share: Array, other: Array) -> Array:
    return events * np.log(share / other) + (total - events) * np.log((1.0 - share) / (1.0 - other))


def log_e(
    e: Array, n: Array, b: Array, m: Array, base: Array, share: Array, margin: Array, clump: Array
) -> Array:  # fmt: skip
    """Evidence of one look of every trial."""
    nearest = projection(n, m, base, share, margin)
    power = np.maximum(temper(np.log(share / (base + margin)), clump), 1.0 / np.maximum(1.0, n))
    out: Array = power * (_ratio(b, m, base, nearest) + _ratio(e, n, share, nearest + margin))
    return out


@dataclass
class Judge:
    """Evidence of `runs` trials of one check without a ceiling, while stable answers beside the candidate."""

    runs: int
    terms: Terms
    accepts: bool = True
    """Whether evidence for a Pass is gathered too."""
    age: float = 0.0
    """Seconds since the evidence began."""
    worse: Array = field(init=False)
    step: Array = field(init=False)
    trial: Array = field(init=False)

    def __post_init__(self) -> None:
        self.squares: Array = np.zeros(self.runs)
        self.weight: Array = np.zeros(self.runs)
        self.events: Array = np.zeros(self.runs)
        self.total: Array = np.zeros(self.runs)
        self.last_events: Array = np.zeros(self.runs)
        self.last_total: Array = np.zeros(self.runs)
        self.windows: Array = np.zeros(self.runs)
        self.fresh_events: Array = np.zeros(self.runs)
        self.fresh_total: Array = np.zeros(self.runs)
        self.outliers: Array = np.zeros((2, 2, self.runs))
        """The two pairs that say most: (squares, weight) of each."""
        self.worse = np.full((len(NEAR) + len(FAR), self.runs), -np.inf)
        self.step, self.trial = (np.zeros((len(BETS), self.runs)) for _ in range(2))

    def past(self, b: Array, m: Array) -> None:
        """One more window of stable."""
        both, requests = self.last_events + b, self.last_total + m
        share = both / np.maximum(requests, 1.0)
        fine = (self.last_total > 0) & (m > 0) & (both > 0) & (both < requests)
        variance = share * (1.0 - share) * (1.0 / np.maximum(self.last_total, 1.0) + 1.0 / np.maximum(m, 1.0))
        gap = self.last_events / np.maximum(self.last_total, 1.0) - b / np.maximum(m, 1.0)
        square = np.where(fine, np.minimum(gap * gap / np.where(fine, variance, 1.0), clumps.BOUND), 0.0)
        heavy = np.where(fine, np.minimum(both, clumps.HEAVIEST), 0.0)
        some = m > 0
        pairs = np.concatenate([self.outliers, np.stack([square * heavy, heavy])[None]])
        order = np.lexsort((pairs[:, 1], pairs[:, 0]), axis=0)[::-1]
        ranked = np.take_along_axis(pairs, order[:, None, :], axis=0)
        self.outliers = ranked[:2]
        self.squares += ranked[2, 0]
        self.weight += ranked[2, 1]
        self.events += np.where(some, b, 0.0)
        self.total += np.where(some, m, 0.0)
        self.windows += some
        kept = 1.0 - 1.0 / clumps.FRESH
        self.fresh_events = np.where(some, kept * self.fresh_events + b, self.fresh_events)
        self.fresh_total = np.where(some, kept * self.fresh_total + m, self.fresh_total)
        self.last_events, self.last_total = np.where(some, b, self.last_events), np.where(some, m, self.last_total)
        old = np.where(self.windows >= clumps.MEMORY, 0.5, 1.0)
        for name in ("squares", "weight", "events", "total", "outliers"):
            setattr(self, name, getattr(self, name) * old)
        self.windows = np.floor(self.windows * old)

    def known(self) -> tuple[Array, Array, Array]:
        """Stable's share, the margin and the mean clump, before the next look."""
        long_run = (self.events + 0.5) / (self.total + 100.0)
        base = (self.fresh_events + clumps.STEADY * long_run) / (self.fresh_total + clumps.STEADY)
        inflation = (clumps.WORTH * self.terms.inflation + self.squares) / (clumps.WORTH + self.weight)
        return base, np.array([self.terms.margin(x) for x in base]), (np.maximum(1.0, inflation) + 1.0) / 2.0

    def look(self, e: Array, n: Array, b: Array, m: Array, weight: Array, seconds: float) -> None:
        """Gather one look; `weight` is the share of live requests, from 0 to 1."""
        base, margin, clump = self.known()
        boundary = base + margin
        low = np.log(boundary / (1.0 - boundary))
        high = np.maximum(_ALWAYS, low + 1.0)
        far = [1.0 / (1.0 + np.exp(-(low + part * (high - low)))) for part in FAR]
        shares = np.array([*(np.minimum(boundary + part * margin, far[-1]) for part in NEAR), *far])
        mass = begun(self.age + seconds) - (begun(self.age) if self.age > 0 else 0.0)
        entering = math.log(mass / len(shares))
        self.worse = np.logaddexp(self.worse, entering) + log_e(e, n, b, m, base, shares, margin, clump)
        if self.accepts:
            self._calm(e, n, b, m, weight, base, margin, clump)
        self.age += seconds
        self.past(b, m)

    def _calm(
        self, e: Array, n: Array, b: Array, m: Array, weight: Array, base: Array, margin: Array, clump: Array
    ) -> None:  # fmt: skip
        """Evidence that a step, and the whole trial, is within the margin."""
        mean = m * (self.events + 0.5) / (self.total + 100.0)
        trouble = b > mean + clumps.ODD * (np.sqrt(mean * (2.0 * clump - 1.0)) + clump)
        parts = np.array(BETS)[:, None]
        for name, allowed in (("step", margin / weight), ("trial", margin)):
            sure = base + allowed >= _FULL
            fit, known = np.where(sure, 0.5, allowed), np.where(sure, 0.1, base)
            gained = np.where(sure, 50.0, log_e(e, n, b, m, known, known + parts * fit, fit, clump))
            setattr(self, name, getattr(self, name) + np.where(trouble, np.minimum(gained, 0.0), gained))

    def keep(self, which: Array) -> None:
        """Go on with some of the trials only."""
        self.runs = int(np.count_nonzero(which))
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                setattr(self, name, value[..., which])

    def harm(self) -> Array:
        """Evidence that the candidate is worse than the margin, in nats."""
        out: Array = np.logaddexp(np.logaddexp.reduce(self.worse, axis=0), math.log(1.0 - begun(self.age)))
        return out

    def restart(self, which: Array) -> None:
        """A new weight was confirmed."""
        self.step[:, which] = 0.0

    def passes(self) -> tuple[Array, Array]:
        """Evidence that a step, and that the whole trial, is within the margin, in nats."""
        halves = math.log(len(BETS))
        return np.logaddexp.reduce(self.step, axis=0) - halves, np.logaddexp.reduce(self.trial, axis=0) - halves
