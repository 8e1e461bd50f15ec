"""Load: how many requests a pod of each arm has to answer. Times of answers depend on it, errors do not.

A canary's pods have the share of the whole service that they will have after the promotion, while stable keeps all its pods for what
is left to them: at a weight of 50 % each of the candidate's pods answers twice as much as one of stable's. A candidate as good as
stable is then the slower one. So what is seen while its pods bear clearly more is evidence of a failure only as far as the candidate is
slower, too, than stable was in the hour before, when its pods bore as much. A failure that is held back for that reason leaves users with
nothing slower, by more than the margin, than what they had in that hour.
"""

from __future__ import annotations

from dataclasses import dataclass

from seatrial.api.status import Arms, CheckStatus, Tally
from seatrial.core.checks.base import Situation
from seatrial.core.checks.terms import Terms

ALIKE = 1.25
"""Loads of two pods are alike up to this ratio."""
EASED = 1.1
"""The ratio at which the candidate's pods no longer bear more, once they did: chance must not move it to and fro."""
_FULL = 1.0 - 1e-6


@dataclass(frozen=True, slots=True)
class Load:
    """Requests that a ready pod of the candidate answers, for each that one of stable answers."""

    ratio: float

    @property
    def more(self) -> bool:
        """Clearly more than stable's."""
        return self.ratio > ALIKE

    @property
    def less(self) -> bool:
        """Clearly less."""
        return self.ratio < 1.0 / ALIKE

    def told(self) -> str:
        """For a sentence: `2.0 times as many requests`."""
        return f"{self.ratio:.2g} times as many requests"


def load_of(stored: CheckStatus, situation: Situation, *more: Arms) -> Load | None:
    """The load of the last minutes at this weight, and of `more` counts; None where it is not known."""
    stable = situation.stable
    if stable is None or not situation.concurrent or min(stable.ready, situation.candidate.ready) < 1:
        return None
    counts = [arms for arms in (stored.recent, stored.previous, *more) if arms is not None]
    mine, others = sum(arms.candidate.total for arms in counts), sum(arms.stable.total for arms in counts)
    if min(mine, others) < 1:
        return None
    return Load(mine / situation.candidate.ready / (others / stable.ready))


def followed(stored: CheckStatus, situation: Situation, new: Arms) -> CheckStatus:
    """Note whether the candidate's pods bear more; once they no longer do, what a Pass takes begins anew."""
    load = load_of(stored, situation, new)
    if load is None:
        return stored
    if not stored.burdened:
        return stored.model_copy(update={"burdened": load.more or None})
    if load.ratio > EASED:
        return stored
    sides = [side.model_copy(update={"step": [], "trial": []}) for side in stored.evidence]
    empty = dict.fromkeys(("step", "recent", "previous", "block_since", "burdened"))
    return stored.model_copy(update={**empty, "evidence": sides})


def as_slow_before(past: Tally | None, terms: Terms) -> float | None:
    """The share up to which the candidate is as slow as stable was before the trial, the margin included; None where that is not
    known, or anything is."""
    if past is None or past.total < 1:
        return None
    share = past.events / past.total
    limit = share + terms.margin(share)
    return limit if 0.0 < limit < _FULL else None
