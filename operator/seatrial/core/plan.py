"""One pass over one resource: what it sees, what it asks, what it decides.

`plan` is a chain of rules over (pass, status), read from top to bottom like a specification. The order
is the contract: deletion and suspension; people; pods; evidence; what stands in the way; the next step.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from seatrial.api.base import format_duration
from seatrial.api.status import (
    PARTS,
    BackReason,
    OverlayKind,
    Phase,
    PreflightOutcome,
    PreflightStatus,
    Rejected,
    Status,
    TrafficStatus,
)
from seatrial.build.comparer import NO_IMAGE
from seatrial.build.names import child_name
from seatrial.build.revision import revision
from seatrial.build.runtimes import port_of
from seatrial.core import (
    assemble,
    authority,
    borrowed,
    capacity,
    clock,
    drill,
    evidence,
    health,
    live,
    mirroring,
    people,
    probation,
    routers,
    sliding,
    sticky,
    summary,
    trial,
    voyage,
    waiting,
)
from seatrial.core import house as house_rules
from seatrial.core.conditions import HOUSE_RULES, Claim, settle
from seatrial.core.outcome import ApplyOutcome
from seatrial.core.passing import Pass
from seatrial.core.questions import Answers, DryRunQuestion, PreflightQuestion, Questions
from seatrial.core.recover import recover
from seatrial.core.state import Installation, Observed, Plan, Ref, Workload
from seatrial.core.traffic import (
    caught_up,
    drained,
    found,
    occupy,
    read,
    step_towards,
    vacate,
    weight_of,
)

Rule = Callable[[Pass, Status], Status]

TURN_WAKE = timedelta(seconds=10)
STALLED_WAKE = timedelta(seconds=30)
GATEWAY_PATIENCE = timedelta(seconds=10)
"""How long a change of the route may go unconfirmed before people are told."""


def ask(observed: Observed, now: datetime, installation: Installation) -> Questions:
    """What this pass needs to know from outside before it can decide."""
    p = _begin_pass(observed, Answers(), now, installation)
    if p is None or observed.deleting or p.spec.suspend or routers.moved(p):
        return Questions()
    status = observed.status
    for rule in BEFORE_ANSWERS:
        status = rule(p, status)
    return live.questions(p, status, beside=_of_trial(p, status))


def _of_trial(p: Pass, status: Status) -> Questions:
    """What a trial, or its beginning, needs to know."""
    observed, rollout = p.observed, status.rollout
    if status.probation is not None:
        return Questions(metrics=probation.questions(p, status))
    if rollout is None:
        if _waits_for_others(p, status):
            return Questions()
        if (asked := drill.ready_to_begin(p, status)) is not None:
            return Questions(metrics=drill.opening_questions(p, status, asked))
        if not _may_begin(p, status):
            return Questions()
        deployment = assemble.rendered(p, p.wanted)
        dry_run = None
        if deployment is not None and p.wanted not in observed.workloads:
            manifest = {**deployment, "spec": {**deployment["spec"], "replicas": 0}}
            dry_run = DryRunQuestion(manifest)
        metrics = evidence.opening_questions(p, status.model_copy(update={"checks": []})) if status.stable else ()
        return Questions(metrics=metrics, dry_run=dry_run)
    looks = evidence.due(p, rollout) or drill.counts(p, status)
    return Questions(
        metrics=evidence.questions(p, status) if looks and status.stable else (),
        preflight=_preflight_question(p, status),
    )


def plan(observed: Observed, answers: Answers, now: datetime, installation: Installation) -> Plan:
    """Decide. Same inputs, same plan."""
    if observed.deleting:
        return borrowed.depart(observed, now, installation)
    p = _begin_pass(observed, answers, now, installation)
    if p is None:
        return _invalid(observed, observed.invalid, now)
    if moved := routers.moved(p):
        return _invalid(observed, moved, now)
    status = observed.status
    if p.spec.suspend:
        status = summary.summarise(p, recover(p, status))
        return Plan(apply=(), prune=(), status=status, notes=tuple(p.notes))
    for rule in (*BEFORE_ANSWERS, *AFTER_ANSWERS):
        status = rule(p, status)
    status = summary.summarise(p, status)
    return Plan(
        apply=assemble.objects(p, status),
        prune=assemble.leftovers(p, status),
        status=status,
        events=tuple(p.events),
        notes=tuple(p.notes),
        wake_in=min(p.wakes, default=None),
        splice=assemble.splice(p, status),
        hold=status.traffic.borrowed is not None,
        distances=p.distances,
    )


def _begin_pass(observed: Observed, answers: Answers, now: datetime, installation: Installation) -> Pass | None:
    if observed.spec is None:
        return None
    return Pass(observed, observed.spec, revision(observed.raw_spec), answers, now, installation)


def _invalid(observed: Observed, why: str, now: datetime) -> Plan:
    """A spec that cannot be followed: nothing is touched, and the person is told why."""
    message = f"the spec is not valid, nothing is changed: {why}"
    claims = [
        Claim("Ready", False, "InvalidSpec", message),
        Claim("Reconciling", False, "InvalidSpec", message),
        Claim("Stalled", True, "InvalidSpec", message),
    ]
    settled = settle(observed.status.conditions, claims, observed.generation, now)
    kept = [c for c in observed.status.conditions if c.type == "Available"]
    status = observed.status.model_copy(
        update={
            "observed_generation": observed.generation,
            "message": message[:1024],
            "conditions": [*settled, *kept],
        }
    )
    return Plan(apply=(), prune=(), status=status, notes=(message,))


# --- rules that need no answers from outside ---------------------------------------------------------


def know_traffic(p: Pass, status: Status) -> Status:
    """Read from the route what the proxies are known to do."""
    router = routers.of(p)
    reading = read(
        p.observed.name,
        status.traffic,
        p.observed.route,
        p.now,
        p.installation.dwell,
        sticky.rules(status.traffic, direct=routers.at_once(p)),
        edited=router.holder(p.observed.name) in p.observed.edited,
    )
    p.settled = reading.settled
    if reading.wait is not None:
        p.wake(reading.wait)
    elif not reading.settled and p.observed.route is not None and (p.observed.route.accepted or router.reads_endpoints):
        # The status that went with our last write of the route was lost, or somebody edited it: the gateway has
        # taken it already, so no event of it will have us look again. None tells of endpoints either.
        p.wake(p.installation.dwell)
    if reading.status == status.traffic:
        return status
    return status.model_copy(update={"traffic": reading.status})


def notice_edits(p: Pass, status: Status) -> Status:
    """Hand edits are put back; an edited template of the candidate voids what was learnt from it."""
    for ref in p.observed.edited:
        if ref.kind == "HTTPRouteRule":
            status = borrowed.reset(p, status)
            continue
        p.event("Repaired", f"{ref} was changed by hand or by another controller: put back", "Warning")
        if status.rollout is not None and ref == Ref(
            "Deployment", child_name(p.observed.name, status.rollout.revision)
        ):
            status = evidence.void(p, status, f"the template of {ref} was changed")
    return status


def keep_house_rules(p: Pass, status: Status) -> Status:
    """Remember the rules in force, tell of a change in mid-trial, and of a policy that is gone."""
    house, before = p.observed.house, status.house
    if house.gone:
        said = next((c.reason for c in status.conditions if c.type == HOUSE_RULES), "")
        (p.note(house.gone) if said == "PolicyGone" else p.event("PolicyGone", house.gone, "Warning"))
    if before == list(house.rules):
        return status
    if status.rollout is not None:
        names = house_rules.told(house) or "none"
        p.event("RulesChanged", f"house rules changed in mid-trial; those in force: {names}")
    return status.model_copy(update={"house": list(house.rules)})


def notice_obstacles(p: Pass, status: Status) -> Status:
    """What a person has to clear before anything new can begin. What serves goes on serving."""
    observed = p.observed
    if observed.foreign:
        ref = observed.foreign[0]
        p.stalled(status, "NameTaken", f"{ref} exists and is not ours: rename or delete it, or choose another name")
    if observed.rewritten:
        ref = observed.rewritten[0]
        p.stalled(
            status,
            "AdmissionRewrites",
            f"{ref} comes back different each time it is written: an admission webhook or another controller "
            "changes it; exclude the label app.kubernetes.io/managed-by=seatrial there",
        )
    if observed.conflict:
        p.stalled(status, "RouteConflict", observed.conflict)
    refused = status.rejected.revision if status.rejected is not None else None
    known = (status.stable, probation.previous(status), refused)
    comes = status.stable is not None and p.wanted not in known
    if observed.house.conflict:
        p.stalled(status, "RulesConflict", observed.house.conflict)
    if comes and status.rollout is None and observed.house.unread:
        p.stalled(status, "RulesUnread", observed.house.unread)
    if comes and voyage.agreements(p) and not p.installation.image:
        p.stalled(status, "NoImage", NO_IMAGE)
    if comes and (said := mirroring.lacking(p)):
        p.stalled(status, "CannotMirror", said)
    status = borrowed.obstruct(p, status)
    if (obstacle := routers.of(p).obstacle(p, status)) is not None:
        p.stalled(status, obstacle.reason, obstacle.message)
    try:
        port_of(observed.raw_spec)
    except ValueError as error:
        p.stalled(status, "InvalidSpec", str(error))
    if p.stall is not None:
        p.wake(STALLED_WAKE)
    return status


def choose(p: Pass, status: Status) -> Status:
    """Hold what is wanted against what serves, what is on trial and what was sent back."""
    rejected, rollout = status.rejected, status.rollout
    if rejected is not None and rejected.revision != p.wanted:
        status = status.model_copy(update={"rejected": None})
    if rollout is None:
        return status
    if rollout.drill is not None:
        return drill.choose(p, status)
    if p.replicas == 0 and rollout.back is None:
        return trial.supersede(p, status, "spec.replicas is 0, the model is parked")
    if rollout.revision == p.wanted:
        return status
    if rollout.promoting and p.wanted != status.stable:
        confirmed = weight_of(status.traffic, rollout.revision, confirmed=True)
        if confirmed == voyage.target(p, status, rollout) and p.settled:
            return trial.promote(p, status)
    why = (
        f"the spec is back at stable revision {status.stable}"
        if p.wanted == status.stable
        else f"revision {p.wanted} is wanted now"
    )
    return trial.supersede(p, status, why)


BEFORE_ANSWERS: tuple[Rule, ...] = (
    recover,
    know_traffic,
    borrowed.keep,
    notice_edits,
    keep_house_rules,
    notice_obstacles,
    people.obey,
    borrowed.change_router,
    choose,
    probation.choose,
    authority.hold,
    voyage.follow_edits,
    voyage.confirm,
    drill.keep_schedule,
    drill.drop,
)


# --- rules that use the answers ----------------------------------------------------------------------


def _may_begin(p: Pass, status: Status) -> bool:
    """Whether a trial of the wanted revision could begin now."""
    if status.rollout is not None or p.wanted == status.stable or p.replicas == 0 or p.stall is not None:
        return False
    if status.probation is not None or p.returning or routers.shared(p, status):
        return False
    return status.rejected is None


def _waits_for_others(p: Pass, status: Status) -> bool:
    """Whether a new trial has to wait. A first deployment has nothing to lose and waits for nobody."""
    return bool(p.observed.turn) and status.stable is not None


def begin(p: Pass, status: Status) -> Status:
    """Start a trial: it is its turn, the API server takes the template, and every check knows where its numbers are."""
    drills = drill.ready_to_begin(p, status)
    if drills is None and not _may_begin(p, status):
        return status if status.queued_since is None else status.model_copy(update={"queued_since": None})
    if _waits_for_others(p, status):
        p.holding = f"waits for its turn: {p.observed.turn}"
        if status.queued_since is not None:
            p.wake(TURN_WAKE)
            return status
        p.wake(timedelta(seconds=1))
        what = f"revision {p.wanted}" if drills is None else "a drill"
        p.event("Queued", f"{what} waits for its turn: {p.observed.turn}")
        return status.model_copy(update={"queued_since": p.now})
    status = status.model_copy(update={"queued_since": None})
    if drills is not None:
        return drill.begin(p, status, drills)
    answer = p.answers.dry_run
    if p.wanted not in p.observed.workloads:
        if answer is None or answer.failed:
            why = answer.failed if answer is not None else "no answer"
            p.holding = f"the API server could not be asked about the new template: {why}"
            p.note(p.holding)
            p.wake(STALLED_WAKE)
            return status
        if answer.refused:
            message = f"the API server refuses the pod template: {answer.refused}"
            p.event("InvalidSpec", message, "Warning")
            refused = Rejected(revision=p.wanted, reason="InvalidSpec", message=message[:1024], at=p.now)
            return status.model_copy(update={"rejected": refused})
    if status.stable is not None:
        opened = evidence.open_checks(p, status, afresh=True)
        if opened is None:
            return status
        status = opened
    else:
        status = status.model_copy(update={"checks": []})
    if status.stable is not None and (said := mirroring.unknown(p)):
        p.event("MirrorUnknown", said, "Warning")
    p.wake(p.installation.dwell)  # where its objects are there already, nothing else would have us look again
    return trial.begin(p, status)


def watch_pods(p: Pass, status: Status) -> Status:
    """Broken pods send the candidate back at once; pods that are late do so at the deadline."""
    rollout = status.rollout
    if rollout is None or rollout.back is not None:
        return status
    workload = p.workload(rollout.revision)
    if workload is not None and (fault := health.broken(workload)) is not None:
        return trial.go_back(p, status, fault.reason, fault.message)
    need, ready = voyage.pods_asked(p, status, rollout), p.ready(rollout.revision)
    if workload is not None and ready >= need:
        return _same_images(p, _with_rollout(status, clock.ready(rollout)), workload)
    problem = health.image_problem(workload) if workload is not None else ""
    lacking = waiting.lacking(p, status, rollout.revision) if not problem else None
    rollout = clock.unready(rollout, p.now, excused=lacking is not None)
    status = _with_rollout(status, rollout)
    if lacking is not None:
        status = waiting.wait(p, status, rollout, lacking)
        if status.rollout is None or status.rollout.back is not None:
            return status
    waited, deadline = clock.waited(rollout, p.now), p.spec.progress_deadline
    if waited >= deadline:
        if problem:
            return trial.go_back(p, status, BackReason.IMAGE_UNAVAILABLE, problem)
        message = f"{ready} of {need} pods were ready after {format_duration(deadline)}"
        return trial.go_back(p, status, BackReason.PROGRESS_DEADLINE, f"{message}{_first_trouble(p, rollout.revision)}")
    if lacking is None:
        p.wake(deadline - waited)
    return status


def _same_images(p: Pass, status: Status, workload: Workload) -> Status:
    """What is promoted is what was judged: the images that run now are those the trial began with."""
    rollout = status.rollout
    assert rollout is not None
    running = sorted({image for pod in workload.pods if pod.ready for image in pod.image_ids if image})
    if not rollout.digests:
        return _with_rollout(status, rollout.model_copy(update={"digests": running[:16]}))
    moved = [image for image in running if image not in rollout.digests]
    if not moved:
        return status
    message = (
        f"pods now run {moved[0].rsplit('@', 1)[-1]} instead of {rollout.digests[0].rsplit('@', 1)[-1]}: the tag was "
        "moved during the trial; pin the image by digest"
    )
    return trial.go_back(p, status, BackReason.IMAGE_MOVED, message)


def _first_trouble(p: Pass, name: str) -> str:
    workload = p.workload(name)
    for pod in workload.pods if workload is not None else ():
        if not pod.ready and (pod.waiting or pod.last_exit):
            return f"; pod {pod.name}: {pod.waiting or pod.last_exit} {pod.waiting_message}".rstrip()
    return ""


def preflight(p: Pass, status: Status) -> Status:
    """The recorded requests: passed, failed, under way, or not possible."""
    rollout, answer = status.rollout, p.answers.preflight
    if rollout is None or rollout.back is not None or answer is None or rollout.preflight is not None:
        return status
    if answer.pending:
        p.note("the recorded requests are being answered")
        return status
    if answer.failed:
        p.holding = f"preflight: {answer.failed}"
        p.wake(STALLED_WAKE)
        return status
    outcome = PreflightOutcome.PASSED if answer.passed else PreflightOutcome.FAILED
    result = PreflightStatus(outcome=outcome, message=answer.message[:1024], at=p.now)
    status = _with_rollout(status, rollout.model_copy(update={"preflight": result}))
    if answer.passed:
        p.event("PreflightPassed", answer.message)
        return status
    return trial.go_back(p, status, BackReason.PREFLIGHT_FAILED, f"preflight failed: {answer.message}")


def _preflight_question(p: Pass, status: Status) -> PreflightQuestion | None:
    rollout, wanted = status.rollout, p.spec.preflight
    if rollout is None or wanted is None or rollout.back is not None:
        return None
    if rollout.exposed or rollout.preflight is not None or p.spec.model is None:
        return None
    workload = p.workload(rollout.revision)
    if workload is None or workload.ready < max(1, voyage.pods_asked(p, status, rollout)):
        return None
    pods = tuple(sorted((pod.name, pod.ip) for pod in workload.pods if pod.ready and not pod.leaving))
    return PreflightQuestion(
        revision=rollout.revision,
        config_map=wanted.requests.config_map_ref.name,
        model_name=p.spec.model.name,
        model_version=p.spec.model.version,
        tolerance=float(wanted.requests.tolerance),
        timeout=wanted.timeout.total_seconds(),
        port=port_of(p.observed.raw_spec),
        pods=pods,
    )


def look(p: Pass, status: Status) -> Status:
    """Read and judge the evidence. A first revision has nothing to be compared with."""
    return status if status.stable is None else evidence.look(p, status)


def overlay(p: Pass, status: Status) -> Status:
    """What stops the trial from advancing, since when, and its clock with it."""
    rollout = status.rollout
    if rollout is None or rollout.back is not None:
        return status
    _hold_for_gateway(p, status)
    found = summary.overlay_of(p, status)
    old = rollout.overlay
    if found is None:
        if old is not None and old.kind is not OverlayKind.AWAITING_APPROVAL:
            p.note(f"no longer {old.kind}")
            rollout = rollout.model_copy(update={"overlay": None})
        return _with_rollout(status, clock.go(rollout, p.now))
    if old is not None and old.kind is found.kind:
        found = found.model_copy(update={"since": old.since})
    elif found.kind is not OverlayKind.PAUSED:  # the pause itself has told people already
        p.event(str(found.kind), found.message, "Warning")
    rollout = rollout.model_copy(update={"overlay": found})
    return _with_rollout(status, clock.stop(rollout, p.now))


def _hold_for_gateway(p: Pass, status: Status) -> None:
    """A gateway that is slow is waited for; one that is slower than that is said."""
    since, route = status.traffic.unsettled_since, p.observed.route
    if p.settled or p.holding or since is None or route is None:
        return
    if p.now - since < GATEWAY_PATIENCE:
        p.wake(since + GATEWAY_PATIENCE - p.now)
    elif route.problem:
        p.holding = f"{routers.of(p).unconfirmed}: {route.problem}"
    elif routers.of(p).scales and status.stable is not None and p.ready(status.stable) < p.replicas:
        ready = f"{p.ready(status.stable)} of {p.replicas} ready pods"
        p.holding = f"stable {status.stable} has {ready}, so the candidate's pods are a larger share than the step's"


def advance(p: Pass, status: Status) -> Status:
    """The next step, where nothing stands in the way."""
    rollout = status.rollout
    if rollout is None or rollout.back is not None or p.stall is not None:
        return status
    if rollout.overlay is not None and rollout.overlay.kind is not OverlayKind.AWAITING_APPROVAL:
        return status
    waiting = rollout.overlay
    status = voyage.advance(p, status)
    rollout = status.rollout
    if waiting is not None and rollout is not None and rollout.overlay is waiting and voyage.gate(p, rollout) is None:
        return _with_rollout(status, rollout.model_copy(update={"overlay": None}))
    return status


def finish(p: Pass, status: Status) -> Status:
    """Promotion ends when all traffic is confirmed at the candidate and the old revision has drained."""
    status = trial.watch_return(p, status)
    rollout = status.rollout
    if rollout is None or not rollout.promoting or rollout.back is not None or not p.settled:
        return status
    aim = voyage.target(p, status, rollout)
    if weight_of(status.traffic, rollout.revision, confirmed=True) != aim:
        return status
    before = status.stable
    if before is None:
        return trial.promote(p, status)
    if aim == PARTS and not drained(status.traffic, before, p.now, p.spec.traffic.drain):
        _wake_at_drain(p, status)
        return status
    return probation.begin(p, trial.promote(p, status), before, rollout)


def leave(p: Pass, status: Status) -> Status:
    """A revision without a role leaves the route once it has drained."""
    candidate = status.rollout.revision if status.rollout is not None else None
    for held in (status.traffic.slots.a, status.traffic.slots.b):
        if held is None or held in (status.stable, candidate, probation.previous(status)):
            continue
        if status.stable is None and candidate is None:
            status = _give_up(p, status, held)
            continue
        if drained(status.traffic, held, p.now, p.spec.traffic.drain):
            p.note(f"revision {held} has drained for {format_duration(p.spec.traffic.drain)} and leaves the route")
            status = status.model_copy(update={"traffic": vacate(status.traffic, held)})
        else:
            _wake_at_drain(p, status)
    return status


def _give_up(p: Pass, status: Status, held: str) -> Status:
    """A first revision that failed after its exposure has no weight, though nobody is there to take it over."""
    refused = status.rejected
    if refused is None or refused.revision != held or None not in (status.traffic.slots.a, status.traffic.slots.b):
        return status
    p.note(f"revision {held} failed and no other is there: nothing is routed to it any more")
    p.wake(timedelta(0))
    kept = TrafficStatus(router=status.traffic.router, borrowed=status.traffic.borrowed)
    return status.model_copy(update={"traffic": kept})


def _wake_at_drain(p: Pass, status: Status) -> None:
    if status.traffic.idle_since is not None:
        p.wake(status.traffic.idle_since + p.spec.traffic.drain - p.now)


def route(p: Pass, status: Status) -> Status:
    """The next weights on the way to where the traffic belongs."""
    rollout, traffic = status.rollout, status.traffic
    if status.stable is not None:
        traffic = occupy(traffic, status.stable) or traffic
    shares: dict[str, int] = {}
    if rollout is not None:
        shares[rollout.revision] = voyage.goal(p, status, rollout)
        if shares[rollout.revision] > 0:
            traffic = occupy(traffic, rollout.revision) or traffic
    if (kept := probation.previous(status)) is not None:
        shares[kept] = probation.share(p, status)
    for held in (traffic.slots.a, traffic.slots.b):
        if held is not None and held != status.stable and held not in shares and status.stable is not None:
            most = min(weight_of(traffic, held, confirmed=False), found(p.observed.route, traffic, held))
            shares[held] = capacity.retreat(most, p.ready(status.stable), p.replicas, p.ready(held))
    if status.stable is not None:
        shares[status.stable] = PARTS - sum(shares.values())
    if sum(shares.values()) != PARTS:
        return status.model_copy(update={"traffic": traffic})
    goal = {name: share for name, share in shares.items() if share > 0}
    lower = {name: share for name, share in shares.items() if name != status.stable}
    traffic = caught_up(p.observed.name, traffic, p.observed.route, lower)
    onward = step_towards(traffic, goal, settled=p.settled, direct=routers.at_once(p))
    told = {"router": p.spec.traffic.router, "mirror": voyage.copies(p, status), "preview": _previewed(p, status)}
    onward = onward.model_copy(update=told)
    if onward.mirror != status.traffic.mirror:
        said = f"{onward.mirror.percent} % to {onward.mirror.revision}" if onward.mirror else "none"
        p.note(f"copies of live requests: {said}")
        onward = onward.model_copy(update={"accepted": None, "unsettled_since": p.now})
    if onward.wanted != status.traffic.wanted:
        _say_weights(p, status, onward.wanted.a, onward.wanted.b)
        onward = onward.model_copy(update={"accepted": None, "unsettled_since": p.now})
    return _keep_users(p, status.model_copy(update={"traffic": onward}))


def _keep_users(p: Pass, status: Status) -> Status:
    """Users stay with the revision that they met, as the weights now are."""
    traffic = status.traffic
    trial = status.probation.watch if status.probation is not None else status.rollout
    kept = sticky.follow(traffic, trial, asked=p.spec.traffic.stickiness is not None, settled=p.settled)
    if traffic.borrowed is not None:
        kept = None  # a team's rule is one rule
    if kept == traffic.sticky:
        return status
    if kept is not None and kept.drawn:
        p.note(f"users are drawn at {kept.drawn[-1]} %, and stay with the revision they meet")
        if traffic.sticky is None or not traffic.sticky.drawn:
            status = evidence.count_from_now(p, status)
    update = {"sticky": kept, "accepted": None, "unsettled_since": p.now}
    return status.model_copy(update={"traffic": traffic.model_copy(update=update)})


def _previewed(p: Pass, status: Status) -> str | None:
    """Who answers at the preview address: the candidate once it is ready, else stable."""
    if p.spec.traffic.preview is None:
        return None
    rollout = status.rollout
    if rollout is not None and rollout.exposed and rollout.back is None and rollout.drill is None:
        return rollout.revision
    return status.stable


def _say_weights(p: Pass, status: Status, a: int, b: int) -> None:
    before = status.traffic.wanted
    p.note(f"weights a/b from {before.a}/{before.b} to {a}/{b} parts of {PARTS:,}")


def _with_rollout(status: Status, rollout: object) -> Status:
    return status if rollout == status.rollout else status.model_copy(update={"rollout": rollout})


AFTER_ANSWERS: tuple[Rule, ...] = (
    begin,
    watch_pods,
    preflight,
    look,
    drill.watch,
    probation.watch,
    overlay,
    advance,
    finish,
    drill.finish,
    sliding.follow,
    live.follow,
    leave,
    route,
)


def after_apply(decided: Plan, outcome: ApplyOutcome, now: datetime) -> Status:
    """The status once the plan's objects were written, or could not be."""
    status = decided.status.model_copy(update={"written": list(outcome.written)})
    if not outcome.failures:
        return status
    failure = outcome.failures[0]
    message, reason = f"{failure.ref} could not be written: {failure.message}", "WriteFailed"
    if failure.kind == "quota":
        message, reason = f"{failure.ref} cannot be created: {failure.message}", waiting.QUOTA
    ready = [c for c in status.conditions if c.type != "Ready"]
    claims = [Claim("Ready", False, reason, message)]
    settled = settle(status.conditions, claims, status.observed_generation, now)
    return status.model_copy(update={"message": message[:1024], "conditions": [*settled, *ready]})


__all__ = ["Phase", "after_apply", "ask", "plan"]
