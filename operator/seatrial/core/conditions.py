"""Conditions: those of other objects as they are read, and our own for kstatus and `kubectl wait`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from seatrial.api.status import Condition

HOUSE_RULES = "HouseRules"
"""Whether the house rules that concern a resource are known and followed; only said of one that some concern."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A condition before it has a date."""

    type: str
    holds: bool
    reason: str
    message: str


def condition(conditions: Iterable[Mapping[str, Any]] | None, kind: str) -> Mapping[str, Any]:
    """The condition of a type in another object's status, or an empty mapping."""
    return next((entry for entry in conditions or () if entry.get("type") == kind), {})


def settle(old: Iterable[Condition], claims: Iterable[Claim], generation: int, now: datetime) -> list[Condition]:
    """The conditions with their dates: a transition is a change of `status`, of nothing else."""
    before = {one.type: one for one in old}
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
