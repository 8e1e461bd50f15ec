"""`capacity: Shared`: stable makes room for the candidate pod by pod, so that a trial needs room for one pod more.

Both sides keep what their weight needs. A side shrinks only once the gateway has the weights that allow it, and the other
grows only into room that is there: a pod on its way out still takes its own. So neither waits for pods that a full quota
refuses, and the weights walk in steps that the ready pods can carry, in both directions.
"""

from __future__ import annotations

from seatrial.api.base import format_duration
from seatrial.api.status import PARTS, Rollout, Status
from seatrial.core.capacity import pods_for
from seatrial.core.passing import Pass
from seatrial.core.traffic import highest, lowest

SPARE = 1
"""Pods that a trial needs beside the model's own: in it each step of the walk is made."""


def on(p: Pass) -> bool:
    """Whether the revisions of a trial share the model's pods."""
    return any(leg.shared for leg in p.legs)


def stable_size(p: Pass, status: Status, aim: int) -> int:
    """Pods of the stable revision. `aim`: the weight that the other one is on its way to, in parts."""
    other = _other(status)
    if not on(p) or other is None or p.ready(other) == 0:
        return p.replicas  # with nobody there to share with, it is needed whole, and at once
    need, now = _of_stable(p, status, aim), _asked(p, status.stable)
    if need >= now:
        return max(now, min(need, _room(p, status.stable)))
    enough = p.ready(other) >= pods_for(p.replicas, highest(status.traffic, other))
    return need if p.settled and enough else min(now, p.replicas)


def granted(p: Pass, status: Status, rollout: Rollout, need: int, aim: int) -> int:
    """Pods of those it needs that a candidate may have now; `aim` as above.

    Before it has met anybody it gives back what stable needs to take over from the revision before it.
    """
    revision, now = rollout.revision, _asked(p, rollout.revision)
    stable, there = _of_stable(p, status, aim), _taken(p, status.stable)
    room = _room(p, revision) - max(0, stable - there)
    if not rollout.exposed:
        now = min(now, max(0, p.replicas + SPARE - stable - _others(p, status.stable, revision)))
    return min(need, max(now, room))


def floor(p: Pass, status: Status, revision: str) -> int:
    """Pods below which a revision does not shrink: those it has; where they are shared, what its weight needs, once
    the gateway has it."""
    now = _asked(p, revision)
    if not on(p) or not p.settled:
        return now
    return min(now, pods_for(p.replicas, highest(status.traffic, revision)))


def told(p: Pass, status: Status) -> str:
    """What going back would take, while stable is smaller than the model; else empty."""
    ready = p.ready(status.stable)
    missing = p.replicas - ready
    if not on(p) or _other(status) is None or missing <= 0:
        return ""
    workload = p.workload(status.stable)
    starts = [pod.start for pod in workload.pods if pod.start is not None] if workload is not None else []
    least = f", which takes {format_duration(missing * min(starts))} or more" if starts else ""
    return (
        f"shared: stable has {ready} of {p.replicas} pods; going back starts {missing} more one after another{least}, "
        "and traffic follows as they get ready"
    )


def _of_stable(p: Pass, status: Status, aim: int) -> int:
    """Pods that stable needs for all the traffic but what the other one has for sure and is to keep."""
    other = _other(status)
    if other is None or p.ready(other) == 0:
        return p.replicas
    return min(p.replicas, pods_for(p.replicas, PARTS - min(aim, lowest(status.traffic, other))))


def _other(status: Status) -> str | None:
    """The revision that shares the traffic with stable, on trial or on its way out."""
    kept = status.probation.previous if status.probation is not None else None
    held = (status.traffic.slots.a, status.traffic.slots.b)
    return next((revision for revision in held if revision not in (None, status.stable, kept)), None)


def _asked(p: Pass, revision: str | None) -> int:
    workload = p.workload(revision)
    return 0 if workload is None else workload.replicas


def _taken(p: Pass, revision: str | None) -> int:
    """Room that a revision takes: pods that are about to come and pods that are about to go take it, too."""
    workload = p.workload(revision)
    return 0 if workload is None else max(workload.replicas, len(workload.pods))


def _room(p: Pass, revision: str | None) -> int:
    """Pods that a revision may ask for, by what all others take, and by what its own take that are about to go."""
    workload = p.workload(revision)
    leaving = len(workload.pods) - workload.present if workload is not None else 0
    return p.replicas + SPARE - _others(p, revision) - leaving - p.observed.strays


def _others(p: Pass, *but: str | None) -> int:
    return sum(_taken(p, revision) for revision in p.observed.workloads if revision not in but)
