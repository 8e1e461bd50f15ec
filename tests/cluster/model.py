"""One model in the cluster, as a test sees it: what is wanted, what the route says, who answers, which pods run."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection
from typing import Any

from dev.traffic import Crowd, Report, Request, TrafficClient
from seatrial.core.commands import Action, Command, append
from tests.cluster.api import Api, ApiError, Object

ROW = '{"inputs": [{"name": "input-0", "shape": [1, 1], "datatype": "FP64", "data": [0.5]}]}'
LIGHT = "localhost/light-model:1"
PATIENCE = 3
"""How many times the usual time a test waits before it gives up: waiting is not what is tested."""
PARTS = 1_000_000
SCRAPED = {"prometheus.io/scrape": "true", "prometheus.io/port": "8082"}
SLOW = 4.0
"""Seconds that a slow request takes."""
STALL = 5.0
"""Seconds of silence after which a stream is lost; it says something every half a second."""
NONE: Object = {"duration": "0s"}
"""No probation."""
STEPS = ((20, "5s"), (50, "5s"))
ERRORS = {"name": "errors", "preset": "Errors", "margin": {"points": "5"}, "max": "20%"}
"""A margin that a few hundred requests can decide: tests are short."""


def template(image: str = LIGHT, **environment: object) -> Object:
    """A pod template with one model server that Prometheus scrapes."""
    return {
        "metadata": {"annotations": SCRAPED},
        "spec": {
            "containers": [
                {
                    "name": "model",
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "ports": [{"containerPort": 8080}, {"containerPort": 8082}],
                    "env": [{"name": name, "value": str(value)} for name, value in environment.items()],
                    "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
                }
            ],
        },
    }


@dataclass
class Model:
    """A ModelDeployment in a namespace of its own."""

    api: Api
    gateway: tuple[str, int]
    namespace: str
    name: str = "m"
    model: str = "m"
    """Its name inside the server."""
    clients: list[TrafficClient] = field(default_factory=list)
    """Every client that a test used."""
    notes: list[str] = field(default_factory=list)
    """What a test measured, for the summary."""

    @property
    def host(self) -> str:
        return f"{self.namespace}.example.com"

    # ---- What is wanted ------------------------------------------------------------------------------------------

    def spec(
        self,
        image: str = LIGHT,
        *,
        replicas: int = 2,
        steps: Sequence[tuple[int, str]] = STEPS,
        version: str | None = None,
        checks: Sequence[Object] = (ERRORS,),
        drain: str = "3s",
        more: Mapping[str, Any] | None = None,
        **environment: object,
    ) -> Object:
        """A whole spec; the environment makes the revision."""
        return {
            "replicas": replicas,
            "runtime": "MLServer",
            "model": {"name": self.model, **({"version": version} if version else {})},
            "template": template(image, **environment),
            "traffic": {"hostnames": [self.host], "drain": drain},
            "strategy": {
                "stages": [{"canary": {"steps": [{"weight": w, "minDuration": d} for w, d in steps]}}],
                "probation": {"duration": "0s"},
            },
            "analysis": {"interval": "5s", "minSamples": 50, "checks": list(checks)},
            "progressDeadline": "60s",
            **(more or {}),
        }

    def apply(self, spec: Object) -> None:
        """As `kubectl apply` does."""
        metadata = {"name": self.name, "namespace": self.namespace}
        self.api.apply(
            {"apiVersion": "seatrial.dev/v1alpha1", "kind": "ModelDeployment", "metadata": metadata, "spec": spec}
        )

    def ask(self, action: str, reason: str = "") -> None:
        """A command of a person, for the revision on trial or on probation (`retry`: the one that was sent back)."""
        there = self.resource()
        status = there["status"]
        revision = status["rejected"]["revision"] if action == "retry" else status.get("candidate") or status["stable"]
        before = there["metadata"].get("annotations", {}).get("seatrial.dev/commands", "")
        line = append(before, Command(uuid.uuid4().hex[:8], Action(action), revision, self.api.whoami(), reason))
        patch = {"metadata": {"annotations": {"seatrial.dev/commands": line}}}
        self.api.merge("ModelDeployment", self.namespace, self.name, patch)

    def replace_pods(self, revision: str) -> None:
        """Delete every pod of a revision, one after another, as draining a node does; returns when all have gone."""
        for pod in self.pods(revision):
            name = pod["metadata"]["name"]
            self.api.delete("Pod", self.namespace, name)
            self.until(f"pod {name} is gone", partial(self._without_pod, name))
            self.until(
                "as many ready pods as before", lambda s: s["revisions"][0]["ready"] >= s["revisions"][0]["replicas"]
            )

    def _without_pod(self, name: str, _: Object) -> bool:
        return self.api.find("Pod", self.namespace, name) is None

    # ---- What is -------------------------------------------------------------------------------------------------

    def resource(self) -> Object:
        return self.api.get("ModelDeployment", self.namespace, self.name)

    @property
    def status(self) -> Object:
        status: Object = self.resource().get("status", {})
        return status

    def route(self) -> Object:
        return self.api.get("HTTPRoute", self.namespace, self.name)

    def weights(self) -> dict[str, int]:
        """Parts of a million by revision, as the route in the cluster says."""
        found: dict[str, int] = {}
        for backend in self.route()["spec"]["rules"][0]["backendRefs"]:
            revision = backend["name"].removeprefix(f"{self.name}-")
            found[revision] = found.get(revision, 0) + backend.get("weight", 1)
        return found

    def deployment(self, revision: str) -> Object:
        return self.api.get("Deployment", self.namespace, f"{self.name}-{revision}")

    def pods(self, revision: str) -> list[Object]:
        """Pods of a revision that are not on their way out."""
        pods = self.api.list("Pod", self.namespace, f"seatrial.dev/revision={revision}")
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    def pod_lives(self, revision: str) -> dict[str, tuple[str, int]]:
        """When each pod of a revision was started, by uid, and how often its container was restarted."""
        return {
            pod["metadata"]["uid"]: (
                pod["status"]["startTime"],
                sum(c["restartCount"] for c in pod["status"]["containerStatuses"]),
            )
            for pod in self.pods(revision)
        }

    def events(self) -> list[tuple[str, str]]:
        """Reasons and messages of the events on this resource, in order."""
        found = [e for e in self.api.list("Event", self.namespace) if e["involvedObject"].get("name") == self.name]
        found.sort(key=lambda e: e.get("eventTime") or e.get("lastTimestamp") or e["metadata"]["creationTimestamp"])
        return [(e["reason"], e["message"]) for e in found]

    def condition(self, kind: str) -> Object:
        return next(
            (c for c in self.status.get("conditions", []) if c["type"] == kind),
            {"status": "Unknown", "reason": "", "message": ""},
        )

    # ---- Waiting -------------------------------------------------------------------------------------------------

    def until(self, what: str, holds: Callable[[Object], object], seconds: float = 45) -> Object:
        """Wait until the status is so; gives it. On a machine that is busy elsewhere, three times as long as usual."""
        limit = time.monotonic() + PATIENCE * seconds
        while True:
            status = self.status
            if holds(status):
                return status
            if time.monotonic() > limit:
                raise AssertionError(f"not within {PATIENCE * seconds:g} s: {what}\n{self.story()}")
            time.sleep(0.15)

    def stable(self, seconds: float = 45, *, other_than: str | None = None) -> str:
        """Wait until the wanted revision serves alone; gives it."""
        status = self.until(
            f"a stable revision other than {other_than}",
            lambda s: (
                s.get("phase") == "Stable"
                and s.get("stable") != other_than
                and s.get("observedGeneration") == self.resource()["metadata"]["generation"]
            ),
            seconds,
        )
        return str(status["stable"])

    def on_step(self, weight: int, seconds: float = 45) -> str:
        """Wait until the candidate's weight of this many percent is confirmed; gives the candidate."""
        status = self.until(
            f"the candidate at {weight} %",
            lambda s: (
                s.get("phase") == "Canary"
                and s.get("weight") == str(weight)
                and s.get("rollout", {}).get("confirmedAt")
            ),
            seconds,
        )
        return str(status["candidate"])

    def sent_back(self, seconds: float = 45) -> Object:
        """Wait until the wanted revision has been sent back; gives the status."""
        return self.until("the candidate sent back", lambda s: s.get("phase") == "RolledBack", seconds)

    def story(self) -> str:
        """What a person needs who reads that a test failed."""
        lines = []
        try:
            status = self.status
            shown = ("phase", "weight", "step", "stable", "candidate", "message")
            lines += [f"  {key}: {status.get(key)}" for key in shown]
            lines.append(f"  overlay: {status.get('rollout', {}).get('overlay')}")
            lines += [f"  check {c['name']}: {c.get('outcome')} {c.get('message')}" for c in status.get("checks", [])]
            lines += [f"  event {reason}: {message}" for reason, message in self.events()[-15:]]
            lines.append(f"  route: {self.weights()}")
        except ApiError as error:
            lines.append(f"  {error}")
        try:
            for pod in self.api.list("Pod", "seatrial-system"):
                lines.append(f"  log of {pod['metadata']['name']}:")
                lines += [
                    f"    {line[:300]}"
                    for line in self.api.log("seatrial-system", pod["metadata"]["name"], 25).splitlines()
                ]
        except ApiError as error:
            lines.append(f"  {error}")
        return "\n".join(lines)

    # ---- Traffic -------------------------------------------------------------------------------------------------

    def service_traffic(self, rate: float = 60, fresh_every: int = 1) -> TrafficClient:
        """Constant requests to the Service's own address, each over a new connection, as far as is asked."""
        address = self.api.get("Service", self.namespace, self.name)["spec"]["clusterIP"], 80
        client = TrafficClient(address, self.name, self._path(), [Request(ROW, [1])], rate, fresh_every=fresh_every)
        self.clients.append(client)
        return client

    def connection(self) -> HTTPConnection:
        """A connection to the Service's own address that nobody but the test uses."""
        return HTTPConnection(self.api.get("Service", self.namespace, self.name)["spec"]["clusterIP"], 80, timeout=10)

    def answers_on(self, connection: HTTPConnection) -> str | None:
        """The revision that answers on a connection, which stays open."""
        connection.request("POST", self._path(), ROW, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        assert not answer.will_close
        return answer.getheader("x-model-revision")

    def _path(self) -> str:
        return f"/v2/models/{self.model}/infer"

    def traffic(self, requests: Sequence[Request] = (), rate: float = 60, *, under: str = "") -> TrafficClient:
        """Constant requests through the gateway, on a path below `under`; the answers of the light model are 1."""
        return self._client("infer", requests or [one()], rate, under)

    def crowd(self, streams: float, quick: int = 1) -> Crowd:
        """Every kind of request at once; `streams` is how many seconds a stream takes, with an event each half second.

        Some forty are answered at any time, thirty of them streams. There are `quick` times fifty quick ones a second.
        """
        events = round(streams * 2) + 1
        stream = [one(seconds=streams, events=events)]
        return Crowd(
            {
                "kept": self._client("infer", [one()], 40 * quick, fresh_every=0),
                "new": self._client("infer", [one()], 10 * quick, fresh_every=1),
                "slow": self._client("infer", [one(seconds=SLOW)], 2, fresh_every=2, deadline=SLOW + 5),
                "stream": self._client(
                    "infer_stream", stream, 30 / streams, fresh_every=2, deadline=streams + 10, stall=STALL
                ),
            }
        )

    def _client(
        self, verb: str, requests: Sequence[Request], rate: float, under: str = "", **options: Any
    ) -> TrafficClient:
        client = TrafficClient(
            self.gateway, self.host, f"{under}/v2/models/{self.model}/{verb}", requests, rate, **options
        )
        self.clients.append(client)
        return client


def one(*, seconds: float = 0, events: int | None = None) -> Request:
    """A request to the light model, whose answer is 1; over so many seconds, as a stream of so many events."""
    inputs = [{"name": "input-0", "shape": [1, 1], "datatype": "FP64", "data": [0.5]}]
    asked = {"seconds": seconds, **({} if events is None else {"events": events})}
    return Request(json.dumps({"inputs": inputs, **({"parameters": asked} if seconds else {})}), [1], events)


def staged(model: Model, *stages: Object, probation: Object = NONE, **spec: Any) -> Object:
    """A whole spec with these stages."""
    return model.spec(more={"strategy": {"stages": list(stages), "probation": probation}}, **spec)


def lost_nothing(report: Report, *, but: str = "") -> None:
    """Every request was answered as it should be; `but` is a revision whose own wrong answers are what is tested."""
    assert report.sent > 0, "nothing was sent"
    assert report.lost_beside(but) == 0, report.text()
