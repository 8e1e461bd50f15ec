"""The check of a drill: it fails on purpose, once enough live requests have been answered.

What it counts is what a share of errors counts, so a copy that fails by itself is sent back for that. The gateway
counts, since a request that never reached a model server is in none of its numbers.
"""

from __future__ import annotations

from seatrial.api.base import format_duration
from seatrial.api.spec import Check, CheckPreset, MetricSource
from seatrial.api.status import Arms, CheckStatus, Outcome
from seatrial.core.checks import share
from seatrial.core.checks.base import Situation, verdict
from seatrial.core.checks.judging import failure
from seatrial.core.checks.terms import terms_of
from seatrial.core.legs import DRILL_LOOKS

ENOUGH = 20
"""Requests that the copy must have answered before it is failed."""


class DrillCheck(Check):
    """Of a class of its own: no check that a person writes down is ever taken for it."""


DRILL = DrillCheck(name="drill", preset=CheckPreset.ERRORS, source=MetricSource.GATEWAY, max="100%")
"""Without a ceiling: what stable does, its copy may."""

opening_questions, opening, ask, fold = share.opening_questions, share.opening, share.ask, share.fold


def handles(check: Check) -> bool:
    """Whether the check is the drill's."""
    return isinstance(check, DrillCheck)


def judge(check: Check, stored: CheckStatus, situation: Situation) -> CheckStatus:
    """Fail, as soon as going back would be felt by somebody."""
    if stored.outcome in (Outcome.NO_DATA, Outcome.ERROR):
        return stored
    if (failed := failure(terms_of(check), stored, situation)) is not None:
        return verdict(stored, situation, Outcome.FAIL, f"errors {failed}: fail")
    answered = (stored.step or Arms()).candidate.total
    least = DRILL_LOOKS * situation.interval
    confirmed = situation.confirmed_at
    said = f"{answered:,} requests answered by the copy at {float(situation.weight):g} %"
    if confirmed is None or not situation.settled or situation.now < confirmed + least or answered < ENOUGH:
        when = f"it is failed on purpose after {ENOUGH} of them and {format_duration(least)}"
        return verdict(stored, situation, Outcome.INCONCLUSIVE, f"{said}: {when}")
    return verdict(stored, situation, Outcome.FAIL, f"failed on purpose, {said}")
