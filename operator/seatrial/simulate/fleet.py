"""Many candidates on their way through the steps, in arrays.

The rules are those of `core/voyage`, `core/evidence` and `core/probation`: when a look is due, what restarts the evidence, when a
step may be left, what follows when nothing was decided. `tests/simulate/test_planner.py` drives the real planner, gives the same
counts to a fleet of one, and finds the same steps, looks and end.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from seatrial.core.checks import answers_in
from seatrial.core.checks.reading import LOOK_BACK
from seatrial.core.checks.share import WINDOW
from seatrial.core.evidence import SETTLE_SCRAPES
from seatrial.core.legs import Kind, Leg
from seatrial.simulate.asked import Asked, Look, Predictions, Share, rolls_back
from seatrial.simulate.counts import Sea, Stretch
from seatrial.simulate.course import Course
from seatrial.simulate.drifting import Drift
from seatrial.simulate.exposure import Exposure
from seatrial.simulate.judge import Array

PASS_TIME = 0.2
"""Seconds from a change in the cluster to the next pass, about."""
CONTROL = 0.01
"""Share of the live requests from which on stable counts as a control arm."""
KINDS = list(Kind)
SHADOW, CANARY = KINDS.index(Kind.SHADOW), KINDS.index(Kind.CANARY)


class End(IntEnum):
    """How a trial ended."""

    OPEN = 0
    """Not at all within the time that was simulated."""
    ACCEPTED = 1
    BACK = 2
    BACK_LATER = 3
    """Sent back after its acceptance, by its probation."""
    UNDECIDED = 4
    """The longest time of a step was over: it waits for a person, or goes back."""
    PAUSED = 5
    """By a failed check that asks for a person."""


@dataclass(frozen=True, slots=True)
class Trials:
    """What became of them, one number each."""

    end: Array
    """An `End` each."""
    decided: Array
    """Seconds from the first exposure to the decision: to send it back, to accept it, or that nothing was decided."""
    exposed: Array
    """Live requests that the candidate answered until it was sent back, or until its probation was over."""
    before: Array
    """The same until its acceptance."""


@dataclass(slots=True)
class Watched:
    """One trial's looks, for a test."""

    looks: list[tuple[float, int]]
    """Seconds and step of each."""


def sail(course: Course, sea: Sea, runs: int, horizon: float, watched: Watched | None = None) -> Trials:
    """Sail them all; those that end leave the arrays."""
    interval = course.interval.total_seconds()
    shares = [Share(check, runs) for check in course.checks]
    length = max(WINDOW.total_seconds(), interval)
    for window in sea.past(length, int(LOOK_BACK.total_seconds() / length)):
        for share in shares:
            share.past(*window[share.check.name])
    drifts = [Predictions(check, Drift(check, *sea.hour(check.name))) for check in course.drifts]
    checks: list[Asked] = [*shares, *drifts]

    legs, dwell, move = course.legs, course.dwell.total_seconds(), course.dwell.total_seconds() + PASS_TIME
    to_candidate = np.array([(leg.weight or leg.mirror) / 100.0 for leg in legs])
    to_live = np.array([leg.weight / 100.0 for leg in legs])
    least = np.array([leg.min_duration.total_seconds() for leg in legs])
    longest = np.array([leg.max_duration.total_seconds() for leg in legs])
    judged = np.array([leg.judged for leg in legs])
    kinds = np.array([KINDS.index(leg.kind) for leg in legs])
    alarms = np.array([course.alarm(kind) for kind in KINDS])
    answers = [np.array([answers_in(one.check, kind) for kind in KINDS]) for one in checks]
    accepting = max((index for index, leg in enumerate(legs) if leg.judged), default=-1)
    moves = np.array([_moves(legs, index) * move for index in range(len(legs))])
    settle = SETTLE_SCRAPES * course.scrape.total_seconds()
    final = 1.0 - course.holdback / 100.0
    flip = (2 if not legs[-1].judged or legs[-1].kind is Kind.SHADOW else 1) * move
    promotion = flip + (move + course.drain.total_seconds() if course.holdback == 0 else 0.0)
    kept = course.probation.total_seconds()

    end, decided, exposed, before = (np.zeros(runs) for _ in range(4))
    s = _State(runs, moves[0], to_candidate[0], to_live[0], dwell, len(legs) + 1)
    s.open = np.array([np.full(runs, answer[kinds[0]]) for answer in answers])
    while len(s.which):
        # The end of a promotion: what was not counted by then never is.
        at = s.next_look(interval, least)
        promoted = (s.phase == 1) & (s.promoted <= at)
        if np.any(promoted):
            s.begin_probation(promoted)
            for one in checks:
                one.skip(promoted, s.skipped)
            at = s.next_look(interval, least)
        over = ((s.phase == 2) & (s.promoted + kept <= at + 1e-6)) | (at > horizon)
        if np.any(over):
            done = s.which[over]
            end[done] = np.where(s.phase[over] > 0, End.ACCEPTED, End.OPEN)
            decided[done] = np.where(s.phase[over] > 0, s.accepted[over], horizon)
            exposed[done], before[done] = s.exposed[over], s.before[over]
            s.keep(~over)
            for one in checks:
                one.keep(~over)
            continue

        confirmed = s.confirmed <= at
        fresh = confirmed & (s.confirmed > s.looked) & (s.phase == 0)
        other = fresh & (s.step > 0) & (kinds[s.step] != kinds[np.maximum(0, s.step - 1)])
        mine, live = s.between(at)
        counts = sea.between(Stretch(s.which, s.begin, at, mine, live, s.exposure))
        alone = np.where(confirmed, s.live, s.live_before) > 1.0 - CONTROL
        alone |= (s.phase == 0) & ~judged[s.step]
        answered = counts.total * live / np.maximum(mine, 1e-12)
        s.exposed += answered
        s.before += np.where(s.phase == 0, answered, 0.0)
        # Nobody acts on what a shadow answers; once all traffic moves, it is none any more.
        kind = np.where((s.phase > 0) & (kinds[s.step] == SHADOW), CANARY, kinds[s.step])
        failed, pausing = (np.zeros(len(s.which), bool) for _ in range(2))
        passed = confirmed & (at - s.confirmed + 1e-6 >= settle)
        last = s.step == accepting
        for index, (one, answer) in enumerate(zip(checks, answers, strict=True)):
            one.restart(fresh)
            one.forget(other)
            here = answer[kind]
            one.look(
                Look(
                    counts,
                    seconds=at - s.begin,
                    weight=np.maximum(np.where(confirmed, s.mine, s.mine_before), 1e-4),
                    beside=~alone,
                    asked=here & s.open[index],
                    alarm=alarms[kind],
                    passing=bool(np.any(s.phase == 0)),
                )
            )
            fails = here & s.open[index] & one.fails(alarms[kind])
            failed |= fails & rolls_back(one)
            pausing |= fails & (not rolls_back(one))
            passed &= (one.passes(last, course.min_samples) & s.open[index]) | ~here
            s.open[index] = here  # one that has just been opened was not asked about yet
        if watched is not None:
            watched.looks.append((float(at[0]), int(s.step[0])))
        s.begin = s.looked = at

        spent = np.where(confirmed, at - s.confirmed + 1e-6, -1.0)
        leaves = (s.phase == 0) & (spent >= least[s.step]) & ~failed & ~pausing
        onward = leaves & (passed | ~judged[s.step])
        undecided = leaves & ~onward & (spent >= longest[s.step])
        accepts = onward & (s.step == len(legs) - 1)
        s.accept(accepts, at + promotion, at + flip, final, dwell)
        going = onward & ~accepts
        s.step = np.where(going, s.step + 1, s.step)
        s.write(going, at + moves[s.step], to_candidate[s.step], to_live[s.step], dwell)
        out = failed | (pausing & (s.phase == 0)) | undecided
        ends = np.select(
            [failed & (s.phase == 0), failed, pausing],
            [End.BACK, End.BACK_LATER, End.PAUSED],
            End.UNDECIDED,
        )
        if np.any(out):
            done = s.which[out]
            end[done] = ends[out]
            decided[done] = at[out]
            exposed[done], before[done] = s.exposed[out], s.before[out]
            s.keep(~out)
            for one in checks:
                one.keep(~out)
    return Trials(end, decided, exposed, before)


def _moves(legs: tuple[Leg, ...], index: int) -> int:
    """Writes of the route until a leg's exposure is in force: a backend enters through one part of a million."""
    leg = legs[index]
    if leg.kind is Kind.CANARY:
        return 1 if index > 0 and legs[index - 1].kind is Kind.CANARY else 2
    return 1 if leg.kind is Kind.SHADOW or (index > 0 and legs[index - 1].kind is Kind.SHADOW) else 0


class _State:
    """Where every trial is."""

    def __init__(self, runs: int, confirmed: float, mine: float, live: float, dwell: float, changes: int) -> None:
        self.which = np.arange(runs)
        self.step, self.phase = np.zeros(runs, int), np.zeros(runs, int)
        """`phase`: 0 on trial, 1 being promoted, 2 on probation."""
        self.looked, self.begin = np.zeros(runs), np.zeros(runs)
        self.confirmed = np.full(runs, confirmed)
        """When the present weight is known to be in force."""
        self.moved = self.confirmed - dwell
        """When it was written."""
        self.mine, self.live = np.full(runs, mine), np.full(runs, live)
        self.mine_before, self.live_before = np.zeros(runs), np.zeros(runs)
        self.accepted, self.promoted = np.full(runs, np.inf), np.full(runs, np.inf)
        self.open: Array = np.zeros((0, runs), bool)
        """By check: its evidence has begun."""
        self.exposure = Exposure(runs, changes)
        self.exposure.change(np.full(runs, True), self.moved, self.mine, self.live)
        self.exposed, self.before, self.skipped = (np.zeros(runs) for _ in range(3))

    def next_look(self, interval: float, least: Array) -> Array:
        """After an interval, or when the least time of a step has just ended."""
        due, regular = self.confirmed + least[self.step], self.looked + interval
        # While a candidate is promoted its step's time is over; `confirmed` may speak of the weight to come.
        early = (due > self.looked) & (due < regular) & (self.phase != 1)
        return np.where(early, due, regular)

    def between(self, at: Array) -> tuple[Array, Array]:
        """Seconds times share of requests since the last count: all that come to the candidate, and live ones."""
        old = np.clip(self.moved - self.begin, 0.0, at - self.begin)
        new = at - self.begin - old
        return old * self.mine_before + new * self.mine, old * self.live_before + new * self.live

    def write(self, which: Array, confirmed: Array, mine: Array, live: Array, dwell: float) -> None:
        """Another weight is on its way to the proxies."""
        self.mine_before = np.where(which, self.mine, self.mine_before)
        self.live_before = np.where(which, self.live, self.live_before)
        self.mine, self.live = np.where(which, mine, self.mine), np.where(which, live, self.live)
        self.confirmed = np.where(which, confirmed, self.confirmed)
        self.moved = np.where(which, confirmed - dwell, self.moved)
        self.exposure.change(which, self.moved, self.mine, self.live)

    def accept(self, which: Array, promoted: Array, confirmed: Array, final: float, dwell: float) -> None:
        """All traffic moves to the candidate, but for the holdback."""
        self.phase = np.where(which, 1, self.phase)
        self.accepted = np.where(which, self.looked, self.accepted)
        self.promoted = np.where(which, promoted, self.promoted)
        self.write(which, confirmed, np.full(len(which), final), np.full(len(which), final), dwell)

    def begin_probation(self, which: Array) -> None:
        """The first revision is kept from now on, and counts begin now."""
        self.skipped = np.where(which, self.promoted - self.begin, 0.0)
        self.phase = np.where(which, 2, self.phase)
        for name in ("looked", "begin", "confirmed"):
            setattr(self, name, np.where(which, self.promoted, getattr(self, name)))

    def keep(self, which: Array) -> None:
        """Go on with some of the trials only."""
        self.exposure.keep(which)
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                setattr(self, name, value[..., which])
