"""A rate that was measured on so many trials, and what it proves."""

from __future__ import annotations

import math
from dataclasses import dataclass

DOUBT = 0.05
"""Chance that the true rate is above the bound that is told."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many of so many."""

    hits: int
    of: int

    @property
    def share(self) -> float:
        return self.hits / self.of if self.of else 0.0

    @property
    def most(self) -> float:
        """Upper bound of the true rate (Clopper and Pearson, 1934, one-sided): a larger one shows so few in 5 % of runs at most.

        >>> round(Rate(0, 300).most, 4), round(Rate(3, 775).most, 4)
        (0.0099, 0.01)
        """
        if self.hits >= self.of:
            return 1.0
        low, high = self.share, 1.0
        for _ in range(50):
            middle = (low + high) / 2.0
            low, high = (middle, high) if _at_most(self.hits, self.of, middle) > DOUBT else (low, middle)
        return high

    def __add__(self, other: Rate) -> Rate:
        return Rate(self.hits + other.hits, self.of + other.of)

    def told(self) -> str:
        """`0.25 % (1 of 400, below 1.2 %)`."""
        return f"{percent(self.share)} ({self.hits:,} of {self.of:,}, below {percent(self.most)})"


def _at_most(hits: int, of: int, share: float) -> float:
    """Chance of so few, or fewer."""
    if share <= 0.0:
        return 1.0
    logs = [
        math.lgamma(of + 1) - math.lgamma(k + 1) - math.lgamma(of - k + 1) + k * math.log(share) + (of - k) * math.log1p(-share)
        for k in range(hits + 1)
    ]  # fmt: skip
    return math.fsum(math.exp(log) for log in logs)


def percent(share: float) -> str:
    """`0`, `0.25 %`, `12 %`: as precise as matters."""
    if share == 0.0:
        return "0"
    number = share * 100.0
    return f"{number:.0f} %" if number >= 9.95 else f"{number:.1f} %" if number >= 0.95 else f"{number:.2g} %"
