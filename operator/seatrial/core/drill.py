"""A drill: going back, practised with a copy of the stable revision.

The copy goes on trial as any candidate does, with one step and a check that fails on purpose; from there on everything
is the usual way back. What is measured is how long that takes, and whether a request was lost. A drill never becomes
stable, is in no history, and says nothing about any revision.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from seatrial.api.base import format_duration
from seatrial.api.status import (
    BackReason,
    CheckStatus,
    DrillReport,
    DrillRequest,
    DrillResult,
    DrillRun,
    DrillStatus,
    Outcome,
    Rollout,
    Status,
    Tally,
)
from seatrial.build.drill import drill_revision
from seatrial.build.revision import digest
from seatrial.core import checks, evidence, routers, trial, voyage, windows
from seatrial.core.checks.base import INGESTION
from seatrial.core.checks.drill import DRILL, ENOUGH
from seatrial.core.passing import Pass
from seatrial.core.questions import MetricQuestion
from seatrial.core.statistics.exact import chance
from seatrial.core.traffic import highest, percent, weight_of

SCHEDULE = "schedule"
"""Who asked, where nobody did."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SOON = timedelta(seconds=30)
"""How much longer than one look going back may take: what is promised of a trial that fails."""
CHANCE = 0.01
"""How rarely chance alone may give the copy so many of the errors before any of them counts as lost."""
RETRY = timedelta(minutes=5)
"""When a drill that is due is tried again, where nothing tells that it can begin."""
TRIES = 4
"""Looks for which the last count may be missing."""


# --- when ---------------------------------------------------------------------------------------------


def keep_schedule(p: Pass, status: Status) -> Status:
    """Write down when the next drill is due. One that was missed stays due, once."""
    asked, known = p.spec.strategy.drill, status.drill or DrillStatus()
    coming = None
    if asked is not None and status.stable is not None:
        coming = min(filter(None, (known.next, _slot_after(p, asked.every))))
    if coming == known.next:
        return status
    kept = known.model_copy(update={"next": coming})
    return status.model_copy(update={"drill": None if kept == DrillStatus() else kept})


def _slot_after(p: Pass, every: timedelta) -> datetime:
    """The next moment of a resource's own grid: a thousand models with the same schedule do not drill at once."""
    offset = timedelta(seconds=int(digest(p.observed.uid, 8), 16)) % every
    return EPOCH + offset + ((p.now - EPOCH - offset) // every + 1) * every


def request(p: Pass, status: Status) -> DrillRequest | None:
    """Who wants a drill now: a person, or the schedule."""
    known = status.drill or DrillStatus()
    if known.asked is not None or known.next is None:
        return known.asked
    if p.now < known.next:
        p.wake(known.next - p.now)
        return None
    return DrillRequest(by=SCHEDULE)


def obstacle(p: Pass, status: Status) -> str:
    """Why no drill can begin now: a sentence, or empty."""
    stable, rollout = status.stable, status.rollout
    if p.replicas == 0:
        return "spec.replicas is 0, the model is parked"
    if stable is None:
        return "nothing serves yet, so there is nothing to go back to"
    if rollout is not None:
        what = "a drill" if rollout.drill is not None else f"a trial of revision {rollout.revision}"
        return f"{what} is under way"
    if p.wanted != stable:
        return f"revision {p.wanted} is wanted and {stable} serves: that comes first"
    if status.probation is not None:
        until = f"{status.probation.until:%Y-%m-%d %H:%M} UTC"
        return f"revision {stable} is on probation until {until}, and the slot of its copy is taken"
    if p.stall is not None:
        return p.stall.message
    if not routers.of(p).counts:
        return f"{p.spec.traffic.router} has no gateway, so nothing counts the requests that a drill could lose"
    if p.observed.freeze:
        return p.observed.freeze
    if (opening := windows.opens(p.spec.strategy.windows or (), p.now)) is not None:
        p.wake(opening - p.now)
        return f"outside strategy.windows until {opening:%Y-%m-%d %H:%M} UTC"
    if p.ready(stable) < p.replicas:
        return f"stable {stable} has {p.ready(stable)} of {p.replicas} ready pods, and going back needs all of them"
    slots = status.traffic.slots
    if leaving := next((held for held in (slots.a, slots.b) if held not in (None, stable)), None):
        return f"revision {leaving} is still leaving the route"
    return "" if p.settled else "the gateway has not confirmed the route yet"


def ready_to_begin(p: Pass, status: Status) -> DrillRequest | None:
    """Whose drill can begin now."""
    asked = request(p, status)
    return asked if asked is not None and not obstacle(p, status) else None


# --- its beginning ------------------------------------------------------------------------------------


def opening_questions(p: Pass, status: Status, asked: DrillRequest) -> tuple[MetricQuestion, ...]:
    """Whether anything counts the requests that a drill could lose."""
    seen = evidence.situation(p, _under_way(p, status, asked), p.wanted)
    return checks.opening_questions(DRILL, seen, p.installation.presets)


def begin(p: Pass, status: Status, asked: DrillRequest) -> Status:
    """Start the drill, where lost requests would be seen; else refuse it, or try again where it is the schedule's."""
    started = _under_way(p, status, asked)
    seen = evidence.situation(p, started, p.wanted)
    opened = checks.opening(DRILL, seen, p.installation.presets, p.answers.metrics)
    if isinstance(opened, checks.Refusal) and evidence.await_scrapes(p, status):
        return status
    if not isinstance(opened, CheckStatus):
        p.wake(RETRY)
        return refuse(p, status, f"nothing counts the requests that it could lose: {opened.message}")
    assert started.rollout is not None
    p.wake(p.installation.dwell)
    p.event(
        "DrillStarted",
        f"drill by {asked.by}{_because(asked.reason)}: a copy of {status.stable}, revision {started.rollout.revision}, "
        f"goes to {p.way(started.rollout)[0].told()} and is failed on purpose",
    )
    check = opened.model_copy(update={"definition": evidence.definition(DRILL), "through": p.now})
    return started.model_copy(update={"checks": [check]})


def _under_way(p: Pass, status: Status, asked: DrillRequest) -> Status:
    assert status.stable is not None
    run = DrillRun(by=asked.by, reason=asked.reason)
    rollout = Rollout(revision=drill_revision(status.stable), started=p.now, drill=run)
    rollout = rollout.model_copy(update={"steps": trial.steps_of(p.way(rollout))})
    known = (status.drill or DrillStatus()).model_copy(update={"asked": None})
    return status.model_copy(update={"rollout": rollout, "candidate": rollout.revision, "drill": known})


def refuse(p: Pass, status: Status, why: str) -> Status:
    """Say once to the person who asked why not; the schedule waits."""
    known = status.drill
    if known is None or known.asked is None:
        p.note(f"a drill is due and waits: {why}")
        return status
    p.event("CommandRefused", f"drill by {known.asked.by} is refused: {why}", "Warning")
    return status.model_copy(update={"drill": known.model_copy(update={"asked": None})})


def drop(p: Pass, status: Status) -> Status:
    """A drill that somebody asked for and that cannot begin any more."""
    if status.drill is None or status.drill.asked is None or not (why := obstacle(p, status)):
        return status
    return refuse(p, status, why)


def _because(reason: str) -> str:
    return f" ({reason})" if reason else ""


# --- its way ------------------------------------------------------------------------------------------


def choose(p: Pass, status: Status) -> Status:
    """A drill is in nobody's way: whatever else is wanted ends it at once."""
    if p.replicas == 0:
        return _end(p, status, DrillResult.ABORTED, "spec.replicas is 0, the model is parked")
    if p.wanted != status.stable:
        return _end(p, status, DrillResult.ABORTED, f"revision {p.wanted} is wanted now")
    return status


def watch(p: Pass, status: Status) -> Status:
    """A drill that cannot be failed in time goes back without a result; a copy that is none goes back at once."""
    rollout = status.rollout
    if rollout is None or rollout.drill is None or rollout.back is not None:
        return status
    images = _images(p, status.stable)
    if images and (other := _images(p, rollout.revision) - images):
        message = (
            f"the copy runs {min(other).rsplit('@', 1)[-1]}, which stable {status.stable} does not: the tag was moved; "
            "pin the image by digest"
        )
        return trial.go_back(p, status, BackReason.IMAGE_MOVED, message)
    if rollout.exposed and rollout.drill.met_at is None:
        rollout = rollout.model_copy(update={"drill": rollout.drill.model_copy(update={"met_at": p.now})})
        status = status.model_copy(update={"rollout": rollout})
    assert rollout.drill is not None
    until = deadline(p, rollout)
    if p.now < until:
        p.wake(until - p.now)
        return status
    if rollout.drill.met_at is None:
        lacks = f"the copy could not be let in within {format_duration(until - rollout.started)}"
    else:
        length = format_duration(until - rollout.drill.met_at)
        lacks = f"fewer than {ENOUGH} requests were counted in {length}: {voyage.verdicts(status)}"
    return trial.go_back(p, status, BackReason.UNDECIDED, lacks)


def _images(p: Pass, revision: str | None) -> set[str]:
    """What the ready pods of a revision run."""
    workload = p.workload(revision)
    pods = workload.pods if workload is not None else ()
    return {image for pod in pods if pod.ready for image in pod.image_ids if image}


def deadline(p: Pass, rollout: Rollout) -> datetime:
    """When a drill goes back, whatever it still waits for."""
    assert rollout.drill is not None
    if rollout.drill.met_at is None:
        return rollout.started + p.spec.progress_deadline + p.spec.capacity_deadline
    return rollout.drill.met_at + p.way(rollout)[0].max_duration


def told(p: Pass, status: Status) -> str:
    """Where a drill is, as a sentence."""
    rollout = status.rollout
    assert rollout is not None and rollout.drill is not None
    if _is_counted(rollout):
        return f"drill: the copy is at the minimum; its requests are counted at {_count_at(p, rollout):%H:%M:%S} UTC"
    if rollout.back is not None:
        return f"drill: the copy goes back: {rollout.back.message}"
    if not rollout.exposed:
        need = voyage.pods_needed(p, status, rollout)
        return f"drill: a copy of {status.stable} gets ready: {p.ready(rollout.revision)} of {need} pods"
    if rollout.confirmed_at is None:
        now = percent(weight_of(status.traffic, rollout.revision, confirmed=True))
        return f"drill: the copy goes from {now} % to {voyage.leg(p, rollout).told()}"
    return voyage.verdicts(status)


# --- its end ------------------------------------------------------------------------------------------


def counts(p: Pass, status: Status) -> bool:
    """Whether the requests of a copy that is at the minimum are to be counted now."""
    rollout = status.rollout
    if rollout is None or not _is_counted(rollout):
        return False
    return p.now >= max(_count_at(p, rollout), (rollout.looked_at or p.now) + p.spec.analysis.interval)


def _is_counted(rollout: Rollout) -> bool:
    """Whether nothing but the last count keeps the copy at the minimum."""
    back, run = rollout.back, rollout.drill
    return run is not None and rollout.exposed and run.released_at is None and bool(back and back.minimum_at)


def _count_at(p: Pass, rollout: Rollout) -> datetime:
    """When all answers have been given and scraped."""
    assert rollout.back is not None and rollout.back.minimum_at is not None
    scrape = rollout.scrape_interval or evidence.DEFAULT_SCRAPE
    return rollout.back.minimum_at + p.spec.traffic.drain + evidence.SETTLE_SCRAPES * scrape + INGESTION


def finish(p: Pass, status: Status) -> Status:
    """From the minimum to the last count, to nothing, and to the result."""
    rollout = status.rollout
    if rollout is None or rollout.drill is None or rollout.back is None:
        return status
    if _is_counted(rollout):
        status = _count(p, status, rollout)
        rollout = status.rollout
        assert rollout is not None
    run = rollout.drill
    over = not rollout.exposed or (run is not None and run.released_at is not None)
    if not over or highest(status.traffic, rollout.revision) > 0 or not p.settled:
        return status
    return _conclude(p, status, rollout)


def _count(p: Pass, status: Status, rollout: Rollout) -> Status:
    """The last look: what happened since the one before, however often it takes until it is answered."""
    until = _count_at(p, rollout)
    if not counts(p, status):
        p.wake(max(until, (rollout.looked_at or p.now) + p.spec.analysis.interval) - p.now)
        return status
    seen = evidence.situation(p, status, rollout.revision)
    counted = checks.fold(DRILL, _stored(status), seen, p.installation.presets, p.answers.metrics)
    run = rollout.drill
    assert run is not None
    if _unknown(counted) and p.now < until + TRIES * p.spec.analysis.interval:
        p.note(f"the requests of the drill are not counted yet: {counted.message}")
        p.wake(p.spec.analysis.interval)
    else:
        run = run.model_copy(update={"released_at": p.now})
    looked = rollout.model_copy(update={"looked_at": p.now, "drill": run})
    return status.model_copy(update={"rollout": looked, "checks": [counted]})


def _stored(status: Status) -> CheckStatus:
    return next((check for check in status.checks if check.name == DRILL.name), CheckStatus(name=DRILL.name))


def _unknown(counted: CheckStatus) -> bool:
    return counted.trial is None or counted.outcome in (Outcome.NO_DATA, Outcome.ERROR)


def _conclude(p: Pass, status: Status, rollout: Rollout) -> Status:
    back = rollout.back
    assert back is not None
    if back.reason is BackReason.ABORTED:
        return _end(p, status, DrillResult.ABORTED, back.message)
    if back.reason in (BackReason.UNDECIDED, BackReason.NO_CAPACITY):
        return _end(p, status, DrillResult.UNDECIDED, back.message)
    if back.reason is not BackReason.CHECK_FAILED or back.minimum_at is None:
        return _end(p, status, DrillResult.FAILED, back.message)
    took, limit = back.minimum_at - back.at, p.spec.analysis.interval + SOON
    if took > limit:
        late = f"going back took {format_duration(took)}, and {format_duration(limit)} is the limit"
        return _end(p, status, DrillResult.FAILED, late)
    requests, lost = _losses(status, rollout)
    if requests is None or lost is None:
        why = f"the requests could not be counted: {_stored(status).message}"
        return _end(p, status, DrillResult.UNDECIDED, why)
    if lost > 0:
        message = f"{lost:,} of {requests:,} requests to the copy were lost: {back.message}"
        return _end(p, status, DrillResult.FAILED, message)
    message = f"going back took {format_duration(took)}, and none of {requests:,} requests to the copy was lost"
    return _end(p, status, DrillResult.PASSED, message)


def _losses(status: Status, rollout: Rollout) -> tuple[int | None, int | None]:
    """Requests of the copy, and errors among them beyond stable's own share; None where the last count is missing.

    A model that makes errors makes them in its copy, too: only where the copy's share is surely the higher one is the
    difference called lost. Beside a stable revision without errors every one of the copy's counts.
    """
    counted = _stored(status)
    if rollout.drill is None or rollout.drill.released_at is None or _unknown(counted) or counted.trial is None:
        return None, None
    return counted.trial.candidate.total, _beyond(counted.trial.candidate, counted.trial.stable)


def _beyond(copy: Tally, stable: Tally) -> int:
    if copy.events == 0 or stable.events == 0:
        return copy.events
    surely = chance(copy.events, copy.total, stable.events, stable.total) < CHANCE
    return copy.events - copy.total * stable.events // stable.total if surely else 0


def _times(p: Pass, rollout: Rollout) -> tuple[timedelta | None, timedelta | None]:
    """How long the way back took: to the minimum, and to nothing at this moment."""
    back, run = rollout.back, rollout.drill
    if back is None or back.minimum_at is None or run is None or not rollout.exposed:
        return None, None
    minimum = back.minimum_at - back.at
    return minimum, None if run.released_at is None else minimum + (p.now - run.released_at)


def _end(p: Pass, status: Status, result: DrillResult, message: str) -> Status:
    """Write the report; nothing else of the drill stays in status."""
    rollout, known = status.rollout, status.drill or DrillStatus()
    assert rollout is not None and rollout.drill is not None and status.stable is not None
    run, (requests, lost), (minimum, zero) = rollout.drill, _losses(status, rollout), _times(p, rollout)
    report = DrillReport(
        revision=status.stable,
        by=run.by,
        reason=run.reason,
        started=rollout.started,
        ended=p.now,
        result=result,
        message=message[:1024],
        minimum_after=minimum,
        zero_after=zero,
        requests=requests,
        lost=lost,
    )
    fine = result in (DrillResult.PASSED, DrillResult.ABORTED)
    p.event(f"Drill{result}", f"drill of {status.stable}: {message}", "Normal" if fine else "Warning")
    asked = p.spec.strategy.drill
    told = known.model_copy(
        update={
            "last": report,
            "passed_at": p.now if result is DrillResult.PASSED else known.passed_at,
            "next": _slot_after(p, asked.every) if asked is not None else None,
        }
    )
    p.wake(timedelta(0))
    return status.model_copy(update={"rollout": None, "candidate": None, "paused": None, "checks": [], "drill": told})
