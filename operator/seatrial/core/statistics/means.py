"""Evidence about two means that may be looked at as often as one likes, without knowing how their values are spread.

What is compared is a ratio of two counters in each arm: the sum of something (revenue) over the number of something (orders).
Requests are added up to *blocks*, and a block is one observation, whatever hangs together within it. For a claim "the
candidate's mean is `factor` times stable's" the difference `d = mean - factor x base mean` of a block is 0 on average whatever
both means are at that hour: a season or a sale is no evidence. How widely it is spread is not assumed. Two bounds are kept
side by side, of a bet of size λ fixed before the block:

* *symmetric*: `exp(λd - λ²d²/2)` is at most 1 on average if d falls as often to one side as to the other by the same amount
  (cosh x <= exp(x²/2); de la Peña, "A general class of exponential inequalities for martingales and ratios", 1999).
  No variance is needed, so it may change from block to block.
* *measured*: `exp(λd - λ²(d² + 2s²)/6)` is at most 1 on average if the variance of d is s² or less, however skewed it is
  (exp(x - x²/6) <= 1 + x + x²/3; Delyon, "Exponential inequalities for sums of weakly dependent variables", 2009).
  The variance is that of neighbouring blocks: of stable before the trial, of the arms' difference in it (`Spread`).

The smaller of the two counts. So a false alarm takes both: blocks that are skewed, and a variance that was measured too small.
Both bounds stop growing where one block would say too much (at half a nat and at one and a half), which keeps them valid and makes
them rise with d. So they hold for every candidate that the claim covers, and a dozen blocks are never enough to be sure.

Assumed: blocks are independent of each other given both means; clumps are short beside a block and stay in one arm.
Means are told as multiples of stable's, variances as those of one request's value in stable's mean squared. Evidence is in nats.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

LEAST_PAIRS = 8.0
"""Pairs of neighbouring blocks from which on the variance is known well enough to bet."""
MEMORY = 480.0
"""Pairs after which what was seen begins to fade."""
FRESH = 16.0
"""Blocks that make up stable's mean of late."""
SMALLEST = 1e-6
"""The least variance: of values that are all the same."""
BEYOND = (1.0, 3.0)
"""Alternatives of a slightly worse candidate, in margins beyond the margin."""
FAR = (0.3, 0.9)
"""Alternatives of a much worse one, in parts of stable's mean beyond the margin."""
GOOD = (1.0, 0.6)
"""Alternatives of a candidate that is good enough, in margins away from the margin."""
SIZES = (0.05, 0.1, 0.2, 0.4)
"""Sizes of the bets behind an interval, in standard deviations of a block."""
MOMENTS = 7


@dataclass(frozen=True, slots=True)
class Block:
    """What both arms summed up and counted over the same time; counts are above 0."""

    sum: float
    count: float
    base_sum: float
    base_count: float

    def apart(self, base: float, factor: float) -> float:
        """How far the candidate's mean is above `factor` times stable's, in units of `base`."""
        return (self.sum / self.count - factor * self.base_sum / self.base_count) / base

    def noise(self, factor: float) -> float:
        """The variance of that, in variances of one request."""
        return 1.0 / self.count + factor * factor / self.base_count


@dataclass(frozen=True, slots=True)
class Spread:
    """What was seen of the values block by block: stable's mean, and how far neighbouring blocks lie apart."""

    squares: float = 0.0
    """Sum over pairs of neighbours: their squared difference by the noise expected of it."""
    pairs: float = 0.0
    last: float = 0.0
    """The value of the last block, in stable's means."""
    last_noise: float = 0.0
    """Its noise; 0 where there is no block before."""
    fresh_sum: float = 0.0
    fresh_count: float = 0.0
    """Of stable, of late: each block counts for less than the one after it."""

    @property
    def base(self) -> float:
        """Stable's mean of late; 0 where nothing is known."""
        return self.fresh_sum / self.fresh_count if self.fresh_count > 0 else 0.0

    @property
    def known(self) -> bool:
        """Whether enough was seen to bet."""
        return self.pairs >= LEAST_PAIRS and self.base > 0

    @property
    def variance(self) -> float:
        """Variance of one request's value, clumps included, in stable's mean squared; a little more while pairs are few."""
        return max(SMALLEST, self.squares / max(1.0, self.pairs - 2.0))


def observed_alone(spread: Spread, base_sum: float, base_count: float) -> Spread:
    """One more block of stable, before a trial."""
    out = _fresh(spread, base_sum, base_count)
    if out.base <= 0:
        return out
    return _paired(out, base_sum / base_count / out.base, 1.0 / base_count)


def observed(spread: Spread, block: Block) -> Spread:
    """One more block of both arms. Their difference is paired, so what both share is no spread."""
    out = _fresh(spread, block.base_sum, block.base_count)
    base = spread.base or out.base
    return _paired(out, block.apart(base, 1.0), block.noise(1.0)) if base > 0 else out


def apart(spread: Spread) -> Spread:
    """The next block is no neighbour of the last one: the weight has changed, or the trial has begun."""
    return replace(spread, last=0.0, last_noise=0.0)


def _fresh(spread: Spread, base_sum: float, base_count: float) -> Spread:
    kept = 1.0 - 1.0 / FRESH
    return replace(
        spread, fresh_sum=kept * spread.fresh_sum + base_sum, fresh_count=kept * spread.fresh_count + base_count
    )


def _paired(spread: Spread, value: float, noise: float) -> Spread:
    squares, pairs = spread.squares, spread.pairs
    if spread.last_noise > 0:
        squares += (value - spread.last) ** 2 / (noise + spread.last_noise)
        pairs += 1.0
    fade = 0.5 if pairs >= MEMORY else 1.0
    return replace(spread, squares=squares * fade, pairs=pairs * fade, last=value, last_noise=noise)


def worse_by(margin: float) -> list[float]:
    """Effects to bet on, beyond a claim's point, where the candidate is worse by more than a margin.

    >>> [round(effect, 2) for effect in worse_by(0.05)]
    [0.05, 0.15, 0.3, 0.9]
    """
    return sorted([*(part * margin for part in BEYOND), *FAR])


def log_e(block: Block, spread: Spread, factor: float, sign: int, effect: float) -> tuple[float, float]:
    """Evidence of one block, symmetric and measured, against "the candidate's mean is at most `factor` times stable's".

    With `sign` -1 the claim is "at least". `effect` is the distance that is bet on, in stable's means; `spread` was known before
    the block.
    """
    variance = spread.variance * block.noise(factor)
    size = effect / (variance + effect * effect)
    return symmetric(size * sign * block.apart(spread.base, factor)), measured(
        size * sign * block.apart(spread.base, factor), size * size * variance
    )


def symmetric(x: float) -> float:
    """The bound for what falls to both sides alike: it grows with x, up to half a nat.

    >>> symmetric(0.2), symmetric(1.0), symmetric(7.0)
    (0.18, 0.5, 0.5)
    """
    return x - x * x / 2.0 if x < 1.0 else 0.5


def measured(x: float, variance: float) -> float:
    """The bound for what has at most this variance: it grows with x, up to one and a half nats.

    >>> round(measured(0.2, 0.04), 3), measured(9.0, 0.0)
    (0.18, 1.5)
    """
    x = min(x, 3.0)
    return x - x * x / 6.0 - variance / 3.0


def gain(variance: float, distance: float, effect: float) -> float:
    """Nats that a block brings on average by a bet on `effect`, if the mean is `distance` away and has this variance."""
    size = effect / (variance + effect * effect)
    x = min(1.0, size * distance)
    return x - (size * size * variance + x * x) / 2.0


def moments(have: list[float], block: Block, spread: Spread) -> list[float]:
    """Sums from which an interval is found for the candidate's mean as a multiple of stable's (`interval`)."""
    noise = block.noise(1.0)
    scale = math.sqrt(spread.variance * noise)
    gap = block.apart(spread.base, 1.0) / scale
    base = block.base_sum / block.base_count / spread.base / scale
    new = (gap, base, gap * gap, gap * base, base * base, 1.0 / block.count / noise, 1.0 / block.base_count / noise)
    return [a + b for a, b in zip(have or [0.0] * MOMENTS, new, strict=True)]


def interval(sums: list[float], chance: float) -> tuple[float, float]:
    """Bounds of the candidate's mean as a multiple of stable's: both hold at all looks together but for this chance.

    For a multiple f a block says `gap + (1 - f) base`; all multiples against which a bet of one of `SIZES` has won too much are
    left out. 0 and infinity where nothing is known.
    """
    if len(sums) != MOMENTS or sums[1] <= 0:
        return 0.0, math.inf
    goal = math.log(2 * len(SIZES) / chance)
    below = [_root(sums, size, goal, -1.0) for size in SIZES]
    above = [_root(sums, size, goal, 1.0) for size in SIZES]
    return max(0.0, *(1.0 - reach for reach in below)), min(1.0 + reach for reach in above)


def _root(sums: list[float], size: float, goal: float, sign: float) -> float:
    """How far from stable's mean, downwards (-1) or upwards (1), the first multiple lies that a bet of this size rules out."""
    return max(_reach(sums, size, goal, sign, *bound) for bound in ((1.0, 0.0), (1.0 / 3.0, 2.0 / 3.0)))


def _reach(sums: list[float], size: float, goal: float, sign: float, own: float, known: float) -> float:
    """The same with one bound, which takes a part of the squares themselves (`own`) and a part of what they should be (`known`).

    Against the multiple 1 + sign r the evidence is `size (r base - sign gap)` less half of `size²` times these squares: it is
    quadratic in r, and its first root is looked for. Infinite where there is none.
    """
    gap, base, gaps, cross, bases, noise, base_noise = sums
    half = size * size / 2.0
    a = -half * (own * bases + known * base_noise)
    b = size * base + half * (own * 2.0 * sign * cross - known * 2.0 * sign * base_noise)
    c = -size * sign * gap - half * (own * gaps + known * (noise + base_noise)) - goal
    inside = b * b - 4.0 * a * c
    if a >= 0 or inside < 0:
        return math.inf
    return (-b + math.sqrt(inside)) / (2.0 * a)
