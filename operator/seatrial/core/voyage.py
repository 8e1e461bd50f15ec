"""The way of a candidate: capacity, then exposure, then confirmation, then the judge; leg by leg.

Legs are exposure, the last one that is judged is acceptance. A leg ends after its time with every check at Pass; what
is missing, failing or undecided never raises a weight.
"""

from __future__ import annotations

from datetime import timedelta

from seatrial.api.agreement import Agreement
from seatrial.api.base import format_duration
from seatrial.api.spec import ApprovalWhen, OnUndecided
from seatrial.api.status import (
    PARTS,
    BackReason,
    Mirror,
    Outcome,
    Overlay,
    OverlayKind,
    Paused,
    Rollout,
    SkippedChecks,
    Status,
)
from seatrial.core import authority, capacity, checks, clock, routers, sharing, trial
from seatrial.core.legs import Kind, Leg
from seatrial.core.passing import Pass
from seatrial.core.traffic import MINIMUM, found, highest, occupy, parts, percent, weight_of


def leg(p: Pass, rollout: Rollout) -> Leg:
    """The present leg; the first one for a position before it."""
    way = p.way(rollout)
    return way[min(max(0, rollout.step), len(way) - 1)]


def target(p: Pass, status: Status, rollout: Rollout) -> int:
    """The weight of the present leg, in parts."""
    if status.stable is None:
        return PARTS
    if rollout.promoting or rollout.skipped_checks is not None:
        return PARTS - parts(holdback(p, rollout))
    if rollout.step < 0:
        return weight_of(status.traffic, rollout.revision, confirmed=False)
    return routers.of(p).weight(leg(p, rollout), p.replicas)


def told(p: Pass, here: Leg) -> str:
    """A leg's exposure for a person, as it really is."""
    return routers.of(p).told(here, p.replicas)


def holdback(p: Pass, rollout: Rollout) -> int:
    """Percent that the revision before keeps after a promotion; nothing where there was haste to replace it."""
    probation = p.spec.strategy.probation
    if rollout.skipped_checks is not None:
        return 0
    return probation.holdback if probation.duration > timedelta(0) else 0


def pods_needed(p: Pass, status: Status, rollout: Rollout) -> int:
    """Ready pods that the present leg needs, in whole pods. Where pods are weights, no more while nothing may rise."""
    need = _pods_of_leg(p, status, rollout)
    written = weight_of(status.traffic, rollout.revision, confirmed=False)
    if routers.of(p).scales and held(rollout) and written > 0:
        return min(need, routers.of(p).pods_at(written, p.replicas))
    return need


def _pods_of_leg(p: Pass, status: Status, rollout: Rollout) -> int:
    if rollout.promoting or rollout.skipped_checks is not None or status.stable is None:
        return max(1, p.replicas)
    if rollout.step < 0:
        return routers.of(p).pods_at(target(p, status, rollout), p.replicas)
    return routers.of(p).pods(leg(p, rollout), p.replicas)


def pods_asked(p: Pass, status: Status, rollout: Rollout) -> int:
    """Pods that the candidate is to have now: what it needs, as far as stable has made room where they share."""
    need = pods_needed(p, status, rollout)
    if status.stable is None or not shares(p, rollout):
        return need
    return sharing.granted(p, status, rollout, need, _aim(p, status))


def shares(p: Pass, rollout: Rollout) -> bool:
    """Whether the candidate's pods come out of stable's now. In a shadow it has no weight, and stable nothing to give."""
    return sharing.on(p) and (leg(p, rollout).shared or rollout.promoting or rollout.skipped_checks is not None)


def stable_size(p: Pass, status: Status) -> int:
    """Pods of the stable revision."""
    return sharing.stable_size(p, status, _aim(p, status))


def _aim(p: Pass, status: Status) -> int:
    """The weight that whoever shares the traffic with stable is on its way to, in parts."""
    rollout = status.rollout
    onward = rollout is not None and rollout.back is None and rollout.exposed
    return target(p, status, rollout) if rollout is not None and onward else 0


def is_last(p: Pass, rollout: Rollout) -> bool:
    """Whether nothing but promotion comes after the present leg."""
    return rollout.step >= len(p.legs) - 1


def accepts(p: Pass, rollout: Rollout) -> bool:
    """Whether the present leg is the last one that is judged: a preview has no live requests to judge."""
    return leg(p, rollout).judged and not any(later.judged for later in p.way(rollout)[max(0, rollout.step) + 1 :])


def minimum_time(p: Pass, rollout: Rollout) -> timedelta:
    """The least time on the present leg."""
    return leg(p, rollout).min_duration


def gate(p: Pass, rollout: Rollout) -> str | None:
    """The next gate that a person has to pass: `STEP/ToEnter` or `STEP/ToLeave`; None where none is in the way."""
    if rollout.skipped_checks is not None:
        return None
    here, way = rollout.step, p.way(rollout)
    ahead: list[tuple[int, ApprovalWhen]] = []
    if not rollout.exposed:
        ahead.append((max(0, here), ApprovalWhen.TO_ENTER))
    else:
        ahead += [(here, ApprovalWhen.TO_LEAVE), (here + 1, ApprovalWhen.TO_ENTER)]
    for index, when in ahead:
        if not 0 <= index < len(way):
            continue
        approval = way[index].approval
        name = f"{index}/{when}"
        if approval is not None and approval.when is when and name not in rollout.approved:
            return name
    return None


def not_for_author(p: Pass, name: str) -> bool:
    """Whether the gate of this name wants another person than the author."""
    approval = p.legs[int(name.split("/", maxsplit=1)[0])].approval
    return approval is not None and approval.not_author


def follow_edits(p: Pass, status: Status) -> Status:
    """Steps edited in mid-trial apply at once, and never raise the exposure.

    The position becomes the last leg of the same kind that exposes no more than now; its time starts again.
    """
    rollout = status.rollout
    if rollout is None or rollout.back is not None:
        return status
    steps = trial.steps_of(p.way(rollout))
    if rollout.steps == steps:
        return status
    confirmed = weight_of(status.traffic, rollout.revision, confirmed=True)
    step = 0
    if rollout.exposed and not rollout.promoting:
        step = _position(p, rollout, confirmed)
    p.event(
        "StepsEdited",
        f"steps are now {steps}: the trial, at {percent(confirmed)} %, goes on with step {step + 1}",
    )
    rollout = clock.restart(rollout, None).model_copy(update={"step": step, "steps": steps, "approved": []})
    return status.model_copy(update={"rollout": rollout})


def _position(p: Pass, rollout: Rollout, confirmed: int) -> int:
    """Where a trial goes on after its steps were edited; -1 where even the first step exposes more."""
    if confirmed > MINIMUM:
        fits = [
            i
            for i, one in enumerate(p.legs)
            if one.kind is Kind.CANARY and routers.of(p).weight(one, p.replicas) <= confirmed
        ]
        return max(fits, default=-1)
    marks = rollout.steps.split(",")
    mark = marks[min(max(0, rollout.step), len(marks) - 1)]
    copied = int(mark.removeprefix("shadow ")) if mark.startswith("shadow ") else 0
    fits = [i for i, one in enumerate(p.legs) if one.weight == 0 and one.mirror <= copied]
    return max(
        (i for i in fits if (p.legs[i].mirror > 0) == (copied > 0)),
        default=0 if p.legs[0].weight == 0 or not copied else -1,
    )


def to_last_step(p: Pass, status: Status) -> Status:
    """Skip the remaining exposure, up to the leg where acceptance is judged."""
    rollout = status.rollout
    assert rollout is not None
    judged = max((i for i, one in enumerate(p.legs) if one.judged), default=0)
    if rollout.promoting or (rollout.promote and rollout.step >= judged):
        return status
    if rollout.step < judged:
        rollout = clock.restart(rollout, None).model_copy(update={"step": judged})
    return status.model_copy(update={"rollout": rollout.model_copy(update={"promote": True})})


def skip_checks(status: Status, skipped: SkippedChecks) -> Status:
    """Accept the candidate unjudged; whatever asked for patience asks no more."""
    rollout = status.rollout
    assert rollout is not None
    accepted = rollout.model_copy(
        update={"skipped_checks": skipped, "promoting": rollout.exposed, "overlay": None},
    )
    return status.model_copy(update={"rollout": accepted, "paused": None})


def confirm(p: Pass, status: Status) -> Status:
    """Start the leg's clock once its exposure is known to be in force."""
    rollout = status.rollout
    if rollout is None or rollout.back is not None or not rollout.exposed or not p.settled:
        return status
    if rollout.promoting or rollout.confirmed_at is not None:
        return status
    confirmed = weight_of(status.traffic, rollout.revision, confirmed=True)
    if confirmed != target(p, status, rollout) or status.traffic.mirror != copies(p, status):
        return status
    exposure = told(p, leg(p, rollout)) if rollout.step >= 0 else f"{percent(confirmed)} %"
    p.event(
        "StepReached",
        f"step {max(0, rollout.step) + 1} of {len(p.way(rollout))}: revision {rollout.revision} gets {exposure} "
        f"for at least {format_duration(minimum_time(p, rollout))}",
    )
    afresh = rollout.step > 0 and p.legs[rollout.step].kind is not p.legs[rollout.step - 1].kind
    return status.model_copy(
        update={
            "rollout": clock.restart(rollout, p.now),
            "checks": [checks.restart(check, trial=afresh) for check in status.checks],
        }
    )


def advance(p: Pass, status: Status) -> Status:
    """Take the next step if everything speaks for it."""
    rollout = status.rollout
    assert rollout is not None
    if rollout.promoting:
        return status
    if not rollout.exposed:
        return _enter(p, status, rollout)
    if rollout.drill is not None:
        return status  # it leaves its only step by failing
    return _leave(p, status, rollout)


def _enter(p: Pass, status: Status, rollout: Rollout) -> Status:
    """From Preparing to the first leg."""
    need = max(1, pods_asked(p, status, rollout))
    ready = p.ready(rollout.revision)
    if ready < need:
        p.note(f"revision {rollout.revision} has {ready} of {need} ready pods: no traffic yet")
        return status
    if p.spec.preflight is not None and rollout.preflight is None:
        p.note("the recorded requests are not answered yet: no traffic yet")
        return status
    if status.stable is not None and (name := gate(p, rollout)) is not None:
        return _await(p, status, rollout, name)
    traffic = occupy(status.traffic, rollout.revision)
    if traffic is None:
        p.note(f"revision {rollout.revision} waits until the revision before it has left the route and drained")
        return status
    warmed = rollout.preflight.message if rollout.preflight else "warmed by readiness only"
    at_once = status.stable is None or rollout.skipped_checks is not None
    first = "all traffic" if at_once else told(p, leg(p, rollout))
    p.note(f"revision {rollout.revision} meets {first}: {ready} of {need} pods ready; {warmed}")
    entered = rollout.model_copy(update={"exposed": True, "looked_at": p.now, "promoting": at_once, "overlay": None})
    through = [check.model_copy(update={"through": p.now}) for check in status.checks]
    p.wake(timedelta(0))  # a preview without an address changes no route, and nothing else would wake the trial again
    return status.model_copy(update={"rollout": entered, "checks": through})


def _leave(p: Pass, status: Status, rollout: Rollout) -> Status:
    """From one leg to the next, or to acceptance."""
    if rollout.confirmed_at is None:
        return status
    here, spent = leg(p, rollout), clock.elapsed(rollout, p.now)
    if spent < here.min_duration:
        p.wake(here.min_duration - spent)
        return status
    if not _speaks_for(p, status, here):
        return _undecided(p, status, here, spent)
    if (name := gate(p, rollout)) is not None:
        return _await(p, status, rollout, name)
    if is_last(p, rollout):
        passed = f"its last step: {verdicts(status)}" if here.judged else "its preview"
        p.event("Accepted", f"revision {rollout.revision} passed {passed}; all traffic moves to it")
        return status.model_copy(update={"rollout": rollout.model_copy(update={"promoting": True, "overlay": None})})
    onward = clock.restart(rollout, None).model_copy(update={"step": rollout.step + 1, "overlay": None})
    p.note(f"step {rollout.step + 1} of {len(p.legs)} passed: {verdicts(status)}; next is {told(p, leg(p, onward))}")
    return status.model_copy(update={"rollout": onward})


def _speaks_for(p: Pass, status: Status, here: Leg) -> bool:
    """Whether the evidence lets the candidate go on. Behind a preview only a failure counts."""
    deciding = [check for check in status.checks if not check.advisory]
    if not here.judged:
        return all(check.outcome is not Outcome.FAIL for check in deciding)
    return p.looked and all(check.outcome is Outcome.PASS for check in deciding)


def _undecided(p: Pass, status: Status, here: Leg, spent: timedelta) -> Status:
    """What follows when the leg's longest time is over without a verdict."""
    if spent < here.max_duration:
        p.wake(here.max_duration - spent)
        return status
    open_ = [check for check in status.checks if check.outcome is not Outcome.PASS and not check.advisory]
    if not p.looked or not open_:
        return status
    message = (
        f"nothing was decided in {format_duration(here.max_duration)} at {told(p, here)}: "
        f"check {open_[0].name}: {open_[0].message}"
    )
    if p.spec.strategy.on_undecided is OnUndecided.ROLLBACK:
        return trial.go_back(p, status, BackReason.UNDECIDED, message)
    p.event("Paused", f"paused: {message}", "Warning")
    paused = Paused(by="strategy.onUndecided", reason=message[:1024], since=p.now)
    return status.model_copy(update={"paused": paused})


def _await(p: Pass, status: Status, rollout: Rollout, name: str) -> Status:
    step, when = name.split("/")
    what = "before it is left" if when == ApprovalWhen.TO_LEAVE else "before it is entered"
    who = f" by somebody other than {' and '.join(authority.authors_of(p))}" if not_for_author(p, name) else ""
    message = (
        f"step {int(step) + 1} ({told(p, p.legs[int(step)])}) wants an approval{who} {what}: "
        f"seatrial approve {p.observed.name}"
    )
    old = rollout.overlay
    if old is not None and old.kind is OverlayKind.AWAITING_APPROVAL and old.message == message:
        return status
    p.event("AwaitingApproval", message)
    overlay = Overlay(kind=OverlayKind.AWAITING_APPROVAL, message=message, since=p.now)
    return status.model_copy(update={"rollout": rollout.model_copy(update={"overlay": overlay})})


def verdicts(status: Status) -> str:
    """All checks in one sentence."""
    told = [f"{check.message}{' (advice)' if check.advisory else ''}" for check in status.checks if check.message]
    said = "; ".join(told)
    return said or ("waiting for the first look" if status.checks else "pods healthy, no metric checks")


def held(rollout: Rollout) -> bool:
    """Whether something stands in the way of more exposure."""
    return rollout.overlay is not None and rollout.overlay.kind is not OverlayKind.AWAITING_APPROVAL


def goal(p: Pass, status: Status, rollout: Rollout) -> int:
    """The weight the candidate is to have now, in parts. Rises only with the pods and without an overlay."""
    written = weight_of(status.traffic, rollout.revision, confirmed=False)
    ready = p.ready(rollout.revision)
    if rollout.back is not None:
        most = min(written, found(p.observed.route, status.traffic, rollout.revision))
        aim = capacity.retreat(most, p.ready(status.stable), p.replicas, ready)
        # A gateway forgets what it counted of a backend without any weight.
        counting = rollout.drill is not None and rollout.drill.released_at is None and ready > 0
        return max(aim, min(most, MINIMUM)) if counting else aim
    if rollout.exposed and ready > 0 and written == 0 and (waits := routers.in_the_way(p, status)):
        p.note(waits)
        return 0
    aim = target(p, status, rollout) if rollout.exposed and (ready > 0 or status.stable is None) else 0
    if status.stable is None:
        return aim
    if aim < written and not routers.of(p).scales:  # no more than stable can carry, whatever the steps say now
        return max(aim, capacity.retreat(written, p.ready(status.stable), p.replicas, ready))
    if aim > written and not held(rollout) and shares(p, rollout):
        return max(written, min(aim, capacity.carried(ready, p.replicas)))
    if aim > written and held(rollout) and not routers.of(p).scales:
        # Whose pods had all gone re-enters: of a backend without any weight a gateway tells nothing.
        return max(written, MINIMUM)
    if aim > written and (ready < pods_needed(p, status, rollout) or held(rollout)):
        return written
    return aim


def agreements(p: Pass) -> list[Agreement]:
    """How answers are to be compared."""
    if p.spec.analysis.none is not None:
        return []
    return [check.agreement for check in p.spec.analysis.checks if check.agreement is not None]


def compared(p: Pass, status: Status) -> str | None:
    """The candidate whose answers are compared now, from its start to the end of its shadow."""
    rollout = status.rollout
    if rollout is None or rollout.back is not None or rollout.promoting or status.stable is None:
        return None
    if not agreements(p) or leg(p, rollout).kind is not Kind.SHADOW:
        return None
    return rollout.revision


def copies(p: Pass, status: Status) -> Mirror | None:
    """The copies that are to be sent now. They begin with the pods and without an overlay."""
    rollout = status.rollout
    if rollout is None or rollout.back is not None or not rollout.exposed or rollout.promoting or rollout.step < 0:
        return None
    here = leg(p, rollout)
    if here.mirror == 0 or status.stable is None or p.ready(rollout.revision) == 0:
        return None
    if highest(status.traffic, rollout.revision) > 0:
        return None  # an earlier trial of the same revision is still on its way out of the traffic
    wanted = Mirror(revision=rollout.revision, percent=here.mirror, compared=compared(p, status) is not None)
    now = status.traffic.mirror
    if now == wanted:
        return wanted
    if held(rollout) or p.ready(rollout.revision) < pods_needed(p, status, rollout):
        return now if now is not None and now.revision == rollout.revision else None
    return wanted
