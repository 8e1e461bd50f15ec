"""How long a plan takes to decide: said before anybody waits for it.

A candidate as good as stable is followed along the legs of a trial, with average counts and the judge's own arithmetic; and on the
first leg that is judged, one that is clearly worse. Those are averages. Beside them stands how long a leg takes in all but a few
trials: evidence is taken for a Brownian motion, whose drift and variance by look follow from the counts, and the time until it
reaches a level has the law of Schrödinger and Smoluchowski, the inverse Gaussian (Physikalische Zeitschrift 16, 1915).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import NormalDist

from seatrial.api.base import format_duration
from seatrial.core.checks.gathering import BETS, within_margin
from seatrial.core.checks.judging import FALSE_ALARM, FALSE_PASS, FALSE_STEP
from seatrial.core.checks.terms import Terms
from seatrial.core.legs import Leg
from seatrial.core.plain import percent
from seatrial.core.statistics.sequential import EARLY, Counts, alternatives, log_e

PLAINLY = 0.04
"""How much worse the candidate is whose discovery is timed: from 1 % to 5 %, as a share."""
SURELY = 0.97
"""The part of good candidates that a leg's longest time is for: 95 % of them, and something for what is known of stable by guess."""
_NOTHING = 1e-12
"""Nats by look that are none."""
_NORMAL = NormalDist()
_STARTS = tuple(_NORMAL.inv_cdf((k + 0.5) / 9.0) for k in range(9))
"""A normal law in nine equal parts, by their middle."""


@dataclass(frozen=True, slots=True)
class Stable:
    """What stable is like: requests a second, share of bad ones, mean size of their clumps."""

    rate: float
    share: float
    clump: float
    prudent: float | None = None
    """Their size as it is taken to be for a Pass; the same where left out."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a leg takes to be passed by a candidate like stable, in seconds; None for ever."""

    leg: Leg
    seconds: float | None
    """On average."""
    longest: float | None = None
    """In all but one case of twenty."""

    @property
    def late(self) -> bool:
        """Whether the leg's longest time is over before."""
        return self.seconds is None or self.seconds > self.leg.max_duration.total_seconds()


@dataclass(frozen=True, slots=True)
class Growth:
    """What a look adds to the evidence, in nats: on average, and the variance of that."""

    mean: float
    variance: float


def decisions(
    terms: Terms, stable: Stable, legs: Sequence[Leg], interval: timedelta, min_samples: int
) -> tuple[Decision, ...]:
    """When each judged leg is passed. Evidence for the last one is gathered from the first one on, where it is carried."""
    judged = [leg for leg in legs if leg.judged]
    margin, gathered, out = terms.margin(stable.share), Growth(0.0, 0.0), []
    for index, leg in enumerate(judged):
        look, weight = _look(stable, leg, interval), (leg.weight or leg.mirror) / 100.0
        last = index == len(judged) - 1
        growth = _growth(look, stable, margin if last else margin / weight)
        goal = math.log(len(BETS) / (FALSE_PASS if last else FALSE_STEP))
        have = gathered if last else Growth(0.0, 0.0)
        enough = min_samples / look.total if look.total > 0 else math.inf
        looks = max(0.0, goal - have.mean) / growth.mean if growth.mean > _NOTHING else math.inf
        if math.isinf(looks) or math.isinf(enough):
            out.append(Decision(leg, None))
            break
        seconds, longest = (
            max(looks_, enough) * interval.total_seconds() for looks_ in (looks, _longest(growth, goal, have))
        )
        out.append(Decision(leg, seconds, longest))
        if not terms.carried:
            continue
        stays = max(seconds, leg.min_duration.total_seconds()) / interval.total_seconds()
        more = _growth(look, stable, margin)
        gathered = Growth(gathered.mean + stays * more.mean, gathered.variance + stays * more.variance)
    return tuple(out)


def _longest(growth: Growth, goal: float, have: Growth) -> float:
    """Looks after which all but one of twenty have reached a level, from where they stand by then."""
    missing = [goal - have.mean - start * math.sqrt(have.variance) for start in _STARTS]

    def reached(looks: float) -> float:
        return math.fsum(arrived(growth, level, looks) for level in missing) / len(missing)

    low, high = 0.0, 1.0
    while reached(high) < SURELY:
        low, high = high, 2.0 * high
    for _ in range(20):
        middle = (low + high) / 2.0
        low, high = (low, middle) if reached(middle) >= SURELY else (middle, high)
    return high


def arrived(growth: Growth, level: float, looks: float) -> float:
    """The chance that evidence, as a Brownian motion from 0, has reached a level by now.

    >>> round(arrived(Growth(1.0, 1.0), 4.0, 4.0), 2), round(arrived(Growth(1.0, 1e-9), 4.0, 4.1), 2)
    (0.59, 1.0)
    """
    if level <= 0.0:
        return 1.0
    if looks <= 0.0:
        return 0.0
    spread = math.sqrt(max(growth.variance, 1e-12) * looks)
    twice = 2.0 * growth.mean * level / max(growth.variance, 1e-12)
    below = _NORMAL.cdf(-(growth.mean * looks + level) / spread)
    back = math.exp(twice + math.log(below)) if below > 0.0 else 0.0
    return min(1.0, _NORMAL.cdf((growth.mean * looks - level) / spread) + back)


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
    """The sentence for a plan that cannot decide in its time, or may well take more than twice its least; empty for a good one.

    `checks` share the chance of a false alarm.
    """
    decided = decisions(terms, stable, legs, interval, least)
    slow = next((one for one in decided if one.late), None) or _slow(decided)
    if slow is None:
        return ""
    takes = "would never pass" if slow.seconds is None else f"takes about {told(slow.seconds)} to pass"
    if slow.late:
        but = f"and that step ends undecided after {format_duration(slow.leg.max_duration)}"
    else:
        but = f"one in twenty more than {told(slow.longest or 0.0)}, and its minDuration is {format_duration(slow.leg.min_duration)}"
    return (
        f"check {name}: at {per_minute(stable.rate)} requests a minute, {percent(stable.share)} of them bad, {slow.leg.told()} "
        f"{takes} a candidate as good as stable, {but}{_found(terms, stable, slow.leg, interval, checks)}: "
        "widen the margin, raise the weight, or give it more time"
    )


def _slow(decided: Sequence[Decision]) -> Decision | None:
    """The leg that may make a plan take more than twice its least time, where more than one good candidate of twenty waits so long."""
    least = [one.leg.min_duration.total_seconds() for one in decided]
    over = [max(0.0, (one.longest or 0.0) - own) for one, own in zip(decided, least, strict=True)]
    return decided[over.index(max(over))] if sum(over) > sum(least) else None


def _found(terms: Terms, stable: Stable, leg: Leg, interval: timedelta, checks: int) -> str:
    """When a plain rise would be found on a leg, as the end of a sentence; empty where worse is not higher."""
    if terms.sides[0] or stable.rate <= 0:
        return ""
    seconds = discovery(terms, stable, leg, interval, checks)
    rise = f"a rise from {percent(stable.share)} to {percent(min(stable.share + PLAINLY, 0.99))}"
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


def _look(stable: Stable, leg: Leg, interval: timedelta) -> Counts:
    """Average counts of a look at a candidate like stable; stable answers what the candidate does not, or all in a shadow."""
    requests = stable.rate * interval.total_seconds()
    mine = requests * (leg.weight or leg.mirror) / 100.0
    others = requests * (100.0 - leg.weight) / 100.0
    return Counts(mine * stable.share, mine, others * stable.share, others)


def _growth(look: Counts, stable: Stable, margin: float) -> Growth:
    """By the better bet. Evidence is linear in the events, whose variance is that of clumps of a geometric size."""
    clump = stable.clump if stable.prudent is None else stable.prudent
    bet = max(range(len(BETS)), key=lambda index: within_margin(look, stable.share, margin, clump)[index])

    def nats(events: float, base_events: float) -> float:
        counts = Counts(events, look.total, base_events, look.base_total)
        return within_margin(counts, stable.share, margin, clump)[bet]

    mean = nats(look.events, look.base_events)
    mine = nats(look.events + 1.0, look.base_events) - mean
    others = nats(look.events, look.base_events + 1.0) - mean
    variance = (2.0 * clump - 1.0) * (mine**2 * look.events + others**2 * look.base_events)
    return Growth(mean, variance)
