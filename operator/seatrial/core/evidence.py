"""Looks at the evidence: when, at what, and what follows from it."""

from __future__ import annotations

from datetime import datetime, timedelta

from seatrial.api.spec import Check, OnFail, Runtime
from seatrial.api.status import AcceptedCheck, BackReason, CheckStatus, Outcome, Paused, Rollout, Status
from seatrial.build.revision import digest
from seatrial.core import checks, clock, routers, sticky, trial, voyage
from seatrial.core.checks.drill import DRILL
from seatrial.core.legs import Kind
from seatrial.core.passing import Pass
from seatrial.core.questions import MetricQuestion
from seatrial.core.traffic import parts, slot_of, weight_of

DEFAULT_SCRAPE = timedelta(seconds=15)
"""Time between scrapes until samples have shown the real figure."""
SETTLE_SCRAPES = 2
CONCURRENT = parts(1)
"""Stable counts as a control arm from one percent of the traffic on."""
RETRY_OPENING = timedelta(seconds=30)
FIRST_SCRAPES = timedelta(seconds=90)
"""How long after a promotion missing series are waited for before people are told."""
FIRST_LOOK = timedelta(seconds=5)


def wanted_checks(p: Pass, rollout: Rollout | None) -> list[Check]:
    """The checks in force, of those that the present stage can answer."""
    if rollout is not None and rollout.drill is not None:
        return [DRILL]
    if p.spec.analysis.none is not None:
        return []
    here = p.legs[0] if rollout is None else voyage.leg(p, rollout)
    promoting = rollout is not None and rollout.promoting
    kind = Kind.CANARY if promoting and here.kind is Kind.SHADOW else here.kind
    return [check for check in p.spec.analysis.checks if checks.answers_in(check, kind)]


def definition(check: Check) -> str:
    """Identity of a check's definition: evidence gathered under another one does not count."""
    return digest({**check.wire(), "onFail": check.failing}, 12)


def kept(p: Pass, status: Status) -> dict[str, CheckStatus]:
    """Evidence that belongs to the checks in force."""
    now = {check.name: definition(check) for check in wanted_checks(p, status.rollout)}
    return {c.name: c for c in status.checks if now.get(c.name) == c.definition}


def due(p: Pass, rollout: Rollout) -> bool:
    """Whether it is time for a look: an interval has passed, or the step's least time just ended."""
    if rollout.looked_at is None or not rollout.exposed or rollout.back is not None:
        return False
    if rollout.skipped_checks is not None or p.moved:
        return False
    if p.now >= rollout.looked_at + p.spec.analysis.interval or p.now < rollout.looked_at:
        return True  # a look that is still to come was noted by a clock that went ahead, or ours went back since
    if rollout.confirmed_at is None:
        return False
    left_then = voyage.minimum_time(p, rollout) - clock.elapsed(rollout, rollout.looked_at)
    return left_then > timedelta(0) and clock.elapsed(rollout, p.now) >= voyage.minimum_time(p, rollout)


def situation(p: Pass, status: Status, revision: str) -> checks.Situation:
    """What a check has to know of the trial. `revision` is the candidate, on trial or about to be."""
    rollout = status.rollout
    confirmed_at = rollout.confirmed_at if rollout is not None else None
    # As of the latest look: `ask` and `plan` of one pass have to see the same.
    scrape = rollout.scrape_interval if rollout is not None else None
    settle = SETTLE_SCRAPES * (scrape or DEFAULT_SCRAPE)
    stable_weight = weight_of(status.traffic, status.stable, confirmed=True)
    return checks.Situation(
        namespace=p.observed.namespace,
        name=p.observed.name,
        stable=None if status.stable is None else _arm(p, status, status.stable),
        candidate=_arm(p, status, revision),
        place=_place(p, status),
        runtime=p.spec.runtime or Runtime.CUSTOM,
        model_name=p.spec.model.name if p.spec.model else None,
        weight=weight_of(status.traffic, revision, confirmed=True) / parts(1) or _copied(status),
        last=rollout is not None and voyage.accepts(p, rollout) and not rollout.promoting,
        concurrent=stable_weight >= CONCURRENT and not previewed(p, rollout),
        min_samples=p.spec.analysis.min_samples,
        settled=confirmed_at is not None and p.now - confirmed_at >= settle,
        confirmed_at=confirmed_at,
        start=p.now,
        now=p.now,
        checks=sum(1 for check in wanted_checks(p, rollout) if check.query is None),
        interval=p.spec.analysis.interval,
        warm_period=p.spec.analysis.warm_period,
        scrape_interval=scrape.total_seconds() if scrape is not None else None,
        vacant=p.spec.traffic.drain,
        rules=sticky.live_rules(status.traffic),
        gateway=routers.of(p).counts,
    )


def _arm(p: Pass, status: Status, revision: str) -> checks.Arm:
    workload = p.workload(revision)
    pods = {} if workload is None else {pod.name: pod.created for pod in workload.pods}
    slot = slot_of(status.traffic.slots, revision)
    if slot is None:
        slot = "b" if slot_of(status.traffic.slots, status.stable) == "a" else "a"
    mirror = status.traffic.mirror
    copied = mirror is not None and mirror.revision == revision
    ready = 0 if workload is None else workload.ready
    return checks.Arm(revision=revision, slot=slot, copied=copied, pods=pods, ready=ready)


def _place(p: Pass, status: Status) -> checks.Place:
    have = status.traffic.borrowed
    if have is None:
        return checks.Place(p.observed.name)
    return checks.Place(have.route, rule=have.index or 0, ahead=have.ahead or 0)


def _copied(status: Status) -> float:
    """Percent of live requests of which the candidate gets a copy."""
    return float(status.traffic.mirror.percent) if status.traffic.mirror is not None else 0.0


def count_from_now(p: Pass, status: Status) -> Status:
    """Leave out what came before: users' rules bear numbers that the preview may have had."""
    return status.model_copy(update={"checks": [c.model_copy(update={"through": p.now}) for c in status.checks]})


def previewed(p: Pass, rollout: Rollout | None) -> bool:
    """Whether the candidate stands behind its preview: what comes there is not what stable gets."""
    if rollout is None or rollout.promoting:
        return False
    return not voyage.leg(p, rollout).judged


def opening_questions(p: Pass, status: Status) -> tuple[MetricQuestion, ...]:
    """What checks without evidence want to know before they can begin: has stable any such series?"""
    have = kept(p, status)
    return tuple(
        question
        for check in wanted_checks(p, status.rollout)
        if check.name not in have
        for question in checks.opening_questions(check, situation(p, status, p.wanted), p.installation.presets)
    )


def open_checks(p: Pass, status: Status, *, afresh: bool) -> Status | None:
    """Begin the evidence of checks that have none; None (and a stall or a hold) while one cannot begin."""
    have = {} if afresh else kept(p, status)
    out = []
    for check in wanted_checks(p, status.rollout):
        if check.name in have:
            out.append(have[check.name])
            continue
        opened = checks.opening(check, situation(p, status, p.wanted), p.installation.presets, p.answers.metrics)
        if isinstance(opened, checks.Refusal) and await_scrapes(p, status):
            return None
        drilled = status.rollout is not None and status.rollout.drill is not None
        if isinstance(opened, checks.Refusal) and not drilled:
            p.stalled(status, "NoSeries", f"check {check.name}: {opened.message}")
            p.wake(RETRY_OPENING)
            return None
        if isinstance(opened, checks.Hold | checks.Refusal):
            p.holding = f"check {check.name}: {opened.message}"
            p.wake(min(RETRY_OPENING, p.spec.analysis.interval))
            return None
        _tell_what_is_not_seen(p, opened)
        out.append(opened.model_copy(update={"definition": definition(check), "through": p.now}))
    return status.model_copy(update={"checks": out})


def await_scrapes(p: Pass, status: Status) -> bool:
    """Wait where stable has served for so short a time that its series need not be there yet."""
    if not status.history or p.now - status.history[0].ended >= FIRST_SCRAPES:
        return False
    p.holding = f"stable revision {status.stable} is new: waiting for its first scrapes"
    p.wake(FIRST_LOOK)
    return True


def questions(p: Pass, status: Status) -> tuple[MetricQuestion, ...]:
    """What a look asks."""
    rollout = status.rollout
    assert rollout is not None
    have = kept(p, status)
    asked = [
        question
        for check in wanted_checks(p, status.rollout)
        if check.name in have and accepted(check, rollout) is None
        for question in checks.ask(
            check,
            have[check.name],
            situation(p, status, rollout.revision),
            p.installation.presets,
        )
    ]
    return (*opening_questions(p, status), *asked)


def look(p: Pass, status: Status) -> Status:
    """Fold the answers into the evidence, judge it, and act on a Fail: this happens while paused, too."""
    rollout = status.rollout
    if rollout is None or rollout.back is not None or rollout.skipped_checks is not None:
        return status
    if not due(p, rollout):
        _wake_for_next(p, rollout)
        return _hold_if_blind(p, status)
    before = kept(p, status)
    opened = open_checks(p, status, afresh=False)
    if opened is None:
        status = status.model_copy(update={"checks": list(before.values())})
    else:
        status = opened
    have = {check.name: check for check in status.checks}
    judged = [
        _judge(p, status, check, have[check.name]) if check.name in before else have[check.name]
        for check in wanted_checks(p, status.rollout)
        if check.name in have  # one that has just been opened was not asked about yet
    ]
    seen = p.answers.scrape_interval
    scrape = timedelta(seconds=seen) if seen is not None else rollout.scrape_interval
    if seen is not None:  # Prometheus answered, and would not have on another clock
        rollout = clock.believed(rollout, p.now)
    rollout = rollout.model_copy(update={"looked_at": p.now, "scrape_interval": scrape})
    status = status.model_copy(update={"checks": judged, "rollout": rollout})
    p.looked = opened is not None
    _wake_for_next(p, rollout)
    return _hold_if_blind(p, _act(p, status))


def _judge(p: Pass, status: Status, check: Check, stored: CheckStatus) -> CheckStatus:
    assert status.rollout is not None
    if (said := accepted(check, status.rollout)) is not None:
        return as_accepted(stored, said, p.now)
    seen = situation(p, status, status.rollout.revision)
    folded = checks.fold(check, stored, seen, p.installation.presets, p.answers.metrics)
    if checks.has_learned(folded) and not checks.has_learned(stored) and status.rollout.drill is None:
        folded = _forecast(p, check, folded)
    if stored.drift is None:
        _tell_what_is_not_seen(p, folded)
    return checks.judge(check, folded, seen)


def accepted(check: Check, rollout: Rollout) -> AcceptedCheck | None:
    """Who said that the difference this check sees is intended, where somebody did: it is judged no more."""
    return next((a for a in rollout.accepted if a.check == check.name and a.definition == definition(check)), None)


def as_accepted(stored: CheckStatus, said: AcceptedCheck, now: datetime) -> CheckStatus:
    """The check as it stands from then on; what it had found stays beside it as numbers."""
    message = f"{stored.name}: not judged for this revision, the difference is intended ({said.by}: {said.reason})"
    return stored.model_copy(update={"outcome": Outcome.PASS, "message": message[:1024], "at": now, "needs": None})


def paused_by(check: str) -> str:
    """How a pause names the check that made it."""
    return f"check {check}"


def _forecast(p: Pass, check: Check, learned: CheckStatus) -> CheckStatus:
    """Say once, as soon as stable's rate and errors are known, that the plan will be slow or cannot decide."""
    sentence = checks.forecast(check, learned, routers.as_they_weigh(p), p.spec.analysis)
    if not sentence:
        return learned
    p.event("SlowToDecide", sentence)
    return learned.model_copy(update={"forecast": sentence})


def _tell_what_is_not_seen(p: Pass, check: CheckStatus) -> None:
    """Say once, when the bins of a drift check are chosen, what they cannot show."""
    if check.drift is not None and check.drift.blind:
        p.event("NotSeen", f"check {check.name} {check.drift.blind}")


def _act(p: Pass, status: Status) -> Status:
    rules = {check.name: check.failing for check in wanted_checks(p, status.rollout)}
    for check in status.checks:
        if check.outcome is not Outcome.FAIL:
            continue
        if rules[check.name] is OnFail.ROLLBACK:
            return trial.go_back(p, status, BackReason.CHECK_FAILED, f"check {check.name} failed: {check.message}")
        if status.paused is None:
            p.event("Paused", f"paused by check {check.name}: {check.message}", "Warning")
            paused = Paused(by=paused_by(check.name), reason=check.message[:1024], since=p.now)
            status = status.model_copy(update={"paused": paused})
    return status


def _hold_if_blind(p: Pass, status: Status) -> Status:
    blind = [check for check in status.checks if check.outcome in (Outcome.NO_DATA, Outcome.ERROR)]
    flipping = status.rollout is not None and not voyage.leg(p, status.rollout).judged
    if blind and not p.holding and not flipping:  # a preview and its flip do not wait for numbers of live requests
        p.holding = f"check {blind[0].name}: {blind[0].message}"
    return status


def _wake_for_next(p: Pass, rollout: Rollout) -> None:
    if rollout.looked_at is None:
        return
    p.wake(rollout.looked_at + p.spec.analysis.interval - p.now)
    if rollout.confirmed_at is not None and rollout.stopped_since is None:
        left = voyage.minimum_time(p, rollout) - clock.elapsed(rollout, p.now)
        if left > timedelta(0):
            p.wake(left)


def void(p: Pass, status: Status, why: str) -> Status:
    """The evidence no longer speaks of what runs: weight kept, clock and counts start again."""
    rollout = status.rollout
    if rollout is None and status.probation is not None:
        p.note(f"evidence of the probation is void: {why}")
        return status.model_copy(update={"checks": _emptied(p, status)})
    if rollout is None or rollout.back is not None:
        return status
    p.note(f"evidence of revision {rollout.revision} is void: {why}")
    restarted = clock.restart(rollout, p.now if rollout.confirmed_at is not None else None)
    return status.model_copy(update={"rollout": restarted, "checks": _emptied(p, status)})


def _emptied(p: Pass, status: Status) -> list[CheckStatus]:
    return [checks.restart(check, trial=True).model_copy(update={"through": p.now}) for check in status.checks]
