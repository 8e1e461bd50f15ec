"""The first sketch of this judge: the rule that its simulations used, kept as a yardstick of speed.

A Dirichlet mixture of the candidate's part of all errors (Lindon and Malek, 2022) against the part it would have at exactly the margin;
counts divided by the dispersion of stable's windows, which is drawn towards 2. Fast, and without a promise: stable's share is taken
for known, and with large clumps the division is not enough. `restarts` begins a new process every five minutes, of equal weight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from seatrial.simulate.judge import Array

STRENGTH = 50.0
"""Pseudo-events of the mixture."""
PRIOR, WORTH = 2.0, 8.0
EVERY = 20
"""Looks between two beginnings."""


@dataclass
class Sketch:
    """Many trials at one weight, look by look."""

    runs: int
    margin: float
    weight: float
    """From 0 to 1."""
    looks: int
    restarts: bool = False

    def __post_init__(self) -> None:
        self.events, self.squares = np.zeros((2, self.runs)), np.zeros(self.runs)
        self.total, self.seen = np.zeros(self.runs), 0
        self.begun: list[Array] = []
        self.most = max(1, self.looks // EVERY) if self.restarts else 1

    def keep(self, which: Array) -> None:
        """Go on with some of the trials only."""
        self.events, self.squares, self.total = self.events[:, which], self.squares[which], self.total[which]
        self.begun = [start[:, which] for start in self.begun]

    def look(self, e: Array, b: Array, m: Array) -> Array:
        """One more look; evidence of harm in nats."""
        if len(self.begun) < self.most and self.seen % EVERY == 0:
            self.begun.append(self.events.copy())
        self.seen += 1
        self.events += np.array([e, b])
        self.squares += b * b
        self.total += m
        inflation = self._inflation()
        base = (self.events[1] + 0.5) / (self.total + 1.0)
        part = self.weight * (base + self.margin)
        part /= part + (1.0 - self.weight) * base
        both = np.array([part, 1.0 - part])
        logs = []
        for start in self.begun:
            seen = (self.events - start) / inflation
            n = seen.sum(axis=0)
            log = gammaln(STRENGTH) - gammaln(STRENGTH + n)
            log += (gammaln(both * STRENGTH + seen) - gammaln(both * STRENGTH) - seen * np.log(both)).sum(axis=0)
            logs.append(np.where(seen[0] > part * n, log, -50.0) - np.log(self.most))
        if (waiting := self.most - len(self.begun)) > 0:
            logs.append(np.full(len(base), np.log(waiting / self.most)))
        out: Array = np.logaddexp.reduce(np.array(logs), axis=0)
        return out

    def _inflation(self) -> Array:
        measured: Array = np.full(self.total.shape, PRIOR if self.seen > 1 else 1.0)
        if self.seen > 1:
            mean = self.events[1] / self.seen
            variance = np.maximum(self.squares / self.seen - mean * mean, 0.0) * self.seen / (self.seen - 1)
            measured = np.where(mean > 0, variance / np.maximum(mean, 1e-9), PRIOR)
        return np.maximum(1.0, (WORTH * PRIOR + self.seen * measured) / (WORTH + self.seen))
