"""Bounds on a share from one count, looked at once.

The Chernoff bound in its exact form (Hoeffding 1963, theorem 1): for n independent requests of which k are events,

    P(k/n >= x) <= exp(-n KL(x, p))   for x > p,   KL(x, p) = x ln(x/p) + (1-x) ln((1-x)/(1-p)).

So the shares p with n KL(k/n, p) <= ln(1/chance) hold the true one but for that chance, on either side, for every n. Events
that come in clumps are fewer independent ones: n and k are divided by their `inflation`, the variance as a multiple.
"""

from __future__ import annotations

import math

STEPS = 60
"""Halvings: more than a float resolves."""


def lower(events: float, total: float, chance: float, inflation: float = 1.0) -> float:
    """A share that the true one is below with this chance at the most.

    >>> lower(0, 1000, 0.001), round(lower(20, 1000, 0.001), 4)
    (0.0, 0.0077)
    """
    if events <= 0 or total <= 0:
        return 0.0
    return _edge(events / total, total / inflation, chance, 0.0)


def upper(events: float, total: float, chance: float, inflation: float = 1.0) -> float:
    """A share that the true one is above with this chance at the most.

    >>> round(upper(0, 1000, 0.001), 4), round(upper(20, 1000, 0.001), 4), upper(0, 0, 0.001)
    (0.0069, 0.0411, 1.0)
    """
    if total <= 0 or events >= total:
        return 1.0
    return _edge(events / total, total / inflation, chance, 1.0)


def _edge(share: float, total: float, chance: float, outer: float) -> float:
    """The share nearest `outer` that is still possible."""
    most, inner = math.log(1.0 / chance) / total, share
    for _ in range(STEPS):
        middle = (inner + outer) / 2.0
        if _divergence(share, middle) <= most:
            inner = middle
        else:
            outer = middle
    return inner


def _divergence(x: float, p: float) -> float:
    out = 0.0
    if x > 0.0:
        out += x * math.log(x / p) if p > 0.0 else math.inf
    if x < 1.0:
        out += (1.0 - x) * math.log((1.0 - x) / (1.0 - p)) if p < 1.0 else math.inf
    return out
