"""What people and tools read: phase, message, conditions, revisions, and what an autoscaler needs."""

from __future__ import annotations

from datetime import datetime

from seatrial.api.status import (
    Overlay,
    OverlayKind,
    Phase,
    RevisionStatus,
    Status,
    Trialled,
)
from seatrial.build.names import MODEL_LABEL, REVISION_LABEL
from seatrial.core import assemble, conditions, drill, probation, routers, sharing, voyage, waiting, windows
from seatrial.core import house as house_rules
from seatrial.core.conditions import Claim
from seatrial.core.passing import Pass
from seatrial.core.state import House
from seatrial.core.traffic import highest, percent, weight_of

ROLES = ("stable", "candidate", "previous", "leaving")
AT_REST = frozenset({Phase.STABLE, Phase.PROBATION, Phase.PARKED, Phase.DRILL})
"""Phases in which nothing that is wanted is still to come."""
NEVER_BEGAN = frozenset({"InvalidSpec"})
"""Reasons of a rejection before any trial."""


def summarise(p: Pass, status: Status) -> Status:
    """The parts of status that follow from the rest."""
    shown = phase(p, status)
    text = message(p, status, shown)
    live = assemble.serving(status)
    rollout = status.rollout
    weight = percent(weight_of(status.traffic, rollout.revision, confirmed=True)) if rollout is not None else ""
    step = f"{max(0, rollout.step) + 1}/{len(p.way(rollout))}" if rollout is not None and status.stable else ""
    status = status.model_copy(
        update={
            "observed_generation": p.observed.generation,
            "phase": shown,
            "message": text[:1024],
            "weight": weight,
            "step": step,
            "kept": (probation.told(p, status) or sharing.told(p, status))[:1024],
            "url": routers.of(p).url(p) or status.url,
            "revisions": _revisions(p, status),
            "selector": _selector(p, live),
            "replicas": sum(w.present for r in live if (w := p.workload(r)) is not None),
        }
    )
    return status.model_copy(
        update={"conditions": conditions.settle(status.conditions, _claims(p, status), p.observed.generation, p.now)}
    )


def phase(p: Pass, status: Status) -> Phase:
    """Where the resource is."""
    rollout = status.rollout
    if p.spec.suspend:
        return Phase.SUSPENDED
    if p.spec.replicas == 0 and rollout is None:
        return Phase.PARKED
    if rollout is not None:
        if rollout.drill is not None:
            return Phase.DRILL
        if rollout.back is not None:
            return Phase.ROLLING_BACK
        if rollout.promoting and status.stable is not None:
            return Phase.PROMOTING
        exposed = rollout.exposed and status.stable is not None
        return Phase(voyage.leg(p, rollout).kind) if exposed else Phase.PREPARING
    if status.probation is not None:
        return Phase.PROBATION
    promoted = bool(status.history) and status.history[0].outcome is Trialled.PROMOTED
    leaving = any(r not in (None, status.stable) and highest(status.traffic, r) > 0 for r in _slots(status))
    if leaving and not promoted:  # after a promotion, what leaves is what a probation has kept
        return Phase.ROLLING_BACK
    if status.rejected is not None and status.rejected.revision == p.wanted:
        if status.rejected.reason in NEVER_BEGAN:
            return Phase.STABLE if status.stable is not None else Phase.PENDING
        return Phase.ROLLED_BACK if status.stable is not None else Phase.FAILED
    return Phase.STABLE if status.stable is not None else Phase.PENDING


def _slots(status: Status) -> tuple[str | None, str | None]:
    return (status.traffic.slots.a, status.traffic.slots.b)


def message(p: Pass, status: Status, shown: Phase) -> str:
    """The latest decision as a sentence; without a clock, so that an idle resource stays as it is."""
    rollout = status.rollout
    if p.stall is not None:
        return p.stall.message
    if shown is Phase.SUSPENDED:
        return "spec.suspend is set: nothing is written but status"
    if rollout is not None and rollout.back is not None:
        return rollout.back.message if rollout.drill is None else drill.told(p, status)
    if rollout is not None and rollout.overlay is not None:
        return rollout.overlay.message
    if rollout is None and p.holding:
        return p.holding
    if rollout is not None:
        return _on_trial(p, status)
    if status.rejected is not None:
        return f"revision {status.rejected.revision} was sent back: {status.rejected.message}"
    if shown is Phase.PARKED:
        return "spec.replicas is 0: parked"
    if status.probation is not None:
        return _on_probation(p, status)
    if status.stable is not None:
        return f"revision {status.stable} serves{waiting.of_stable(p, status)}"
    return "nothing serves yet"


def _on_probation(p: Pass, status: Status) -> str:
    assert status.probation is not None
    until = f"{status.probation.until:%Y-%m-%d %H:%M:%S} UTC"
    waits = f"; revision {p.wanted} waits for its end" if p.wanted != status.stable else ""
    return f"revision {status.stable} serves, on probation until {until}{waits}: {voyage.verdicts(status)}"


def _on_trial(p: Pass, status: Status) -> str:
    rollout = status.rollout
    assert rollout is not None
    if rollout.drill is not None:
        return drill.told(p, status)
    if rollout.promoting:
        return f"all traffic moves to revision {rollout.revision}"
    if not rollout.exposed:
        need = max(1, voyage.pods_asked(p, status, rollout))
        return f"revision {rollout.revision} gets ready: {p.ready(rollout.revision)} of {need} pods"
    if rollout.confirmed_at is None:
        return f"revision {rollout.revision} goes to {voyage.told(p, voyage.leg(p, rollout))}"
    return voyage.verdicts(status)


def _revisions(p: Pass, status: Status) -> list[RevisionStatus]:
    out = []
    candidate = status.rollout.revision if status.rollout is not None else None
    roles = {probation.previous(status): "previous", candidate: "candidate", status.stable: "stable"}
    for revision, workload in sorted(p.observed.workloads.items()):
        role = roles.get(revision, "leaving")
        record = p.observed.records.get(revision)
        out.append(
            RevisionStatus(
                name=revision,
                role=role,
                replicas=workload.replicas,
                ready=workload.ready,
                model_version=record.model_version if record else None,
            )
        )
    return sorted(out, key=lambda r: ROLES.index(r.role))[:16]


def _selector(p: Pass, live: list[str]) -> str:
    if not live:
        return f"{MODEL_LABEL}={p.observed.name},{REVISION_LABEL}=none"
    return f"{MODEL_LABEL}={p.observed.name},{REVISION_LABEL} in ({','.join(live)})"


def _claims(p: Pass, status: Status) -> list[Claim]:
    """Ready: the wanted revision serves. Stalled: a person is needed. Available: stable serves."""
    rollout, rejected = status.rollout, status.rejected
    sent_back = rejected is not None and rejected.revision == p.wanted and rollout is None
    if p.stall is not None:
        stalled = Claim("Stalled", True, p.stall.reason, p.stall.message)
    elif sent_back and rejected is not None:
        last = status.history[0].outcome if status.history else None
        reason = "Failed" if last is Trialled.FAILED else "RolledBack"
        reason = rejected.reason if rejected.reason in NEVER_BEGAN else reason
        stalled = Claim(
            "Stalled", True, reason, f"{rejected.message}; change the spec, or: seatrial retry {p.observed.name}"
        )
    else:
        stalled = Claim("Stalled", False, "Progressing", "nothing is in the way")
    ready_pods = p.ready(status.stable)
    available = status.stable is not None and (ready_pods > 0 or p.replicas == 0)
    done = status.stable == p.wanted and status.phase in AT_REST
    enough = ready_pods >= p.replicas
    ready = done and enough and not stalled.holds
    moving = not stalled.holds and not ready and status.phase is not Phase.SUSPENDED
    why = rollout.overlay.kind if rollout is not None and rollout.overlay is not None else status.phase
    return [
        Claim("Ready", ready, str(status.phase if not stalled.holds else stalled.reason), status.message),
        Claim("Reconciling", moving, str(why), status.message),
        stalled,
        Claim(
            "Available",
            available,
            "StableServes" if available else "NothingServes",
            f"stable {status.stable} has {ready_pods} of {p.replicas} ready pods"
            if status.stable
            else "no stable revision",
        ),
        *_house(p.observed.house),
    ]


def _house(house: House) -> list[Claim]:
    """The house rules, where there are any."""
    for reason, sentence in (("Conflict", house.conflict), ("Unread", house.unread), ("PolicyGone", house.gone)):
        if sentence:
            return [Claim(conditions.HOUSE_RULES, False, reason, sentence)]
    if not house.rules:
        return []
    return [Claim(conditions.HOUSE_RULES, True, "InForce", f"the rules of {house_rules.told(house)} hold")]


def overlay_of(p: Pass, status: Status) -> Overlay | None:
    """What stops a trial from advancing now, with what ends it; the most outward cause first."""

    def stops(kind: OverlayKind, message: str, deadline: datetime | None = None, then: str = "") -> Overlay:
        return Overlay(kind=kind, message=message[:1024], since=p.now, deadline=deadline, then=then)

    if p.blocked:
        return stops(OverlayKind.BLOCKED, p.blocked, p.blocked_until, p.blocked_then)
    if p.holding:
        rollout = status.rollout
        if rollout is not None and rollout.drill is not None:
            return stops(
                OverlayKind.HOLDING, f"evidence is missing: {p.holding}", drill.deadline(p, rollout), "goes back"
            )
        return stops(OverlayKind.HOLDING, f"evidence is missing, holding for ever: {p.holding}")
    if status.paused is not None:
        why = f": {status.paused.reason}" if status.paused.reason else ""
        return stops(
            OverlayKind.PAUSED,
            f"paused by {status.paused.by}{why}; seatrial resume {p.observed.name} goes on, abort sends it back",
        )
    if p.observed.freeze and status.stable is not None:
        sentence = f"{p.observed.freeze}; no more exposure until it is taken off, for ever if need be"
        return stops(OverlayKind.FROZEN, sentence)
    if (opening := windows.opens(p.spec.strategy.windows or (), p.now)) is not None and status.stable is not None:
        p.wake(opening - p.now)
        sentence = f"outside strategy.windows until {opening:%Y-%m-%d %H:%M} UTC: no more exposure"
        return stops(OverlayKind.FROZEN, sentence, opening, "goes on")
    return None
