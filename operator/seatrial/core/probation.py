"""Probation: after a promotion the revision before is kept for a time, and going back needs no trial.

The trial goes on as a view: in it the revision before is stable again, and the accepted one is on trial. To go back is
to take the view for the truth; everything that brings a candidate back then brings this one back.
"""

from __future__ import annotations

from datetime import timedelta

from seatrial.api.base import format_duration
from seatrial.api.spec import Keep, OnNewRevision
from seatrial.api.status import Outcome, ProbationStatus, Rollout, Status
from seatrial.core import capacity, checks, clock, evidence, health, trial, voyage
from seatrial.core.passing import Pass
from seatrial.core.questions import MetricQuestion
from seatrial.core.traffic import parts, weight_of


def begin(p: Pass, status: Status, previous: str, rollout: Rollout) -> Status:
    """Keep the revision before, from the promotion of `rollout` on."""
    asked = p.spec.strategy.probation
    if asked.duration <= timedelta(0):
        return status
    watch = clock.restart(rollout, p.now).model_copy(update={"overlay": None, "looked_at": p.now, "exposed": True})
    on_probation = ProbationStatus(previous=previous, until=p.now + asked.duration, watch=watch)
    p.event("ProbationStarted", f"revision {previous} is kept for {format_duration(asked.duration)} ({asked.keep})")
    afresh = [checks.restart(check, trial=False).model_copy(update={"through": p.now}) for check in status.checks]
    return status.model_copy(update={"probation": on_probation, "checks": afresh})


def view(status: Status) -> Status:
    """The status as a trial of the accepted revision against the one before."""
    on_probation = status.probation
    assert on_probation is not None
    watch = on_probation.watch
    return status.model_copy(
        update={
            "stable": on_probation.previous,
            "candidate": watch.revision,
            "rollout": watch,
            "probation": None,
        }
    )


def questions(p: Pass, status: Status) -> tuple[MetricQuestion, ...]:
    """What a look in the probation asks."""
    assert status.probation is not None
    seen = view(status)
    return evidence.questions(p, seen) if evidence.due(p, status.probation.watch) else ()


def choose(p: Pass, status: Status) -> Status:
    """What the wanted revision means for the probation."""
    on_probation = status.probation
    if on_probation is None:
        return status
    if p.replicas == 0:
        return _end(p, status, "CutShort", "spec.replicas is 0, the model is parked")
    if p.wanted == on_probation.previous:
        status = _mark(status, "CutShort")
        return trial.supersede(p, view(status), f"the spec is back at revision {on_probation.previous}, still kept")
    if p.wanted == status.stable or p.spec.strategy.probation.on_new_revision is OnNewRevision.WAIT:
        return status
    return _end(p, status, "CutShort", f"revision {p.wanted} is wanted now")


def watch(p: Pass, status: Status) -> Status:
    """Judge the accepted revision once more, and end the probation in time."""
    on_probation = status.probation
    if on_probation is None:
        return status
    seen = view(status)
    workload = p.workload(on_probation.watch.revision)
    if workload is not None and (fault := health.broken(workload)) is not None:
        return back(p, trial.go_back(p, seen, fault.reason, fault.message))
    holding = p.holding
    seen = evidence.look(p, seen)
    p.holding = holding  # blindness ends nothing here; the verdict will be Undecided
    assert seen.rollout is not None
    if seen.rollout.back is not None:
        return back(p, seen)
    if p.now >= on_probation.until:
        mute = {check.name for check in p.spec.analysis.checks if checks.needs_control(check)}
        deciding = [check for check in seen.checks if not check.advisory]
        judged = [check for check in deciding if holdback(p, status) > 0 or check.name not in mute]
        passed = bool(judged) and all(check.outcome is Outcome.PASS for check in judged)
        return _end(p, status, "Pass" if passed else "Undecided", voyage.verdicts(seen))
    p.wake(on_probation.until - p.now)
    kept = on_probation.model_copy(update={"watch": seen.rollout})
    return status.model_copy(update={"probation": kept, "checks": seen.checks, "paused": seen.paused})


def back(p: Pass, seen: Status) -> Status:
    """The view becomes the truth: the revision before is stable again."""
    assert seen.rollout is not None and seen.rollout.back is not None
    p.note(f"revision {seen.stable} is stable again")
    return _mark(seen, "Fail").model_copy(
        update={"rollout": seen.rollout.model_copy(update={"promoting": False, "promote": False})}
    )


def _end(p: Pass, status: Status, verdict: str, why: str) -> Status:
    assert status.probation is not None
    previous = status.probation.previous
    p.event("ProbationEnded", f"{verdict}: {why}; revision {previous} is released")
    return _mark(status, verdict).model_copy(update={"probation": None, "paused": None})


def _mark(status: Status, verdict: str) -> Status:
    """Write the verdict into the history entry of the promotion."""
    if not status.history:
        return status
    first, *rest = status.history
    return status.model_copy(update={"history": [first.model_copy(update={"probation": verdict}), *rest]})


def previous(status: Status) -> str | None:
    """The revision that is kept."""
    return status.probation.previous if status.probation is not None else None


def size(p: Pass, current: int) -> int:
    """Pods of the revision that is kept; never fewer than what the holdback needs."""
    asked = p.spec.strategy.probation
    least = capacity.needed(p.replicas, asked.holdback) if asked.holdback else 0
    if asked.keep is Keep.FULL:
        return p.replicas
    return max(least, 1 if asked.keep is Keep.WARM else 0) if p.replicas else current


def holdback(p: Pass, status: Status) -> int:
    """Percent of live traffic for the revision that is kept."""
    return voyage.holdback(p, status.probation.watch) if status.probation is not None else 0


def share(p: Pass, status: Status) -> int:
    """The weight of the revision that is kept, in parts: the holdback, as far as its pods are ready."""
    kept = previous(status)
    aim = parts(holdback(p, status))
    need = capacity.needed(p.replicas, holdback(p, status))
    written = weight_of(status.traffic, kept, confirmed=False)
    ready = p.ready(kept)
    if ready == 0:
        return 0
    return aim if ready >= need else min(written, aim)


def told(p: Pass, status: Status) -> str:
    """What is held for going back, and what going back would take; empty outside a probation."""
    kept = previous(status)
    if kept is None:
        return ""
    workload = p.workload(kept)
    pods, ready = (workload.replicas, workload.ready) if workload is not None else (0, 0)
    gpus = _gpus(p, kept) * pods
    held = f"kept: {_counted(pods, 'pod')} of {kept}" + (f" with {_counted(gpus, 'GPU')}" if gpus else "")
    if ready >= p.replicas:
        return f"{held}; going back moves all traffic at once"
    return f"{held}; going back starts {p.replicas - ready} more first, and traffic follows as they get ready"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _gpus(p: Pass, revision: str) -> int:
    """GPUs of one pod, as its containers limit them."""
    record = p.observed.records.get(revision)
    containers = record.deployment["spec"]["template"]["spec"]["containers"] if record is not None else ()
    return sum(
        int(amount)
        for container in containers
        for name, amount in ((container.get("resources") or {}).get("limits") or {}).items()
        if name.endswith("/gpu") and str(amount).isdigit()
    )
