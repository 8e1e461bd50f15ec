"""How long a plan takes to decide: said before anybody waits for it.

A candidate as good as stable is followed along the legs of a trial, with average counts and the judge's own arithmetic; and on the
first leg that is judged, one that is clearly worse. What comes out are averages: chance may double them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from seatrial.api.base import format_duration
from seatrial.core.checks.gathering import within_margin
from seatrial.core.checks.judging import FALSE_ALARM, FALSE_PASS, FALSE_STEP
from seatrial.core.checks.terms import Terms
from seatrial.core.legs import Leg
from seatrial.core.statistics.sequential import EARLY, Counts, alternatives, log_e

PLAINLY = 0.04
"""How much worse the candidate is whose discovery is timed: from 1 % to 5 %, as a share."""


@dataclass(frozen=True, slots=True)
class Stable:
    """What stable is like: requests a second, share of bad ones, mean size of their clumps."""

    rate: float
    share: float
    clump: float


@dataclass(frozen=True, slots=True)
class Decision:
    """What a leg takes to be passed by a candidate like stable; None for ever."""

    leg: Leg
    seconds: float | None

    @property
    def late(self) -> bool:
        """Whether the leg's longest time is over before."""
        return self.seconds is None or self.seconds > self.leg.max_duration.total_seconds()

    @property
    def slow(self) -> bool:
        """Whether chance may well make it take more than twice its least time."""
        return self.seconds is None or self.seconds > 1.25 * self.leg.min_duration.total_seconds()


def decisions(
    terms: Terms, stable: Stable, legs: Sequence[Leg], interval: timedelta, min_samples: int
) -> tuple[Decision, ...]:
    """When each judged leg is passed. Evidence for the last one is gathered from the first one on, where it is carried."""
    judged = [leg for leg in legs if leg.judged]
    margin, gathered, out = terms.margin(stable.share), 0.0, []
    for index, leg in enumerate(judged):
        look, weight = _look(stable, leg, interval), (leg.weight or leg.mirror) / 100.0
        last = index == len(judged) - 1
        for_step = _gain(look, stable, margin if last else margin / weight)
        goal = -math.log(FALSE_PASS) - gathered if last else -math.log(FALSE_STEP)
        looks: float | None = 0.0
        if goal > 0:
            looks = goal / for_step if for_step > 0 else None
        enough = min_samples / look.total if look.total > 0 else None
        if looks is None or enough is None:
            out.append(Decision(leg, None))
            break
        seconds = max(looks, enough) * interval.total_seconds()
        out.append(Decision(leg, seconds))
        stays = max(seconds, leg.min_duration.total_seconds())
        if terms.carried:
            gathered += _gain(look, stable, margin) * stays / interval.total_seconds()
    return tuple(out)


def discovery(terms: Terms, stable: Stable, leg: Leg, interval: timedelta, checks: int) -> float | None:
    """Seconds until a candidate that is `PLAINLY` worse fails on this leg; None where it never does."""
    look, margin = _look(stable, leg, interval), terms.margin(stable.share)
    worse = min(stable.share + PLAINLY, 0.99)
    seen = Counts(worse * look.total, look.total, look.base_events, look.base_total)
    bets = alternatives(stable.share + margin, margin)
    gain = max(log_e(seen, stable.share, bet, margin, stable.clump) for bet in bets)
    sure = math.log(checks * (2 if terms.ceiling is not None else 1) / FALSE_ALARM) + math.log(len(bets) / EARLY)
    return sure / gain * interval.total_seconds() if gain > 0 else None


def warning(
    name: str, terms: Terms, stable: Stable, legs: Sequence[Leg], interval: timedelta, least: int, checks: int = 1
) -> str:
    """The sentence for a plan that cannot decide in its time, or takes clearly more than its least; empty for a good one.

    `checks` share the chance of a false alarm.
    """
    decided = decisions(terms, stable, legs, interval, least)
    late = next((one for one in decided if one.late), None)
    slow = late or next((one for one in decided if one.slow), None)
    if slow is None:
        return ""
    takes = "would never pass" if slow.seconds is None else f"takes about {told(slow.seconds)} to pass"
    if late:
        but = f"and that step ends undecided after {format_duration(slow.leg.max_duration)}"
    else:
        but = f"more than its minDuration of {format_duration(slow.leg.min_duration)}"
    return (
        f"check {name}: at {per_minute(stable.rate)} requests a minute, {_percent(stable.share)} of them bad, {slow.leg.told()} "
        f"{takes} a candidate as good as stable, {but}{_found(terms, stable, slow.leg, interval, checks)}: "
        "widen the margin, raise the weight, or give it more time"
    )


def _found(terms: Terms, stable: Stable, leg: Leg, interval: timedelta, checks: int) -> str:
    """When a plain rise would be found on a leg, as the end of a sentence; empty where worse is not higher."""
    if terms.sides[0] or stable.rate <= 0:
        return ""
    seconds = discovery(terms, stable, leg, interval, checks)
    rise = f"a rise from {_percent(stable.share)} to {_percent(min(stable.share + PLAINLY, 0.99))}"
    return f"; {rise} would {'never be found there' if seconds is None else f'take {told(seconds)} to find there'}"


def told(seconds: float) -> str:
    """A time with no more precision than it has: `40s`, `12m`, `3h`, `19d`."""
    for unit, size in (("d", 86_400.0), ("h", 3_600.0), ("m", 60.0)):
        if seconds >= 2 * size:
            return f"{math.ceil(seconds / size)}{unit}"
    return f"{math.ceil(seconds)}s"


def per_minute(rate: float) -> str:
    """Requests a minute: `2`, `0.5`, `1,200`."""
    minute = rate * 60.0
    return f"{minute:,.0f}" if minute >= 1.5 else f"{minute:.2g}"


def _percent(share: float) -> str:
    return f"{share * 100:.2g}%"


def _look(stable: Stable, leg: Leg, interval: timedelta) -> Counts:
    """Average counts of a look at a candidate like stable; stable answers what the candidate does not, or all in a shadow."""
    requests = stable.rate * interval.total_seconds()
    mine = requests * (leg.weight or leg.mirror) / 100.0
    others = requests * (100.0 - leg.weight) / 100.0
    return Counts(mine * stable.share, mine, others * stable.share, others)


def _gain(look: Counts, stable: Stable, margin: float) -> float:
    """Nats that a look brings on average, by the better bet."""
    return max(within_margin(look, stable.share, margin, stable.clump))
