"""Faults that begin late: a judge that adds everything up goes deaf in healthy hours."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from benchmarks.verdicts.hour import median
from benchmarks.verdicts.rates import Rate
from benchmarks.verdicts.sketch import Sketch
from benchmarks.verdicts.traffic import INTERVAL, LOOKS, TERMS, Cell, some
from seatrial.core.checks.judging import FALSE_ALARM
from seatrial.simulate.judge import Judge

HEALTHY = (0, 30, 120)
"""Minutes before the fault."""
LONGEST = 2 * LOOKS
"""Looks after it."""
CELLS = (
    (Cell(20.0, 0.01, 1.0, 5.0), 0.03),
    (Cell(20.0, 0.01, 1.0, 5.0), 0.05),
    (Cell(20.0, 0.01, 1.0, 5.0), 0.20),
    (Cell(200.0, 0.01, 1.0, 5.0), 0.03),
    (Cell(200.0, 0.01, 1.0, 5.0), 0.05),
    (Cell(20.0, 0.01, 1.0, 50.0), 0.03),
    (Cell(20.0, 0.01, 3.0, 50.0), 0.05),
    (Cell(200.0, 0.01, 10.0, 5.0), 0.05),
    (Cell(200.0, 0.01, 10.0, 50.0), 0.05),
)
"""Traffic, and the candidate's share of errors once it fails."""


@dataclass(frozen=True)
class Late:
    """One fault, by the minutes of health before it."""

    cell: Cell
    share: float
    early: tuple[Rate, ...]
    """Sent back before anything was wrong."""
    minutes: tuple[float | None, ...]
    """Median time from the fault to the rollback."""
    sketch: tuple[float | None, ...]
    """The same by the sketch, one process from the first look on."""
    restarted: tuple[float | None, ...]
    """The same by the sketch that begins anew every five minutes."""


def measure(cell: Cell, share: float, runs: int) -> Late:
    rows = [_found(cell, share, healthy, runs) for healthy in HEALTHY]
    early, minutes, sketch, restarted = zip(*rows, strict=True)
    return Late(cell, share, early, minutes, sketch, restarted)


def _found(cell: Cell, share: float, healthy: int, runs: int) -> tuple[Rate, float | None, float | None, float | None]:
    draw = np.random.default_rng(4)
    weight, full = cell.weight / 100.0, np.full(runs, cell.rate * INTERVAL)
    judge, begins = Judge(runs, TERMS), healthy * 60 / INTERVAL
    for _ in range(LOOKS):
        judge.past(*some(draw, full, cell.base, cell.clump))
    margin, longest = TERMS.margin(cell.base), round(begins) + LONGEST
    sketches = [Sketch(runs, margin, weight, 4 * LOOKS, restarts) for restarts in (False, True)]
    judges: tuple[Judge | Sketch, ...] = (judge, *sketches)
    found, going = np.full((3, runs), np.nan), [np.arange(runs)] * 3
    for index in range(1, longest + 1):
        now = share if index > begins else cell.base
        e, n = some(draw, full * weight, now, cell.clump)
        b, m = some(draw, full * (1.0 - weight), cell.base, cell.clump)
        for who, one in enumerate(judges):
            at = going[who]
            if not len(at):
                continue
            if isinstance(one, Judge):
                one.look(e[at], n[at], b[at], m[at], np.full(len(at), weight), INTERVAL, passing=False)
                nats = one.harm()
            else:
                nats = one.look(e[at], b[at], m[at])
            back = nats >= math.log(1 / FALSE_ALARM)
            found[who, at[back]] = index * INTERVAL / 60.0 - healthy
            one.keep(~back)
            going[who] = at[~back]
        if not any(len(at) for at in going):
            break
    early = int(np.count_nonzero(found[0] <= 0))
    times = [median(row[~(row <= 0)]) for row in found]
    return Rate(early, runs), times[0], times[1], times[2]
