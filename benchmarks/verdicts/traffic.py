"""Synthetic requests, their errors in clumps, and the grid of cells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from seatrial.api.spec import Check, CheckPreset
from seatrial.core.checks.terms import terms_of
from seatrial.simulate.judge import Array

INTERVAL = 15.0
"""Seconds between looks."""
LOOKS = 240
"""An hour of them."""
MINUTE = 4
PLAINLY = 0.04
"""How much worse the candidate is whose discovery is timed: from 1 % to 5 %."""
TERMS = terms_of(Check(name="errors", preset=CheckPreset.ERRORS, max="100%"))
"""Without a ceiling: a candidate is measured against stable alone."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One kind of traffic."""

    rate: float
    """Requests a second, of the whole service."""
    base: float
    """Stable's share of errors."""
    clump: float
    weight: float = 0.0
    """Percent at the candidate, where it stays the same."""

    def told(self) -> str:
        weight = f", {self.weight:g} % weight" if self.weight else ""
        return f"{self.rate:g} rps{weight}, {100 * self.base:g} % errors in clumps of {self.clump:g}"


def some(draw: np.random.Generator, mean: Array, share: Array | float, clump: float) -> tuple[Array, Array]:
    """Events and requests: events in clumps of geometric size, requests by chance."""
    total = draw.poisson(mean)
    starts = draw.poisson(total * np.broadcast_to(share, mean.shape) / clump)
    if clump > 1.0:
        starts = starts + np.where(starts > 0, draw.negative_binomial(np.maximum(starts, 1), 1.0 / clump), 0)
    return np.minimum(starts, total).astype(float), total.astype(float)


def weighted(full: bool) -> Iterator[Cell]:
    """Cells of an hour at one weight."""
    rates = (1.0, 5.0, 20.0, 100.0, 200.0, 1000.0) if full else (1.0, 20.0, 200.0, 1000.0)
    shares = (0.0001, 0.001, 0.01, 0.1) if full else (0.0001, 0.01, 0.1)
    weights = (1.0, 5.0, 20.0, 50.0) if full else (1.0, 5.0, 50.0)
    quiet = (
        0.0 if full else 1.0
    )  # the short form leaves out where the candidate gets less than a request a second, but for 5 %
    clumps = (1.0, 3.0, 10.0) if full else (1.0, 10.0)
    for rate, weight, share, clump in product(rates, weights, shares, clumps):
        if rate * weight / 100.0 >= quiet or weight == 5.0:
            yield Cell(rate, share, clump, weight)


def stepped(full: bool) -> Iterator[Cell]:
    """Cells of whole trials."""
    rates = (1.0, 5.0, 20.0, 50.0, 100.0, 200.0, 1000.0) if full else (1.0, 20.0, 200.0, 1000.0)
    shares = (0.0001, 0.001, 0.003, 0.01, 0.03, 0.1) if full else (0.0001, 0.003, 0.01, 0.1)
    for rate, share, clump in product(rates, shares, (1.0, 3.0, 10.0) if full else (1.0, 10.0)):
        yield Cell(rate, share, clump)
