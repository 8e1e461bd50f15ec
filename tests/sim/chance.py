"""How many of a number of requests meet a fate that each meets with the same probability."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

Draw = Callable[[Random, int, float], int]
ENOUGH = 30
"""Expected hits from which on the normal distribution is as good as the binomial one."""


def exact(random: Random, count: int, share: float) -> int:
    """One draw for each request: slow, and the same for ever, as stories on file want it."""
    if share <= 0 or count == 0:
        return 0
    if share >= 1:
        return count
    return sum(random.random() < share for _ in range(count))


def quick(random: Random, count: int, share: float) -> int:
    """The same distribution for long voyages: few hits are skipped to, many are approximated."""
    if share > 0.5:
        return count - quick(random, count, 1 - share)
    if share <= 0 or count == 0:
        return 0
    expected = count * share
    if expected >= ENOUGH:
        hits = random.gauss(expected, math.sqrt(expected * (1 - share)))
        return min(count, max(0, round(hits)))
    hits, at, scale = 0, -1, math.log1p(-share)
    while True:
        at += 1 + int(math.log(1.0 - random.random()) / scale)
        if at >= count:
            return hits
        hits += 1
