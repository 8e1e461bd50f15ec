"""Commands of people: each is carried out or refused once, with a sentence."""

from __future__ import annotations

from collections.abc import Callable

from seatrial.api.spec import Check
from seatrial.api.status import (
    AcceptedCheck,
    BackReason,
    DrillRequest,
    DrillStatus,
    Outcome,
    OverlayKind,
    Paused,
    SkippedChecks,
    Status,
)
from seatrial.build.names import COMMANDS
from seatrial.build.revision import digest
from seatrial.core import authority, borrowed, drill, evidence, probation, trial, voyage
from seatrial.core.commands import Action, Command, parse, problems
from seatrial.core.passing import Pass

REMEMBERED = 16
"""Nonces kept in status: twice what the annotation holds."""


class RefusedError(Exception):
    """A command that cannot be carried out now; the text says why."""


def obey(p: Pass, status: Status) -> Status:
    """Carry out what is asked and not yet done."""
    for command in parse(p.observed.commands):
        if command.nonce in status.commands:
            continue
        try:
            status = _ACTIONS[command.action](p, status, command)
        except RefusedError as why:
            p.event("CommandRefused", f"{command.action} by {command.by} is refused: {why}", "Warning")
        status = _done(status, command.nonce)
    for problem in problems(p.observed.commands):
        told = digest(problem, 12)  # the line has no nonce to go by: it is told of once by what is wrong with it
        if told not in status.commands:
            p.event("CommandRefused", f"a line of the annotation {COMMANDS} is not a command: {problem}", "Warning")
            status = _done(status, told)
    return status


def _done(status: Status, nonce: str) -> Status:
    return status.model_copy(update={"commands": [nonce, *status.commands][:REMEMBERED]})


def _on_trial(status: Status, command: Command) -> None:
    rollout = status.rollout
    if rollout is None:
        raise RefusedError("no trial is under way")
    if rollout.revision != command.revision:
        raise RefusedError(f"it is meant for revision {command.revision}, on trial is {rollout.revision}")
    if rollout.back is not None:
        raise RefusedError(f"revision {rollout.revision} is already going back")
    if rollout.drill is not None and command.action is not Action.ABORT:
        raise RefusedError("a drill is under way, which ends by itself; abort ends it now")


def _pause(p: Pass, status: Status, command: Command) -> Status:
    _on_trial(status, command)
    p.event("Paused", f"paused by {command.by}{_because(command)}; failures still send the candidate back")
    return status.model_copy(update={"paused": Paused(by=command.by, reason=command.reason, since=p.now)})


def _resume(p: Pass, status: Status, command: Command) -> Status:
    _on_trial(status, command)
    if status.paused is None:
        raise RefusedError("the trial is not paused")
    p.event("Resumed", f"resumed by {command.by}{_because(command)}")
    return status.model_copy(update={"paused": None})


def _approve(p: Pass, status: Status, command: Command) -> Status:
    _on_trial(status, command)
    rollout = status.rollout
    assert rollout is not None
    waiting = rollout.overlay is not None and rollout.overlay.kind is OverlayKind.AWAITING_APPROVAL
    gate = voyage.gate(p, rollout)
    if gate is None or not waiting:
        raise RefusedError("nothing waits for an approval now")
    if voyage.not_for_author(p, gate) and (why := authority.barred(p, command.by)):
        raise RefusedError(why)
    p.event("Approved", f"gate {gate} passed by {command.by}{_because(command)}")
    passed = rollout.model_copy(update={"approved": [*rollout.approved, gate]})
    return status.model_copy(update={"rollout": passed})


def _promote(p: Pass, status: Status, command: Command) -> Status:
    _on_trial(status, command)
    failing = [check for check in status.checks if check.outcome is Outcome.FAIL and not check.advisory]
    if failing:
        raise RefusedError(f"check {failing[0].name} fails: {failing[0].message}")
    p.event("PromotionAsked", f"{command.by} skips the remaining exposure{_because(command)}; acceptance is judged")
    return voyage.to_last_step(p, status)


def _skip_checks(p: Pass, status: Status, command: Command) -> Status:
    _on_trial(status, command)
    if not command.reason:
        raise RefusedError("checks are skipped with a reason only, which stays in the history")
    if status.stable is None:
        raise RefusedError("a first revision is accepted on its pods and its recorded requests: nothing can be skipped")
    p.event(
        "ChecksSkipped",
        f"{command.by} skips the checks{_because(command)}: revision {command.revision} gets all traffic once "
        f"{p.replicas} pods are ready; pods that break still send it back",
        "Warning",
    )
    return voyage.skip_checks(status, SkippedChecks(by=command.by, reason=command.reason, at=p.now))


def _may_differ(check: Check) -> bool:
    """Whether a person may say that what the check finds is intended."""
    return check.drift is not None or check.share is not None or check.expected is not None


def _accept(p: Pass, status: Status, command: Command) -> Status:
    name, _, reason = command.reason.partition(" ")
    if not reason:
        raise RefusedError("a difference is accepted with the check's name and a reason, which stays in the history")
    on_probation = status.probation if status.stable == command.revision else None
    if on_probation is None:
        _on_trial(status, command)
    watched = on_probation.watch if on_probation is not None else status.rollout
    assert watched is not None
    check = next((one for one in p.spec.analysis.checks if one.name == name), None)
    if check is None or not _may_differ(check):
        can = [one.name for one in p.spec.analysis.checks if _may_differ(one)]
        instead = f"those that can be are {', '.join(can)}" if can else "this model has none that can be"
        raise RefusedError(f"{name} is no check of drift, of an expected metric or of a share of your own: {instead}")
    p.event(
        "DifferenceAccepted", f"check {name} is judged no more for revision {command.revision}: {command.by} ({reason})"
    )
    accepted = AcceptedCheck(check=name, definition=evidence.definition(check), by=command.by, reason=reason, at=p.now)
    others = [one for one in watched.accepted if one.check != name]
    watched = watched.model_copy(update={"accepted": [*others, accepted]})
    if on_probation is not None:
        update: dict[str, object] = {"probation": on_probation.model_copy(update={"watch": watched})}
    else:
        update = {"rollout": watched}
    if status.paused is not None and status.paused.by == evidence.paused_by(name):
        p.event("Resumed", f"the pause by check {name} ends: the difference is intended ({reason})")
        update["paused"] = None
    update["checks"] = [
        evidence.as_accepted(one, accepted, p.now) if one.name == name else one for one in status.checks
    ]
    return status.model_copy(update=update)


def _abort(p: Pass, status: Status, command: Command) -> Status:
    if status.probation is not None and status.stable == command.revision:
        said = f"aborted on probation by {command.by}{_because(command)}"
        return probation.back(p, trial.go_back(p, probation.view(status), BackReason.ABORTED, said))
    _on_trial(status, command)
    return trial.go_back(p, status, BackReason.ABORTED, f"aborted by {command.by}{_because(command)}")


def _retry(p: Pass, status: Status, command: Command) -> Status:
    if (settled := borrowed.settle(p, status, command.by)) is not None:
        return settled
    if status.rejected is None:
        raise RefusedError("no revision was sent back")
    if status.rejected.revision != command.revision:
        raise RefusedError(f"it is meant for revision {command.revision}, sent back was {status.rejected.revision}")
    p.event("Retrying", f"{command.by} has revision {command.revision} tried again{_because(command)}")
    return status.model_copy(update={"rejected": None})


def _drill(p: Pass, status: Status, command: Command) -> Status:
    if status.stable is not None and command.revision != status.stable:
        raise RefusedError(f"it is meant for revision {command.revision}, stable is {status.stable}")
    if why := drill.obstacle(p, status):
        raise RefusedError(why)
    asked = DrillRequest(by=command.by, reason=command.reason)
    return status.model_copy(update={"drill": (status.drill or DrillStatus()).model_copy(update={"asked": asked})})


def _because(command: Command) -> str:
    return f" ({command.reason})" if command.reason else ""


_ACTIONS: dict[Action, Callable[[Pass, Status, Command], Status]] = {
    Action.PAUSE: _pause,
    Action.RESUME: _resume,
    Action.APPROVE: _approve,
    Action.PROMOTE: _promote,
    Action.ABORT: _abort,
    Action.RETRY: _retry,
    Action.DRILL: _drill,
    Action.ACCEPT: _accept,
    Action.SKIP_CHECKS: _skip_checks,
}
