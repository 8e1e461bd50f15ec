"""Waiting for capacity: what the candidate's pods lack, how long they may, and what follows.

No capacity says nothing about a model. It has a deadline of its own, after which the trial ends without a verdict;
a first revision, which has nothing to go back to, waits on and a person is told.
"""

from __future__ import annotations

from datetime import timedelta

from seatrial.api.base import format_duration
from seatrial.api.status import BackReason, Rollout, Status
from seatrial.core import trial
from seatrial.core.health import Lacking, missing_capacity
from seatrial.core.passing import Pass

PATIENCE = timedelta(seconds=10)
"""How long pods may lack something outside the model before people are told."""
ROLLBACK, STALL = "Rollback", "Stall"
"""What follows at the deadline: the candidate goes back, or a person is called."""
QUOTA = "QuotaExceeded"
"""Reason of the condition Ready when a ResourceQuota refused an object of ours."""


def lacking(p: Pass, status: Status, revision: str) -> Lacking | None:
    """What a revision's pods wait for that is not the model's fault."""
    workload = p.workload(revision)
    if workload is not None:
        return missing_capacity(workload)
    # A quota on Deployments leaves no Deployment to look at, only the API server's answer to our last write.
    ready = next((c for c in status.conditions if c.type == "Ready" and c.reason == QUOTA), None)
    return None if ready is None else Lacking(ready.message)


def wait(p: Pass, status: Status, rollout: Rollout, found: Lacking) -> Status:
    """Say that the candidate waits; at the deadline, end the trial or call a person."""
    assert rollout.excused_since is not None
    patience = rollout.excused_since + PATIENCE - p.now
    if patience > timedelta(0):
        p.wake(patience)
        return status
    until = rollout.excused_since + p.spec.capacity_deadline - rollout.unready_excused
    if p.now < until:
        p.wake(until - p.now)
        then = f"revision {rollout.revision} goes back" if status.stable is not None else "a person is needed"
        sentence = f"waiting for capacity until {until:%Y-%m-%d %H:%M:%S} UTC, then {then}: {found.message}"
        p.block(sentence, until, ROLLBACK if status.stable is not None else STALL)
        return status
    waited = f"{found.message}; waited {format_duration(p.spec.capacity_deadline)}, which is spec.capacityDeadline"
    if status.stable is not None:
        sentence = f"{waited}. The model was not judged: when there is room, seatrial retry {p.observed.name}"
        return trial.go_back(p, status, found.reason, sentence)
    p.block(f"waiting for capacity, for ever: {waited}")
    p.stalled(status, str(BackReason.NO_CAPACITY), f"{waited}. It goes on by itself when there is room")
    return status


def of_stable(p: Pass, status: Status) -> str:
    """What the stable revision lacks of its size for want of capacity, as a part of a sentence; or empty."""
    workload = p.workload(status.stable)
    if workload is None or workload.ready >= p.replicas:
        return ""
    found = missing_capacity(workload)
    if found is None or found.reason is not BackReason.NO_CAPACITY:
        return ""
    return f" with {workload.ready} of {p.replicas} pods, waiting for capacity: {found.message}"
