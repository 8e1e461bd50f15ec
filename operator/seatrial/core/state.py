"""What one pass sees and what it decides, as plain data.

`Observed` is everything a rule may look at; `Plan` is everything a pass may do. Between the two there
is no I/O and no clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from seatrial.api.spec import ModelDeploymentSpec, ParentRef
from seatrial.api.status import HouseRules, Status
from seatrial.build.rule import Splice

Manifest = dict[str, Any]
"""A Kubernetes object as JSON."""


@dataclass(frozen=True, slots=True)
class Installation:
    """What the administrator set once for all resources."""

    gateway: tuple[str, str] | None = None
    """Namespace and name of the default Gateway."""
    dwell: timedelta = timedelta(seconds=2)
    """How long after the gateway's acceptance the proxies are trusted to have a new weight."""
    prometheus: str = ""
    """The address of Prometheus, for messages; empty where none is set."""
    presets: Mapping[str, Any] = field(default_factory=dict)
    """Metric presets by name."""
    image: str = ""
    """The operator's own image, which comparers run from; empty where it is not known."""
    authors_kept: bool = False
    """The API server checks commands and writes down who made a revision."""
    gitops_accounts: tuple[str, ...] = ()
    """Users that apply what others wrote; `*` stands for any characters."""
    home: str = ""
    """The namespace the operator runs in; empty where it is not known."""
    trials: int = 0
    """Trials that may run at the same time in all namespaces together; 0 for any number."""
    trials_in_namespace: int = 0
    """Trials that may run at the same time in one namespace; 0 for any number."""
    unsafe_traffic: bool = False
    """Leave out what keeps requests from being lost. Only the control run of the tests sets it."""

    @property
    def limits_trials(self) -> bool:
        """Whether trials wait for one another."""
        return self.trials > 0 or self.trials_in_namespace > 0


@dataclass(frozen=True, slots=True)
class Ref:
    """An object of ours in the resource's namespace."""

    kind: Literal["ControllerRevision", "Deployment", "Service", "PodDisruptionBudget", "HTTPRoute", "HTTPRouteRule"]
    name: str
    """For a rule of a route that is not ours: the ModelDeployment's."""

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod of a revision, as far as decisions need it."""

    name: str
    ip: str
    created: datetime
    ready: bool
    leaving: bool = False
    """It has a deletion timestamp."""
    start: timedelta | None = None
    """How long it took to become ready, where it is ready."""
    restarts: int = 0
    """Restarts of all its containers together."""
    oom_kills: int = 0
    """Containers whose last or present state is OOMKilled."""
    image_ids: tuple[str, ...] = ()
    """Running image digests, one for each container, in the order of the containers."""
    waiting: str = ""
    """Reason of the first container that waits: `ImagePullBackOff`, `CrashLoopBackOff`, `ContainerCreating`."""
    waiting_message: str = ""
    """The message beside it."""
    unschedulable: str = ""
    """The scheduler's message, when it found no node."""
    last_exit: str = ""
    """How the last container ended: `exit code 1 (Error): last log line`."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A revision's Deployment and pods."""

    revision: str
    uid: str
    replicas: int
    """Pods asked for (`spec.replicas`)."""
    pods: tuple[Pod, ...] = ()
    quota: str = ""
    """The API server's message when pods could not be created (`ReplicaFailure`)."""
    manifest: Manifest | None = None
    """The Deployment as it is, from which a lost record is made again."""

    @property
    def present(self) -> int:
        """Pods that are not on their way out, ready or not."""
        return sum(1 for pod in self.pods if not pod.leaving)

    @property
    def ready(self) -> int:
        """Pods that are ready and not on their way out."""
        return sum(1 for pod in self.pods if pod.ready and not pod.leaving)


@dataclass(frozen=True, slots=True)
class Record:
    """A revision as it was born: never rendered anew."""

    revision: str
    deployment: Manifest
    """The Deployment without replicas."""
    data: Mapping[str, Any]
    """The record as stored; it is never written anew, only kept in place."""
    model_version: str | None = None
    training_data: str | None = None


@dataclass(frozen=True, slots=True)
class Backend:
    """A backend of the route as it is in the cluster."""

    service: str
    weight: int


@dataclass(frozen=True, slots=True)
class Route:
    """What divides the requests, as it is in the cluster: an HTTPRoute, or what a router shows in its stead."""

    generation: int
    """Another one whenever something else is asked of whoever carries the requests."""
    backends: tuple[Backend, ...]
    """Where live requests go, in the order of the slots; two of them unless somebody edited the route."""
    services: frozenset[str]
    """Every revision's Service to which anything may be sent."""
    accepted: bool
    """Whoever carries the requests has taken this generation over: each parent's controller, for an HTTPRoute."""
    copies: tuple[tuple[str, int], ...] = ()
    """Service and percent of each mirror of rule 0."""
    resolved: bool = True
    """No parent says that a reference does not resolve."""
    problem: str = ""
    """The controller's message when it is not accepted, or does not resolve."""
    others: tuple[tuple[Backend, ...], ...] = ()
    """Backends of each rule after rule 0."""
    open: bool = False
    """Any pod of the model gets requests as soon as it is ready, whatever its revision."""
    address: str = ""
    """Host name, and path where there is one, under which clients reach it first."""
    parents: tuple[ParentRef, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """The rule of a team's own route that requests come through."""

    index: int
    """Its position in the route."""
    ahead: int
    """Filters of its owner; ours come after them."""
    taken: bool
    """Its backends are revisions of ours."""
    original: str
    """Its `backendRefs` as they are, as JSON."""
    counted: bool
    """Its backends have filters, so that a gateway counts each by its place, as it counts ours."""
    manager: str
    """Who wrote the route's rules last; empty where that cannot be told."""


@dataclass(frozen=True, slots=True)
class GatewayClass:
    """The implementation behind a Gateway."""

    name: str
    controller: str = ""
    features: frozenset[str] = frozenset()
    """`status.supportedFeatures`; empty where it says nothing."""
    unread: str = ""
    """Why nothing of it is known: a sentence."""


@dataclass(frozen=True, slots=True)
class House:
    """House rules as they concern one resource."""

    rules: tuple[HouseRules, ...] = ()
    """Those in force, to be remembered."""
    conflict: str = ""
    """Why the resource and its rules do not go together: a sentence, or empty."""
    gone: str = ""
    """A policy that is gone while its rules still hold: a sentence, or empty."""
    unread: str = ""
    """Why it is not known which rules hold now: a sentence, or empty."""


@dataclass(frozen=True, slots=True)
class Observed:
    """One look at the cluster, on live reads."""

    name: str
    namespace: str
    uid: str
    generation: int
    created: datetime
    deleting: bool
    spec: ModelDeploymentSpec | None
    """With the house rules in it. None where the stored spec does not parse; `invalid` says why."""
    raw_spec: Mapping[str, Any]
    """The spec as stored: what hashes are taken over."""
    status: Status
    commands: str = ""
    """The annotation `seatrial.dev/commands`."""
    spec_by: str = ""
    """The annotation `seatrial.dev/spec-by`."""
    invalid: str = ""
    records: Mapping[str, Record] = field(default_factory=dict)
    workloads: Mapping[str, Workload] = field(default_factory=dict)
    """By revision."""
    strays: int = 0
    """Pods of revisions whose Deployment is gone: they are on their way out, and take their room until then."""
    services: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Our Services by name, with their selectors."""
    populated: frozenset[str] = frozenset()
    """Revisions with pods that are not on their way out, with a Deployment or without; a pod's name where it bears our
    label and no revision."""
    budgets: frozenset[str] = frozenset()
    """Names of our PodDisruptionBudgets."""
    route: Route | None = None
    """What requests come through: a route of ours, or the team's own."""
    rule: Rule | None = None
    """The rule in a team's own route."""
    route_problem: str = ""
    """Why there is no such rule: a sentence, or empty."""
    held: bool = False
    """Our finalizer is on the resource."""
    foreign: tuple[Ref, ...] = ()
    """Objects that bear a name we need and are not ours."""
    edited: tuple[Ref, ...] = ()
    """Our objects that somebody else changed since our last write."""
    rewritten: tuple[Ref, ...] = ()
    """Our objects that came back different from what we wrote, twice: admission rewrites them."""
    conflict: str = ""
    """An older resource that owns one of our host names: a sentence, or empty."""
    turn: str = ""
    """Which other trials a new one waits for: a sentence, or empty."""
    freeze: str = ""
    """What people have frozen, how and why: a sentence, or empty."""
    house: House = field(default_factory=House)
    """The house rules in force."""
    gateway_classes: tuple[GatewayClass, ...] = ()
    """Classes of the Gateways we attach to; read only where a trial with a shadow is about to begin, or under way."""
    gateway_problem: str = ""
    """A Gateway we attach to that is missing or not accepted: a sentence, or empty."""
    live_looked: datetime | None = None
    """When this process last held live predictions against their snapshots; before that, when it began. It is not in status,
    so that a look that finds nothing new writes nothing."""


@dataclass(frozen=True, slots=True)
class Event:
    """A Kubernetes event, posted once the status that holds its cause is stored."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What one pass decided."""

    apply: tuple[Manifest, ...]
    """Objects as they shall be, in the order they are to be written."""
    prune: tuple[Ref, ...]
    """Objects to delete, in order. Only what nothing refers to any more."""
    status: Status
    """The whole status."""
    events: tuple[Event, ...] = ()
    notes: tuple[str, ...] = ()
    """One sentence for each decision, with its numbers; for logs and transcripts."""
    wake_in: timedelta | None = None
    """When to look again if nothing happens before."""
    splice: Splice | None = None
    """A rule of a team's own route, as it shall be; written after all objects."""
    hold: bool | None = None
    """Whether our finalizer shall be on the resource; None leaves it as it is."""
    distances: Mapping[str, float | None] | None = None
    """Of live predictions from their snapshots, by name, where this pass looked at some; None where nothing could be measured."""
