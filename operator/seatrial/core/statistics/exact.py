"""One comparison of two shares, once: Fisher's exact test. Counts are whole numbers, shares are not assumed."""

from __future__ import annotations

import math


def chance(events: int, total: int, base_events: int, base_total: int) -> float:
    """How likely at least so many of all events fall to the first arm, where both arms' shares are the same.

    >>> round(chance(1, 100, 0, 1900), 3), round(chance(2, 100, 19, 1900), 2), chance(0, 100, 5, 1900)
    (0.05, 0.28, 1.0)
    """
    if events == 0:
        return 1.0
    both = events + base_events
    start = _log_choose(total, events) + _log_choose(base_total, base_events) - _log_choose(total + base_total, both)
    term, out = math.exp(start), 0.0
    for found in range(events, min(both, total) + 1):
        out += term
        missing = both - found
        term *= (total - found) * missing / ((found + 1) * (base_total - missing + 1))
        if term < out * 1e-12:
            break
    return min(1.0, out)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
