"""The simulated world: an API server's objects, controllers, three proxies, clients, and the operator.

It drives the real planner through the real parsers, builders and fingerprints. Only what the cluster does
is simulated: pods start and die, the gateway accepts, each proxy learns of a route at its own time,
clients send requests at a constant rate and count what they lose.
"""

from __future__ import annotations

import copy
import math
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import zip_longest
from statistics import NormalDist
from typing import Any

from seatrial.api.status import PARTS, Status, Written
from seatrial.build.fingerprint import fingerprint
from seatrial.build.names import (
    COMMANDS,
    COMPARER_LABEL,
    FINALIZER,
    FREEZE,
    MANAGER,
    MODEL_LABEL,
    REVISION_LABEL,
    SPEC_BY,
    child_name,
    is_backend,
    is_comparer,
    owner_reference,
)
from seatrial.build.overlay import owned
from seatrial.build.revision import revision
from seatrial.build.rule import is_taken, spliced, stands
from seatrial.cluster.ledger import Ledger, Page
from seatrial.cluster.parse import (
    parse_record,
    parse_spec,
    parse_status,
    parse_workload,
    populated,
    strays,
)
from seatrial.core.borrowed import in_force, ref_of
from seatrial.core.commands import Action, Command, append, escape
from seatrial.core.compared import ANSWERS, CANDIDATE, ITSELF, QUEUE, Result
from seatrial.core.house import Known, Policy, meet
from seatrial.core.outcome import ApplyFailure, ApplyOutcome
from seatrial.core.plan import after_apply, ask, plan
from seatrial.core.questions import Answers, DryRunAnswer, PreflightAnswer, Questions, SnapshotAnswer
from seatrial.core.routers import ROUTERS, Sight
from seatrial.core.routers.team_route import parse_team_route
from seatrial.core.state import Event, GatewayClass, House, Installation, Manifest, Observed, Plan, Ref
from seatrial.metrics import presets
from tests.sim.chance import Draw, exact
from tests.sim.endpoints import Endpoints
from tests.sim.prometheus import SLOWNESS, Labels, SimPrometheus, Weather
from tests.sim.upgrade import Version, older
from tests.sim.users import Users

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
NAMESPACE, NAME = "models", "fraud"
TEAM = "web"
"""The team's own route, where there is one; the model lives behind its second rule."""
LEGACY = "legacy"
"""What the team's rule led to before."""
SCORES = (0.01, 0.02, *(number / 20 for number in range(1, 20)), 0.98, 0.99)
"""Edges of the histogram of scores."""
EDGES_MS = (0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000)
GONE = timedelta(seconds=8)
"""How long a leaving pod goes on answering: its preStop sleep."""


class Moment(StrEnum):
    """Where in a pass something can happen to it: `World.at` is asked at each."""

    DECIDED = "decided"
    """The plan is made, nothing of it is written."""
    WRITE = "write"
    """One object is about to be written."""
    APPLIED = "applied"
    """All objects are written, the status is not."""
    STORED = "stored"
    """The status is stored, its events are not posted."""


class PassEnds(Exception):  # noqa: N818 - what happens to a pass
    """The pass ends here. `after`: seconds until the next one."""

    def __init__(self, after: float = 1.0, *, died: bool = False, stored: bool = False) -> None:
        super().__init__()
        self.after = after
        self.died = died
        """The operator died: what it had in memory is gone."""
        self.stored = stored
        """The write it was about to make is carried out all the same, only the answer is lost."""


class WriteFails(Exception):  # noqa: N818 - as above
    """The API server does not take this object now."""

    def __init__(self, message: str, *, stored: bool = False) -> None:
        super().__init__(message)
        self.stored = stored


@dataclass
class Behaviour:
    """How the pods of one image behave."""

    start: float = 3.0
    errors: float = 0.0
    """Share of requests answered 500."""
    slow: float = 0.0
    """Share of requests that take 400 ms instead of 20."""
    queues: bool = False
    """It does while a pod answers a quarter of all requests; the share goes with the square of what a pod has to do."""
    differs: float = 0.0
    """Share of answers that are not stable's."""
    blocks: float = 0.2
    """Share of answers that decide to block."""
    scores: float = 0.0
    """How much higher its scores are than usual, in log-odds."""
    revenue: float = 40.0
    """What a shop takes on average for an order; every fifth answer becomes one."""
    errors_from: int = 0
    """Requests served before the errors begin."""
    crash_after: float | None = None
    """Seconds after its start at which a container dies, again and again."""
    image_error: str = ""
    unschedulable: str = ""
    pulling: float = 0.0
    """Seconds in ContainerCreating before it starts."""
    preflight: str = ""
    """The first difference that recorded requests would show."""


@dataclass
class Shop:
    """A service that acts on the answers: orders and what they bring, by revision. Its chances are its own."""

    random: random.Random
    taken: dict[str, tuple[int, float]] = field(default_factory=dict)

    def orders(self, revision: str, count: int, revenue: float) -> None:
        """Bring a revision's orders up to this number; an order brings half of `revenue`, or half as much again."""
        have, total = self.taken.get(revision, (0, 0.0))
        total += revenue * math.fsum(self.random.choice((0.5, 1.5)) for _ in range(count - have))
        self.taken[revision] = (max(have, count), total)


@dataclass
class SimPod:
    name: str
    revision: str
    image: str
    template: str
    created: datetime
    gone_at: datetime | None = None
    restarts: int = 0
    killed: bool = False

    def manifest(self, now: datetime, behaviour: Behaviour) -> Manifest:
        ready = self.ready(now, behaviour)
        waiting: dict[str, str] | None = None
        age = (now - self.created).total_seconds()
        conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
        if behaviour.unschedulable:
            conditions.append(
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "reason": "Unschedulable",
                    "message": behaviour.unschedulable,
                }
            )
        elif behaviour.image_error:
            waiting = {"reason": "ImagePullBackOff", "message": behaviour.image_error}
        elif age < behaviour.pulling:
            waiting = {"reason": "ContainerCreating"}
        elif self.crashed(now, behaviour):
            waiting = {"reason": "CrashLoopBackOff", "message": "back-off restarting failed container"}
        container: dict[str, Any] = {
            "name": "model",
            "restartCount": self.restart_count(now, behaviour),
            "imageID": "" if waiting else f"{self.image}@sha256:0",
            "state": {"waiting": waiting} if waiting else {"running": {}},
        }
        if container["restartCount"]:
            container["lastState"] = {"terminated": {"exitCode": 1, "reason": "Error"}}
        out: Manifest = {
            "metadata": {
                "name": self.name,
                "creationTimestamp": self.created.isoformat(),
                "labels": {MODEL_LABEL: NAME, REVISION_LABEL: self.revision},
                "ownerReferences": [
                    {"kind": "ReplicaSet", "name": child_name(NAME, self.revision) + "-x", "controller": True}
                ],
            },
            "spec": {"containers": [{"name": "model"}]},
            "status": {"podIP": "198.18.0.9", "conditions": conditions, "containerStatuses": [container]},
        }
        if self.gone_at is not None:
            out["metadata"]["deletionTimestamp"] = now.isoformat()
        return out

    def crashed(self, now: datetime, behaviour: Behaviour) -> bool:
        if behaviour.crash_after is None:
            return False
        return (now - self.created).total_seconds() >= behaviour.crash_after

    def restart_count(self, now: datetime, behaviour: Behaviour) -> int:
        if behaviour.crash_after is None:
            return self.restarts
        age = (now - self.created).total_seconds()
        return self.restarts + max(0, min(5, int((age - behaviour.crash_after) // 5)))

    def ready(self, now: datetime, behaviour: Behaviour) -> bool:
        if behaviour.image_error or behaviour.unschedulable or self.killed or self.crashed(now, behaviour):
            return False
        return (now - self.created).total_seconds() >= behaviour.pulling + behaviour.start

    def answers(self, now: datetime, behaviour: Behaviour) -> bool:
        """Whether a request sent to it now is answered: a leaving pod still does."""
        return self.ready(now, behaviour) and (self.gone_at is None or now < self.gone_at)


def base_spec(**changes: Any) -> dict[str, Any]:
    """A spec with everything small and quick."""
    spec: dict[str, Any] = {
        "replicas": 4,
        "suspend": False,
        "runtime": "MLServer",
        "model": {"name": "fraud"},
        "template": {"spec": {"containers": [{"name": "model", "image": "fraud:v1"}]}},
        "traffic": {"hostnames": ["fraud.example.com"], "drain": "30s"},
        "strategy": {
            "probation": {"duration": "0s"},
            "stages": [
                {
                    "canary": {
                        "steps": [
                            {"weight": 5, "minDuration": "1m"},
                            {"weight": 25, "minDuration": "1m"},
                            {"weight": 50, "minDuration": "1m"},
                        ]
                    }
                }
            ],
        },
        "analysis": {"interval": "15s", "minSamples": 200},
        "progressDeadline": "2m",
    }
    spec.update(changes)
    return spec


def team_route() -> Manifest:
    """A route of three rules, the second of which leads to the model, or to what was there before it."""

    def rule(name: str, service: str, **more: Any) -> Manifest:
        match = {"path": {"type": "PathPrefix", "value": f"/{name}"}}
        refs = [{"kind": "Service", "name": service, "port": 80, "weight": 1}]
        return {"name": name, "matches": [match], "backendRefs": refs, **more}

    header = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "x-team", "value": "risk"}]}}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": TEAM, "namespace": NAMESPACE, "labels": {}, "managedFields": writer("kubectl", START)},
        "spec": {
            "hostnames": ["web.example.com"],
            "parentRefs": [{"name": "public", "namespace": "gateways"}],
            "rules": [rule("api", "api"), rule(NAME, LEGACY, filters=[header]), rule("static", "static")],
        },
    }


def writer(manager: str, at: datetime) -> list[Manifest]:
    """Who wrote a route, as the API server keeps it."""
    return [{"manager": manager, "time": at.isoformat(), "fieldsV1": {"f:spec": {"f:rules": {}}}}]


def below(edge: float, higher: float) -> float:
    """The share of scores up to an edge, where they are so much higher than usual, in log-odds."""
    return 1.0 if math.isinf(edge) else NormalDist(higher - 2.0, 1.5).cdf(math.log(edge / (1.0 - edge)))


@lru_cache
def scored(higher: float) -> tuple[tuple[float, float], ...]:
    """Each edge with the share of scores between it and the one before."""
    edges = (*SCORES, math.inf)
    shares = [below(edge, higher) for edge in edges]
    return tuple((edge, upper - lower) for edge, upper, lower in zip(edges, shares, (0.0, *shares), strict=False))


def rule_of(spec: Manifest) -> Manifest:
    """The rule of a route that live traffic comes through: the one of the model's name, else the first."""
    found: Manifest = next((rule for rule in spec["rules"] if rule.get("name") == NAME), spec["rules"][0])
    return found


def place_of(spec: Manifest, route: Ref) -> str:
    """What Envoy calls that rule."""
    return f"httproute/{NAMESPACE}/{route.name}/rule/{spec['rules'].index(rule_of(spec))}"


def cluster(spec: Manifest, route: Ref, backend: Manifest, position: int) -> str:
    """What Envoy calls a backend: all of a rule share one name, unless they carry filters."""
    return f"{place_of(spec, route)}/backend/{position}" if backend.get("filters") else place_of(spec, route)


class World:
    """Everything there is, at `now`. `step()` lets a second pass and everybody do their work."""

    name, namespace = NAME, NAMESPACE

    def __init__(
        self,
        *,
        rate: float = 200.0,
        seed: int = 1,
        spec: dict[str, Any] | None = None,
        draw: Draw = exact,
        team: bool = False,
    ) -> None:
        self.random = random.Random(seed)
        self._draw = draw
        self.now = START
        self.rate = rate
        self.resource: Manifest = {
            "metadata": {
                "name": NAME,
                "namespace": NAMESPACE,
                "uid": "uid-1",
                "generation": 1,
                "creationTimestamp": START.isoformat(),
                "annotations": {},
            },
            "spec": spec or base_spec(),
            "status": {},
        }
        self.objects: dict[Ref, Manifest] = {}
        self.route = Ref("HTTPRoute", TEAM if team else NAME)
        """The route that clients come through."""
        self.pods: list[SimPod] = []
        self.behaviours: dict[str, Behaviour] = {}
        self.quota = ""
        self.room = 0
        """Pods that a quota has room for, those on their way out included; 0 for any number."""
        self.refused = 0
        """Pods that the quota refused."""
        self.template_refused = ""
        self.gateway_up = True
        self.gateway_problem = ""
        self.turn = ""
        self.freeze = ""
        self.policies = Known()
        self.gateway_classes: tuple[GatewayClass, ...] = ()
        self.foreign: tuple[Ref, ...] = ()
        self.slices: list[Manifest] = []
        """EndpointSlices of the model's Service."""
        self.proxies: list[Manifest | None] = [None, None, None]
        self.proxy_lag = [0.1, 0.4, 1.2]
        self._route_changes: list[tuple[datetime, Manifest | None]] = []
        self.endpoints = Endpoints(self)
        """What stands in for the route where pods are weights."""
        self.prometheus = SimPrometheus()
        self.counters: dict[Labels, float] = {}
        self.served: Counter[str] = Counter()
        self.copied: Counter[str] = Counter()
        self.shop = Shop(random.Random(seed))
        self.config_maps: dict[str, Manifest] = {}
        """By name."""
        self.installation = Installation(
            gateway=("gateways", "gateway"),
            prometheus="http://prometheus:9090",
            presets=presets.load(),
            image="seatrial:1",
        )
        self.gone = False
        """The resource is deleted, and all that was its own."""
        self.sent = 0
        self.lost: Counter[str] = Counter()
        self.user_errors = 0
        self.story: list[str] = []
        self.events: list[Event] = []
        self.writes = 0
        self.status_writes = 0
        self.wake_at: datetime | None = START
        self.operator_up = True
        self.at: Callable[[World, Moment, Plan], None] = lambda _world, _moment, _plan: None
        """Asked at each moment of a pass; may do anything to the world, or raise `PassEnds` or `WriteFails`."""
        self.ledger = Ledger()
        """What the operator's process remembers."""
        self.live_looked = START
        """The same: when it last held live predictions against their snapshots."""
        self.skew = timedelta(0)
        """How far the operator's clock is ahead of everybody else's."""
        self.plan_twice = 1
        """Every how many passes the plan is made a second time, to see that it is the same."""
        self.renders: Version = older
        """The version of the operator."""
        self._passes = 0
        self.watchers: list[Callable[[World, Plan], None]] = []
        self.users = Users(0)
        """Users who can be told apart; without any, requests are nobody's."""
        self.open = False
        """Clients begin once the address works."""
        self._again = False
        """The resource is applied again once it is gone."""
        self._serial = 0
        self._carry = 0.0
        self.due = 0
        """Requests of every revision that come to one proxy just now."""
        self._seen: object = None
        self._templates: dict[str, str] = {}
        self._fingerprints: dict[str, str] = {}
        self._answering: dict[str, list[SimPod]] = {}
        self._tallies: dict[str, list[int]] = {}
        self._scored: dict[str, tuple[float, int, dict[float, int]]] = {}
        """By revision: how much higher its scores are, since how many of them, and what was counted until then."""
        self._parsed: tuple[Manifest, Status] | None = None
        if team:
            self.store(self.route, team_route())

    # -- people ---------------------------------------------------------------------------------------------------

    def edit(self, change: Callable[[dict[str, Any]], None]) -> None:
        """`kubectl edit`."""
        spec = copy.deepcopy(self.resource["spec"])
        change(spec)
        if spec != self.resource["spec"]:
            self.resource["spec"] = spec
            self.resource["metadata"]["generation"] += 1

    def image(self, name: str, behaviour: Behaviour | None = None) -> str:
        """Ask for another image; returns its revision."""
        if behaviour is not None:
            self.behaviours[name] = behaviour
        self.edit(lambda spec: spec["template"]["spec"]["containers"][0].update(image=name))
        self.tell(f"kubectl: image {name} (revision {self.wanted})")
        return self.wanted

    def kept(self, *authors: str) -> None:
        """The API server keeps authors, and these are on record."""
        self.installation = replace(
            self.installation, authors_kept=True, gitops_accounts=("system:serviceaccount:argocd:*",)
        )
        self.resource["metadata"]["annotations"][SPEC_BY] = " ".join(escape(author) for author in authors)

    def command(self, action: Action, revision: str, *, by: str = "ann", reason: str = "") -> None:
        """A command as the CLI writes it."""
        self._serial += 1
        notes = self.resource["metadata"]["annotations"]
        line = Command(f"n{self._serial}", action, revision, by, reason)
        notes[COMMANDS] = append(notes.get(COMMANDS, ""), line)
        self.tell(f"{by}: {action} {revision}")

    def freezes(self, reason: str) -> None:
        """Somebody annotates the namespace; the watch of namespaces wakes the trial. An empty reason takes it off."""
        self.freeze = f"namespace {NAMESPACE} is frozen by its annotation {FREEZE}: {reason}" if reason else ""
        self.tell(f"kubectl: annotate namespace {NAMESPACE} {FREEZE}" + (f"={reason}" if reason else "-"))
        self.wake_at = self.now

    def rules(self, sentence: str, *policies: Policy, exist: Iterable[str] = (), unread: str = "") -> None:
        """Somebody edits house rules; the watch of policies wakes the resource. `exist`: others that choose it no longer."""
        known = frozenset((*(policy.ref for policy in policies), *exist))
        self.policies = Known(policies, known, unread)
        self.tell(f"kubectl: {sentence}")
        self.wake_at = self.now

    @property
    def asked(self) -> list[str]:
        """The lines that people wrote."""
        return [line for line in self.resource["metadata"]["annotations"].get(COMMANDS, "").split("\n") if line]

    def tell(self, sentence: str) -> None:
        """A line of the transcript."""
        at = int((self.now - START).total_seconds())
        self.story.append(f"{at // 60:02d}:{at % 60:02d}  {sentence}")

    # -- reading --------------------------------------------------------------------------------------------------

    @property
    def wanted(self) -> str:
        return revision(self.resource["spec"])

    @property
    def status(self) -> Status:
        stored = self.resource["status"]
        if self._parsed is None or self._parsed[0] is not stored:
            self._parsed = (stored, parse_status(stored))
        return self._parsed[1]

    @property
    def by_pods(self) -> bool:
        """Nothing but a Service divides the requests."""
        return "replicaRatio" in self.resource["spec"]["traffic"]

    def weight(self, name: str) -> int:
        """A revision's weight in the route as it is, in parts."""
        if self.by_pods:
            return self.endpoints.weight(name)
        live = self.live_route()
        refs = live["spec"]["rules"][0]["backendRefs"] if live is not None else ()
        return sum(ref["weight"] for ref in refs if ref["name"] == child_name(NAME, name))

    def live_route(self) -> Manifest | None:
        """The route as far as it is ours: of a team's route one rule, once it is taken."""
        route = self.objects.get(self.route)
        if route is None or not self.team:
            return route
        live = rule_of(route["spec"])
        return {"spec": {"rules": [live]}} if is_taken(NAME, live) else None

    @property
    def leaving(self) -> bool:
        """The resource is deleted, and what holds it is not done yet."""
        return "deletionTimestamp" in self.resource["metadata"]

    @property
    def team(self) -> bool:
        """The model lives behind a rule of a team's own route."""
        return self.route.name == TEAM

    def behaviour(self, image: str) -> Behaviour:
        if image not in self.behaviours:
            self.behaviours[image] = Behaviour()
        return self.behaviours[image]

    def ready(self, name: str) -> int:
        return sum(
            1
            for pod in self.pods
            if pod.revision == name and pod.gone_at is None and pod.ready(self.now, self.behaviour(pod.image))
        )

    # -- time -----------------------------------------------------------------------------------------------------

    def run(self, seconds: float, *, until: Callable[[World], bool] | None = None) -> bool:
        """Let time pass; True once `until` holds."""
        for _ in range(int(seconds)):
            self.step()
            if until is not None and until(self):
                return True
        return until is None

    def step(self, seconds: float = 1.0) -> None:
        """One second: pods, gateway, proxies, clients, Prometheus, operator."""
        self._others(seconds)
        if self.operator_up and not self.gone:
            for _ in range(8):
                if not self._due() or not self.reconcile():
                    break

    def _others(self, seconds: float) -> None:
        """Time passes for everybody but the operator."""
        self.now += timedelta(seconds=seconds)
        self._deployments()
        self._gateway()
        self._clients(seconds)
        if self.prometheus.due(self.now):
            self._show_counters()
            self.prometheus.scrape(self.now, self.counters)

    def _due(self) -> bool:
        picture = self._picture()
        if picture != self._seen:
            self._seen = picture
            return True
        return self.wake_at is not None and self.now >= self.wake_at

    @property
    def generation(self) -> int:
        """The generation of the spec."""
        return int(self.resource["metadata"]["generation"])

    @property
    def quiet(self) -> bool:
        """Every proxy has the route as it is."""
        if self.by_pods:
            return self.endpoints.quiet
        route = self.objects.get(self.route)
        return all(proxy == (None if route is None else route["spec"]) for proxy in self.proxies)

    def _picture(self) -> object:
        pods = tuple(
            (pod.name, pod.gone_at is None, pod.ready(self.now, self.behaviour(pod.image)), pod.restarts)
            for pod in self.pods
        )
        versions = tuple(sorted((str(ref), obj["metadata"]["resourceVersion"]) for ref, obj in self.objects.items()))
        resource = self.resource["metadata"]
        route = self.objects.get(self.route, {}).get("status")
        return (
            pods,
            versions,
            resource["generation"],
            resource.get("deletionTimestamp"),
            tuple(resource["annotations"].items()),
            str(route),
        )

    # -- the cluster's controllers --------------------------------------------------------------------------------

    def _deployments(self) -> None:
        self.pods = [pod for pod in self.pods if pod.gone_at is None or self.now < pod.gone_at + GONE]
        wanted: set[str] = set()
        for ref, obj in self.objects.items():
            if ref.kind != "Deployment" or REVISION_LABEL not in obj["metadata"]["labels"]:
                continue  # a comparer has no part in this world
            name = obj["metadata"]["labels"][REVISION_LABEL]
            wanted.add(name)
            image = obj["spec"]["template"]["spec"]["containers"][0]["image"]
            template = self.template(obj)
            mine = [pod for pod in self.pods if pod.revision == name and pod.gone_at is None]
            fresh = [pod for pod in mine if pod.template == template]
            stale = [pod for pod in mine if pod.template != template]
            replicas = obj["spec"]["replicas"]
            for _ in range(replicas - len(fresh)):
                if self.quota:
                    break
                if self.room and len(self.pods) >= self.room:
                    self.refused += 1
                    break
                self._serial += 1
                self.pods.append(SimPod(f"{ref.name}-{template}-{self._serial:04d}", name, image, template, self.now))
            ready = sum(1 for pod in fresh if pod.ready(self.now, self.behaviour(pod.image)))
            for pod in stale[: max(0, len(stale) - max(0, replicas - ready))]:
                pod.gone_at = self.now + GONE
            for pod in fresh[replicas:]:
                pod.gone_at = self.now + GONE
        for pod in self.pods:
            if pod.revision not in wanted and pod.gone_at is None:
                pod.gone_at = self.now + GONE

    def _short(self, deployment: Manifest) -> bool:
        """Whether a Deployment has fewer pods than it asks for."""
        name = deployment["metadata"]["labels"].get(REVISION_LABEL)
        there = sum(1 for pod in self.pods if pod.revision == name and pod.gone_at is None)
        return name is not None and there < int(deployment["spec"]["replicas"])

    def template(self, deployment: Manifest) -> str:
        """A short hash of a Deployment's pod template."""
        version = deployment["metadata"]["resourceVersion"]
        if version not in self._templates:
            self._templates[version] = fingerprint({"kind": "x", "spec": deployment["spec"]["template"]})[:8]
        return self._templates[version]

    def fingerprint(self, obj: Manifest) -> str:
        """The fingerprint of an object in the cluster, by its resourceVersion."""
        version = obj["metadata"]["resourceVersion"]
        if version not in self._fingerprints:
            self._fingerprints[version] = fingerprint(obj)
        return self._fingerprints[version]

    def kill_pods(self, name: str) -> None:
        """All pods of a revision die at once and are made anew."""
        self.pods = [pod for pod in self.pods if pod.revision != name]

    def _gateway(self) -> None:
        if self.by_pods:
            self.endpoints.follow()
            return
        route = self.objects.get(self.route)
        if not self.gateway_up:
            return
        if route is not None:
            generation = route["metadata"]["generation"]
            route["status"] = {
                "parents": [
                    {
                        "parentRef": parent,
                        "conditions": [
                            {"type": "Accepted", "status": "True", "observedGeneration": generation},
                            {"type": "ResolvedRefs", "status": "True", "observedGeneration": generation},
                        ],
                    }
                    for parent in route["spec"]["parentRefs"]
                ]
            }
        shown = None if route is None else route["spec"]
        if not self._route_changes or self._route_changes[-1][1] != shown:
            self._route_changes.append((self.now, copy.deepcopy(shown)))
        for index, lag in enumerate(self.proxy_lag):
            known = [spec for at, spec in self._route_changes if (self.now - at).total_seconds() >= lag]
            before = self.proxies[index]
            after = known[-1] if known else before
            if before is not None and after is not None and before != after:
                self._cluster_changes(before, after)
            self.proxies[index] = after
        del self._route_changes[:-8]

    def _cluster_changes(self, before: Manifest, after: Manifest) -> None:
        """A backend that jumps between 0 and n, or changes its Service under traffic, loses requests."""
        ours = [(rule_of(before), rule_of(after))]
        for number, (was, now) in enumerate(ours if self.team else zip_longest(before["rules"], after["rules"])):
            if number and not any(rule is not None and self.users.bear(rule) for rule in (was, now)):
                continue
            if was is None or now is None:
                self.lost["rule came or went under traffic"] += 1
                continue
            for old, new in zip(was["backendRefs"], now["backendRefs"], strict=False):
                if not (is_backend(NAME, old["name"]) and is_backend(NAME, new["name"])):
                    continue  # a rule is taken, reset or given back: what that costs is measured on a real gateway
                if (old["weight"] == 0) != (new["weight"] == 0) and max(old["weight"], new["weight"]) > 1:
                    self.lost["direct step"] += 1
                if old["name"] != new["name"] and max(old["weight"], new["weight"]) > 1:
                    self.lost["service changed under traffic"] += 1

    # -- clients --------------------------------------------------------------------------------------------------

    def _clients(self, seconds: float) -> None:
        self.open = self.open or all(proxy is not None for proxy in self.proxies)
        if not self.open and not self.by_pods:
            return
        self._answering.clear()  # nobody comes or goes while these requests are sent
        self._carry += self.rate * seconds
        count = int(self._carry)
        self._carry -= count
        if self.by_pods:
            self.endpoints.serve(count)
            return
        for index, proxy in enumerate(self.proxies):
            share = self.due = count // 3 + (1 if index < count % 3 else 0)
            self.sent += share
            if proxy is None:
                self.lost["no route"] += share
                continue
            if self.users.all:
                self._serve(proxy, share)
            else:
                self._send(proxy, share)
            self._copy(proxy, share)
        self._compare(self.proxies[0], seconds)

    def _send(self, proxy: Manifest, count: int) -> None:
        refs = rule_of(proxy)["backendRefs"]
        total = sum(ref["weight"] for ref in refs)
        if total == 0:
            self.lost["weights 0/0"] += count
            return
        first = self.binomial(count, refs[0]["weight"] / total)
        for position, (ref, share) in enumerate(zip(refs, (first, count - first), strict=False)):
            if share == 0:
                continue
            self._backend(cluster(proxy, self.route, ref, position), ref["name"], share)

    def _serve(self, proxy: Manifest, count: int) -> None:
        """Requests of users whom one can tell apart."""
        for (number, position), share in sorted(self.users.send(proxy["rules"], count).items()):
            place = f"httproute/{NAMESPACE}/{self.route.name}/rule/{number}/backend/{position}"
            self._backend(place, proxy["rules"][number]["backendRefs"][position]["name"], share)

    def _copy(self, proxy: Manifest, count: int) -> None:
        """Send copies; nobody waits for the answers."""
        for index, entry in enumerate(rule_of(proxy).get("filters", ())):
            mirror = entry.get("requestMirror")
            if mirror is None or is_comparer(NAME, mirror["backendRef"]["name"]):
                continue
            copies = self.binomial(count, mirror.get("percent", 100) / 100)
            pods, cluster = self._behind(mirror["backendRef"]["name"]), f"{place_of(proxy, self.route)}-mirror-{index}"
            if not pods:
                self._count(cluster, copies, errors=copies, slow=0)
                continue
            behaviour = self.behaviour(pods[0].image)
            self.copied[pods[0].revision] += copies
            errors, slow = self.binomial(copies, behaviour.errors), self.binomial(copies, behaviour.slow)
            self._count(cluster, copies, errors=errors, slow=slow)

    def _compare(self, proxy: Manifest | None, seconds: float) -> None:
        """Comparers that get copies compare two a second, and count."""
        for entry in rule_of(proxy).get("filters", ()) if proxy is not None else ():
            name = entry.get("requestMirror", {}).get("backendRef", {}).get("name", "")
            found = self.objects.get(Ref("Deployment", name))
            if found is None or COMPARER_LABEL not in found["metadata"]["labels"]:
                continue
            revision = found["metadata"]["labels"][COMPARER_LABEL]
            images = [pod.image for pod in self.pods if pod.revision == revision]
            differs = self.behaviour(images[0]).differs if images else 1.0
            own = {"namespace": NAMESPACE, "pod": f"{name}-x", "output": "*"}
            self.counters[tuple(sorted({**own, "__name__": QUEUE, "output": ""}.items()))] = 0
            for pair, share in ((CANDIDATE, differs), (ITSELF, 0.0)):
                count = max(1, int(2 * seconds))
                differ = self.binomial(count, share)
                for result, number in ((Result.AGREE, count - differ), (Result.DIFFER, differ)):
                    labels = {**own, "__name__": ANSWERS, "pair": pair, "result": str(result)}
                    key = tuple(sorted(labels.items()))
                    self.counters[key] = self.counters.get(key, 0) + number

    def _behind(self, service: str) -> list[SimPod]:
        if service not in self._answering:
            selector = self.objects.get(Ref("Service", service), {}).get("spec", {}).get("selector")
            self._answering[service] = [
                pod
                for pod in self.pods
                if selector is not None
                and pod.revision == selector.get(REVISION_LABEL)
                and pod.answers(self.now, self.behaviour(pod.image))
            ]
        return self._answering[service]

    def _backend(self, cluster: str, service: str, count: int) -> None:
        if service == LEGACY:
            self.served[LEGACY] += count
            self._count(cluster, count, errors=0, slow=0)
            return
        pods = self._behind(service)
        if not pods:
            self.lost[f"no pod behind {service}"] += count
            self._count(cluster, count, errors=count, slow=0)
            return
        behaviour = self.behaviour(pods[0].image)
        name = pods[0].revision
        self.served[name] += count
        bad = behaviour.errors if self.served[name] > behaviour.errors_from else 0.0
        late = behaviour.slow
        if behaviour.queues:
            late = min(1.0, late * (4.0 * count / max(1, self.due) / len(pods)) ** 2)
        errors, slow = self.binomial(count, bad), self.binomial(count, late)
        self.user_errors += errors
        self._count(cluster, count, errors=errors, slow=slow)

    def binomial(self, count: int, share: float) -> int:
        """How many of so many are of a kind that makes up a share."""
        return self._draw(self.random, count, share)

    def _show_counters(self) -> None:
        """Bring the counters that Prometheus scrapes up to date."""
        if self.by_pods:
            self.endpoints.show_proof()
        if (route := self.objects.get(self.route)) is not None:
            for number, rule in enumerate(route["spec"]["rules"]):
                place = f"httproute/{NAMESPACE}/{self.route.name}/rule/{number}"
                for position, ref in enumerate(rule["backendRefs"]):
                    cluster = f"{place}/backend/{position}"
                    if ref.get("weight", 1):
                        self._proof(cluster)
                    else:
                        self._forget(cluster)
                for index, entry in enumerate(rule.get("filters", ())):
                    if "requestMirror" in entry:
                        self._proof(f"{place}-mirror-{index}")
        for pod in self.pods:
            own = {"__name__": "score", "namespace": NAMESPACE, "pod": pod.name}
            self.counters[tuple(sorted(own.items()))] = 1
        self._decisions()
        analysis = self.resource["spec"].get("analysis", {})
        if "live" in analysis or any("drift" in check for check in analysis.get("checks", ())):
            self._scores()
        self._show_shop()
        for cluster, (count, errors, slow) in self._tallies.items():
            self._add(cluster, count, errors=errors, slow=slow)
        self._tallies.clear()

    def _decisions(self) -> None:
        """What the models themselves count of their answers, of those to copies too; the first pod of a revision counts for all."""
        first = {pod.revision: pod for pod in reversed(self.pods)}
        for name, pod in first.items():
            made = self.served[name] + self.copied[name]
            blocked = int(made * self.behaviour(pod.image).blocks)
            for decision, value in (("block", blocked), ("pass", made - blocked)):
                own = {"namespace": NAMESPACE, "pod": pod.name, "decision": decision}
                self.counters[tuple(sorted({**own, "__name__": "decisions_total"}.items()))] = value
            up = {"__name__": "up", "namespace": NAMESPACE, "pod": pod.name}
            self.counters[tuple(sorted(up.items()))] = 1

    def _scores(self) -> None:
        """The models' scores as a histogram, of copies too; the first pod of a revision counts for all."""
        first = {pod.revision: pod for pod in reversed(self.pods)}
        for name, pod in first.items():
            made, own = self.served[name] + self.copied[name], {"namespace": NAMESPACE, "pod": pod.name}
            now = self.behaviour(pod.image).scores
            higher, since, counted = self._scored.setdefault(name, (now, 0, {}))
            if now != higher:  # the world moves on: what was counted stays
                counted = {
                    edge: n + int((made - since) * part)
                    for (edge, part), n in zip(scored(higher), counted.values(), strict=True)
                }
                since = made
            total = 0  # bin by bin, or one of them could seem to fall
            for edge, part in scored(now):
                labels = {**own, "__name__": "model_score_bucket", "le": "+Inf" if math.isinf(edge) else f"{edge:g}"}
                total += counted.setdefault(edge, 0) + int((made - since) * part)
                self.counters[tuple(sorted(labels.items()))] = total
            self._scored[name] = (now, since, counted)

    def _show_shop(self) -> None:
        """What another service counts of the answers, by the revision in their header; where somebody asks for it."""
        if not any("mean" in check for check in self.resource["spec"].get("analysis", {}).get("checks", [])):
            return
        for pod in self.pods:
            self.shop.orders(pod.revision, self.served[pod.revision] // 5, self.behaviour(pod.image).revenue)
        for name, (orders, revenue) in self.shop.taken.items():
            own = {"namespace": NAMESPACE, "pod": "shop-1", "model_revision": name}
            for metric, value in (("shop_orders_total", orders), ("shop_revenue_total", revenue)):
                self.counters[tuple(sorted({**own, "__name__": metric}.items()))] = value

    def _proof(self, cluster: str) -> None:
        """What a scraped proxy shows of a cluster before any request."""
        labels = {
            "__name__": "envoy_cluster_membership_total",
            "envoy_cluster_name": cluster,
            "namespace": "envoy-gateway-system",
            "pod": "envoy-0",
        }
        self.counters[tuple(sorted(labels.items()))] = 1

    def _forget(self, cluster: str) -> None:
        """The gateway makes no cluster for a backend without weight; what its counters held is gone."""
        own = ("envoy_cluster_name", cluster)
        self.counters = {labels: value for labels, value in self.counters.items() if own not in labels}
        self._tallies.pop(cluster, None)

    def _count(self, cluster: str, count: int, *, errors: int, slow: int) -> None:
        tally = self._tallies.setdefault(cluster, [0, 0, 0])
        for index, more in enumerate((count, errors, slow)):
            tally[index] += more

    def _add(self, cluster: str, count: int, *, errors: int, slow: int) -> None:
        base = (("envoy_cluster_name", cluster), ("namespace", "envoy-gateway-system"), ("pod", "envoy-0"))

        def add(metric: str, value: float, **labels: str) -> None:
            key = tuple(sorted((("__name__", metric), *base, *labels.items())))
            self.counters[key] = self.counters.get(key, 0) + value

        for name in ("envoy_cluster_upstream_rq_completed", "envoy_cluster_upstream_rq_total"):
            add(name, count)
        add("envoy_cluster_upstream_rq_xx", count - errors, envoy_response_code_class="2")
        if errors:
            add("envoy_cluster_upstream_rq_xx", errors, envoy_response_code_class="5")
        for edge in EDGES_MS:
            quick = count - slow if edge >= 25 else 0
            late = slow if edge >= 500 else 0
            add("envoy_cluster_upstream_rq_time_bucket", quick + late, le=f"{edge:g}")
        add("envoy_cluster_upstream_rq_time_bucket", count, le="+Inf")
        add("envoy_cluster_upstream_rq_time_count", count)

    # -- the operator ---------------------------------------------------------------------------------------------

    def observe(self) -> Observed:
        metadata = self.resource["metadata"]
        spec, invalid = parse_spec(self.resource["spec"])
        status, house = self.status, House()
        if spec is not None:
            spec, house = meet(spec, f"{NAMESPACE}/{NAME}", self.policies, status.house)
        written = self._page().latest(status.written)
        pods = [pod.manifest(self.now, self.behaviour(pod.image)) for pod in self.pods]
        workloads, records, services = {}, {}, {}
        for ref, obj in self.objects.items():
            match ref.kind:
                case "Deployment":
                    if self.quota or (self.room and self._short(obj)):
                        message = self.quota or f"exceeded quota: pods: {self.room}"
                        failure = {"type": "ReplicaFailure", "status": "True", "message": message}
                        found = parse_workload(NAME, {**obj, "status": {"conditions": [failure]}}, pods)
                    else:
                        found = parse_workload(NAME, obj, pods)
                    if found is not None:
                        workloads[found.revision] = found
                case "ControllerRevision":
                    record = parse_record(obj)
                    if record is not None:
                        records[record.revision] = record
                case "Service":
                    services[ref.name] = obj["spec"]["selector"]
        edited = tuple(
            ref
            for ref, obj in self.objects.items()
            if str(ref) in written and written[str(ref)].live != self.fingerprint(obj)
        )
        route, rule, problem = None, None, ""
        if (through := in_force(spec, status)) is not None:
            team = self.objects.get(Ref("HTTPRoute", through.name))
            route, rule, problem = (
                parse_team_route(NAME, team, through.rule) if team is not None else (None, None, "no such route")
            )
            entry = written.get(str(ref_of(NAME)))
            if entry is not None and team is not None and rule is not None:
                there = stands(NAME, team["spec"]["rules"][rule.index])
                edited += () if entry.live == there else (ref_of(NAME),)
        elif spec is not None:
            route = ROUTERS[spec.traffic.router].read(Sight(NAME, self.objects, status.traffic.slots, self.slices))
        return Observed(
            name=NAME,
            namespace=NAMESPACE,
            uid=metadata["uid"],
            generation=metadata["generation"],
            created=START,
            deleting="deletionTimestamp" in metadata,
            spec=spec,
            raw_spec=self.resource["spec"],
            status=status,
            commands=metadata["annotations"].get(COMMANDS, ""),
            spec_by=metadata["annotations"].get(SPEC_BY, ""),
            invalid=invalid,
            records=records,
            workloads=workloads,
            strays=strays(NAME, pods, workloads),
            services=services,
            populated=populated(pods),
            budgets=frozenset(ref.name for ref in self.objects if ref.kind == "PodDisruptionBudget"),
            route=route,
            rule=rule,
            route_problem=problem,
            held=FINALIZER in metadata.get("finalizers", ()),
            edited=edited,
            foreign=self.foreign,
            gateway_problem=self.gateway_problem,
            turn=self.turn,
            freeze=self.freeze,
            house=house,
            gateway_classes=self.gateway_classes,
            live_looked=self.live_looked,
        )

    def answers(self, questions: Questions) -> Answers:
        if questions.metrics and self.prometheus.weather is Weather.SLOW:
            self._others(SLOWNESS)
        metrics, scrape = self.prometheus.answer(questions.metrics, self.skew)
        dry_run = DryRunAnswer(refused=self.template_refused) if questions.dry_run else None
        preflight = None
        if questions.preflight is not None:
            image = next(p.image for p in self.pods if p.revision == questions.preflight.revision)
            difference = self.behaviour(image).preflight
            pods = len(questions.preflight.pods)
            preflight = PreflightAnswer(
                passed=not difference,
                message=difference or f"40 recorded requests answered as expected by {pods} pods",
            )
        snapshots = {name: self._config_map(name) for name in questions.snapshots}
        return Answers(
            metrics=metrics, dry_run=dry_run, preflight=preflight, scrape_interval=scrape, snapshots=snapshots
        )

    def _config_map(self, name: str) -> SnapshotAnswer:
        found = self.config_maps.get(name)
        return SnapshotAnswer(missing=True) if found is None else SnapshotAnswer(found["data"])

    @property
    def clock(self) -> datetime:
        """The operator's clock."""
        return self.now + self.skew

    def kill_operator(self) -> None:
        """The operator's process ends, and another one starts at once: only status is left."""
        self.ledger, self.live_looked = Ledger(), self.clock
        self.wake_at = self.now
        self._seen = None

    def delete_resource(self) -> None:
        """`kubectl delete`, and the same manifest applied again: everything of ours goes with the old one.

        Where a rule of a team's is held, it goes back first.
        """
        if FINALIZER in self.resource["metadata"].get("finalizers", ()):
            self._again = True
            self.delete()
            return
        self._serial += 1
        self.objects = {ref: obj for ref, obj in self.objects.items() if ref == self.route and self.team}
        if not self.team:
            self.open, self.proxies, self._route_changes = False, [None, None, None], []
        self.endpoints = Endpoints(self)
        self.resource = copy.deepcopy(self.resource)
        self.resource["metadata"] |= {"uid": f"uid-{self._serial}", "generation": 1, "annotations": {}}
        self.resource["status"] = {}
        self._seen = None
        self.tell("kubectl: deleted, and applied again")

    def reconcile(self) -> bool:
        """One pass; True when it changed the picture."""
        try:
            with self.renders():
                return self._pass()
        except PassEnds as end:
            if end.died:
                self.kill_operator()
            self.wake_at = self.now + timedelta(seconds=end.after)
            return False

    def nested(self, act: Callable[[], object]) -> None:
        """Something happens to which nothing happens."""
        at, self.at = self.at, lambda _world, _moment, _plan: None
        try:
            act()
        finally:
            self.at = at

    def _pass(self) -> bool:
        observed, now, seen = self.observe(), self.clock, self.resource
        before, generation = seen["status"], seen["metadata"]["generation"]
        versions = {ref: obj["metadata"]["resourceVersion"] for ref, obj in self.objects.items()}
        questions = ask(observed, now, self.installation)
        answers = self.answers(questions)
        decided = plan(observed, answers, now, self.installation)
        self._passes += 1
        if self._passes % self.plan_twice == 0:
            again = plan(observed, answers, now, self.installation)
            assert decided == again, "the same inputs gave another plan"
        for watcher in self.watchers:
            watcher(self, decided)
        self.at(self, Moment.DECIDED, decided)
        outcome = self._apply(decided, versions, seen["metadata"]["uid"])
        self.at(self, Moment.APPLIED, decided)
        status = after_apply(decided, outcome, now)
        wire = status.wire()
        if wire != before:
            if self.resource is not seen or seen["status"] is not before:
                raise PassEnds
            if seen["metadata"]["generation"] != generation:
                raise PassEnds
            self.resource["status"] = wire
            self.status_writes += 1
            self.ledger.stored((NAMESPACE, NAME))
            self.at(self, Moment.STORED, decided)
            for event in decided.events:
                self.events.append(event)
                self.tell(f"{event.reason}: {event.message}")
        held = self._hold(wanted=decided.hold)
        self.ledger.stored((NAMESPACE, NAME))
        if decided.distances is not None:
            self.live_looked = now
        self.wake_at = None if decided.wake_in is None else self.now + decided.wake_in
        if outcome.failures:
            self.wake_at = min(self.now + timedelta(seconds=1), self.wake_at or self.now + timedelta(seconds=1))
        return outcome.changed or held

    def _page(self) -> Page:
        return self.ledger.page((NAMESPACE, NAME), self.resource["metadata"]["uid"])

    def _apply(self, decided: Plan, versions: Mapping[Ref, str], uid: str) -> ApplyOutcome:
        """Write what the plan says, as `cluster/apply.py` does: over what was seen, and over nothing newer."""
        page = self.ledger.page((NAMESPACE, NAME), uid)
        written = page.latest(self.status.written)
        failures: list[ApplyFailure] = []
        changed = False

        def put(ref: Ref, manifest: Mapping[str, Any], intent: str) -> None:
            if self.objects.get(ref, {}).get("metadata", {}).get("resourceVersion") != versions.get(ref):
                raise PassEnds  # 409: somebody wrote since we looked
            if self.resource["metadata"]["uid"] != uid:
                raise PassEnds  # the garbage collector takes what belongs to nobody
            lost = None
            try:
                self.at(self, Moment.WRITE, decided)
            except (PassEnds, WriteFails) as failure:
                if not failure.stored:
                    raise
                lost = failure
            self.store(ref, manifest)
            if lost is not None:
                raise lost
            written[str(ref)] = page.written[str(ref)] = Written(
                ref=str(ref), intent=intent, live=self.fingerprint(self.objects[ref])
            )

        for manifest in decided.apply:
            ref = Ref(manifest["kind"], manifest["metadata"]["name"])
            wanted = owned(manifest, owner_reference(NAME, uid))
            live, entry, intent = self.objects.get(ref), written.get(str(ref)), fingerprint(wanted)
            try:
                if live is None or entry is None or entry.intent != intent or entry.live != self.fingerprint(live):
                    put(ref, wanted, intent)
                    changed = True
                elif ref.kind == "Deployment" and live["spec"]["replicas"] != wanted["spec"]["replicas"]:
                    put(ref, {**live, "spec": {**live["spec"], "replicas": wanted["spec"]["replicas"]}}, intent)
                    changed = True
            except WriteFails as failure:
                failures.append(ApplyFailure(ref, "error", str(failure)))
        if decided.splice is not None and (team := self.objects.get(Ref("HTTPRoute", decided.splice.route))):
            rule = ref_of(NAME)
            try:
                changed |= self._splice(decided, rule, team, versions, written)
            except WriteFails as failure:
                failures.append(ApplyFailure(rule, "error", str(failure)))
        for ref in decided.prune if not failures else ():
            try:
                self.at(self, Moment.WRITE, decided)
            except WriteFails as failure:
                if failure.stored:
                    self.objects.pop(ref, None)
                failures.append(ApplyFailure(ref, "error", str(failure)))
                break
            changed |= self.objects.pop(ref, None) is not None
            written.pop(str(ref), None)
            page.forget(str(ref))
            self.writes += 1
        exist = {str(ref) for ref in self.objects}
        if decided.status.traffic.borrowed is not None:
            exist.add(str(ref_of(NAME)))
        left = tuple(sorted((e for e in written.values() if e.ref in exist), key=lambda e: e.ref))
        page.written, page.complete = {entry.ref: entry for entry in left}, True
        return ApplyOutcome(written=left, failures=tuple(failures), changed=changed)

    def _splice(
        self,
        decided: Plan,
        ref: Ref,
        team: Manifest,
        versions: Mapping[Ref, str],
        written: dict[str, Written],
    ) -> bool:
        """One rule of the team's route; over the version that was seen."""
        splice, route = decided.splice, Ref("HTTPRoute", team["metadata"]["name"])
        assert splice is not None
        new = spliced(NAME, team, splice)
        if new == team:
            live = stands(NAME, rule_of(team["spec"]))
            written[str(ref)] = self._page().written[str(ref)] = Written(ref=str(ref), intent=splice.intent, live=live)
            return False
        if team["metadata"]["resourceVersion"] != versions.get(route):
            raise PassEnds  # the test of the patch fails
        lost = None
        try:
            self.at(self, Moment.WRITE, decided)
        except (PassEnds, WriteFails) as failure:
            if not failure.stored:
                raise
            lost = failure
        new["metadata"]["managedFields"] = writer(MANAGER, self.now)
        self.store(route, new)
        live = stands(NAME, rule_of(self.objects[route]["spec"]))
        if lost is not None:
            raise lost
        written[str(ref)] = self._page().written[str(ref)] = Written(ref=str(ref), intent=splice.intent, live=live)
        return True

    def _hold(self, *, wanted: bool | None) -> bool:
        """The finalizer; without it a resource that is being deleted goes, and what is its own with it."""
        metadata = self.resource["metadata"]
        there = FINALIZER in metadata.get("finalizers", ())
        if wanted is None or wanted == there:
            return False
        metadata["finalizers"] = [FINALIZER] if wanted else []
        if not wanted and "deletionTimestamp" in metadata:
            if self._again:
                self._again = False
                del metadata["deletionTimestamp"]
                self.delete_resource()
                return True
            self.gone = True
            self.objects = {ref: obj for ref, obj in self.objects.items() if ref == self.route and self.team}
        return True

    def delete(self) -> None:
        """`kubectl delete`, for good."""
        self.resource["metadata"]["deletionTimestamp"] = self.now.isoformat()
        self.tell("kubectl: deleted")

    def write_route(self, manager: str, change: Callable[[Manifest], None], said: str) -> None:
        """The team's route is written by its owner."""
        live = copy.deepcopy(self.objects[self.route])
        change(live["spec"])
        live["metadata"]["managedFields"] = writer(manager, self.now)
        self.store(self.route, live)
        self.tell(f"{manager}: {said}")

    def reset(self, manager: str, *services: str) -> None:
        """The rule is written as it is in Git."""

        def change(spec: Manifest) -> None:
            refs = [{"kind": "Service", "name": name, "port": 80, "weight": 1} for name in services or (LEGACY,)]
            rule_of(spec)["backendRefs"] = refs

        self.write_route(manager, change, f"applies the route again, its rule leads to {', '.join(services) or LEGACY}")

    def store(self, ref: Ref, manifest: Mapping[str, Any]) -> None:
        """The API server takes an object."""
        live = self.objects.get(ref)
        new = copy.deepcopy(dict(manifest))
        metadata = new["metadata"]
        self._serial += 1
        metadata["resourceVersion"] = str(self._serial)
        metadata["uid"] = live["metadata"]["uid"] if live else f"uid-{self._serial}"
        generation = live["metadata"]["generation"] if live else 0
        metadata["generation"] = generation + (live is None or live.get("spec") != new.get("spec"))
        if live is not None and "status" in live:
            new["status"] = live["status"]
        self.objects[ref] = new
        self.writes += 1

    def hand_edit(self, ref: Ref, change: Callable[[Manifest], None]) -> None:
        """Somebody edits one of our objects."""
        live = copy.deepcopy(self.objects[ref])
        change(live)
        if ref == self.route and self.team:
            live["metadata"]["managedFields"] = writer("kubectl-edit", self.now)
        self.store(ref, live)
        self.tell(f"somebody edits {ref}")

    def hand_delete(self, ref: Ref) -> None:
        """Somebody deletes one of our objects."""
        self.objects.pop(ref, None)
        self._seen = None  # a watch tells of it, even where all looks as it did before the object was made
        self.tell(f"somebody deletes {ref}")


def settled(world: World) -> bool:
    """Nothing is under way: no trial, no weight beside stable's."""
    status = world.status
    return status.rollout is None and status.stable is not None and world.weight(status.stable) == PARTS


__all__ = ["Behaviour", "Weather", "World", "base_spec", "settled"]
