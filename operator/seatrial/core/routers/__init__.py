"""Routers: what divides live requests between stable and a candidate.

A new kind of router is one module with the form of `base.Router`, one line in `ROUTERS`, one in `api.spec.Traffic`,
and its rights in `cluster/permissions.py`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from seatrial.api.spec import RouterKind
from seatrial.api.status import Slots, Status
from seatrial.build.names import child_name
from seatrial.core import trial
from seatrial.core.legs import Leg
from seatrial.core.passing import Pass
from seatrial.core.routers.base import Obstacle, Router, Sight
from seatrial.core.routers.gateway_api import GatewayApi
from seatrial.core.routers.replica_ratio import ReplicaRatio
from seatrial.core.routers.team_route import TeamRoute
from seatrial.core.state import Ref
from seatrial.core.traffic import parts

__all__ = [
    "ROUTERS",
    "Obstacle",
    "Router",
    "Sight",
    "as_they_weigh",
    "at_once",
    "in_the_way",
    "leftovers",
    "moved",
    "of",
    "shared",
]

ROUTERS: dict[RouterKind, Router] = {router.kind: router for router in (GatewayApi(), TeamRoute(), ReplicaRatio())}


def of(p: Pass) -> Router:
    """The router that the spec asks for."""
    return ROUTERS[p.spec.traffic.router]


def at_once(p: Pass) -> bool:
    """Whether a weight goes from 0 to its aim in one step."""
    return p.installation.unsafe_traffic or not of(p).enters


def moved(p: Pass) -> str:
    """Why the router that is asked for cannot take over now: a sentence, or empty."""
    status = p.observed.status
    if status.rollout is None and status.probation is None:
        return ""
    before, asked = status.traffic.router, p.spec.traffic.router
    if before in (None, asked):
        return ""
    return (
        f"two revisions are served through {before}, and {asked} cannot take over from it then: put spec.traffic back, "
        "end the trial or the probation with seatrial abort or undo, and then change the router"
    )


def as_they_weigh(p: Pass) -> list[Leg]:
    """The legs with the weights that this router really gives, in whole percent."""
    router = of(p)
    return [replace(leg, weight=router.weight(leg, p.replicas) // parts(1)) for leg in p.legs]


def in_the_way(p: Pass, status: Status) -> str:
    """Whose pods would get requests that must not, if this candidate got any: a sentence, or empty."""
    observed, slots = p.observed, status.traffic.slots
    sized = {name for name, workload in observed.workloads.items() if workload.replicas > 0}
    others = sorted((observed.populated | sized) - {status.stable, status.candidate, slots.a, slots.b})
    if not of(p).scales or not others:
        return ""
    return f"{others[0]} still has pods, and a Service for all pods of the model would send to them: no traffic yet"


def shared(p: Pass, status: Status) -> bool:
    """Whether a new revision must have no pod yet: another one than stable may still need a Service for all pods."""
    route = p.observed.route
    if not of(p).scales or route is None or status.stable is None:
        return False
    alone = child_name(p.observed.name, status.stable)
    return route.open or any(backend.weight > 0 and backend.service != alone for backend in route.backends)


def leftovers(p: Pass, status: Status) -> list[Ref]:
    """What other routers have left, once this one carries the requests and nobody can wait for an answer of theirs.

    Where a first revision failed, that of this one as well: it leads to nobody.
    """
    written = {entry.ref for entry in status.written}
    if trial.gave_up(status) and status.traffic.slots == Slots():
        return _led_nowhere(p)
    held = (router.holder(p.observed.name) for router in ROUTERS.values())
    mine, accepted = of(p).holder(p.observed.name), status.traffic.accepted
    # The Service NAME is an address inside the cluster whatever the router; a rule is given back, not deleted.
    left = [ref for ref in held if ref != mine and ref.kind == "HTTPRoute" and str(ref) in written]
    if not left or not p.settled or accepted is None:
        return []
    wait = accepted.since + p.installation.dwell + p.spec.traffic.drain - p.now
    if wait > timedelta(0):
        p.wake(wait)
        return []
    return left


def _led_nowhere(p: Pass) -> list[Ref]:
    """What a router of ours wrote for a revision that is given up; a team's rule is given back instead."""
    observed, holder = p.observed, of(p).holder(p.observed.name)
    there = holder.name in observed.services if holder.kind == "Service" else observed.route is not None
    return [holder] if there and holder.kind in ("Service", "HTTPRoute") else []
