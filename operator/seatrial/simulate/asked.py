"""The checks of many trials at once: what each has counted, whether it fails, and whether it lets a candidate pass."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from seatrial.api.spec import Check, OnFail
from seatrial.core.checks.judging import FALSE_PASS, FALSE_STEP, SUSPICION
from seatrial.core.checks.terms import terms_of
from seatrial.simulate.counts import Counts
from seatrial.simulate.drifting import Drift
from seatrial.simulate.judge import Array, Judge


@dataclass(frozen=True, slots=True)
class Look:
    """What every check is told at a look; a number for each trial."""

    counts: Counts
    seconds: Array
    """Since the look before."""
    weight: Array
    """The candidate's share of live requests, from 0 to 1, copies included."""
    beside: Array
    """Stable answers live requests beside the candidate."""
    asked: Array
    """The stage can answer the check, and its evidence has begun."""
    alarm: Array
    """The chance of a false alarm that one check has."""
    passing: bool
    """Somebody will ask what passes."""


class Asked(Protocol):
    """One check in all trials."""

    check: Check

    def look(self, seen: Look) -> None:
        """Count one look."""

    def fails(self, alarm: Array) -> Array:
        """The trials in which it fails."""

    def passes(self, last: Array, least: int) -> Array:
        """The trials in which it passes: the whole trial at the `last` step, else the step. `least` requests it takes."""

    def restart(self, which: Array) -> None:
        """A new weight was confirmed."""

    def forget(self, which: Array) -> None:
        """Evidence begins anew."""

    def skip(self, which: Array, seconds: Array) -> None:
        """Time has passed in which nothing was counted, and a probation begins."""

    def keep(self, which: Array) -> None:
        """Go on with some of the trials only."""


def rolls_back(asked: Asked) -> bool:
    """Whether its failure sends the candidate back; else it pauses."""
    return asked.check.failing is OnFail.ROLLBACK


class Share:
    """A check on a share."""

    def __init__(self, check: Check, runs: int) -> None:
        self.check, self._judge = check, Judge(runs, terms_of(check))
        self.step, self.trial = np.zeros(runs), np.zeros(runs)
        """The candidate's requests of the step, and of the trial."""

    def past(self, events: Array, total: Array) -> None:
        """A window of stable before the trial."""
        self._judge.past(events.astype(float), total.astype(float))

    def look(self, seen: Look) -> None:
        """Count one look."""
        e, n, b, m = (np.where(seen.asked, one, 0).astype(float) for one in seen.counts.shares[self.check.name])
        self.step, self.trial = self.step + n, self.trial + n
        self._judge.look(e, n, b, m, seen.weight, seen.seconds, beside=seen.beside & seen.asked, passing=seen.passing)
        if not np.all(seen.asked):
            self.forget(~seen.asked)

    def fails(self, alarm: Array) -> Array:
        """Whether it fails."""
        return self._judge.harm() >= np.log(self._judge.claims() / alarm)

    def passes(self, last: Array, least: int) -> Array:
        """Whether it passes."""
        for_step, for_trial = self._judge.passes()
        enough = np.where(last, for_trial >= -math.log(FALSE_PASS), for_step >= -math.log(FALSE_STEP))
        return (
            enough
            & (self._judge.harm() <= SUSPICION)
            & (np.where(last & self._judge.terms.carried, self.trial, self.step) >= least)
        )

    def restart(self, which: Array) -> None:
        """A new weight was confirmed."""
        self._judge.restart(which)
        self.step = np.where(which, 0.0, self.step)

    def forget(self, which: Array) -> None:
        """Evidence begins anew."""
        self._judge.forget(which)
        self.step, self.trial = np.where(which, 0.0, self.step), np.where(which, 0.0, self.trial)

    def skip(self, which: Array, seconds: Array) -> None:
        """A probation begins after so much time."""
        self._judge.age = np.where(which, self._judge.age + seconds, self._judge.age)
        self.restart(which)

    def keep(self, which: Array) -> None:
        """Go on with some of the trials only."""
        self._judge.keep(which)
        self.step, self.trial = self.step[which], self.trial[which]


class Predictions:
    """A check on drift."""

    def __init__(self, check: Check, judge: Drift) -> None:
        self.check, self._judge = check, judge

    def look(self, seen: Look) -> None:
        """Count one look."""
        mine, others = seen.counts.predictions[self.check.name]
        self._judge.look(mine, others, seen.seconds, seen.beside & seen.asked, seen.alarm)

    def fails(self, alarm: Array) -> Array:  # noqa: ARG002  what was found when a verdict was due stands
        """Whether it fails."""
        return self._judge.fails()

    def passes(self, last: Array, least: int) -> Array:  # noqa: ARG002  it is always the step that counts
        """Whether it passes."""
        return self._judge.passes(least)

    def restart(self, which: Array) -> None:
        """A new weight was confirmed."""
        self._judge.restart(which)

    def forget(self, which: Array) -> None:
        """Evidence begins anew."""
        self._judge.forget(which)

    def skip(self, which: Array, seconds: Array) -> None:  # noqa: ARG002  its evidence has no age
        """A probation begins after so much time."""
        self._judge.restart(which)

    def keep(self, which: Array) -> None:
        """Go on with some of the trials only."""
        self._judge.keep(which)
