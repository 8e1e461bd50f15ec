"""Canary: capacity, then weight, then confirmation, then the judge; step by step.

Steps are exposure, the last one is acceptance. A step ends after its time with every check at Pass; what
is missing, failing or undecided never raises a weight.
"""

from __future__ import annotations

from datetime import timedelta

from seatrial.api.base import format_duration
from seatrial.api.spec import ApprovalWhen
from seatrial.api.status import PARTS, Outcome, Overlay, OverlayKind, Rollout, Status
from seatrial.core import capacity, checks, clock, trial
from seatrial.core.passing import Pass
from seatrial.core.traffic import MINIMUM, highest, occupy, parts, percent, weight_of


def target(p: Pass, status: Status, rollout: Rollout) -> int:
    """The weight of the present step, in parts."""
    if rollout.promoting or status.stable is None:
        return PARTS
    if rollout.step < 0:
        return weight_of(status.traffic, rollout.revision, confirmed=False)
    return parts(p.steps[min(rollout.step, len(p.steps) - 1)].weight)


def pods_needed(p: Pass, status: Status, rollout: Rollout) -> int:
    """Ready pods that the present step's weight needs, in whole pods."""
    return capacity.needed(p.replicas, -(-target(p, status, rollout) * 100 // PARTS))


def is_last(p: Pass, rollout: Rollout) -> bool:
    """Whether the present step is the one that accepts."""
    return rollout.step >= len(p.steps) - 1


def minimum_time(p: Pass, rollout: Rollout) -> timedelta:
    """The least time at the present step."""
    return p.steps[min(max(0, rollout.step), len(p.steps) - 1)].min_duration


def gate(p: Pass, rollout: Rollout) -> str | None:
    """The next gate that a person has to pass: `STEP/ToEnter` or `STEP/ToLeave`; None where none is in the way."""
    here = rollout.step
    ahead: list[tuple[int, ApprovalWhen]] = []
    if not rollout.exposed:
        ahead.append((max(0, here), ApprovalWhen.TO_ENTER))
    else:
        ahead += [(here, ApprovalWhen.TO_LEAVE), (here + 1, ApprovalWhen.TO_ENTER)]
    for index, when in ahead:
        if not 0 <= index < len(p.steps):
            continue
        approval = p.steps[index].approval
        name = f"{index}/{when}"
        if approval is not None and approval.when is when and name not in rollout.approved:
            return name
    return None


def follow_edits(p: Pass, status: Status) -> Status:
    """Steps edited in mid-trial apply at once, and never raise the weight.

    The position becomes the last step with a weight up to the confirmed one; its time starts again.
    """
    rollout = status.rollout
    if rollout is None or rollout.back is not None or rollout.steps == trial.steps_of(p):
        return status
    confirmed = weight_of(status.traffic, rollout.revision, confirmed=True)
    step = 0
    if rollout.exposed and not rollout.promoting and confirmed > MINIMUM:
        step = max((i for i, s in enumerate(p.steps) if parts(s.weight) <= confirmed), default=-1)
    p.event(
        "StepsEdited",
        f"steps are now {trial.steps_of(p)} %: the trial, at {percent(confirmed)} %, goes on with step {step + 1}",
    )
    rollout = clock.restart(rollout, None).model_copy(update={"step": step, "steps": trial.steps_of(p), "approved": []})
    return status.model_copy(update={"rollout": rollout})


def to_last_step(p: Pass, status: Status) -> Status:
    """Skip the remaining exposure."""
    rollout = status.rollout
    assert rollout is not None
    if rollout.promoting or (rollout.promote and is_last(p, rollout)):
        return status
    if not is_last(p, rollout):
        rollout = clock.restart(rollout, None).model_copy(update={"step": len(p.steps) - 1})
    return status.model_copy(update={"rollout": rollout.model_copy(update={"promote": True})})


def confirm(p: Pass, status: Status) -> Status:
    """Start the step's clock once its weight is known to be in force."""
    rollout = status.rollout
    if rollout is None or rollout.back is not None or not rollout.exposed or not p.settled:
        return status
    confirmed = weight_of(status.traffic, rollout.revision, confirmed=True)
    if rollout.promoting or rollout.confirmed_at is not None or confirmed != target(p, status, rollout):
        return status
    p.event(
        "StepReached",
        f"step {max(0, rollout.step) + 1} of {len(p.steps)}: revision {rollout.revision} gets {percent(confirmed)} % "
        f"for at least {format_duration(minimum_time(p, rollout))}",
    )
    return status.model_copy(
        update={
            "rollout": clock.restart(rollout, p.now),
            "checks": [checks.restart(check, trial=False) for check in status.checks],
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
    return _leave(p, status, rollout)


def _enter(p: Pass, status: Status, rollout: Rollout) -> Status:
    """From Preparing to the first weight."""
    need = pods_needed(p, status, rollout)
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
    p.note(f"revision {rollout.revision} meets traffic: {ready} of {need} pods ready; {warmed}")
    entered = rollout.model_copy(
        update={"exposed": True, "looked_at": p.now, "promoting": status.stable is None, "overlay": None}
    )
    through = [check.model_copy(update={"through": p.now}) for check in status.checks]
    return status.model_copy(update={"rollout": entered, "traffic": traffic, "checks": through})


def _leave(p: Pass, status: Status, rollout: Rollout) -> Status:
    """From one step to the next, or to acceptance."""
    left = minimum_time(p, rollout) - clock.elapsed(rollout, p.now)
    if rollout.confirmed_at is None:
        return status
    if left > timedelta(0):
        p.wake(left)
        return status
    if not p.looked or any(check.outcome is not Outcome.PASS for check in status.checks):
        return status
    if (name := gate(p, rollout)) is not None:
        return _await(p, status, rollout, name)
    if is_last(p, rollout):
        p.event(
            "Accepted",
            f"revision {rollout.revision} passed its last step: {verdicts(status)}; all traffic moves to it",
        )
        return status.model_copy(update={"rollout": rollout.model_copy(update={"promoting": True, "overlay": None})})
    p.note(
        f"step {rollout.step + 1} of {len(p.steps)} passed: {verdicts(status)}; "
        f"next is {p.steps[rollout.step + 1].weight} %"
    )
    onward = clock.restart(rollout, None).model_copy(update={"step": rollout.step + 1, "overlay": None})
    return status.model_copy(update={"rollout": onward})


def _await(p: Pass, status: Status, rollout: Rollout, name: str) -> Status:
    step, when = name.split("/")
    weight = p.steps[int(step)].weight
    what = "before it is left" if when == ApprovalWhen.TO_LEAVE else "before it is entered"
    message = f"step {int(step) + 1} ({weight} %) wants an approval {what}: seatrial approve {p.observed.name}"
    old = rollout.overlay
    if old is not None and old.kind is OverlayKind.AWAITING_APPROVAL and old.message == message:
        return status
    p.event("AwaitingApproval", message)
    overlay = Overlay(kind=OverlayKind.AWAITING_APPROVAL, message=message, since=p.now)
    return status.model_copy(update={"rollout": rollout.model_copy(update={"overlay": overlay})})


def verdicts(status: Status) -> str:
    """All checks in one sentence."""
    said = "; ".join(check.message for check in status.checks if check.message)
    return said or ("waiting for the first look" if status.checks else "pods healthy, no metric checks")


def goal(p: Pass, status: Status, rollout: Rollout) -> int:
    """The weight the candidate is to have now, in parts. Rises only with the pods and without an overlay."""
    written = weight_of(status.traffic, rollout.revision, confirmed=False)
    ready = p.ready(rollout.revision)
    if rollout.back is not None:
        most = highest(status.traffic, rollout.revision)
        return capacity.retreat(most, p.ready(status.stable), p.replicas, ready)
    if not rollout.exposed:
        return 0
    if ready == 0 and status.stable is not None:
        return 0
    aim = target(p, status, rollout)
    held = rollout.overlay is not None and rollout.overlay.kind is not OverlayKind.AWAITING_APPROVAL
    if aim > written and status.stable is not None and (ready < pods_needed(p, status, rollout) or held):
        return written
    return aim
