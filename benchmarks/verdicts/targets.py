"""What is demanded of every cell, and where we are slower than the sketches.

A rate above 1 % of the trials made is a miss, however few they are; where the trials are too few to prove 1 %, the bound beside the
rate says so. Too few good candidates in time are a miss where 95 % would show so few in one of twenty runs at most: plans that are not
called slow in a cell where most are can be a handful.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.verdicts.hour import Hour
from benchmarks.verdicts.late import HEALTHY, Late
from benchmarks.verdicts.rates import Rate, percent
from benchmarks.verdicts.replays import DEMANDED, Replay
from benchmarks.verdicts.scores import Scores
from benchmarks.verdicts.traffic import INTERVAL
from benchmarks.verdicts.trials import IN_TIME, Steps

WRONG, ACCEPTED, LATER = 0.01, 0.95, 1.5
LOOK = INTERVAL / 60.0
ENOUGH = 20
"""Scores of the candidate a minute from which on an hour has to be enough."""
SKETCHES = ("sketch", "restarted")


@dataclass(frozen=True)
class Loss:
    """A cell in which the sketch, with restarts or without, is quicker."""

    told: str
    minutes: float | None
    others: dict[str, float | None]
    """Median minutes of both sketches."""
    wrong: dict[str, Rate]
    """How often each sends back a good candidate there."""


def of_hour(row: Hour) -> list[str]:
    """No wrong rollbacks, with one check or twelve."""
    worst = max(row.wrong, row.wrong_of_many, key=lambda rate: rate.share)
    return [f"sends back {worst.told()} of good candidates"] if worst.share > WRONG else []


def of_steps(row: Steps) -> list[str]:
    """No wrong rollbacks, no wrong acceptance, and no waiting that was not announced."""
    out = []
    if row.wrong.share > WRONG:
        out.append(f"sends back {row.wrong.told()} of good candidates")
    if row.bad_accepted.share > WRONG:
        out.append(f"accepts {row.bad_accepted.told()} of candidates twice the margin worse")
    if row.accepted.most < ACCEPTED:
        out.append(
            f"accepts {percent(row.accepted.share)} of good candidates within {IN_TIME:g} min, and gave no warning"
        )
    return out


def of_late(row: Late) -> list[str]:
    """After healthy hours a fault is found at most half again as late."""
    first = row.minutes[0]
    if first is None:
        return ["finds fewer than half of the faults"]
    late = LATER * first + LOOK  # nobody knows the moment better than to a look
    return [
        f"takes {'for ever' if minutes is None else f'{minutes:g} min'} after {healthy} healthy minutes, {first:g} without"
        for healthy, minutes in zip(HEALTHY, row.minutes, strict=True)
        if minutes is None or minutes > late
    ]


def of_replay(row: Replay) -> list[str]:
    """The same targets; the worlds in which the ceiling has its say are only shown."""
    if row.name not in DEMANDED:
        return []
    out = []
    if row.wrong.share > WRONG:
        out.append(f"sends back {row.wrong.told()} of good candidates")
    if row.bad_accepted.share > WRONG:
        out.append(f"accepts {row.bad_accepted.told()} of candidates twice the margin worse")
    if row.accepted.most < ACCEPTED:
        out.append(
            f"accepts {percent(row.accepted.share)} of good candidates within {IN_TIME:g} min, and gave no warning"
        )
    if row.found.share < 1.0:
        out.append(f"finds {percent(row.found.share)} of candidates four points worse")
    return out


def of_scores(row: Scores) -> list[str]:
    """No wrong failures, and wrong features are found where there are scores to see them by."""
    out = []
    if (wrong := row.failed["same"]).share > WRONG:
        out.append(f"calls {wrong.told()} of candidates drifted whose scores did not change")
    if row.rate >= ENOUGH and (found := row.failed["skew"]).share < ACCEPTED:
        out.append(f"finds wrong features in {percent(found.share)} of candidates")
    return out


def loss(row: Hour) -> Loss | None:
    """Where a sketch is quicker by more than a look."""
    others = {name: row.others_found[name] for name in SKETCHES}
    quickest = min((minutes for minutes in others.values() if minutes is not None), default=None)
    if quickest is None or (row.minutes is not None and row.minutes <= quickest + LOOK):
        return None
    return Loss(row.cell.told(), row.minutes, others, {name: row.others_wrong[name] for name in SKETCHES})
