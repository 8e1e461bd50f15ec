"""Status against the cluster: what was stored is checked before it is believed.

A status that was wiped or edited must never send traffic to nowhere. The route and the Services say
what serves; where status contradicts them, they win.
"""

from __future__ import annotations

from operator import itemgetter

from seatrial.api.status import PARTS, Slots, Split, Status, TrafficStatus
from seatrial.build.drill import drill_revision
from seatrial.build.names import child_name
from seatrial.core.passing import Pass
from seatrial.core.state import Observed
from seatrial.core.traffic import SLOTS, other


def recover(p: Pass, status: Status) -> Status:
    """The status as far as the cluster bears it out."""
    observed = p.observed
    known = set(observed.records) | set(observed.workloads)
    if status.stable is not None and status.stable not in known and status.stable != p.wanted:
        p.note(f"stable {status.stable} has neither record nor Deployment left: it cannot be brought back")
        status = status.model_copy(update={"stable": None})
    if status.probation is not None and status.probation.previous not in known:
        p.note(f"previous {status.probation.previous} has neither record nor Deployment left: its probation ends")
        status = status.model_copy(update={"probation": None})
    status = _traffic(p, status, known)
    rollout = status.rollout
    if rollout is not None and rollout.drill is not None and rollout.revision != drill_revision(status.stable or ""):
        p.note(f"{rollout.revision} is no copy of stable {status.stable}: its drill ends")
        status = status.model_copy(update={"rollout": None})
    refused = status.rejected.revision if status.rejected is not None else None
    found = _serving(status.traffic, refused)
    if status.stable is None and status.rollout is None and found is not None:
        p.note(f"status names no stable revision; the route sends most traffic to {found}")
        status = status.model_copy(update={"stable": found})
    candidate = status.rollout.revision if status.rollout is not None else None
    if status.candidate != candidate:
        status = status.model_copy(update={"candidate": candidate})
    return status


def _traffic(p: Pass, status: Status, known: set[str]) -> Status:
    traffic = status.traffic
    slots = traffic.slots
    changes: dict[str, str | None] = {}
    if slots.a is not None and slots.a == slots.b:
        changes["b"] = None
    for slot in ("a", "b"):
        revision = getattr(slots, slot)
        if revision is not None and revision not in known and revision != p.wanted:
            changes[slot] = None
    if changes:
        slots = slots.model_copy(update=changes)
        traffic = traffic.model_copy(update={"slots": slots})
    if slots == Slots():
        found = _from_route(p.observed, known) or TrafficStatus()
        # What a team's rule held before we took it is written nowhere else.
        found = found.model_copy(update={"borrowed": traffic.borrowed})
        return status.model_copy(update={"traffic": found})
    total = traffic.wanted.a + traffic.wanted.b
    lost = any(getattr(slots, s) is None and getattr(traffic.wanted, s) > 0 for s in ("a", "b"))
    if total not in (0, PARTS) or lost:
        keeper = "a" if slots.a is not None else "b"
        traffic = traffic.model_copy(update={"wanted": Split(**{keeper: PARTS}), "accepted": None})
        p.note(f"weights in status made no sense: all traffic to {getattr(slots, keeper)}")
    traffic = _entered(p, traffic, known)
    if traffic != status.traffic:
        status = status.model_copy(update={"traffic": traffic})
    return status


def _entered(p: Pass, traffic: TrafficStatus, known: set[str]) -> TrafficStatus:
    """Who stands in the route beside the one that status knows of: the status that let it in was lost.

    It has no weight for us, and leaves like everybody else: after the drain, for some proxy may have sent it requests.
    """
    route, name = p.observed.route, p.observed.name
    if route is None or len(route.backends) != len(SLOTS):
        return traffic
    for slot, backend in zip(SLOTS, route.backends, strict=True):
        beside = getattr(traffic.slots, other(slot))
        found = backend.service.removeprefix(f"{name}-")
        if getattr(traffic.slots, slot) is not None or beside is None or found == beside or found not in known:
            continue
        if route.backends[SLOTS.index(other(slot))].service != child_name(name, beside):
            continue
        p.note(f"the route names {found}, of which status knows nothing: it leaves the route like any other")
        slots = traffic.slots.model_copy(update={slot: found})
        return traffic.model_copy(update={"slots": slots, "idle_since": None})
    return traffic


def _from_route(observed: Observed, known: set[str]) -> TrafficStatus | None:
    route = observed.route
    if route is None or len(route.backends) != 2:
        return None
    prefix = f"{observed.name}-"
    a, b = (backend.service.removeprefix(prefix) for backend in route.backends)
    weights = Split(a=route.backends[0].weight, b=route.backends[1].weight)
    if weights.a + weights.b != PARTS or not {a, b} <= known:
        return None
    if a != b:
        slots = Slots(a=a, b=b)
    elif weights.a >= weights.b:
        slots, weights = Slots(a=a), Split(a=PARTS)
    else:
        slots, weights = Slots(b=b), Split(b=PARTS)
    return TrafficStatus(slots=slots, wanted=weights, confirmed=weights)


def _serving(traffic: TrafficStatus, refused: str | None) -> str | None:
    """The revision with most of the written weight, of those that were not refused."""
    held = ((traffic.wanted.a, traffic.slots.a), (traffic.wanted.b, traffic.slots.b))
    fit = [(weight, revision) for weight, revision in held if weight > 0 and revision not in (None, refused)]
    return max(fit, key=itemgetter(0), default=(0, None))[1]
