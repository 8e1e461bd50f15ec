"""When the step under way will be through, at today's rate.

The operator says how many more requests each undecided check needs. How fast they come follows from what status has counted, so
that an estimate grows older and better between two looks, and nothing has to be written for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from seatrial.cli import raw
from seatrial.cli.phases import phase
from seatrial.cli.reading import Reading

MEAN_DURATION = timedelta(hours=1)
"""What a check on a mean waits for at the least where its spec says nothing."""
LONGEST = timedelta(days=365)
_UNITS = ((7200.0, 600.0), (600.0, 60.0), (60.0, 10.0))
"""From so many seconds on, an estimate is told in steps of so many."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """How long the present step still takes if requests come and shares stay as they do today."""

    left: timedelta
    check: str
    """The check that takes the longest; empty where only time is waited for."""


def estimate(r: Reading, now: datetime) -> Estimate | None:
    """None where the trial waits for something else, or where nobody can know."""
    judged = phase(r.phase).exposed and not (r.drilling or r.going_back or r.promoting) and r.steps[r.step].kind.judged
    if not judged or r.step_confirmed is None or r.overlay or r.paused:
        return None
    slowest = Estimate(r.left(now), "")
    for name, seconds in _undecided(r, now):
        if seconds is None or seconds > LONGEST.total_seconds():
            return None
        takes = timedelta(seconds=seconds)
        if takes > slowest.left:
            slowest = Estimate(takes, name)
    return slowest


def about(left: timedelta) -> timedelta:
    """A time with no more precision than an estimate has, rounded up.

    >>> [str(about(timedelta(seconds=s))) for s in (7, 61, 754, 9000)]
    ['0:00:07', '0:01:10', '0:13:00', '2:30:00']
    """
    seconds = max(1.0, left.total_seconds())
    unit = next((unit for least, unit in _UNITS if seconds >= least), 1.0)
    return timedelta(seconds=math.ceil(seconds / unit) * unit)


def _undecided(r: Reading, now: datetime) -> Iterator[tuple[str, float | None]]:
    """Checks that do not pass yet, and the seconds until they will."""
    durations = {raw.text(one, "name"): _least_time(one) for one in r.asked_checks}
    for entry in r.check_entries:
        outcome, name = raw.text(entry, "outcome") or "Inconclusive", raw.text(entry, "name")
        if outcome == "Pass":
            continue
        needs, through = _number(entry.get("needs")), raw.time(entry, "through")
        rate = _counted(entry) / max(1e-9, _seconds(r.step_confirmed, through))
        if outcome != "Inconclusive" or needs is None or through is None or (needs > 0 and rate <= 0):
            yield name, None
            continue
        takes = needs / rate - _seconds(through, now) if needs > 0 else 0.0
        since = raw.time(raw.mapping(entry, "mean"), "since")
        yield name, max(takes, durations.get(name, 0.0) - _seconds(since, now) if since is not None else 0.0, 0.0)


def _counted(entry: Mapping[str, Any]) -> float:
    """What the check has counted of the candidate since the present weight was confirmed."""
    if "drift" in entry:
        bins = raw.entries(raw.mapping(entry, "drift"), "candidate")
        return math.fsum(_number(count) or 0.0 for count in bins)
    arms = raw.mapping(raw.mapping(entry, "mean") if "mean" in entry else entry, "step")
    candidate = raw.mapping(arms, "candidate")
    return _number(candidate.get("count", candidate.get("total"))) or 0.0


def _number(value: object) -> float | None:
    """A number as status may hold one, or a string of digits; None for anything else."""
    try:
        found = float(value) if isinstance(value, int | float | str) else math.nan
    except (OverflowError, ValueError):
        return None
    return found if 0.0 <= found <= 1e18 else None


def _least_time(check: Mapping[str, Any]) -> float:
    if "mean" not in check:
        return 0.0
    return (raw.duration(check, "minDuration") or MEAN_DURATION).total_seconds()


def _seconds(begin: datetime | None, end: datetime | None) -> float:
    return 0.0 if begin is None or end is None else max(0.0, (end - begin).total_seconds())
