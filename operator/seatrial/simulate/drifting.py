"""The judge of drift for many trials at once, in arrays: `core/checks/drift.py` and `core/statistics/drift.py` again.

Counts hold a row for each bin and a column for each trial. Verdicts are few, since each takes a sample a quarter larger than the one
before: only the trials that have one at a look are reckoned with. `tests/simulate/test_drifting.py` holds them equal to the
product's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np

from seatrial.api.spec import Check, DriftStatistic
from seatrial.api.status import Outcome
from seatrial.core.bins import LEAST as ENOUGH
from seatrial.core.checks.drift import limit_of
from seatrial.core.checks.judging import FALSE_PASS
from seatrial.core.statistics.drift import FLOOR, GROWTH, LEAST, LOWEST, PRIOR, SMOOTHING, WORTH

Array = Any
OPEN, PASS, FAIL = 0, 1, 2
OUTCOMES = {OPEN: Outcome.INCONCLUSIVE, PASS: Outcome.PASS, FAIL: Outcome.FAIL}
HOUR = 3600.0


class Drift:
    """What one check has counted and found, in `runs` trials. `known` is what stable predicted in the hour before."""

    def __init__(self, check: Check, rows: int, known: Array, inflation: Array) -> None:
        assert check.drift is not None
        runs = len(known)
        self._statistic, self._limit = check.drift.statistic, limit_of(check)
        self._ordered = check.drift.histogram is not None
        self.known, self.inflation = known, np.maximum(1.0, np.round(inflation * 1000.0) / 1000.0)
        self.chosen: Array = known >= ENOUGH
        """The bins are."""
        self.mine, self.others = np.zeros((rows, runs)), np.zeros((rows, runs))
        self.looks, self.next, self.outcome = np.zeros(runs, int), np.zeros(runs), np.zeros(runs, int)

    def restart(self, which: Array) -> None:
        """A new weight was confirmed: counts begin anew, and what verdicts have spent stays spent."""
        self.mine[:, which] = self.others[:, which] = 0.0
        self.next[which] = 0.0

    def forget(self, which: Array) -> None:
        """A stage of another kind began."""
        self.restart(which)
        self.outcome[which] = OPEN

    def look(self, mine: Array, others: Array, seconds: Array, beside: Array, alarm: Array) -> None:
        """Count one look where stable answers `beside`, and take a verdict where it is time for one.

        `alarm` is the chance of a false alarm that this check has.
        """
        counts = beside & self.chosen
        self.mine += np.where(counts, mine, 0.0)
        self.others += np.where(counts, others, 0.0)
        self.known = self.known * np.maximum(0.0, 1.0 - seconds / HOUR) + others.sum(axis=0)
        made, besides = self.mine.sum(axis=0), self.others.sum(axis=0)
        size = 1.0 / (self.inflation * (1.0 / np.maximum(made, 1e-9) + 1.0 / np.maximum(besides, 1e-9)))
        time = counts & (np.minimum(made, besides) >= FLOOR * self.inflation) & (size >= self.next)
        self.chosen = self.chosen | (self.known >= ENOUGH)
        which = np.flatnonzero(time)
        if not len(which):
            return
        self.looks[which] += 1
        looks = self.looks[which]
        a, b, used = together(self.mine[:, which], self.others[:, which], ordered=self._ordered)
        seen = _Seen(a, b, used, self.inflation[which])
        surely = _KS if self._statistic is DriftStatistic.KS else _CONVEX[self._statistic]
        above, below = surely(seen, self._limit, nats(alarm[which], looks), nats(FALSE_PASS, looks))
        self.outcome[which] = np.where(above, FAIL, np.where(below, PASS, OPEN))
        self.next[which] = np.ceil(np.maximum(size[which], 1.0) * GROWTH)

    def fails(self) -> Array:
        """The trials in which the distance surely exceeds the limit."""
        return (self.next > 0) & (self.outcome == FAIL)

    def passes(self, least: int) -> Array:
        """Those in which it is surely under it."""
        return (self.next > 0) & (self.outcome == PASS) & (self.mine.sum(axis=0) >= least)

    def keep(self, which: Array) -> None:
        """Go on with some of the trials only."""
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                setattr(self, name, value[..., which])


def inflation(windows: Array) -> Array:
    """`statistics.inflation` of many trials: windows by bin by trial."""
    a, b = windows[:-1], windows[1:]
    n, m, both = a.sum(axis=1), b.sum(axis=1), a + b
    free = (both > 0).sum(axis=1) - 1
    fine = (n > 0) & (m > 0) & (free >= 1)
    parts = (a * m[:, None] - b * n[:, None]) ** 2 / np.maximum((n * m)[:, None] * both, 1e-12)
    chi = np.where(fine, np.where(both > 0, parts, 0.0).sum(axis=1) / np.maximum(free, 1), 0.0)
    out: Array = np.maximum(LOWEST, (WORTH * PRIOR + chi.sum(axis=0)) / (WORTH + fine.sum(axis=0)))
    return out


def nats(chance: Array, looks: Array) -> Array:
    """`statistics.nats_of_look` of each trial."""
    out: Array = -np.log(chance / (looks * (looks + 1.0)))
    return out


def together(a: Array, b: Array, *, ordered: bool) -> tuple[Array, Array, Array]:
    """`statistics.together`: both arms' counts by group, and which rows hold one."""
    fewer = np.minimum(a.sum(axis=0), b.sum(axis=0))
    both = a + b
    expected = both * (fewer / np.maximum(both.sum(axis=0), 1e-9))
    return _neighbours(a, b, expected) if ordered else _rest(a, b, expected)


def _neighbours(a: Array, b: Array, expected: Array) -> tuple[Array, Array, Array]:
    out_a, out_b, used = np.zeros(a.shape), np.zeros(a.shape), np.zeros(a.shape, bool)
    held, held_a, held_b = (np.zeros(a.shape[1]) for _ in range(3))
    for row in range(len(a) - 1, -1, -1):
        held, held_a, held_b = held + expected[row], held_a + a[row], held_b + b[row]
        full = held >= LEAST
        out_a[row], out_b[row], used[row] = np.where(full, held_a, 0.0), np.where(full, held_b, 0.0), full
        held, held_a, held_b = (np.where(full, 0.0, value) for value in (held, held_a, held_b))
    lowest, every = np.argmax(used, axis=0), np.arange(a.shape[1])  # row 0 where there is none
    out_a[lowest, every] += held_a
    out_b[lowest, every] += held_b
    used[lowest, every] = True
    return out_a, out_b, used


def _rest(a: Array, b: Array, expected: Array) -> tuple[Array, Array, Array]:
    large = expected >= LEAST
    large[-1] = False
    left = np.where(large, 0.0, expected).sum(axis=0)
    least = np.argmin(np.where(large, expected, np.inf), axis=0)
    lacks = (left < LEAST) & large.any(axis=0)
    large[least[lacks], np.flatnonzero(lacks)] = False
    out_a, out_b = np.where(large, a, 0.0), np.where(large, b, 0.0)
    out_a[-1], out_b[-1] = (np.where(large, 0.0, one).sum(axis=0) for one in (a, b))
    large[-1] = True
    return out_a, out_b, large


class _Seen:
    """Counts by group, and what both measures need of them."""

    def __init__(self, a: Array, b: Array, used: Array, inflated: Array) -> None:
        self.a, self.b, self.used, self.inflated = a, b, used, inflated
        self.n, self.m, self.groups = a.sum(axis=0), b.sum(axis=0), used.sum(axis=0)
        self.spread = inflated * (1.0 / self.n + 1.0 / self.m)

    def smoothed(self) -> tuple[Array, Array]:
        """Both arms' shares; 1 where a row holds no group, of which every logarithm is 0."""
        p, q = (
            np.where(self.used, (one + SMOOTHING) / (total + SMOOTHING * self.groups), 1.0)
            for one, total in ((self.a, self.n), (self.b, self.m))
        )
        return p, q


def _convex(statistic: DriftStatistic) -> Any:
    psi = statistic is DriftStatistic.PSI
    curve, power = (1.0, 1.0) if psi else (1.0 / 8.0, 2.0)

    def slope(x: Array, y: Array) -> Array:
        return np.log(x / y) + 1.0 - y / x if psi else np.log(2.0 * x / (x + y)) / 2.0

    def surely(seen: _Seen, limit: float, wrong: Array, doubt: Array) -> tuple[Array, Array]:
        p, q = seen.smoothed()
        if psi:
            terms = (p - q) * np.log(p / q)
        else:
            terms = (p * np.log(2.0 * p / (p + q)) + q * np.log(2.0 * q / (p + q))) / 2.0
        divergence, variance = np.where(seen.used, terms, 0.0).sum(axis=0), np.zeros(len(seen.n))
        for mine, other, total in ((p, q, seen.n), (q, p, seen.m)):
            held, slopes = np.where(seen.used, mine, 0.0), slope(mine, other)
            mean = (held * slopes).sum(axis=0)
            variance += (held * (slopes - mean) ** 2).sum(axis=0) / total
        deviation, target = np.sqrt(seen.inflated * variance), math.pow(limit, power)
        k, x = seen.groups - 1, wrong + math.log(2.0)
        bend = curve * seen.spread * (k + 2.0 * np.sqrt(k * x) + 2.0 * x)
        above = divergence - _quantile(x) * deviation - bend > target
        apart = np.sqrt(4.0 * curve * target * seen.spread)
        below = divergence + _quantile(doubt) * np.maximum(deviation, apart) < target
        return above, below

    return surely


def _KS(seen: _Seen, limit: float, wrong: Array, doubt: Array) -> tuple[Array, Array]:  # noqa: N802  a measure by its name
    measured = np.abs(np.cumsum(seen.a / seen.n - seen.b / seen.m, axis=0)[:-1]).max(axis=0)
    edges = np.maximum(1, seen.groups - 1)
    above = measured - np.sqrt(seen.spread * (wrong + np.log(2.0 * edges)) / 2.0) > limit
    return above, measured + np.sqrt(seen.spread * doubt / 2.0) < limit


_CONVEX = {one: _convex(one) for one in (DriftStatistic.PSI, DriftStatistic.JS)}


def _quantile(of: Array) -> Array:
    """Standard deviations by nats; few different ones at a time."""
    values, where = np.unique(of, return_inverse=True)
    found: Sequence[float] = [-NormalDist().inv_cdf(math.exp(-min(float(one), 600.0))) for one in values]
    return np.array(found)[where]
