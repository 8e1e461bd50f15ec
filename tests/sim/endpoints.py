"""One Service instead of a route: EndpointSlices follow its selector, nodes follow those, clients connect anew."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING

from seatrial.build.names import MODEL_LABEL, REVISION_LABEL
from seatrial.core.routers.replica_ratio import shares
from seatrial.core.state import Ref
from tests.sim.prometheus import Labels

if TYPE_CHECKING:
    from tests.sim.world import SimPod, World

PATH = "/v2/models/{model_name}/infer"
EDGES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds, as MLServer counts."""
INFERENCE = (("method", "POST"), ("path", PATH))


class Endpoints:
    """What stands behind the Service of a model, and what each of three nodes knows of it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.nodes: list[frozenset[str]] = [frozenset()] * len(world.proxy_lag)
        """Names of the pods to which each node sends."""
        self._changes: list[tuple[datetime, frozenset[str]]] = []
        self._open = False
        """Clients begin once the address works."""

    @property
    def selector(self) -> dict[str, str] | None:
        """What the Service selects; None while there is none."""
        service = self.world.objects.get(Ref("Service", self.world.name))
        return None if service is None else dict(service["spec"]["selector"])

    @property
    def quiet(self) -> bool:
        """Every node sends to what the Service selects."""
        return all(node == self._selected() for node in self.nodes)

    def follow(self) -> None:
        """The endpoints controller and the nodes take over what has changed."""
        world = self.world
        if world.gateway_up:
            self._write(self._selected())
        for index, lag in enumerate(world.proxy_lag):
            known = [pods for at, pods in self._changes if (world.now - at).total_seconds() >= lag]
            self.nodes[index] = known[-1] if known else self.nodes[index]
        del self._changes[:-8]

    def _write(self, selected: frozenset[str]) -> None:
        """The controller's part; nodes go on to hear of what it wrote while it is away."""
        self.world.slices = [
            {"endpoints": [{"targetRef": {"name": name}, "conditions": {"ready": True}} for name in sorted(selected)]}
        ]
        if not self._changes or self._changes[-1][1] != selected:
            self._changes.append((self.world.now, selected))

    def weight(self, revision: str) -> int:
        """The parts of new connections that a revision gets by the EndpointSlices."""
        return self.weights().get(revision, 0)

    def weights(self) -> dict[str, int]:
        """The same by revision; for a Service of one revision all of it, even before a pod is ready."""
        selector = self.selector
        if selector is None:
            return {}
        if REVISION_LABEL in selector:
            return shares({selector[REVISION_LABEL]: 1})
        return shares(Counter(pod.revision for pod in self.world.pods if pod.name in self._selected()))

    def serve(self, count: int) -> None:
        """Clients send so many requests, each over a connection of its own, a third of them through each node."""
        self._open = self._open or all(self.nodes)
        if not self._open:
            return
        pods = {pod.name: pod for pod in self.world.pods}
        for index, node in enumerate(self.nodes):
            left = count // len(self.nodes) + (1 if index < count % len(self.nodes) else 0)
            self.world.sent += left
            if not node:
                self.world.lost["no endpoints"] += left
            for position, name in enumerate(sorted(node)):
                share = self.world.binomial(left, 1 / (len(node) - position))
                left -= share
                self._answer(pods.get(name), share)

    def show_proof(self) -> None:
        """What a scrape of each pod shows before any request; a pod that is gone is scraped no more."""
        pods = {pod.name for pod in self.world.pods}
        for labels in [labels for labels in self.world.counters if dict(labels)["pod"] not in pods]:
            del self.world.counters[labels]
        for pod in self.world.pods:
            self.world.counters[self._labels(pod, "up")] = 1

    def _selected(self) -> frozenset[str]:
        selector = self.selector
        if selector is None or selector.get(MODEL_LABEL) != self.world.name:
            return frozenset()
        alone = selector.get(REVISION_LABEL)
        return frozenset(
            pod.name
            for pod in self.world.pods
            if alone in (None, pod.revision)
            and pod.gone_at is None
            and pod.ready(self.world.now, self.world.behaviour(pod.image))
        )

    def _answer(self, pod: SimPod | None, count: int) -> None:
        world = self.world
        if count == 0:
            return
        if pod is None or not pod.answers(world.now, world.behaviour(pod.image)):
            world.lost["pod gone"] += count
            return
        behaviour = world.behaviour(pod.image)
        world.served[pod.revision] += count
        bad = behaviour.errors if world.served[pod.revision] > behaviour.errors_from else 0.0
        errors, slow = world.binomial(count, bad), world.binomial(count, behaviour.slow)
        world.user_errors += errors
        for code, number in (("200", count - errors), ("500", errors)):
            if number:
                self._add(pod, number, "rest_server_requests_total", status_code=code)
        for edge in EDGES:
            quick = count - slow if edge >= 0.025 else 0
            late = slow if edge >= 0.5 else 0
            self._add(pod, quick + late, "rest_server_request_duration_seconds_bucket", le=str(edge))
        self._add(pod, count, "rest_server_request_duration_seconds_bucket", le="+Inf")

    def _add(self, pod: SimPod, value: float, metric: str, **labels: str) -> None:
        key = self._labels(pod, metric, *INFERENCE, *labels.items())
        self.world.counters[key] = self.world.counters.get(key, 0) + value

    def _labels(self, pod: SimPod, metric: str, *labels: tuple[str, str]) -> Labels:
        return tuple(sorted((("__name__", metric), ("namespace", self.world.namespace), ("pod", pod.name), *labels)))
