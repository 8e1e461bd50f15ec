"""Whole trials with the default steps: who is accepted, who is sent back, who waits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache

import numpy as np

from benchmarks.verdicts.hour import median
from benchmarks.verdicts.rates import Rate
from benchmarks.verdicts.traffic import INTERVAL, LOOKS, TERMS, Cell, some
from seatrial.api.spec import Strategy
from seatrial.core.checks.forecast import Stable, warning
from seatrial.core.checks.judging import FALSE_ALARM, FALSE_PASS, FALSE_STEP, SUSPICION
from seatrial.core.legs import legs
from seatrial.simulate.judge import Array, Judge

LEGS = legs(Strategy())
STEPS = tuple(leg.weight / 100.0 for leg in LEGS)
LEAST = round(LEGS[0].min_duration.total_seconds() / INTERVAL)
"""Looks at each step, at the least."""
IN_TIME = 2 * LEAST * len(STEPS) * INTERVAL / 60.0
"""Twice the least time of a trial, in minutes."""
SAMPLES = 200


class Ruling(StrEnum):
    """Who decides: the product's judge, or one that a benchmark worth its name has to turn down."""

    JUDGES = "judges"
    HOLDS = "holds everything"
    PASSES = "passes everything"
    FAILS = "fails everything"


@dataclass(frozen=True)
class Trials:
    """What became of many trials of one candidate, in minutes; NaN for what did not happen."""

    back: Array
    accepted: Array
    warned: Array
    """Whether the forecast at the first look called the plan slow."""


@dataclass(frozen=True)
class Steps:
    """What became of a good and of a bad candidate in one cell."""

    cell: Cell
    wrong: Rate
    """Good ones sent back."""
    accepted: Rate
    """Good ones accepted in twice the least time, of those whose plan was not called slow."""
    warned: Rate
    late: Rate
    """Good ones accepted in that time, of those whose plan was called slow."""
    minutes: float | None
    """Median time until a good one is accepted."""
    bad_accepted: Rate
    """Accepted although twice the margin worse."""
    bad_back: Rate
    """Such candidates sent back within the hour; the rest waits."""


def measure(cell: Cell, runs: int, ruling: Ruling = Ruling.JUDGES) -> Steps:
    """Both candidates. Where so few trials prove nothing there are four times as many."""
    out = _measured(cell, runs, ruling, 1)
    if ruling is Ruling.JUDGES and max(out.wrong.most, out.bad_accepted.most) > 0.01:
        out = _measured(cell, 4 * runs, ruling, 3)
    return out


def _measured(cell: Cell, runs: int, ruling: Ruling, seed: int) -> Steps:
    good = sail(cell, cell.base, runs, seed, ruling)
    bad = sail(cell, cell.base + 2 * TERMS.margin(cell.base), runs, seed + 1, ruling)
    in_time = good.accepted <= IN_TIME
    return Steps(
        cell,
        _rate(~np.isnan(good.back)),
        _rate(in_time[~good.warned]),
        _rate(good.warned),
        _rate(in_time[good.warned]),
        median(good.accepted),
        _rate(~np.isnan(bad.accepted)),
        _rate(~np.isnan(bad.back)),
    )


def _rate(happened: Array) -> Rate:
    return Rate(int(np.count_nonzero(happened)), len(happened))


def sail(cell: Cell, share: float, runs: int, seed: int, ruling: Ruling = Ruling.JUDGES) -> Trials:
    """Trials of a candidate with a share of errors, for an hour at most."""
    draw = np.random.default_rng(seed)
    judge, full = Judge(runs, TERMS), np.full(runs, cell.rate * INTERVAL)
    for _ in range(LOOKS):
        judge.past(*some(draw, full, cell.base, cell.clump))
    warned, going = _warned(judge), np.arange(runs)
    back, accepted = np.full(runs, np.nan), np.full(runs, np.nan)
    at, since, requests = np.zeros(runs, int), np.zeros(runs, int), np.zeros(runs)
    for look in range(1, LOOKS + 1):
        weight, full = np.array(STEPS)[at], np.full(len(going), cell.rate * INTERVAL)
        e, n = some(draw, full * weight, share, cell.clump)
        b, m = some(draw, full * (1.0 - weight), cell.base, cell.clump)
        judge.look(e, n, b, m, weight, INTERVAL)
        requests, since = requests + n, since + 1
        fails, steps, trial = _ruled(judge, ruling)
        ready = (since >= LEAST) & ~fails & (requests >= SAMPLES)
        last = at == len(STEPS) - 1
        done, onward = ready & last & trial, ready & ~last & steps
        back[going[fails]] = accepted[going[done]] = look * INTERVAL / 60.0
        judge.restart(onward)
        at, since, requests = (
            np.where(onward, at + 1, at),
            np.where(onward, 0, since),
            np.where(onward & (at < len(STEPS) - 2), 0.0, requests),
        )
        stays = ~(fails | done)
        judge.keep(stays)
        going, at, since, requests = going[stays], at[stays], since[stays], requests[stays]
        if not len(going):
            break
    return Trials(back, accepted, warned)


def _ruled(judge: Judge, ruling: Ruling) -> tuple[Array, Array, Array]:
    """Who fails, who may leave a step, who may be accepted."""
    always, never = np.ones(judge.runs, bool), np.zeros(judge.runs, bool)
    if ruling is not Ruling.JUDGES:
        passes = always if ruling is Ruling.PASSES else never
        return (always if ruling is Ruling.FAILS else never), passes, passes
    harm, (step, trial) = judge.harm(), judge.passes()
    calm = harm <= SUSPICION
    return (
        harm >= math.log(1 / FALSE_ALARM),
        calm & (step >= -math.log(FALSE_STEP)),
        calm & (trial >= -math.log(FALSE_PASS)),
    )


def _warned(judge: Judge) -> Array:
    """Whether each trial is told that its plan is slow, from what it has learned of stable."""
    rate, clump = judge.total / (judge.windows * INTERVAL), judge.prudent()
    known = zip(rate, judge.long_run(), clump, strict=True)
    return np.array([_slow(*(float(f"{x:.3g}") for x in learned)) for learned in known])


@lru_cache(maxsize=100_000)
def _slow(rate: float, share: float, clump: float) -> bool:
    return bool(warning("errors", TERMS, Stable(rate, share, clump), LEGS, timedelta(seconds=INTERVAL), SAMPLES))
