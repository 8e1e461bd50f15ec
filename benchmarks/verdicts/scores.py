"""Histograms of scores, equal and moved: what a fixed limit on PSI says of them, and what the product's check on drift says.

*PSI > 0.2*: ten equal bins, the candidate's counts since the trial began beside stable's; nobody asks how many scores there are.
*The check*: PSI as well, at its default limit of 0.25, on the histogram's own buckets, put together by what stable had in the hour before.
Both look once a minute for an hour. `refit` is a retrained model that means the same (its scores recalibrated), `skew` one whose
features are wrong, `tail` one that has stopped to see 60 % of what it should block.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from benchmarks.verdicts.hour import median
from benchmarks.verdicts.rates import Rate
from seatrial.api.spec import Check, Runtime
from seatrial.api.status import CheckStatus, DriftStatus, Outcome
from seatrial.core import bins, checks
from seatrial.core.checks import Arm, Situation
from seatrial.core.statistics import drift
from seatrial.simulate.judge import Array

LIMIT, BINS, MINUTES = 0.2, 10, 60
FLOOR = 1e-4
"""What an empty bin is filled with, as Evidently does."""
RATES = (2, 6, 20, 60, 200, 600)
"""Scores of the candidate in a minute."""
WEIGHT = 0.05
MOVED = 100
"""Candidates of each kind that is not stable's."""
EDGES = (
    0.001,
    0.002,
    0.005,
    0.01,
    0.02,
    0.03,
    0.05,
    0.075,
    0.1,
    0.15,
    0.2,
    0.3,
    0.4,
    0.5,
    0.6,
    0.7,
    0.8,
    0.9,
    0.95,
    0.98,
    0.99,
)
"""Of the histogram's buckets."""
CHECK = Check.model_validate({"name": "scores", "drift": {"histogram": "model_score"}})
START = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Scores:
    """What became of the candidates within an hour, by kind."""

    rate: int
    called: dict[str, Rate]
    """Called drifted by the fixed limit."""
    failed: dict[str, Rate]
    """Failed by the check."""
    passed: dict[str, Rate]
    """Passed by it in the end."""
    minutes: dict[str, float | None]
    """Median time until it fails them or passes them for good; None where fewer than half are decided."""


def measure(rate: int, runs: int) -> Scores:
    draw = np.random.default_rng(6)
    kinds = {name: _shares(scores) for name, scores in _kinds().items()}
    called, failed, passed, minutes = {}, {}, {}, {}
    for name, shares in kinds.items():
        many = runs if name == "same" else min(runs, MOVED)
        mine = _cumulated(draw, shares, rate, many)
        others = _cumulated(draw, kinds["same"], rate * (1 - WEIGHT) / WEIGHT, many)
        called[name] = Rate(int((psi(_tenths(mine), _tenths(others)) > LIMIT).any(axis=0).sum()), many)
        past = draw.poisson(rate / WEIGHT * kinds["same"], (many, MINUTES, len(shares)))
        ends = [_judged(_frozen(past[run]), mine[:, run], others[:, run]) for run in range(many)]
        failed[name] = Rate(sum(outcome is Outcome.FAIL for outcome, _ in ends), many)
        passed[name] = Rate(sum(outcome is Outcome.PASS for outcome, _ in ends), many)
        minutes[name] = median(np.array([np.nan if outcome is Outcome.INCONCLUSIVE else at for outcome, at in ends]))
    return Scores(rate, called, failed, passed, minutes)


def _frozen(past: Array) -> tuple[DriftStatus, list[list[int]]]:
    """Bins of the hour before, as the check chooses them, and which of the buckets each is made of."""
    chosen = bins.of_histogram({edge: f"{edge:g}" for edge in EDGES}, _binned(past, _each(EDGES)).sum(axis=0).tolist())
    assert isinstance(chosen, bins.Frozen), chosen
    groups = _each(tuple(float(mark) for mark in chosen.marks))
    inflation = drift.inflation(_binned(past, groups).tolist())
    return DriftStatus(marks=list(chosen.marks), inflation=round(1000 * inflation)), groups


def _judged(frozen: tuple[DriftStatus, list[list[int]]], mine: Array, others: Array) -> tuple[Outcome, float]:
    """The last verdict of the check, and the minute from which on it stood."""
    drifted, groups = frozen
    a, b = _binned(mine, groups), _binned(others, groups)
    outcome, since = Outcome.INCONCLUSIVE, 0.0
    for minute in range(1, MINUTES + 1):
        seen = {"candidate": a[minute - 1].tolist(), "stable": b[minute - 1].tolist()}
        stored = CheckStatus(name=CHECK.name, drift=drifted.model_copy(update=seen))
        judged = checks.judge(CHECK, stored, _situation(minute))
        assert judged.drift is not None
        drifted, since = judged.drift, since if judged.outcome is outcome else float(minute)
        outcome = judged.outcome
        if outcome is Outcome.FAIL:
            break
    return outcome, since


def _situation(minute: int) -> Situation:
    return Situation(
        namespace="models",
        name="fraud",
        stable=Arm("7c9f1b20de", "a", {}),
        candidate=Arm("e04d5521aa", "b", {}),
        runtime=Runtime.MLSERVER,
        model_name="fraud",
        weight=100.0 * WEIGHT,
        last=False,
        concurrent=True,
        min_samples=200,
        settled=True,
        confirmed_at=START,
        start=START,
        now=START + timedelta(minutes=minute),
    )


def _each(edges: tuple[float, ...]) -> list[list[int]]:
    """Which of the finest bins lie under each edge, and above the last one."""
    bounds = [0, *(FINEST.index(edge) + 1 for edge in edges), len(FINEST) + 1]
    return [list(range(low, high)) for low, high in itertools.pairwise(bounds)]


def _binned(counts: Array, groups: list[list[int]]) -> Array:
    """The last axis put together."""
    return np.stack([counts[..., group].sum(axis=-1) for group in groups], axis=-1)


def _tenths(counts: Array) -> Array:
    """Ten equal bins."""
    return _binned(counts, _each(tuple(round(k / BINS, 1) for k in range(1, BINS))))


def _cumulated(draw: np.random.Generator, shares: Array, rate: float, runs: int) -> Array:
    return draw.poisson(rate * shares, (MINUTES, runs, len(shares))).cumsum(axis=0)


def psi(mine: Array, others: Array) -> Array:
    """Population stability index of counts in bins, the last axis; 0 while there is nothing."""
    p, q = (np.maximum(x / np.maximum(x.sum(axis=-1, keepdims=True), 1), FLOOR) for x in (mine, others))
    some = (mine.sum(axis=-1) > 0) & (others.sum(axis=-1) > 0)
    return np.where(some, ((p - q) * np.log(p / q)).sum(axis=-1), 0.0)


FINEST = sorted({*EDGES, *(round(k / BINS, 1) for k in range(1, BINS))})
"""Edges of both."""


def _shares(scores: Array) -> Array:
    """Shares of scores in the finest bins."""
    counted: Array = np.histogram(scores, [-np.inf, *FINEST, np.inf])[0] / len(scores)
    return counted


def _kinds() -> dict[str, Array]:
    """Scores between 0 and 1: stable's, which are those of the same candidate, and those of three others."""
    z = np.random.default_rng(0).normal(-3.0, 1.8, 1_000_000)
    score = _logistic(z)
    tail = np.where((score > 0.9) & (np.random.default_rng(1).random(len(z)) < 0.6), 0.3, score)
    return {"same": score, "refit": _logistic(z - 0.5), "skew": _logistic(0.7 * z + 1.0), "tail": tail}


def _logistic(z: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-z))
