"""A trial's life: it begins, goes back or is superseded, and leaves an entry in the history."""

from __future__ import annotations

from collections.abc import Iterable

from seatrial.api.status import (
    Back,
    BackReason,
    HistoryEntry,
    Rejected,
    Rollout,
    Status,
    Trialled,
)
from seatrial.core.legs import Leg
from seatrial.core.passing import Pass
from seatrial.core.traffic import highest

HISTORY = 10


def steps_of(way: Iterable[Leg]) -> str:
    """The steps of all stages, as the trial remembers them."""
    return ",".join(leg.mark() for leg in way)


def begin(p: Pass, status: Status) -> Status:
    """Start the trial of the wanted revision."""
    rollout = Rollout(revision=p.wanted, started=p.now, steps=steps_of(p.legs))
    if status.stable is None:
        p.event("Deploying", f"first revision {p.wanted}: starting {p.replicas} pods, no traffic before they are ready")
    else:
        p.event("TrialStarted", f"revision {p.wanted} goes on trial against {status.stable}: steps {rollout.steps}")
    return status.model_copy(update={"rollout": rollout, "candidate": p.wanted, "rejected": None, "paused": None})


def go_back(p: Pass, status: Status, reason: BackReason, message: str) -> Status:
    """Decide to send the candidate back. The decision is never taken back."""
    rollout = status.rollout
    if rollout is None or rollout.back is not None:
        return status
    owner = p.spec.model.owner if p.spec.model else None
    sentence = f"{message} (owner: {owner})" if owner else message
    back = Back(reason=reason, message=sentence[:1024], at=p.now)
    status = status.model_copy(update={"rollout": rollout.model_copy(update={"back": back, "overlay": None})})
    if status.stable is None:
        return _rejected(p, status, Trialled.FAILED)
    if rollout.drill is not None:
        p.event("DrillReturns", f"the copy of {status.stable} goes back: {message}")
    elif rollout.exposed:
        p.event("RollingBack", f"revision {rollout.revision} goes back: {sentence}", "Warning")
    return status


def watch_return(p: Pass, status: Status) -> Status:
    """Follow a candidate on its way back, until the proxies are known to send it nothing."""
    rollout = status.rollout
    if rollout is None or rollout.back is None:
        return status
    if p.settled and highest(status.traffic, rollout.revision) <= 1 and rollout.back.minimum_at is None:
        back = rollout.back.model_copy(update={"minimum_at": p.now})
        rollout = rollout.model_copy(update={"back": back})
        status = status.model_copy(update={"rollout": rollout})
    if highest(status.traffic, rollout.revision) > 0 or status.traffic.mirror is not None:
        return status
    if rollout.drill is not None:
        return status  # a drill ends with a report
    return _rejected(p, status, Trialled.ROLLED_BACK)


def _rejected(p: Pass, status: Status, outcome: Trialled) -> Status:
    rollout = status.rollout
    assert rollout is not None and rollout.back is not None
    back = rollout.back
    rejected = Rejected(revision=rollout.revision, reason=back.reason, message=back.message, at=back.at)
    status = end(p, status, outcome, back.reason, back.message)
    if outcome is Trialled.FAILED:
        p.event("Failed", f"first revision {rejected.revision} never served: {back.message}", "Warning")
    else:
        p.event(
            "RolledBack",
            f"revision {rejected.revision} was sent back, {status.stable} serves all traffic: {back.message}",
            "Warning",
        )
    return status.model_copy(update={"rejected": rejected})


def supersede(p: Pass, status: Status, why: str) -> Status:
    """Drop a candidate that is no longer wanted. It is not rejected."""
    assert status.rollout is not None
    p.event("Superseded", f"the trial of {status.rollout.revision} ends: {why}")
    return end(p, status, Trialled.SUPERSEDED, BackReason.SUPERSEDED, why)


def promote(p: Pass, status: Status) -> Status:
    """The candidate becomes stable: its pods are the ones that serve already."""
    rollout = status.rollout
    assert rollout is not None
    before = status.stable
    if before is None:
        message = f"first revision {rollout.revision} serves: {p.ready(rollout.revision)} pods ready"
        p.event("Deployed", message)
    else:
        message = f"revision {rollout.revision} is accepted and replaces {before}"
        if (skipped := rollout.skipped_checks) is not None:
            message = f"{message}, unjudged: {skipped.by} skipped the checks ({skipped.reason})"
        p.event("Promoted", message)
    reason = "Promoted" if rollout.skipped_checks is None else "ChecksSkipped"
    status = end(p, status, Trialled.PROMOTED, reason, message)
    return status.model_copy(update={"stable": rollout.revision, "rejected": None})


def end(p: Pass, status: Status, outcome: Trialled, reason: str, message: str) -> Status:
    """Close the trial and write its history entry."""
    rollout = status.rollout
    assert rollout is not None
    record = p.observed.records.get(rollout.revision)
    entry = HistoryEntry(
        revision=rollout.revision,
        model_version=record.model_version if record else None,
        training_data=record.training_data if record else None,
        outcome=outcome,
        reason=reason,
        message=message[:1024],
        started=rollout.started,
        ended=p.now,
        skipped_checks=rollout.skipped_checks,
        accepted=rollout.accepted,
    )
    return status.model_copy(
        update={
            "rollout": None,
            "candidate": None,
            "paused": None,
            "history": [entry, *status.history][:HISTORY],
        }
    )
