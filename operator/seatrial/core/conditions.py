"""The four conditions of kstatus and `kubectl wait`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from seatrial.api.status import Condition


@dataclass(frozen=True, slots=True)
class Claim:
    """A condition before it has a date."""

    type: str
    holds: bool
    reason: str
    message: str


def settle(old: Iterable[Condition], claims: Iterable[Claim], generation: int, now: datetime) -> list[Condition]:
    """The conditions with their dates: a transition is a change of `status`, of nothing else."""
    before = {condition.type: condition for condition in old}
    out = []
    for claim in claims:
        status = "True" if claim.holds else "False"
        last = before.get(claim.type)
        same = last is not None and last.status == status
        out.append(
            Condition(
                type=claim.type,
                status=status,
                reason=claim.reason,
                message=claim.message[:1024],
                observed_generation=generation,
                last_transition_time=last.last_transition_time if last is not None and same else now,
            )
        )
    return out
