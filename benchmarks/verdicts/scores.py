"""What a fixed limit on PSI says of histograms of scores, equal and moved: nobody asks how many scores there are.

Ten equal bins of a model's score, the candidate's counts since the trial began beside stable's, PSI > 0.2, one look a minute for
an hour. `refit` is a retrained model that means the same (its scores recalibrated), `skew` one whose features are wrong, `tail` one
that has stopped to see 60 % of what it should block.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.verdicts.rates import Rate
from seatrial.simulate.judge import Array

LIMIT, BINS, MINUTES = 0.2, 10, 60
FLOOR = 1e-4
"""What an empty bin is filled with, as Evidently does."""
RATES = (2, 6, 20, 60, 200, 600)
"""Scores of the candidate in a minute."""
WEIGHT = 0.05


@dataclass(frozen=True)
class Scores:
    """Candidates called drifted within an hour, by kind."""

    rate: int
    called: dict[str, Rate]


def measure(rate: int, runs: int) -> Scores:
    draw = np.random.default_rng(6)
    stable, kinds = _kinds()
    called = {}
    for name, shares in kinds.items():
        mine = _cumulated(draw, shares, rate, runs)
        others = _cumulated(draw, stable, rate * (1 - WEIGHT) / WEIGHT, runs)
        called[name] = Rate(int((psi(mine, others) > LIMIT).any(axis=0).sum()), runs)
    return Scores(rate, called)


def _cumulated(draw: np.random.Generator, shares: Array, rate: float, runs: int) -> Array:
    return draw.poisson(rate * shares, (MINUTES, runs, BINS)).cumsum(axis=0)


def psi(mine: Array, others: Array) -> Array:
    """Population stability index of counts in bins, the last axis; 0 while there is nothing."""
    p, q = (np.maximum(x / np.maximum(x.sum(axis=-1, keepdims=True), 1), FLOOR) for x in (mine, others))
    some = (mine.sum(axis=-1) > 0) & (others.sum(axis=-1) > 0)
    return np.where(some, ((p - q) * np.log(p / q)).sum(axis=-1), 0.0)


def _kinds() -> tuple[Array, dict[str, Array]]:
    """Shares of scores in ten bins between 0 and 1: stable's, and those of four candidates."""
    z = np.random.default_rng(0).normal(-3.0, 1.8, 1_000_000)
    score = _logistic(z)
    tail = np.where((score > 0.9) & (np.random.default_rng(1).random(len(z)) < 0.6), 0.3, score)
    kinds = {"same": score, "refit": _logistic(z - 0.5), "skew": _logistic(0.7 * z + 1.0), "tail": tail}
    shares = {name: np.histogram(values, BINS, (0.0, 1.0))[0] / len(z) for name, values in kinds.items()}
    return shares["same"], shares


def _logistic(z: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-z))
