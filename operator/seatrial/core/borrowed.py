"""A rule of a team's own route: taken when a revision is ready for it, kept, left to whoever insists, given back.

What the owner wrote is in status before we first write over it, and follows what the owner writes later. A finalizer
holds the ModelDeployment until the rule is back with its owner, so that no deletion leaves the route without pods.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from seatrial.api.base import format_duration
from seatrial.api.spec import ModelDeploymentSpec, RouteRef, Traffic
from seatrial.api.status import Accepted, Borrowed, Reset, Status
from seatrial.build.names import MANAGER
from seatrial.build.rule import Splice, restored
from seatrial.core import evidence, trial
from seatrial.core.passing import Pass
from seatrial.core.state import Event, Installation, Observed, Plan, Ref, Rule

QUARREL = timedelta(minutes=10)
"""Two resets by the same writer within this time are a quarrel, which nobody would win."""
REMEMBERED = 4
UNCONFIRMED = timedelta(minutes=1)
"""How long the gateway may take to confirm a rule that went back, before we go all the same."""


def ref_of(model: str) -> Ref:
    """The rule as an object of its own: a model borrows one at a time."""
    return Ref("HTTPRouteRule", model)


def in_force(spec: ModelDeploymentSpec | None, status: Status) -> RouteRef | None:
    """The rule through which requests come in now: the one before, until it is back with its owner."""
    have = status.traffic.borrowed
    if have is not None:
        return RouteRef(name=have.route, rule=have.rule)
    return None if spec is None else spec.traffic.route_ref


def told(borrowed: Borrowed) -> str:
    """The rule, for sentences."""
    return f"rule {borrowed.rule} of HTTPRoute {borrowed.route}"


def backends_told(kept: str) -> str:
    """What a rule's owner wrote, for sentences."""
    try:
        refs = json.loads(kept) if kept else []
        return ", ".join(f"{ref.get('kind', 'Service')}/{ref['name']}" for ref in refs) or "no backend"
    except (ValueError, TypeError, KeyError, AttributeError):
        return "what cannot be read any more"


# --- rules of a pass ---------------------------------------------------------------------------------


def keep(p: Pass, status: Status) -> Status:
    """Remember what the owner of the rule wrote, and where the proxies count its requests."""
    asked, rule, have = p.spec.traffic.route_ref, p.observed.rule, status.traffic.borrowed
    if have is None:
        if asked is None or rule is None or p.observed.conflict:
            return status
        have = Borrowed(route=asked.name, rule=asked.rule, original=_original(p, rule))
    elif rule is not None and not rule.taken and rule.original != have.original:
        have = have.model_copy(update={"original": rule.original})
    status = _with(status, have)
    return _where_counted(p, status, have, rule)


def _original(p: Pass, rule: Rule) -> str:
    if not rule.taken:
        return rule.original
    p.note("what stood in the rule before it was taken is lost with the status: its owner gets all to stable back")
    return _to_stable(p.observed.name)


def _to_stable(model: str) -> str:
    service = {"group": "", "kind": "Service", "name": model, "port": 80, "weight": 1}
    return json.dumps([service], sort_keys=True, separators=(",", ":"))


def _where_counted(p: Pass, status: Status, have: Borrowed, rule: Rule | None) -> Status:
    """Gateways count by position: while it moves nothing is counted, and afterwards everything anew."""
    if rule is None or not rule.taken:
        return status
    ahead = rule.ahead if status.traffic.mirror is not None or have.ahead is None else have.ahead
    if (rule.index, ahead) == (have.index, have.ahead):
        return status
    moved = have.index is not None
    if not p.settled:
        p.moved = moved
        return status
    status = _with(status, have.model_copy(update={"index": rule.index, "ahead": ahead}))
    if not moved:
        p.event("RouteTaken", f"{told(have)} leads to this model; before, it led to {backends_told(have.original)}")
        return status
    why = (
        f"{told(have)} is now number {rule.index + 1} of the route, after {ahead} filters of its own: the gateway "
        "counts its requests under another name"
    )
    return evidence.void(p, status, why)


def reset(p: Pass, status: Status) -> Status:
    """Somebody else wrote the rule: put it back once, and leave it to who does so again."""
    have, route, rule = status.traffic.borrowed, p.observed.route, p.observed.rule
    if have is None or route is None or rule is None or have.contested or have.returning_since is not None:
        return status
    if rule.manager == MANAGER:
        return status  # the last one was our own write, whose status was lost
    if have.resets and have.resets[-1].generation == route.generation:
        return status
    found = Reset(manager=rule.manager or "somebody", generation=route.generation, at=p.now)
    mine = [one for one in have.resets if one.manager == found.manager and p.now - one.at <= QUARREL]
    have = have.model_copy(update={"resets": [*have.resets, found][-REMEMBERED:]})
    if rule.counted and status.rollout is not None:
        status = evidence.void(p, status, f"{told(have)} led to {backends_told(rule.original)}, counted as ours")
    if not mine:
        p.event("Repaired", f"{told(have)} was reset by {found.manager}: put back", "Warning")
        return _with(status, have)
    sentence = _quarrel(p, have, found.manager, found.at - mine[-1].at)
    return _with(status, have.model_copy(update={"contested": sentence[:1024]}))


def _quarrel(p: Pass, have: Borrowed, manager: str, apart: timedelta) -> str:
    return (
        f"{told(have)} was reset by {manager} twice within {format_duration(apart)}, to {backends_told(have.original)}: "
        f"it is left so, and no trial goes on. {_ignore_rule(p.observed.namespace, have, manager)} "
        f"Then: seatrial retry {p.observed.name}"
    )


def _ignore_rule(namespace: str, have: Borrowed, manager: str) -> str:
    """What makes a writer leave the rule alone."""
    if manager.startswith("argocd"):
        return (
            "Add to the Application: spec.ignoreDifferences: [{group: gateway.networking.k8s.io, kind: HTTPRoute, "
            f"name: {have.route}, namespace: {namespace}, jsonPointers: [/spec/rules]}}] and "
            "spec.syncPolicy.syncOptions: [RespectIgnoreDifferences=true]."
        )
    if manager in ("kustomize-controller", "flux"):
        return "Add to the HTTPRoute in Git the annotation kustomize.toolkit.fluxcd.io/ssa: IfNotPresent."
    if manager == "helm-controller":
        return (
            "Add to the HelmRelease: spec.driftDetection.ignore: [{target: {kind: HTTPRoute, "
            f"name: {have.route}}}, paths: [/spec/rules]}}]."
        )
    return f"Have {manager} leave spec.rules of this HTTPRoute alone."


def obstruct(p: Pass, status: Status) -> Status:
    """A rule that somebody insists on."""
    have = status.traffic.borrowed
    if have is None or not have.contested:
        return status
    if p.observed.rule is not None and ref_of(p.observed.name) not in p.observed.edited:
        p.event("RouteSettled", f"{told(have)} is as it was before the quarrel: goes on")
        return _with(status, have.model_copy(update={"contested": "", "resets": []}))
    p.stalled(status, "RouteContested", have.contested)
    p.holding = f"{told(have)} is contested, see the condition Stalled"
    return status


def settle(p: Pass, status: Status, by: str) -> Status | None:
    """A person says that the quarrel is over; None where there is none."""
    have = status.traffic.borrowed
    if have is None or not have.contested:
        return None
    p.event("Retrying", f"{by} has {told(have)} written again")
    return _with(status, have.model_copy(update={"contested": "", "resets": []}))


def change_router(p: Pass, status: Status) -> Status:
    """The resource asks for another router, or a first revision failed: the rule goes back."""
    have, asked = status.traffic.borrowed, p.spec.traffic.route_ref
    if have is None:
        return status
    if have.returning_since is None:
        same = asked is not None and (asked.name, asked.rule) == (have.route, have.rule)
        failed = trial.gave_up(status) and p.observed.rule is not None and p.observed.rule.taken
        if (same and not failed) or status.rollout is not None:
            return status
    step = give_back(p.observed, status, p.now, p.installation, p.spec.traffic)
    for event in step.events:
        p.event(event.reason, event.message, event.type)
    if step.wait is not None:
        p.wake(step.wait)
    p.returning = True
    return step.status


def _with(status: Status, have: Borrowed | None) -> Status:
    if have == status.traffic.borrowed:
        return status
    return status.model_copy(update={"traffic": status.traffic.model_copy(update={"borrowed": have})})


# --- back to its owner -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Return:
    """One look at a rule on its way back."""

    status: Status
    events: list[Event] = field(default_factory=list)
    wait: timedelta | None = None
    """Until something is over."""

    @property
    def done(self) -> bool:
        """The rule is its owner's, and nobody can be waiting for an answer of our pods."""
        return self.status.traffic.borrowed is None


def give_back(
    observed: Observed, status: Status, now: datetime, installation: Installation, traffic: Traffic | None
) -> Return:
    """Restore the rule, have it confirmed, drain; then it is no longer ours to know of."""
    have, rule, route = status.traffic.borrowed, observed.rule, observed.route
    assert have is not None
    events: list[Event] = []
    if have.returning_since is None:
        have = have.model_copy(update={"returning_since": now})
        events.append(Event("Normal", "RouteReturning", f"{told(have)} goes back to {_goal(observed, have)}"))
    if rule is None or route is None:
        events.append(Event("Normal", "RouteReturned", f"{told(have)} is not there any more"))
        return Return(_forgotten(status), events)
    assert have.returning_since is not None
    late = now - have.returning_since > UNCONFIRMED
    if rule.taken or not (route.accepted or late):
        return Return(_with(status, have.model_copy(update={"returned": None})), events, timedelta(seconds=1))
    returned = have.returned
    if returned is None or returned.since > now:
        returned = Accepted(generation=route.generation, since=now)
    drain: timedelta = traffic.drain if traffic is not None else Traffic.model_fields["drain"].default
    left = returned.since + installation.dwell + drain - now
    if left > timedelta(0):
        return Return(_with(status, have.model_copy(update={"returned": returned})), events, left)
    if route.problem:
        events.append(Event("Warning", "RouteReturned", f"{told(have)} is its owner's again, but {route.problem}"))
    else:
        events.append(Event("Normal", "RouteReturned", f"{told(have)} is its owner's again, and drained"))
    return Return(_forgotten(status), events)


def _goal(observed: Observed, have: Borrowed) -> str:
    to = backends_told(have.original)
    if observed.deleting and f"Service/{observed.name}" in to.split(", "):
        to += f"; Service/{observed.name} is ours and goes with this ModelDeployment"
    return to


def _forgotten(status: Status) -> Status:
    cleared = {"borrowed": None, "accepted": None, "unsettled_since": None}
    return status.model_copy(update={"traffic": status.traffic.model_copy(update=cleared)})


def splice_back(observed: Observed, status: Status) -> Splice | None:
    """The rule as it goes back; None where it is its owner's already."""
    have = status.traffic.borrowed
    if have is None or have.returning_since is None or observed.rule is None or not observed.rule.taken:
        return None
    try:
        return restored(have.route, have.rule, have.original)
    except ValueError:  # somebody edited our status
        return restored(have.route, have.rule, _to_stable(observed.name))


def depart(observed: Observed, now: datetime, installation: Installation) -> Plan:
    """The ModelDeployment is deleted: the rule goes back while everything still serves, then all may go."""
    if observed.status.traffic.borrowed is None:
        return Plan(apply=(), prune=(), status=observed.status, hold=False)
    traffic = observed.spec.traffic if observed.spec is not None else None
    step = give_back(observed, observed.status, now, installation, traffic)
    return Plan(
        apply=(),
        prune=(),
        status=step.status,
        events=tuple(step.events),
        notes=tuple(event.message for event in step.events),
        wake_in=step.wait,
        splice=splice_back(observed, step.status),
        hold=not step.done,
    )
