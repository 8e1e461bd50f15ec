"""An hour at one weight: how often a good candidate is sent back, and how soon one that is plainly worse."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from benchmarks.verdicts import today
from benchmarks.verdicts.rates import Rate
from benchmarks.verdicts.sketch import Sketch
from benchmarks.verdicts.traffic import INTERVAL, LOOKS, PLAINLY, TERMS, Cell, some
from seatrial.core.checks.judging import FALSE_ALARM
from seatrial.simulate.judge import Array, Judge

CHECKS = 12
FOUND = 100
"""Trials whose discovery is timed."""


@dataclass(frozen=True)
class Hour:
    """What became of both candidates in one cell."""

    cell: Cell
    wrong: Rate
    """A good candidate sent back, with one check."""
    wrong_of_many: Rate
    """The same with twelve checks, whose errors have nothing to do with each other."""
    others_wrong: dict[str, Rate]
    """The same by the sketch, with and without restarts, and by today's judges; one check."""
    found: Rate
    """Candidates four points worse sent back within the hour."""
    minutes: float | None
    """Median; None where fewer than half are found."""
    others_found: dict[str, float | None]
    """Median minutes of the others."""


def measure(cell: Cell, runs: int, many: int) -> Hour:
    """`runs` trials of one check at the least, which the others see too; `many` of twelve checks; and those of a worse candidate."""
    columns = max(runs, many * CHECKS)
    highest, counts = _sail(cell, cell.base, columns, 1, shown=runs)
    twelve = highest[: many * CHECKS].reshape(many, CHECKS).max(axis=1)
    one, back = highest >= math.log(1 / FALSE_ALARM), _others(cell, counts)

    worse = min(0.95, cell.base + PLAINLY)
    minutes, seen = _found(cell, worse, FOUND, 2)
    found = _others(cell, seen)
    return Hour(
        cell,
        Rate(int(one.sum()), columns),
        Rate(int((twelve >= math.log(CHECKS / FALSE_ALARM)).sum()), many),
        {name: _rate(at) for name, at in back.items()},
        _rate(minutes),
        median(minutes),
        {name: median(at) for name, at in found.items()},
    )


def _rate(minutes: Array) -> Rate:
    return Rate(int(np.count_nonzero(~np.isnan(minutes))), len(minutes))


def median(minutes: Array) -> float | None:
    """None where fewer than half have one."""
    out = float(np.median(np.where(np.isnan(minutes), np.inf, minutes)))
    return None if math.isinf(out) else round(out, 2)


def _taught(cell: Cell, runs: int, draw: np.random.Generator) -> Judge:
    """A judge that has seen an hour of stable."""
    judge, full = Judge(runs, TERMS), np.full(runs, cell.rate * INTERVAL)
    for _ in range(LOOKS):
        judge.past(*some(draw, full, cell.base, cell.clump))
    return judge


def _look(cell: Cell, share: float, runs: int, draw: np.random.Generator) -> tuple[Array, Array, Array, Array]:
    full, weight = np.full(runs, cell.rate * INTERVAL), cell.weight / 100.0
    return *some(draw, full * weight, share, cell.clump), *some(draw, full * (1.0 - weight), cell.base, cell.clump)


def _sail(cell: Cell, share: float, runs: int, seed: int, *, shown: int) -> tuple[Array, tuple[Array, ...]]:
    """The most evidence that there ever was, and the counts of the first trials."""
    draw = np.random.default_rng(seed)
    judge, weight, counts = _taught(cell, runs, draw), np.full(runs, cell.weight / 100.0), []
    highest = np.full(runs, -np.inf)
    for _ in range(LOOKS):
        look = _look(cell, share, runs, draw)
        counts.append([part[:shown] for part in look])
        judge.look(*look, weight, INTERVAL, passing=False)
        highest = np.maximum(highest, judge.harm())
    return highest, tuple(np.array(column) for column in zip(*counts, strict=True))


def _found(cell: Cell, share: float, runs: int, seed: int) -> tuple[Array, tuple[Array, ...]]:
    """Minutes until one check sends it back, and the counts."""
    draw = np.random.default_rng(seed)
    judge, counts = _taught(cell, runs, draw), []
    minutes, going = np.full(runs, np.nan), np.arange(runs)
    for index in range(1, LOOKS + 1):
        look = _look(cell, share, runs, draw)
        counts.append(look)
        if not len(going):
            continue
        e, n, b, m = (part[going] for part in look)
        judge.look(e, n, b, m, np.full(len(going), cell.weight / 100.0), INTERVAL, passing=False)
        back = judge.harm() >= math.log(1 / FALSE_ALARM)
        minutes[going[back]] = index * INTERVAL / 60.0
        judge.keep(~back)
        going = going[~back]
    return minutes, tuple(np.array(column) for column in zip(*counts, strict=True))


def _others(cell: Cell, counts: tuple[Array, ...]) -> dict[str, Array]:
    """Minutes until the others send it back."""
    return {
        "sketch": _sketched(cell, counts, restarts=False),
        "restarted": _sketched(cell, counts, restarts=True),
        **today.verdicts(counts, cell),
    }


def _sketched(cell: Cell, counts: tuple[Array, ...], *, restarts: bool) -> Array:
    """Minutes until the sketch sends it back; one that begins anew plans for four hours."""
    e, _, b, m = counts
    runs = e.shape[1]
    sketch = Sketch(runs, TERMS.margin(cell.base), cell.weight / 100.0, 4 * LOOKS, restarts)
    minutes, going = np.full(runs, np.nan), np.arange(runs)
    for index in range(LOOKS):
        if not len(going):
            break
        back = sketch.look(e[index, going], b[index, going], m[index, going]) >= math.log(1 / FALSE_ALARM)
        minutes[going[back]] = (index + 1) * INTERVAL / 60.0
        sketch.keep(~back)
        going = going[~back]
    return minutes
