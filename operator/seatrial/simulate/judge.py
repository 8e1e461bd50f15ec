"""The judge of shares for many trials at once, in arrays.

The same arithmetic as `core/statistics` and `core/checks`, of which `tests/simulate/test_judge.py` makes sure trial by trial. It
exists because the promise is about 1 trial in 100, and that takes many thousands of them. Arrays hold one number for each trial, or
rows of those: one for each alternative.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from seatrial.core.checks.gathering import BETS, CERTAIN
from seatrial.core.checks.terms import RELATIVE_FLOOR, Terms
from seatrial.core.statistics import clumps
from seatrial.core.statistics.sequential import EARLY, FAR, HORIZON, NEAR, alternatives

Array = Any
"""An array of one number for each trial."""
Three = tuple[Array, Array, Array]
Four = tuple[Array, Array, Array, Array]
_ALWAYS = math.log(0.97 / 0.03)
_FULL = 1.0 - 1e-6
_TINY = 1e-9


def projection(n: Array, m: Array, base: Array, share: Array, margin: Array) -> Array:
    """Stable's share at the claim's nearest point.

    Where the slope of m KL(base, t) + n KL(share, t + margin) is 0, so is a cubic in t. It has a root on either side of the
    shares that are possible and the one looked for between them: the middle one (Viète), and one of Newton's steps more.
    """
    both = np.maximum(n + m, 1e-9)
    mine, theirs, d = n / both, m / both, share - margin
    u, v = 1.0 - 2.0 * margin, margin * (1.0 - margin)
    a = -(theirs * (u + base) + mine * (1.0 + d))
    b = mine * d - theirs * (v - base * u)
    c = theirs * base * v
    p = np.minimum(b - a * a / 3.0, -1e-60)
    q = (2.0 * a * a / 27.0 - b / 3.0) * a + c
    size = np.sqrt(-p / 3.0)
    angle = np.arccos(np.clip(-q / (2.0 * size**3), -1.0, 1.0))
    t = 2.0 * size * np.cos(angle / 3.0 - 2.0 * math.pi / 3.0) - a / 3.0
    t -= (((t + a) * t + b) * t + c) / np.minimum((3.0 * t + 2.0 * a) * t + b, -1e-300)
    low = np.maximum(np.minimum(base, d), _TINY)
    high = np.minimum(np.maximum(base, d), 1.0 - margin - _TINY)
    out: Array = np.minimum(np.maximum(t, low), high)
    return out


def temper(log_ratio: Array, clump: Array) -> Array:
    """The power that clumps leave: where `sequential.temper` halves, Newton's steps."""
    size, more = np.abs(log_ratio), clump - 1.0
    plain = (more <= _TINY) | (size <= _TINY)
    size, up = np.where(plain, 1.0, np.minimum(size, 50.0)), log_ratio > 0
    if np.all(up):
        weight = _against(size, more)
    elif np.any(up):
        weight = np.where(up, _against(size, more), _in_favour(size, more))
    else:
        weight = _in_favour(size, more)
    return np.where(plain, 1.0, weight / size)


# Both conditions are functions of an event's weight w that rise; the first is convex and the second concave, so that Newton's
# steps come from one side after the first, wherever it lands between the ends. What is left after a step is of the order of
# its square.


def _against(size: Array, more: Array) -> Array:
    """What an event may weigh against the claim: mean (1 + more w E) = E, with mean = (e^w - 1)/w."""
    average = np.expm1(size) / size
    weight, more = size / (1.0 + 2.0 * more), more * average
    for _ in range(40):
        y = np.expm1(weight)
        mean, grown = y / weight, 1.0 + more * weight
        rise = (1.0 + y - mean) / weight * grown + mean * more
        weight, left = _stepped(weight, (mean * grown - average) / rise, size)
        if left:
            break
    return weight


def _in_favour(size: Array, more: Array) -> Array:
    """What an event may weigh for the claim: E (1 + more y) = mean, with y = 1 - e^-w and mean = y/w."""
    average = -np.expm1(-size) / size
    weight, more = size / (1.0 + 2.0 * more), more * average
    for _ in range(40):
        y = -np.expm1(-weight)
        mean = y / weight
        rise = more * (1.0 - y) - (1.0 - y - mean) / weight
        weight, left = _stepped(weight, (average + more * y - mean) / rise, size)
        if left:
            break
    return weight


def _stepped(weight: Array, step: Array, size: Array) -> tuple[Array, bool]:
    """One of Newton's steps, and whether it was so short that the next one need not be taken."""
    new = np.minimum(np.maximum(weight - step, 1e-4 * size), size)
    return new, bool(np.all(np.abs(new - weight) <= 2e-3 * size))


def begun(seconds: Array) -> Array:
    """The weight given by now to faults that have begun."""
    return EARLY + (1.0 - EARLY) * seconds / (HORIZON + seconds)


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
    """Evidence of `runs` trials of one check."""

    runs: int
    terms: Terms
    age: Array = field(init=False)
    """Seconds since the evidence began."""
    first: Array = field(init=False)
    """No look has been gathered yet."""
    worse: Array = field(init=False)
    """By direction, alternative and trial."""
    made: Array = field(init=False)
    """By direction: whether the candidate could be worse by the margin at all; a share that may rise above 1 cannot."""
    above: Array = field(init=False)
    step: Array = field(init=False)
    trial: Array = field(init=False)

    def __post_init__(self) -> None:
        names = ("squares", "weight", "events", "total", "last_events", "last_total", "windows", "fresh_events")
        for name in (*names, "fresh_total"):
            setattr(self, name, np.zeros(self.runs))
        self.outliers: Array = np.zeros((2, 2, self.runs))
        """The two pairs that say most: (squares, weight) of each."""
        sides = len(self.terms.sides)
        self.age, self.first = np.zeros(self.runs), np.ones(self.runs, bool)
        self.made = np.zeros((sides, self.runs), bool)
        self.worse, self.above = (np.full((sides, len(NEAR) + len(FAR), self.runs), -np.inf) for _ in range(2))
        self.step, self.trial = (np.zeros((sides, len(BETS), self.runs)) for _ in range(2))

    clumps: Array = field(init=False, repr=False, default=None)
    powers: Array = field(init=False, repr=False, default=None)
    """Of the alternatives above the ceiling, for clumps of that size: they change only while stable is seen."""
    squares: Array = field(init=False, repr=False)
    weight: Array = field(init=False, repr=False)
    events: Array = field(init=False, repr=False)
    total: Array = field(init=False, repr=False)
    last_events: Array = field(init=False, repr=False)
    last_total: Array = field(init=False, repr=False)
    windows: Array = field(init=False, repr=False)
    fresh_events: Array = field(init=False, repr=False)
    fresh_total: Array = field(init=False, repr=False)

    @property
    def ceiling(self) -> float | None:
        """The share above which a candidate fails by itself, where there is one that can be reached."""
        limit = self.terms.ceiling
        return limit if limit is not None and 0.0 < limit < _FULL else None

    def claims(self) -> Array:
        """Kinds of harm that are looked for: they share this check's chance of a false alarm."""
        ceilings = 0 if self.ceiling is None else len(self.terms.sides)
        return np.maximum(1, self.made.sum(axis=0) + ceilings)

    def past(self, b: Array, m: Array, seen: Array = True) -> None:
        """One more window of stable, in the trials in which it is `seen`."""
        some = (m > 0) & seen
        both, requests = self.last_events + b, self.last_total + m
        share = both / np.maximum(requests, 1.0)
        fine = (self.last_total > 0) & some & (both > 0) & (both < requests)
        variance = share * (1.0 - share) * (1.0 / np.maximum(self.last_total, 1.0) + 1.0 / np.maximum(m, 1.0))
        gap = self.last_events / np.maximum(self.last_total, 1.0) - b / np.maximum(m, 1.0)
        square = np.where(fine, np.minimum(gap * gap / np.where(fine, variance, 1.0), clumps.BOUND), 0.0)
        heavy = np.where(fine, np.minimum(both, clumps.HEAVIEST), 0.0)
        pair, (first, second) = np.stack([square * heavy, heavy]), self.outliers
        above_first, above_second = _more(pair, first), _more(pair, second)
        left = np.where(above_second, second, pair)
        self.outliers = np.stack(
            [np.where(above_first, pair, first), np.where(above_first, first, np.where(above_second, pair, second))]
        )
        self.squares += left[0]
        self.weight += left[1]
        self.events += np.where(some, b, 0.0)
        self.total += np.where(some, m, 0.0)
        self.windows += some
        kept = 1.0 - 1.0 / clumps.FRESH
        self.fresh_events = np.where(some, kept * self.fresh_events + b, self.fresh_events)
        self.fresh_total = np.where(some, kept * self.fresh_total + m, self.fresh_total)
        self.last_events, self.last_total = np.where(some, b, self.last_events), np.where(some, m, self.last_total)
        if np.any(self.windows >= clumps.MEMORY):
            old = np.where(self.windows >= clumps.MEMORY, 0.5, 1.0)
            for name in ("squares", "weight", "events", "total", "outliers"):
                setattr(self, name, getattr(self, name) * old)
            self.windows = np.floor(self.windows * old)

    def known(self) -> tuple[Array, Array, Array]:
        """Stable's share, the margin and the mean clump, before the next look."""
        base = (self.fresh_events + clumps.STEADY * self.long_run()) / (self.fresh_total + clumps.STEADY)
        return base, margins(self.terms, base), self._clump(self.terms.inflation)

    def prudent(self) -> Array:
        """The mean clump as a Pass takes it to be."""
        return self._clump(self.terms.prudent)

    def _clump(self, prior: float) -> Array:
        inflation = (clumps.WORTH * prior + self.squares) / (clumps.WORTH + self.weight)
        return (np.maximum(1.0, inflation) + 1.0) / 2.0

    def long_run(self) -> Array:
        """Stable's share in all that was seen of it."""
        return (self.events + 0.5) / (self.total + 100.0)

    def look(
        self, e: Array, n: Array, b: Array, m: Array, weight: Array, seconds: Array, *,
        beside: Array = True, passing: bool = True,
    ) -> None:  # fmt: skip
        """Gather one look; `weight` is the share of live requests, from 0 to 1.

        Where stable does not answer `beside` the candidate, only the ceiling is looked at. Without `passing` nobody will ask
        what a Pass takes, and it is not reckoned.
        """
        known = self.known()
        beside = np.broadcast_to(np.asarray(beside), (self.runs,))
        after = self.age + seconds
        mass = begun(after) - np.where(self.first, 0.0, begun(self.age))
        entering = np.log(np.maximum(mass, 1e-300) / (len(NEAR) + len(FAR)))
        trouble = self._odd(b, m, known[2])
        for index, mirrored in enumerate(self.terms.sides):
            own = (n - e, n, m - b, m) if mirrored else (e, n, b, m)
            base = 1.0 - known[0] if mirrored else known[0]
            if np.any(beside):
                self._harm(index, own, (base, *known[1:]), entering, beside)
            else:
                self.worse[index] = np.where(self.made[index], np.logaddexp(self.worse[index], entering), -np.inf)
            if (ceiling := self.ceiling) is not None:
                higher = np.array(alternatives(ceiling, ceiling / 2.0))[:, None] + np.zeros(self.runs)
                if self.powers is None or not np.array_equal(self.clumps, known[2]):
                    self.clumps, self.powers = known[2], temper(np.log(higher / ceiling), known[2])
                power = np.maximum(self.powers, 1.0 / np.maximum(1.0, own[1]))
                gained = power * _ratio(own[0], own[1], higher, np.full_like(higher, ceiling))
                self.above[index] = np.logaddexp(self.above[index], entering) + gained
            if passing and np.any(beside):
                # Without any past, the first look only teaches what stable is like.
                learned = beside & (self.windows > 0)
                bad = np.zeros_like(trouble) if mirrored else trouble
                self._good(index, own, (base, known[1], self.prudent()), weight, learned, bad)
        self.age, self.first = after, np.zeros(self.runs, bool)
        self.past(b, m, beside)

    def _harm(self, index: int, own: Four, known: Three, entering: Array, beside: Array) -> None:
        (e, n, b, m), (base, margin, clump) = own, known
        can = base + margin < _FULL
        # What cannot be claimed is replaced by something that can be reckoned with, and not used.
        fit, safe = np.where(can, margin, 0.25), np.where(can, base, 0.25)
        boundary = safe + fit
        low = np.log(boundary / (1.0 - boundary))
        high = np.maximum(_ALWAYS, low + 1.0)
        far = [1.0 / (1.0 + np.exp(-(low + part * (high - low)))) for part in FAR]
        shares = np.stack([*(np.minimum(boundary + part * fit, far[-1]) for part in NEAR), *far])
        gained = np.where(beside & can, log_e(e, n, b, m, safe, shares, fit, clump), 0.0)
        self.made[index] |= beside & can
        self.worse[index] = np.where(self.made[index], np.logaddexp(self.worse[index], entering) + gained, -np.inf)

    def _good(self, index: int, own: Four, known: Three, weight: Array, learned: Array, trouble: Array) -> None:
        (e, n, b, m), (base, margin, clump) = own, known
        allowed = np.stack([margin / weight] * len(BETS) + [margin] * len(BETS))
        sure = base + allowed >= _FULL
        room, here = np.where(sure, 0.5, allowed), np.where(sure, 0.1, base)
        shares = here + np.array([*BETS, *BETS])[:, None] * room
        gained = np.where(sure, CERTAIN, log_e(e, n, b, m, here, shares, room, clump))
        gained = np.where(learned, np.where(trouble, np.minimum(gained, 0.0), gained), 0.0)
        self.step[index] += gained[: len(BETS)]
        self.trial[index] += gained[len(BETS) :]

    def _odd(self, b: Array, m: Array, clump: Array) -> Array:
        mean = m * self.long_run()
        return b > mean + clumps.ODD * (np.sqrt(mean * (2.0 * clump - 1.0)) + clump)

    def harm(self) -> Array:
        """Evidence that the candidate is worse than the margin, or above the ceiling, in nats."""
        rest = np.log(1.0 - begun(self.age))
        logs = [*self.worse, *(self.above if self.ceiling is not None else ())]
        out: Array = np.max([np.logaddexp(np.logaddexp.reduce(rows, axis=0), rest) for rows in logs], axis=0)
        return out

    def restart(self, which: Array) -> None:
        """A new weight was confirmed."""
        self.step[:, :, which] = 0.0
        if not self.terms.carried:
            self.trial[:, :, which] = 0.0

    def forget(self, which: Array) -> None:
        """A stage of another kind began: what stable is like stays known."""
        self.step[:, :, which] = self.trial[:, :, which] = 0.0
        self.worse[:, :, which] = self.above[:, :, which] = -np.inf
        self.made[:, which] = False
        self.age[which], self.first[which] = 0.0, True

    def passes(self) -> tuple[Array, Array]:
        """Evidence that a step, and that the whole trial, is within the margin, in nats; of the weaker direction."""
        halves = math.log(len(BETS))
        step, trial = (np.min(np.logaddexp.reduce(sides, axis=1), axis=0) - halves for sides in (self.step, self.trial))
        return step, trial

    def keep(self, which: Array) -> None:
        """Go on with some of the trials only."""
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                setattr(self, name, value[..., which])
        self.runs = int(np.count_nonzero(which))


def margins(terms: Terms, base: Array) -> Array:
    """`Terms.margin` of many shares."""
    out = np.full_like(base, np.inf if terms.points is None else terms.points)
    if terms.relative is not None:
        out = np.minimum(out, np.maximum(terms.relative * base, RELATIVE_FLOOR))
    return np.where(np.isinf(out), 1.0, out)


def _more(pair: Array, other: Array) -> Array:
    """Which pairs say more, in the order of pairs."""
    return (pair[0] > other[0]) | ((pair[0] == other[0]) & (pair[1] > other[1]))
