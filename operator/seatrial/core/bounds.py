"""Confidence bounds for a share of requests, and for the difference of two shares.

One arm: Clopper and Pearson (Biometrika 26, 1934), exact for a binomial count. The difference: Newcombe's
hybrid score interval, method 10 (Statistics in Medicine 17, 1998), with the exact bounds of each arm in
place of Wilson's. All bounds are one-sided at a given confidence.

Shares are numbers from 0 to 1. Counts may be fractions: "how many more requests" scales them.
"""

from __future__ import annotations

import math
from functools import lru_cache

_LARGE = 3000.0
"""Above this, in both parameters, the tail is integrated; below, the continued fraction is faster."""
_NODES = 32
_LN_SQRT_2PI = 0.9189385332046727


@lru_cache(maxsize=8192)
def lower(events: float, total: float, confidence: float) -> float:
    """The share that the true one is above, with this confidence: 0 where nothing was counted."""
    if total <= 0 or events <= 0:
        return 0.0
    alpha = 1.0 - confidence
    if events >= total:
        return math.exp(math.log(alpha) / total)
    return _quantile(alpha, events, total - events + 1.0)


@lru_cache(maxsize=8192)
def upper(events: float, total: float, confidence: float) -> float:
    """The share that the true one is below, with this confidence: 1 where nothing was counted."""
    if total <= 0 or events >= total:
        return 1.0
    alpha = 1.0 - confidence
    if events <= 0:
        return -math.expm1(math.log(alpha) / total)
    return _quantile(1.0 - alpha, events + 1.0, total - events)


def difference_lower(events: float, total: float, base_events: float, base_total: float, confidence: float) -> float:
    """The least by which the first share exceeds the base, with this confidence.

    With p the shares, l and u their bounds: `d - sqrt((p1 - l1)² + (u0 - p0)²)`, d = p1 - p0.
    """
    share, base = _share(events, total), _share(base_events, base_total)
    below = share - lower(events, total, confidence)
    above = upper(base_events, base_total, confidence) - base
    return share - base - math.hypot(below, above)


def difference_upper(events: float, total: float, base_events: float, base_total: float, confidence: float) -> float:
    """The most by which the first share exceeds the base, with this confidence.

    `d + sqrt((u1 - p1)² + (p0 - l0)²)`; 1 where either side has counted nothing.
    """
    if total <= 0 or base_total <= 0:
        return 1.0
    share, base = _share(events, total), _share(base_events, base_total)
    above = upper(events, total, confidence) - share
    below = base - lower(base_events, base_total, confidence)
    return share - base + math.hypot(above, below)


def _share(events: float, total: float) -> float:
    return events / total if total > 0 else 0.0


def _quantile(q: float, a: float, b: float) -> float:
    """The x at which the regularised incomplete beta function I_x(a, b) is `q`.

    Newton steps inside a bracket. For q above 1/2 the complement is solved for, so that a small
    probability is never computed as 1 minus a large one.
    """
    rising = q <= 0.5
    goal = q if rising else 1.0 - q
    mean = a / (a + b)
    z = _normal_quantile(goal) * (1.0 if rising else -1.0)
    spread = math.sqrt(mean * (1.0 - mean) / (a + b + 1.0))
    x = _wilson(mean, a + b, z)
    if not 0.0 < x < 1.0:
        x = mean
    low, high = 0.0, 1.0
    for _ in range(200):
        tail = _tail(x, a, b, below=rising)
        if (tail < goal) == rising:
            low = x
        else:
            high = x
        density = math.exp(_log_density(x, a, b))
        # In logarithms: the tail is close to exponential there, so few steps are enough.
        if tail > 0.0 and density > 0.0:
            step = tail * math.log(tail / goal) / density
            new = x - step if rising else x + step
        else:
            new = 0.5 * (low + high)
        if not low < new < high:
            new = 0.5 * (low + high)
        if abs(new - x) <= 1e-12 * x or abs(new - x) <= 1e-9 * spread:
            return new
        x = new
    return x


def _wilson(share: float, total: float, z: float) -> float:
    """Wilson's bound: where the search begins."""
    square = z * z / total
    middle = share + square / 2.0
    return (middle + z * math.sqrt(share * (1.0 - share) / total + square / (4.0 * total))) / (1.0 + square)


def _normal_quantile(p: float) -> float:
    """Quantile of the normal distribution for p up to 1/2, to 4.5e-4 (Abramowitz and Stegun 26.2.23)."""
    t = math.sqrt(-2.0 * math.log(p))
    over = 2.515517 + t * (0.802853 + t * 0.010328)
    under = 1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308))
    return over / under - t


def _tail(x: float, a: float, b: float, *, below: bool) -> float:
    """I_x(a, b) where `below`, else 1 - I_x(a, b); the smaller of the two is the one computed directly."""
    direct_below = x < a / (a + b)
    if direct_below:
        value = _lower_tail(x, 1.0 - x, a, b)
    else:
        value = _lower_tail(1.0 - x, x, b, a)
    return value if direct_below is below else 1.0 - value


def _lower_tail(x: float, y: float, a: float, b: float) -> float:
    """I_x(a, b) for x up to the mean; y is 1 - x."""
    if x <= 0.0:
        return 0.0
    if min(a, b) > _LARGE:
        return _integrated(x, y, a, b)
    # I_x = x^a y^b / (a B(a, b)) times a continued fraction (Didonato and Morris 1992, 4.1; modified Lentz).
    front = math.exp(_log_binomial(x, y, a, b)) * b / (a + b)
    return front * _continued_fraction(x, a, b)


def _continued_fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of the incomplete beta function (Abramowitz and Stegun 26.5.8)."""
    tiny = 1e-300
    c = 1.0
    d = 1.0 - (a + b) * x / (a + 1.0)
    d = 1.0 / (d if abs(d) > tiny else tiny)
    out = d
    for m in range(1, 100_000):
        twice = a + 2 * m
        even = m * (b - m) * x / ((twice - 1.0) * twice)
        d = 1.0 + even * d
        d = 1.0 / (d if abs(d) > tiny else tiny)
        c = 1.0 + even / c
        c = c if abs(c) > tiny else tiny
        out *= d * c
        odd = -(a + m) * (a + b + m) * x / (twice * (twice + 1.0))
        d = 1.0 + odd * d
        d = 1.0 / (d if abs(d) > tiny else tiny)
        c = 1.0 + odd / c
        c = c if abs(c) > tiny else tiny
        step = d * c
        out *= step
        if abs(step - 1.0) < 1e-13:
            break
    return out


def _integrated(x: float, y: float, a: float, b: float) -> float:
    """I_x(a, b) for x up to the mean and large a and b: the density, integrated from x downwards.

    The density is written relative to the one at x. From there it falls at least as fast as a normal one,
    so nothing is left `reach` standard deviations below (its logarithm is 40 lower).
    """
    total = a + b
    spread = math.sqrt(a * b / (total * total * (total + 1.0)))
    z = max(0.0, (a / total - x) / spread)
    reach = min(x, (math.sqrt(z * z + 80.0) - z) * spread)
    out = 0.0
    for node, weight in _gauss_legendre():
        step = reach * node
        out += weight * math.exp((a - 1.0) * math.log1p(-step / x) + (b - 1.0) * math.log1p(step / y))
    return math.exp(_log_density(x, a, b)) * out * reach


@lru_cache(maxsize=1)
def _gauss_legendre() -> tuple[tuple[float, float], ...]:
    """Nodes and weights of Gauss and Legendre's quadrature on 0 to 1."""
    out = []
    for i in range(_NODES):
        t = math.cos(math.pi * (i + 0.75) / (_NODES + 0.5))
        slope = 1.0
        for _ in range(100):
            before, here = 1.0, t
            for k in range(2, _NODES + 1):
                before, here = here, ((2 * k - 1) * t * here - (k - 1) * before) / k
            slope = _NODES * (t * here - before) / (t * t - 1.0)
            t -= here / slope
            if abs(here / slope) < 1e-15:
                break
        out.append(((1.0 + t) / 2.0, 1.0 / ((1.0 - t * t) * slope * slope)))
    return tuple(out)


def _log_density(x: float, a: float, b: float) -> float:
    """Logarithm of the beta density at x."""
    y = 1.0 - x
    return _log_binomial(x, y, a, b) + math.log(a / (a + b) * b) - math.log(x * y)


def _log_binomial(x: float, y: float, a: float, b: float) -> float:
    """Logarithm of Γ(a+b+1) / (Γ(a+1) Γ(b+1)) x^a y^b, without cancellation at large counts.

    Loader's saddle-point form ("Fast and accurate computation of binomial probabilities", 2000).
    """
    n = a + b
    return (
        _stirling_error(n)
        - _stirling_error(a)
        - _stirling_error(b)
        - _deviance(a, n * x)
        - _deviance(b, n * y)
        - _LN_SQRT_2PI
        + 0.5 * math.log(n / (a * b))
    )


def _stirling_error(n: float) -> float:
    """ln Γ(n + 1) minus Stirling's formula."""
    if n < 16.0:
        return math.lgamma(n + 1.0) - (n + 0.5) * math.log(n) + n - _LN_SQRT_2PI
    square = n * n
    return (1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680 - 1 / 1188 / square) / square) / square) / square) / n


def _deviance(x: float, expected: float) -> float:
    """x ln(x / expected) + expected - x; by its series where the two are close."""
    gap = x - expected
    if abs(gap) >= 0.1 * (x + expected):
        return x * math.log(x / expected) + expected - x
    v = gap / (x + expected)
    out = gap * v
    term = 2.0 * x * v
    for j in range(1, 1000):
        term *= v * v
        new = out + term / (2 * j + 1)
        if new == out:
            break
        out = new
    return out
