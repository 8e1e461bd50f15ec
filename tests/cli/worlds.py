"""One ModelDeployment in every phase and overlay, built from the API's own models so that they stay true."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from seatrial.api.base import API_VERSION, KIND, format_time
from seatrial.api.spec import ModelDeploymentSpec
from seatrial.api.status import (
    PARTS,
    Arms,
    Back,
    BackReason,
    CheckStatus,
    Condition,
    DrillReport,
    DrillResult,
    DrillRun,
    DrillStatus,
    HistoryEntry,
    Mirror,
    Outcome,
    Overlay,
    OverlayKind,
    Paused,
    Phase,
    PreflightOutcome,
    PreflightStatus,
    ProbationStatus,
    Rejected,
    RevisionStatus,
    Rollout,
    SkippedChecks,
    Slots,
    Split,
    Status,
    Tally,
    TrafficStatus,
    Trialled,
)

NOW = datetime(2026, 11, 22, 15, 0, 0, tzinfo=UTC)
OLD, NEW = "7c9f1b20de", "e04d5521aa"
URL = "http://fraud.example.com"


def before(**span: float) -> datetime:
    return NOW - timedelta(**span)


def obj(status: Status | None, **spec: Any) -> dict[str, Any]:
    """A ModelDeployment as the API server returns it."""
    asked = ModelDeploymentSpec.model_validate(
        {
            "replicas": 4,
            "runtime": "MLServer",
            "model": {"name": "fraud", "version": "2026-11-20", "owner": "risk-ml@example.com"},
            "template": {"spec": {"containers": [{"name": "model", "image": "registry.example.com/fraud:2"}]}},
            "traffic": {"hostnames": ["fraud.example.com"]},
            "strategy": {
                "stages": [
                    {
                        "canary": {
                            "steps": [
                                {"weight": 5, "minDuration": "5m"},
                                {"weight": 25, "minDuration": "5m"},
                                {"weight": 50, "minDuration": "10m", "approval": {"when": "ToLeave"}},
                            ]
                        }
                    }
                ]
            },
            **spec,
        }
    )
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": "fraud",
            "namespace": "payments",
            "uid": "0b0e",
            "resourceVersion": "77",
            "generation": 3,
            "creationTimestamp": "2026-11-10T09:00:00Z",
        },
        "spec": asked.wire(),
        **({} if status is None else {"status": status.wire()}),
    }


def traffic(confirmed: int, wanted: int | None = None) -> TrafficStatus:
    """The route with these percentages at the candidate, in slot b."""

    def split(percent: int) -> Split:
        return Split(a=PARTS - percent * PARTS // 100, b=percent * PARTS // 100)

    return TrafficStatus(
        slots=Slots(a=OLD, b=NEW), confirmed=split(confirmed), wanted=split(confirmed if wanted is None else wanted)
    )


def revisions(new: tuple[int, int] | None, old: tuple[int, int] = (4, 4)) -> list[RevisionStatus]:
    """(ready, asked for) of each."""
    out = [RevisionStatus(name=OLD, role="stable", ready=old[0], replicas=old[1], model_version="2026-10-01")]
    if new is not None:
        out.append(
            RevisionStatus(name=NEW, role="candidate", ready=new[0], replicas=new[1], model_version="2026-11-20")
        )
    return out


def arms(bad: int, total: int, stable_bad: int, stable_total: int) -> Arms:
    return Arms(candidate=Tally(events=bad, total=total), stable=Tally(events=stable_bad, total=stable_total))


ERRORS = CheckStatus(
    name="errors",
    outcome=Outcome.PASS,
    message="errors 0.31 % against 0.30 % (n=12,410 and 111,320): at most 0.12 points worse, 0.50 allowed",
    at=before(seconds=9),
    trial=arms(38, 12410, 334, 111320),
)
LATENCY = CheckStatus(
    name="latency",
    outcome=Outcome.INCONCLUSIVE,
    message="latency 1.9 % slower than 250 ms against 1.6 %: about 340 more requests are needed",
    at=before(seconds=9),
    through=before(seconds=9),
    step=arms(17, 884, 42, 2650),
    trial=arms(236, 12410, 1781, 111320),
    needs=340,
)
COST = CheckStatus(
    name="cost",
    outcome=Outcome.NO_DATA,
    message="cost: the query found nothing for the candidate",
    at=before(seconds=9),
)
FAILED_ERRORS = CheckStatus(
    name="errors",
    outcome=Outcome.FAIL,
    message="errors 31 % against 0.30 % (n=97 and 290): at least 18 points worse, 0.50 allowed",
    at=before(seconds=12),
    trial=arms(30, 97, 1, 290),
)

ROLLOUT = Rollout(
    revision=NEW,
    started=before(minutes=14),
    step=1,
    steps="5,25,50",
    exposed=True,
    confirmed_at=before(minutes=2, seconds=10),
    preflight=PreflightStatus(
        outcome=PreflightOutcome.PASSED,
        message="40 recorded requests answered as expected by 1 pod",
        at=before(minutes=13),
    ),
)


def ready(holds: bool, reason: str, message: str, stalled: bool = False) -> list[Condition]:
    def condition(kind: str, value: bool) -> Condition:
        return Condition(
            type=kind,
            status=str(value),
            reason=reason,
            message=message,
            observed_generation=3,
            last_transition_time=before(minutes=14),
        )

    return [
        condition("Ready", holds),
        condition("Reconciling", not holds and not stalled),
        condition("Stalled", stalled),
        condition("Available", True),
    ]


def waiting(overlaid: Rollout, **more: Any) -> Status:
    """A trial that does not go on by itself; the latest decision is to wait."""
    assert overlaid.overlay is not None
    return canary(rollout=overlaid, message=overlaid.overlay.message, **more)


def canary(**more: Any) -> Status:
    base = Status(
        observed_generation=3,
        phase=Phase.CANARY,
        message=f"step 2 of 3: revision {NEW} gets 25 % for at least 5m",
        weight="25",
        step="2/3",
        url=URL,
        stable=OLD,
        candidate=NEW,
        conditions=ready(False, "Canary", "a trial is under way"),
        traffic=traffic(25),
        rollout=ROLLOUT,
        checks=[ERRORS, LATENCY],
        revisions=revisions((1, 1)),
    )
    return base.model_copy(update=more)


def rollout(**more: Any) -> Rollout:
    return ROLLOUT.model_copy(update=more)


def overlaid(kind: OverlayKind, message: str, **more: Any) -> Rollout:
    return rollout(
        overlay=Overlay(kind=kind, message=message, since=before(minutes=3), **more), stopped_since=before(minutes=1)
    )


HISTORY = [
    HistoryEntry(
        revision="b51c0a77d3",
        model_version="2026-11-12",
        training_data="s3://lake/fraud@v811",
        outcome=Trialled.ROLLED_BACK,
        reason="CheckFailed",
        message="errors 4.1 % against 0.30 % (n=731 and 13,900) (owner: risk-ml@example.com)",
        started=before(days=8, minutes=19),
        ended=before(days=8),
    ),
    HistoryEntry(
        revision=OLD,
        model_version="2026-10-01",
        outcome=Trialled.PROMOTED,
        reason="Promoted",
        message=f"first revision {OLD} serves: 4 pods ready",
        started=before(days=12, minutes=1),
        ended=before(days=12),
    ),
]


def _stable() -> Status:
    return canary(
        phase=Phase.STABLE,
        message=f"revision {NEW} is accepted and replaces {OLD}",
        weight="",
        step="",
        stable=NEW,
        candidate=None,
        rollout=None,
        checks=[ERRORS],
        conditions=ready(True, "Stable", "the wanted revision serves"),
        traffic=traffic(100),
        revisions=[RevisionStatus(name=NEW, role="stable", ready=4, replicas=4, model_version="2026-11-20")],
        history=HISTORY,
    )


def _rolled_back() -> Status:
    why = f"{FAILED_ERRORS.message} (owner: risk-ml@example.com)"
    return canary(
        phase=Phase.ROLLED_BACK,
        message=f"revision {NEW} was sent back, {OLD} serves all traffic: {why}",
        weight="0",
        step="",
        candidate=None,
        rollout=None,
        checks=[FAILED_ERRORS],
        conditions=ready(False, "RolledBack", why, stalled=True),
        traffic=traffic(0),
        revisions=revisions(None),
        rejected=Rejected(revision=NEW, reason="CheckFailed", message=why, at=before(minutes=41)),
        history=HISTORY,
    )


def _going_back() -> Status:
    return canary(
        phase=Phase.ROLLING_BACK,
        message=f"revision {NEW} goes back: {FAILED_ERRORS.message}",
        traffic=traffic(25, 0),
        checks=[FAILED_ERRORS],
        rollout=rollout(back=Back(reason=BackReason.CHECK_FAILED, message=FAILED_ERRORS.message, at=before(seconds=2))),
    )


COPY = "b72e2aa1c0"
DRILLED = DrillReport(
    revision=OLD,
    by="ann",
    reason="quarterly proof",
    started=before(hours=3, minutes=4),
    ended=before(hours=3),
    result=DrillResult.PASSED,
    message="going back took 3s, and none of 494 requests to the copy was lost",
    minimum_after=timedelta(seconds=3),
    zero_after=timedelta(seconds=6),
    requests=494,
    lost=0,
)


def _drill(**more: Any) -> Status:
    """A copy of the stable revision answers 5 %."""
    waits = "212 requests answered by the copy at 5 %: it is failed on purpose after 20 of them and 45s"
    check = CheckStatus(name="drill", message=waits, at=before(seconds=9), trial=arms(0, 212, 0, 4012))
    copied = rollout(
        revision=COPY, step=0, steps="5", preflight=None, drill=DrillRun(by="ann", reason="quarterly proof")
    )
    at_five = traffic(5)
    base = canary(
        phase=Phase.DRILL,
        message=waits,
        weight="5",
        step="1/1",
        candidate=COPY,
        conditions=ready(True, "Drill", waits),
        traffic=at_five.model_copy(update={"slots": Slots(a=OLD, b=COPY)}),
        rollout=copied,
        checks=[check],
        revisions=[*revisions(None), RevisionStatus(name=COPY, role="candidate", ready=1, replicas=1)],
        drill=DrillStatus(),
    )
    return base.model_copy(update=more)


def _drill_back() -> Status:
    why = "check drill failed: failed on purpose, 446 requests answered by the copy at 5 %"
    drilling = _drill()
    assert drilling.rollout is not None
    back = Back(reason=BackReason.CHECK_FAILED, message=why, at=before(seconds=2))
    route = drilling.traffic.model_copy(update={"wanted": Split(a=PARTS - 1, b=1)})
    return drilling.model_copy(
        update={
            "message": f"drill: the copy goes back: {why}",
            "traffic": route,
            "rollout": drilling.rollout.model_copy(update={"back": back}),
        }
    )


def _drilled() -> Status:
    return _stable().model_copy(
        update={"drill": DrillStatus(last=DRILLED, next=NOW + timedelta(days=6, hours=4), passed_at=DRILLED.ended)}
    )


def _drill_failed() -> Status:
    message = "7 of 501 requests to the copy were lost: check drill failed: failed on purpose, 446 requests answered"
    failed = DRILLED.model_copy(update={"result": DrillResult.FAILED, "message": message, "lost": 7})
    return _stable().model_copy(update={"drill": DrillStatus(last=failed)})


def _preparing() -> Status:
    return canary(
        phase=Phase.PREPARING,
        message=f"revision {NEW} goes on trial against {OLD}: steps 5,25,50 %",
        weight="0",
        step="1/3",
        traffic=traffic(0),
        checks=[],
        revisions=revisions((0, 1)),
        rollout=rollout(
            step=0,
            exposed=False,
            confirmed_at=None,
            preflight=None,
            unready_since=before(minutes=1),
            started=before(minutes=1),
        ),
    )


STAGES: dict[str, Any] = {
    "traffic": {"hostnames": ["fraud.example.com"], "preview": {"header": "x-seatrial"}},
    "strategy": {
        "stages": [
            {"shadow": {"percent": 20, "minDuration": "10m"}},
            {"canary": {"steps": [{"weight": 5}, {"weight": 50, "approval": {"when": "ToEnter"}}]}},
        ]
    },
}
"""A shadow before a canary."""
FLIP: dict[str, Any] = {
    "traffic": STAGES["traffic"],
    "strategy": {
        "stages": [{"shadow": {"percent": 100}}, {"blueGreen": {"minDuration": "5m", "approval": {}}}],
        "probation": {"duration": "0s"},
    },
}
"""A shadow before a flip, and no probation after it."""
HOLDBACK: dict[str, Any] = {
    "strategy": {**STAGES["strategy"], "probation": {"duration": "1h", "keep": "Full", "holdback": 10}}
}
"""A tenth of the traffic stays with the revision before."""


def _shadow(**more: Any) -> Status:
    return canary(
        phase=Phase.SHADOW,
        message=f"{ERRORS.message}; {LATENCY.message}",
        weight="0",
        step="1/3",
        traffic=traffic(0).model_copy(update={"mirror": Mirror(revision=NEW, percent=20), "preview": NEW}),
        rollout=rollout(step=0, steps="shadow 20,5,50"),
    ).model_copy(update=more)


def _blue_green() -> Status:
    message = "step 2 (a preview) wants an approval before it is left: seatrial approve fraud"
    overlay = Overlay(kind=OverlayKind.AWAITING_APPROVAL, message=message, since=before(minutes=3))
    return canary(
        phase=Phase.BLUE_GREEN,
        message=message,
        weight="0",
        step="2/2",
        traffic=traffic(0).model_copy(update={"preview": NEW}),
        rollout=rollout(
            step=1,
            steps="shadow 100,preview",
            confirmed_at=before(minutes=8),
            started=before(minutes=21),
            overlay=overlay,
        ),
        revisions=revisions((4, 4)),
    )


def _probation(held: int = 10, kept: int = 4) -> Status:
    """`held` percent are held back, by `kept` pods."""
    returns = "moves all traffic at once"
    pods, gpus = ("1 pod", "1 GPU") if kept == 1 else (f"{kept} pods", f"{kept} GPUs")
    if kept < 4:
        returns = f"starts {4 - kept} more first, and traffic follows as they get ready"
    return canary(
        phase=Phase.PROBATION,
        message=f"revision {NEW} serves, on probation until 2026-11-22 15:42:00 UTC: {ERRORS.message}; {LATENCY.message}",
        weight="",
        step="",
        stable=NEW,
        candidate=None,
        rollout=None,
        conditions=ready(True, "Probation", "the wanted revision serves"),
        traffic=traffic(100 - held),
        probation=ProbationStatus(
            previous=OLD,
            until=NOW + timedelta(minutes=42),
            watch=rollout(step=2, promoting=True, confirmed_at=before(minutes=18)),
        ),
        kept=f"kept: {pods} of {OLD} with {gpus}; going back {returns}",
        revisions=[
            RevisionStatus(name=NEW, role="stable", ready=4, replicas=4, model_version="2026-11-20"),
            RevisionStatus(name=OLD, role="previous", ready=kept, replicas=kept, model_version="2026-10-01"),
        ],
        history=[promoted(), *HISTORY],
    )


def _waited_for() -> Status:
    """A newer revision waits for the end of the probation (`onNewRevision: Wait`)."""
    said = f"revision {NEW} serves, on probation until 2026-11-22 15:42:00 UTC; revision 90ab12cd34 waits for its end"
    return _probation().model_copy(
        update={
            "message": f"{said}: {ERRORS.message}; {LATENCY.message}",
            "conditions": ready(False, "Probation", said),
        }
    )


def promoted(probation: str | None = None) -> HistoryEntry:
    """The promotion of the new revision; `probation` is how what followed ended."""
    return HistoryEntry(
        revision=NEW,
        model_version="2026-11-20",
        outcome=Trialled.PROMOTED,
        reason="Promoted",
        message=f"revision {NEW} is accepted and replaces {OLD}",
        started=before(minutes=50),
        ended=before(minutes=18),
        probation=probation,
    )


ABORTED = "aborted on probation by ada@example.com (orders fell) (owner: risk-ml@example.com)"


def _undone() -> Status:
    """On the way back from a probation: pods of the revision before get ready."""
    return canary(
        phase=Phase.ROLLING_BACK,
        message=ABORTED,
        weight="90",
        traffic=traffic(90, 75),
        rollout=rollout(
            step=2,
            steps="shadow 20,5,50",
            back=Back(reason=BackReason.ABORTED, message=ABORTED, at=before(seconds=9)),
        ),
        revisions=revisions((4, 4), old=(2, 4)),
        history=[promoted("Fail"), *HISTORY],
    )


def _back_from_probation() -> Status:
    sent_back = HistoryEntry(
        revision=NEW,
        model_version="2026-11-20",
        outcome=Trialled.ROLLED_BACK,
        reason="Aborted",
        message=ABORTED,
        started=before(minutes=50),
        ended=before(minutes=4),
    )
    return _rolled_back().model_copy(
        update={
            "message": f"revision {NEW} was sent back: {ABORTED}",
            "checks": [ERRORS],
            "rejected": Rejected(revision=NEW, reason="Aborted", message=ABORTED, at=before(minutes=4)),
            "conditions": ready(False, "RolledBack", ABORTED, stalled=True),
            "history": [sent_back, promoted("Fail"), *HISTORY],
        }
    )


SKIPPED = SkippedChecks(by="ada@example.com", reason="outage of the fraud rules, INC-4711", at=before(minutes=2))


def _unjudged() -> Status:
    """At rest on a revision that nobody judged."""
    message = (
        f"revision {NEW} is accepted and replaces {OLD}, unjudged: {SKIPPED.by} skipped the checks ({SKIPPED.reason})"
    )
    entry = promoted().model_copy(
        update={"skipped_checks": SKIPPED, "reason": "ChecksSkipped", "message": message, "ended": before(minutes=1)}
    )
    return _stable().model_copy(update={"message": f"revision {NEW} serves", "history": [entry, *HISTORY]})


WORLDS: dict[str, Callable[[], dict[str, Any]]] = {
    "pending": lambda: obj(None),
    "invalid": lambda: obj(
        Status(
            observed_generation=3,
            message="spec.template: containers[0].resources.limits.memory: '1GiB' is no quantity",
            conditions=ready(False, "InvalidSpec", "spec.template: '1GiB' is no quantity: write 1Gi", stalled=True),
        )
    ),
    "drill": lambda: obj(_drill()),
    "drill-back": lambda: obj(_drill_back()),
    "drill-passed": lambda: obj(_drilled()),
    "drill-failed": lambda: obj(_drill_failed()),
    "preparing": lambda: obj(_preparing()),
    "preflight-failed": lambda: obj(
        _rolled_back().model_copy(
            update={
                "checks": [],
                "message": f"revision {NEW} was sent back",
                "rejected": Rejected(
                    revision=NEW,
                    reason="PreflightFailed",
                    message="recorded requests: row 17, predict: expected 1, got 0",
                    at=before(seconds=4),
                ),
            }
        )
    ),
    "canary": lambda: obj(canary()),
    "canary-rising": lambda: obj(
        canary(traffic=traffic(5, 25), checks=[ERRORS], rollout=rollout(confirmed_at=None), weight="5")
    ),
    "canary-shared": lambda: obj(
        canary(
            traffic=traffic(50),
            weight="50",
            revisions=revisions((2, 2), (2, 2)),
            kept="shared: stable has 2 of 4 pods; going back starts 2 more one after another, which takes 4m10s or more, "
            "and traffic follows as they get ready",
        )
    ),
    "canary-no-data": lambda: obj(canary(checks=[ERRORS, LATENCY, COST])),
    "canary-time-over": lambda: obj(canary(rollout=rollout(confirmed_at=before(minutes=9)))),
    "paused": lambda: obj(
        waiting(
            overlaid(
                OverlayKind.PAUSED,
                "paused by ada@example.com: waiting for the fraud team; seatrial resume fraud goes on, abort sends it back",
            ),
            paused=Paused(by="ada@example.com", reason="waiting for the fraud team", since=before(minutes=3)),
        )
    ),
    "frozen": lambda: obj(
        waiting(
            overlaid(
                OverlayKind.FROZEN,
                "namespace payments is frozen by its annotation seatrial.dev/freeze: year-end closing; "
                "no more exposure until it is taken off, for ever if need be",
            ),
            checks=[ERRORS],
        )
    ),
    "awaiting-approval": lambda: obj(
        waiting(
            step="3/3",
            traffic=traffic(50),
            overlaid=overlaid(
                OverlayKind.AWAITING_APPROVAL,
                "step 3 (50 %) wants an approval before it is left: seatrial approve fraud",
            ).model_copy(update={"step": 2, "confirmed_at": before(minutes=12), "stopped_since": None}),
            revisions=revisions((2, 2)),
            checks=[ERRORS],
        )
    ),
    "holding": lambda: obj(
        waiting(
            overlaid(
                OverlayKind.HOLDING,
                "Prometheus does not answer (http://prometheus.monitoring:9090: connection refused)",
                deadline=NOW + timedelta(minutes=27),
                then="Pause",
            ),
            checks=[CheckStatus(name="errors", outcome=Outcome.ERROR, message="errors: Prometheus does not answer")],
        )
    ),
    "blocked": lambda: obj(
        _preparing().model_copy(
            update={
                "rollout": overlaid(
                    OverlayKind.BLOCKED,
                    "pod fraud-e04d5521aa-x finds no node: 0/3 nodes are available: insufficient memory",
                ).model_copy(update={"step": 0, "exposed": False, "confirmed_at": None, "preflight": None})
            }
        )
    ),
    "shadow": lambda: obj(_shadow(), **STAGES),
    "shadow-begins": lambda: obj(_shadow(rollout=rollout(step=0, steps="shadow 20,5,50", confirmed_at=None)), **STAGES),
    "shadow-alone": lambda: obj(
        _shadow(), traffic=STAGES["traffic"], strategy={"stages": [{"shadow": {"percent": 20}}]}
    ),
    "shadow-undecided": lambda: obj(
        _shadow(rollout=rollout(step=0, steps="shadow 20,5,50", confirmed_at=before(hours=2))), **STAGES
    ),
    "blue-green": lambda: obj(_blue_green(), **FLIP),
    "probation": lambda: obj(_probation(), **HOLDBACK),
    "probation-warm": lambda: obj(_probation(held=0, kept=1), **STAGES),
    "probation-paused": lambda: obj(
        _probation().model_copy(
            update={"paused": Paused(by="check latency", reason=LATENCY.message, since=before(minutes=3))}
        ),
        **HOLDBACK,
    ),
    "probation-waiting": lambda: obj(_waited_for(), **HOLDBACK),
    "undone": lambda: obj(_undone(), **HOLDBACK),
    "back-from-probation": lambda: obj(_back_from_probation(), **HOLDBACK),
    "promoting": lambda: obj(
        canary(
            phase=Phase.PROMOTING,
            message=f"revision {NEW} passed its last step; all traffic moves to it",
            traffic=traffic(50, 100),
            rollout=rollout(step=2, promoting=True, confirmed_at=before(minutes=11)),
            revisions=revisions((4, 4)),
            checks=[ERRORS],
        )
    ),
    "promoting-unjudged": lambda: obj(
        canary(
            phase=Phase.PROMOTING,
            message=f"all traffic moves to revision {NEW}",
            traffic=traffic(5, 100),
            rollout=rollout(step=0, promoting=True, skipped_checks=SKIPPED),
            revisions=revisions((4, 4)),
            checks=[ERRORS],
        )
    ),
    "stable": lambda: obj(_stable()),
    "stable-unjudged": lambda: obj(_unjudged()),
    "rolling-back": lambda: obj(_going_back()),
    "rolled-back": lambda: obj(_rolled_back()),
    "failed": lambda: obj(
        Status(
            observed_generation=3,
            phase=Phase.FAILED,
            message=f"first revision {NEW} never served: the image cannot be pulled",
            rejected=Rejected(
                revision=NEW,
                reason="ImageUnavailable",
                message="ErrImagePull on pod fraud-e04d5521aa-x: manifest unknown",
                at=before(minutes=2),
            ),
            conditions=ready(False, "ImageUnavailable", "the image cannot be pulled", stalled=True),
        )
    ),
    "suspended": lambda: obj(_stable().model_copy(update={"phase": Phase.SUSPENDED}), suspend=True),
    "parked": lambda: obj(
        _stable().model_copy(update={"phase": Phase.PARKED, "revisions": [], "message": "parked"}), replicas=0
    ),
    "behind": lambda: obj(_stable().model_copy(update={"observed_generation": 2})),
}


def at(model: dict[str, Any], now: datetime) -> dict[str, Any]:
    """The same model with every time moved, as if NOW were `now`."""

    def moved(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: moved(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [moved(inner) for inner in value]
        if isinstance(value, str) and value.endswith("Z") and value[4:5] == "-" and value[10:11] == "T":
            return format_time(datetime.fromisoformat(value) + (now - NOW))
        return value

    out = moved(model)
    assert isinstance(out, dict)
    return out
