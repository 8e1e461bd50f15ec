"""`ModelDeployment.spec`: what a person asks for.

Fields that decide what a *revision* is (`template`, `runtime`, `port`, `model.version`) have no default
here: a default changed later would change every hash. `build/` applies them and the record freezes them.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, StringConstraints

from seatrial.api.agreement import Agreement
from seatrial.api.base import Duration, Model, Number, OpenModel, Percent

Name63 = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
Hostname = Annotated[
    str,
    StringConstraints(
        min_length=1,
        max_length=253,
        pattern=r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    ),
]

BY_NAME: dict[str, Any] = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
"""A list whose items have unique names: the API server refuses a second one, and merges by name."""
ONCE_EACH: dict[str, Any] = {"x-kubernetes-list-type": "set"}
"""A list of plain values without repetition."""


class Runtime(StrEnum):
    """The model server inside the container: decides probes, ports and metric presets."""

    MLSERVER = "MLServer"
    KSERVE = "KServe"
    TRITON = "Triton"
    VLLM = "VLLM"
    TFSERVING = "TFServing"
    TORCHSERVE = "TorchServe"
    BENTOML = "BentoML"
    OPENVINO = "OpenVINO"
    TGI = "TGI"
    RAY_SERVE = "RayServe"
    DYNAMO = "Dynamo"
    CUSTOM = "Custom"


class ModelInfo(Model):
    """Which model this is. Only `version` is part of the revision."""

    name: Annotated[
        str, StringConstraints(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$")
    ]
    """The model's name inside its server, as in `/v2/models/NAME/infer`."""
    version: Annotated[str, StringConstraints(min_length=1, max_length=253)] | None = None
    """The model's version. A new version is a new revision; recorded requests belong to one version."""
    owner: Annotated[str, StringConstraints(max_length=253)] | None = None
    """Whom to call. Named in the event and the sentence of every trial that is sent back."""
    training_data: Annotated[str, StringConstraints(max_length=1024)] | None = None
    """Where the training data came from. Kept in the history entry of each trial."""


class ContainerPort(OpenModel):
    """A port of a container."""

    container_port: Annotated[int, Field(ge=1, le=65535)]
    """The number of the port."""
    name: Annotated[str, StringConstraints(max_length=15)] | None = None
    """The name of the port."""


class Container(OpenModel):
    """A container of the pod; fields that are not named here go to the API server as they are."""

    name: Name63
    """The container's name. The first container is the model server."""
    image: Annotated[str, StringConstraints(min_length=1, max_length=512)]
    """The image, best pinned by digest."""
    ports: Annotated[list[ContainerPort], Field(max_length=32)] | None = None
    """Ports of the container; the serving port is added where it is missing."""


class PodSpec(OpenModel):
    """The pod's spec."""

    containers: Annotated[list[Container], Field(min_length=1, max_length=16, json_schema_extra=BY_NAME)]
    """The containers; the first one is the model server."""
    restart_policy: Annotated[str, StringConstraints(max_length=16)] | None = None
    """`Always`, which is what is meant when it is left out; anything else is refused."""


class TemplateMetadata(Model):
    """Labels and annotations for the pods."""

    labels: Annotated[dict[str, Annotated[str, StringConstraints(max_length=63)]], Field(max_length=32)] | None = None
    """Labels of the pods, besides the operator's own."""
    annotations: (
        Annotated[dict[str, Annotated[str, StringConstraints(max_length=4096)]], Field(max_length=32)] | None
    ) = None
    """Annotations of the pods."""


class PodTemplate(Model):
    """The pod template of the model server, as in a Deployment."""

    metadata: TemplateMetadata | None = None
    """Labels and annotations for the pods."""
    spec: PodSpec
    """The pod's spec."""


class ParentRef(Model):
    """A Gateway that carries this model's traffic."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=253)]
    """The Gateway's name."""
    namespace: Name63 | None = None
    """The Gateway's namespace; this resource's own where left out."""
    section_name: Annotated[str, StringConstraints(min_length=1, max_length=253)] | None = None
    """The listener of the Gateway; all of them where left out."""


class GatewayAPI(Model):
    """The Gateway API router."""

    parent_refs: Annotated[list[ParentRef], Field(min_length=1, max_length=4)]
    """The Gateways to attach the route to."""


class RouteRef(Model):
    """A rule of an HTTPRoute that somebody else owns. Its backends are steered, everything else in it is left alone."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=253)]
    """The HTTPRoute's name, in this resource's namespace."""
    rule: Annotated[str, StringConstraints(min_length=1, max_length=253)]
    """The `name` of the rule in it."""


HeaderName = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]


class ReplicaRatio(Model):
    """The router without a gateway: the Service NAME leads to every pod of a canary alike, so pods are weights."""


class RouterKind(StrEnum):
    """What divides the requests between two revisions."""

    GATEWAY_API = "GatewayAPI"
    """An HTTPRoute of ours."""
    ROUTE_REF = "RouteRef"
    """One rule of a team's own HTTPRoute."""
    REPLICA_RATIO = "ReplicaRatio"
    """One Service and the numbers of pods behind it."""


class Preview(Model):
    """An address of the candidate's own: the Service NAME-preview, and a header where one is named.

    Outside a trial both lead to the stable revision.
    """

    header: HeaderName | None = None
    """A request with this header set to `candidate` is answered by the candidate."""


class StickyCookie(Model):
    """A cookie, for browsers and other clients that keep cookies."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")] = "seatrial"
    """The cookie's name."""
    max_age: Duration = timedelta(hours=168)
    """How long a client keeps it, from the answer that set it; longer than a trial lasts."""


class StickyHeader(Model):
    """A header of the answer that the client sends back with its next requests, for clients without cookies."""

    name: HeaderName = "x-model-session"
    """The header's name, in lower case."""


class Stickiness(Model):
    """How users are known again, so that each stays with one revision: exactly one of its fields."""

    cookie: StickyCookie | None = None
    """A cookie, for browsers and other clients that keep cookies."""
    header: StickyHeader | None = None
    """A header of the answer that the client sends back with its next requests, for clients without cookies."""


DRAIN = timedelta(seconds=30)
PRE_STOP_SECONDS = 8
"""How long a leaving pod goes on answering, so that every proxy has heard of it before its port closes.
MLServer closes its port at SIGTERM: without this, every new connection in between is refused."""


class Traffic(Model):
    """Where requests come in."""

    hostnames: Annotated[list[Hostname], Field(min_length=1, max_length=16, json_schema_extra=ONCE_EACH)] | None = None
    """The host names under which clients reach the model through a route that is made."""
    gateway_api: Annotated[GatewayAPI | None, Field(alias="gatewayAPI")] = None
    """Gateways to attach to. With no router named, it is the installation's default Gateway."""
    route_ref: RouteRef | None = None
    """A rule of a route of your own, through which requests come; no route is made then."""
    replica_ratio: ReplicaRatio | None = None
    """No gateway: clients use the Service NAME inside the cluster, and pods are weights."""
    drain: Duration = DRAIN
    """The longest that a request may take: how long a revision stays after its last confirmed weight, and a new
    revision's pods after they were told to leave, for requests still in flight."""
    preview: Preview | None = None
    """How to reach the candidate on purpose; left out, there is no such address."""
    stickiness: Stickiness | None = None
    """Keep each user with one revision through the steps of a canary; left out, each request is drawn by itself."""

    @property
    def router(self) -> RouterKind:
        """The router that is asked for."""
        if self.route_ref is not None:
            return RouterKind.ROUTE_REF
        return RouterKind.GATEWAY_API if self.replica_ratio is None else RouterKind.REPLICA_RATIO


class ConfigMapRef(Model):
    """A ConfigMap in this resource's namespace."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=253)]
    """The ConfigMap's name."""


class PreflightRequests(Model):
    """Recorded requests with the answers the training pipeline gave."""

    config_map_ref: ConfigMapRef
    """The ConfigMap that `seatrial golden record` made."""
    tolerance: Number = Decimal("0.0001")
    """Numbers are equal when |got - expected| <= tolerance * max(1, |expected|)."""


class Preflight(Model):
    """What a candidate must answer before it meets any traffic. It is the warm-up too."""

    requests: PreflightRequests
    """Recorded requests with expected answers."""
    timeout: Duration = timedelta(seconds=60)
    """How long one pod may take to answer all of them."""


class ApprovalWhen(StrEnum):
    """When a step waits for a person."""

    TO_ENTER = "ToEnter"
    TO_LEAVE = "ToLeave"


class Approval(Model):
    """A gate that a person passes with `seatrial approve`."""

    when: ApprovalWhen = ApprovalWhen.TO_LEAVE
    """Before the weight is raised to this step, or before it is left."""
    not_author: bool = False
    """Only somebody may approve who neither made the revision nor changed the spec since."""


class OnUndecided(StrEnum):
    """What follows when a step's longest time is over and nothing has been decided."""

    PAUSE = "Pause"
    ROLLBACK = "Rollback"


LONGEST = timedelta(hours=24)
"""The longest a step lasts, unless it says otherwise."""

Scale = Annotated[str, StringConstraints(max_length=8, pattern=r"^(ByWeight|Full|[1-9][0-9]{0,2})$")]
"""`ByWeight`, `Full`, or a number of pods."""


class Capacity(StrEnum):
    """Where the candidate's pods find room."""

    EXTRA = "Extra"
    SHARED = "Shared"


class CanaryStep(Model):
    """One exposure: a share of live traffic for at least a time."""

    weight: Annotated[int, Field(ge=1, le=100)]
    """Percent of live requests that the candidate answers."""
    min_duration: Duration = timedelta(minutes=5)
    """The least time at this weight, counted from the moment the proxies are known to have it."""
    max_duration: Duration = LONGEST
    """The longest time at this weight; what follows is `strategy.onUndecided`."""
    approval: Approval | None = None
    """A person's approval to enter or to leave this step."""


class Canary(Model):
    """Live traffic moves to the candidate step by step."""

    steps: Annotated[list[CanaryStep], Field(min_length=1, max_length=20)]
    """The steps, weights ascending. After the last one the candidate becomes stable."""
    scale: Scale = "ByWeight"
    """Pods of the candidate: what each weight needs, as many as stable, or a number."""
    capacity: Capacity = Capacity.EXTRA
    """`Extra`: stable keeps its size until the candidate is accepted, and going back takes a moment. `Shared`: stable
    shrinks as the candidate grows, room for one pod more is enough, and going back takes as long as pods need to start."""


class Shadow(Model):
    """Copies of live requests go to the candidate; its answers go nowhere."""

    percent: Annotated[int, Field(ge=1, le=100)] = 100
    """Percent of live requests that are copied."""
    min_duration: Duration = timedelta(minutes=5)
    """The least time, counted from the moment the proxies are known to copy."""
    max_duration: Duration = LONGEST
    """The longest time; what follows is `strategy.onUndecided`."""
    scale: Scale = "ByWeight"
    """Pods of the candidate: what the copied share needs, as many as stable, or a number."""
    approval: Approval | None = None
    """A person's approval to enter or to leave this stage."""


class BlueGreen(Model):
    """A candidate in full size behind a preview address, then all traffic at once.

    Behind a preview nobody comes by himself: a shadow before it, or an approval, has to speak for the candidate.
    """

    min_duration: Duration = timedelta(minutes=5)
    """The least time between the candidate's readiness and the flip."""
    max_duration: Duration = LONGEST
    """The longest time; what follows is `strategy.onUndecided`."""
    approval: Approval | None = None
    """A person's approval to enter this stage, or to flip."""


class Stage(Model):
    """One part of a trial: exactly one of its fields."""

    shadow: Shadow | None = None
    """Copies of live requests go to the candidate; users get stable's answers only."""
    canary: Canary | None = None
    """Live traffic moves to the candidate step by step."""
    blue_green: BlueGreen | None = None
    """A candidate in full size behind a preview address, then all traffic at once."""


def default_stages() -> list[Stage]:
    """The stages of a resource that names none: 5, 25 and 50 percent, five minutes each."""
    return [Stage(canary=Canary(steps=[CanaryStep(weight=w) for w in (5, 25, 50)]))]


class Keep(StrEnum):
    """How much of the revision before stays after a promotion."""

    FULL = "Full"
    WARM = "Warm"
    NONE = "None"


class OnNewRevision(StrEnum):
    """What a new revision does during a probation."""

    END = "End"
    WAIT = "Wait"


class Probation(Model):
    """The time after a promotion in which the revision before is kept, and going back needs no trial."""

    duration: Duration = timedelta(hours=1)
    """How long; 0s for none."""
    keep: Keep = Keep.WARM
    """`Full`: as many pods as stable, traffic returns at once. `Warm`: one pod with the model loaded, or what the
    holdback needs; it grows before traffic returns. `None`: no pod; the revision's record is kept and it starts anew."""
    holdback: Annotated[int, Field(ge=0, le=50)] = 0
    """Percent of live traffic that stays with the revision before, so that numbers can still be compared."""
    on_new_revision: OnNewRevision = OnNewRevision.END
    """What a new revision does: it ends the probation, or waits for its end."""


class Day(StrEnum):
    """A day of the week."""

    MON = "Mon"
    TUE = "Tue"
    WED = "Wed"
    THU = "Thu"
    FRI = "Fri"
    SAT = "Sat"
    SUN = "Sun"


ClockTime = Annotated[str, StringConstraints(max_length=5, pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name} is no time zone: write one such as Europe/Berlin, or UTC") from None
    return name


class Window(Model):
    """Hours in which a candidate may be given more exposure. To go back is always allowed."""

    days: Annotated[list[Day], Field(min_length=1, max_length=7, json_schema_extra=ONCE_EACH)]
    """The days on which it opens."""
    from_: Annotated[ClockTime, Field(alias="from")]
    """When it opens, such as `09:00`."""
    to: ClockTime
    """When it closes, such as `16:30`; on the next day where this is not later than `from`."""
    time_zone: Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_known_zone)] = "UTC"
    """The time zone, such as `Europe/Berlin`."""


class Drill(Model):
    """When going back is practised: a copy of the stable revision is put on trial, failed on purpose, and timed."""

    every: Duration
    """The time between two drills, at least 1h. Each model has its own hour; what was missed is done once."""


class Strategy(Model):
    """How a new revision is tried."""

    stages: Annotated[list[Stage], Field(min_length=1, max_length=4)] = Field(default_factory=default_stages)
    """The stages of a trial, in order: shadows, then one canary or one blueGreen. Default: a canary of 5, 25 and 50
    percent, five minutes each. A trial that ends with a shadow moves all traffic at once when the shadow has passed."""
    on_undecided: OnUndecided = OnUndecided.PAUSE
    """What follows when a step's longest time is over and nothing has been decided."""
    probation: Probation = Field(default_factory=Probation)
    """How the revision before is kept after a promotion."""
    windows: Annotated[list[Window], Field(min_length=1, max_length=14)] | None = None
    """When a candidate may be given more exposure, or all traffic; always where left out."""
    drill: Drill | None = None
    """When going back is practised by itself; left out, only when somebody asks for it (`seatrial drill`)."""


class OnFail(StrEnum):
    """What a failed check does."""

    ROLLBACK = "Rollback"
    PAUSE = "Pause"


class CheckPreset(StrEnum):
    """Checks whose queries come from the runtime's or the gateway's preset."""

    ERRORS = "Errors"
    LATENCY = "Latency"
    FIRST_TOKEN = "FirstToken"
    INTER_TOKEN = "InterToken"


class MetricSource(StrEnum):
    """Who counts the requests."""

    GATEWAY = "Gateway"
    RUNTIME = "Runtime"


class WorseWhen(StrEnum):
    """Which change of a share is for the worse."""

    HIGHER = "Higher"
    LOWER = "Lower"
    EITHER = "Either"


Selector = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
Label = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]


class Share(Model):
    """Events of a total, both counted by the model or by another service of the namespace."""

    of: Selector
    """The events, as a PromQL selector of a counter: `model_decisions_total{decision="block"}`."""
    per: Selector
    """What they are a share of: `model_decisions_total`."""
    revision_label: Label | None = None
    """The label in which another service keeps the answer's header `x-model-revision`; left out, the model's own pods are
    read."""


class DriftStatistic(StrEnum):
    """How the distance of two distributions is measured."""

    PSI = "PSI"
    """Population stability index: the sum over bins of (p - q) ln(p / q)."""
    JS = "JS"
    """Jensen-Shannon distance with natural logarithms, from 0 to 0.83."""
    KS = "KS"
    """Kolmogorov-Smirnov: the largest difference of the two cumulative shares, at the edges of bins."""


class Drift(Model):
    """How far the candidate's predictions are from stable's over the same time: exactly one of `histogram` and `classes`."""

    histogram: Selector | None = None
    """Scores, as a PromQL selector of a histogram without its `_bucket`: `model_score`. Classic buckets or native ones."""
    classes: Selector | None = None
    """Predictions by class, as a PromQL selector of a counter: `model_decisions_total`."""
    by: Label | None = None
    """The label of `classes` that names the class."""
    statistic: DriftStatistic = DriftStatistic.PSI
    """`PSI`, `JS` or `KS`; classes have no order, which KS needs."""
    max: Number | None = None
    """The largest acceptable distance. Left out: PSI 0.25, JS 0.17, KS 0.2, which is what half a standard deviation makes."""
    revision_label: Label | None = None
    """The label in which another service keeps the answer's header `x-model-revision`; left out, the model's own pods are
    read."""


class SnapshotRef(Model):
    """A training snapshot in this resource's namespace."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=253)]
    """The name of the ConfigMap that `seatrial snapshot` made. It ends with the hash of its content."""


class Live(Model):
    """What the serving model predicts, held against its training snapshot. It tells people, and nothing of a trial follows."""

    name: Name63
    """A name for it, unique in the resource."""
    drift: Drift
    """The predictions, how their distance from the snapshot is measured, and from which one on it is an alert."""
    snapshot: SnapshotRef
    """How the model's predictions were distributed when it was trained."""
    window: Duration = timedelta(hours=1)
    """How much of the past is looked at, from 10m to 6h. In a longer one, small drift is seen surely."""
    every: Duration = timedelta(minutes=10)
    """The time between two looks, from 1m to 24h. Each model has its own minute for them."""


class Mean(Model):
    """A sum by a number, both counted by the model or by another service: revenue per order, seconds per token."""

    of: Selector
    """What is summed up, as a PromQL selector of a counter: `shop_revenue_euros_total`, or a histogram's `_sum`."""
    per: Selector
    """What it is divided by, best a number of requests: `shop_orders_total`, or the histogram's `_count`."""
    revision_label: Label | None = None
    """The label in which another service keeps the answer's header `x-model-revision`; left out, the model's own pods are
    read."""


MEAN_SAMPLES = 1000
"""Least number of `per` before a verdict on a mean, unless the check says otherwise."""
MEAN_DURATION = timedelta(hours=1)
"""Least time before a verdict on a mean, unless the check says otherwise."""


class Margin(Model):
    """How much worse than stable is still acceptable; with both given, the stricter counts."""

    points: Number | None = None
    """Percentage points (`0.5`: 1.0 % against 0.5 %)."""
    relative: Percent | None = None
    """Relative to stable's own share (`50%`: 1.5 % against 1.0 %), never less than 0.25 points; or to its mean (`5%`: 38
    against 40), below 100%."""


BOUND_PATTERN = r"^-?[0-9]{1,15}(\.[0-9]{1,9})?%?$"
CheckBound = Annotated[str, StringConstraints(max_length=32, pattern=BOUND_PATTERN)]


class Check(Model):
    """One question asked of the evidence at every look."""

    name: Name63
    """The check's name, unique in the resource."""
    preset: CheckPreset | None = None
    """A share of requests, candidate against stable: `Errors`, or `Latency` (slow requests). For language models, as their
    runtime counts them: `FirstToken` (answers that began late) and `InterToken` (gaps between two tokens that were long)."""
    source: Annotated[MetricSource | None, Field(alias="from")] = None
    """Whose numbers a preset reads; the gateway's where they are found, else the runtime's."""
    margin: Margin | None = None
    """How much worse than stable is acceptable. Errors: 0.5 points and 50 %; Latency, FirstToken, InterToken: 2 points; agreement: 1 point."""
    slower_than: Duration | None = None
    """Latency, FirstToken, InterToken: slow is what takes longer. Left out: the edge nearest stable's p95."""
    agreement: Agreement | None = None
    """Shadow: the candidate's answers beside stable's, and stable's beside its own. Margin: 1 point where left out."""
    share: Share | None = None
    """A share of your own, candidate against stable: decisions, refused inputs, orders."""
    drift: Drift | None = None
    """How far the candidate's predictions are from stable's: scores of a histogram, or classes."""
    mean: Mean | None = None
    """A mean of your own, candidate against stable: revenue per order, tokens per request, seconds per token."""
    worse_when: WorseWhen | None = None
    """Share, mean: which change counts against the candidate; of a share `Higher` where left out."""
    min_samples: Annotated[int, Field(ge=100, le=1_000_000_000)] | None = None
    """Mean: how many of `per` the candidate must have before any verdict, a failure too; 1000 where left out. A twentieth of
    it is the least that one observation is made of."""
    min_duration: Duration | None = None
    """Mean: how long it must have been watched before any verdict, a failure too; 1h where left out."""
    query: Annotated[str, StringConstraints(min_length=1, max_length=4096)] | None = None
    """A PromQL query that gives one number; every selector carries `$selector` or `$namespace`."""
    min: CheckBound | None = None
    """Query: the smallest acceptable value."""
    max: CheckBound | None = None
    """Query: the largest acceptable value. Preset: the largest acceptable share, such as `5%`."""
    on_fail: OnFail | None = None
    """What a failure does: go back (`Rollback`), or stop and wait for a person (`Pause`). Left out: `Pause` for drift, since
    a retrained model is meant to differ, else `Rollback`."""

    @property
    def failing(self) -> OnFail:
        """What a failure does, the default filled in."""
        return self.on_fail or (OnFail.ROLLBACK if self.drift is None else OnFail.PAUSE)


def default_checks() -> list[Check]:
    """The checks of a resource that names none."""
    return [
        Check(name="errors", preset=CheckPreset.ERRORS),
        Check(name="latency", preset=CheckPreset.LATENCY),
    ]


def _checks_unless_none(analysis: dict[str, Any]) -> list[Check]:
    """The default of `checks` looks at `none`, so it is not in the schema: there it would contradict `none`."""
    return [] if analysis.get("none") else default_checks()


class Analysis(Model):
    """How the evidence is judged. Crashes, restarts and OOM kills of pods are always checked."""

    interval: Duration = timedelta(seconds=15)
    """Time between two looks."""
    min_samples: Annotated[int, Field(ge=1, le=1_000_000_000)] = 200
    """Requests the candidate must have answered before a check may pass. A failure needs no minimum."""
    warm_period: Duration = timedelta(0)
    """Latency: how long after a weight was confirmed, or a pod of either revision was made, answers are not counted. Caches
    fill and code is compiled then."""
    none: Annotated[str, StringConstraints(min_length=1, max_length=1024)] | None = None
    """Why no metric judges this model: steps then end by time, on pod health alone."""
    checks: Annotated[list[Check], Field(max_length=16, json_schema_extra=BY_NAME)] = Field(
        default_factory=_checks_unless_none
    )
    """The checks; left out: those that a policy has as defaults, or else errors and latency against stable; nothing where
    `none` is set."""
    reference: Annotated[str, StringConstraints(max_length=10, pattern=r"^[0-9a-f]{10}$")] | None = None
    """The accepted revision that later ones are held against, so that quality does not slide from release to release; the
    best of the last ten where left out. It only tells people."""
    live: Annotated[list[Live], Field(min_length=1, max_length=4, json_schema_extra=BY_NAME)] | None = None
    """What the revision that serves predicts, held against training snapshots at all times: an alert says when to retrain. It
    only tells people."""
    use: Annotated[list[Name63], Field(min_length=1, max_length=16, json_schema_extra=ONCE_EACH)] | None = None
    """Names of checks that a TrialPolicy or ClusterTrialPolicy holds for this namespace, besides these."""


class ModelDeploymentSpec(Model):
    """One model behind one stable address, and how changes to it are tried."""

    replicas: Annotated[int, Field(ge=0, le=1000)] = 1
    """Pods of the accepted revision; 0 parks the model."""
    suspend: bool = False
    """Stop every write of the operator but status, repairs of hand edits included."""
    model: ModelInfo | None = None
    """Which model this is."""
    runtime: Runtime | None = None
    """The model server; `Custom` where left out."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """The port that answers inference requests; the runtime's own where left out."""
    template: PodTemplate
    """The pods."""
    traffic: Traffic
    """Where requests come in."""
    preflight: Preflight | None = None
    """What a candidate must answer before it meets any traffic."""
    strategy: Strategy = Field(default_factory=Strategy)
    """How a new revision is tried."""
    strategy_from: Name63 | None = None
    """The name of a strategy that a TrialPolicy or ClusterTrialPolicy holds for this namespace, instead of one written in
    `strategy`."""
    analysis: Analysis = Field(default_factory=Analysis)
    """How the evidence is judged."""
    progress_deadline: Duration = timedelta(minutes=10)
    """How long a revision may take to become ready; image pulls and missing capacity do not count."""
    capacity_deadline: Duration = timedelta(hours=1)
    """How long a revision may lack what is not its fault: quota, a node with room, an image being pulled. Then it
    goes back without a verdict; a first revision waits on, and a person is called."""
