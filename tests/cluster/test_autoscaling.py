"""Real autoscalers on real load in mid-trial: both sides grow and shrink, shares stay, nobody fights.

A model's size is the autoscaler's to say, through the scale subresource; what serves is the operator's. Neither ever
writes what is the other's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest

from dev import extras
from tests.cluster.api import Object
from tests.cluster.installed import Operator
from tests.cluster.model import PARTS, Model, lost_nothing

AT_ONCE = {"stabilizationWindowSeconds": 0}
TARGET = {"apiVersion": "seatrial.dev/v1alpha1", "kind": "ModelDeployment", "name": "m"}


@dataclass
class Sizes:
    """What was seen of sizes and weights while an autoscaler worked."""

    asked: list[int] = field(default_factory=list)
    """Every `spec.replicas`, when it changed."""
    weights: list[dict[str, int]] = field(default_factory=list)
    """Every split of the traffic, when it changed."""
    deployed: list[int] = field(default_factory=list)
    """Every size of stable's Deployment, when it changed."""


@contextmanager
def watched(model: Model, stable: str) -> Iterator[Sizes]:
    seen, over = Sizes(), threading.Event()

    def look() -> None:
        pairs: tuple[tuple[list[Any], Any], ...] = (
            (seen.asked, model.resource()["spec"]["replicas"]),
            (seen.weights, model.weights()),
            (seen.deployed, model.deployment(stable)["spec"]["replicas"]),
        )
        for kept, now in pairs:
            if not kept or kept[-1] != now:
                kept.append(now)

    def watch() -> None:
        while not over.wait(0.2):
            look()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()
    look()  # how it came to rest, which the last look may have been too early for


def resized(model: Model, revisions: tuple[str, str], size: int, seconds: float = 60) -> None:
    """Wait until an autoscaler has asked for so many, and both sides have what their half needs."""
    model.until(f"size {size}", lambda _: model.resource()["spec"]["replicas"] == size, seconds)
    stable, candidate = revisions
    model.until(f"{size} of stable", lambda _: model.deployment(stable)["spec"]["replicas"] == size)
    model.until(
        "pods on both sides",
        lambda s: all(
            entry["ready"] >= (size if entry["name"] == stable else -(-size // 2))
            for entry in s["revisions"]
            if entry["name"] in {stable, candidate}
        ),
    )


def writers(model: Model, part: str) -> set[str]:
    """Who wrote a part of the resource, as the API server remembers it."""
    entries = model.resource()["metadata"]["managedFields"]
    return {entry["manager"] for entry in entries if f"f:{part}" in entry["fieldsV1"]}


def unsized(spec: Object) -> Object:
    """A spec as it is applied beside an autoscaler: without replicas, so that the autoscaler's number stays."""
    return {key: value for key, value in spec.items() if key != "replicas"}


def no_fight(seen: Sizes, revisions: tuple[str, str]) -> None:
    """Shares stood still, and the Deployment followed the autoscaler: up, then down, and no more."""
    stable, candidate = revisions
    assert seen.weights == [{stable: PARTS // 2, candidate: PARTS // 2}]
    assert turns(seen.asked) == turns(seen.deployed) == 1, seen
    assert set(seen.deployed) <= set(seen.asked), seen


def turns(sizes: Sequence[int]) -> int:
    """How often a series changes its direction."""
    steps = [after - before for before, after in pairwise(sizes)]
    return sum(1 for before, after in pairwise(steps) if before * after < 0)


@pytest.mark.together
@pytest.mark.heavy
@pytest.mark.addon("metrics-server")
def test_an_autoscaler_on_real_processor_time(model: Model, operator: Operator) -> None:
    """Load comes and goes in the middle of a step: 2 pods, 4 pods, 2 pods, with half of the traffic on each side."""
    model.apply(unsized(model.spec(CPU="0.005", steps=[(50, "10m")], GENERATION=1)))
    extras.ensure(operator.cluster.name, "metrics-server")
    first = model.stable()
    usage = {"type": "AverageValue", "averageValue": "60m"}
    autoscaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "m", "namespace": model.namespace},
        "spec": {
            "scaleTargetRef": TARGET,
            "minReplicas": 2,
            "maxReplicas": 4,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": usage}}],
            "behavior": {"scaleUp": AT_ONCE, "scaleDown": AT_ONCE},
        },
    }
    model.api.create(autoscaler)
    # Some seven milliseconds of a processor for each request and all around it: 40m at five a second, 400m at sixty.
    with model.traffic(rate=5) as little:
        model.until("the least", lambda _: model.resource()["spec"]["replicas"] == 2)
        model.apply(unsized(model.spec(CPU="0.005", steps=[(50, "10m")], GENERATION=2)))
        both = (first, model.on_step(50))
        with watched(model, first) as seen:
            with model.traffic(rate=60) as much:
                resized(model, both, 4, 90)
                time.sleep(15)  # three of the autoscaler's rounds in which it could change its mind
            resized(model, both, 2, 90)
    no_fight(seen, both)
    lost_nothing(little.report)
    lost_nothing(much.report)
    assert (writers(model, "status"), "seatrial" in writers(model, "spec")) == ({"seatrial"}, False)
    model.notes.append(f"sizes asked for: {seen.asked}")


def keda_object(model: Model, prometheus: str) -> Object:
    """Eleven requests a second for each pod, none at all without requests."""
    query = f'sum(rate(rest_server_requests_total{{namespace="{model.namespace}",path=~".*infer"}}[20s])) or vector(0)'
    behavior = {"scaleUp": AT_ONCE, "scaleDown": AT_ONCE}
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": "m", "namespace": model.namespace},
        "spec": {
            "scaleTargetRef": TARGET,
            "pollingInterval": 5,
            "cooldownPeriod": 10,
            "minReplicaCount": 0,
            "maxReplicaCount": 6,
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": behavior}},
            "triggers": [
                {
                    "type": "prometheus",
                    "metadata": {"serverAddress": prometheus, "query": query, "threshold": "11"},
                }
            ],
        },
    }


@pytest.mark.together
@pytest.mark.addon("keda")
def test_keda_on_requests_counted_by_prometheus(model: Model, operator: Operator) -> None:
    """Up and down in mid-trial as before; then nobody asks any more, and it parks the model."""
    model.apply(unsized(model.spec(steps=[(50, "10m")], GENERATION=1)))
    extras.ensure(operator.cluster.name, "keda")
    first = model.stable()
    with model.traffic(rate=20) as little:
        time.sleep(20)  # until the rate is known: before, nobody seems to ask
        model.api.create(keda_object(model, "http://prometheus.monitoring:9090"))
        model.until("two pods", lambda _: model.resource()["spec"]["replicas"] == 2)
        model.apply(unsized(model.spec(steps=[(50, "10m")], GENERATION=2)))
        both = (first, model.on_step(50))
        with watched(model, first) as seen:
            with model.traffic(rate=20) as more:
                resized(model, both, 4)
            resized(model, both, 2)
    no_fight(seen, both)
    lost_nothing(little.report)
    lost_nothing(more.report)
    model.until("parked", lambda s: s["phase"] == "Parked", 60)
    model.until("no pods", lambda _: not model.pods(first) and not model.pods(both[1]))
    assert (writers(model, "status"), "seatrial" in writers(model, "spec")) == ({"seatrial"}, False)
    assert model.status["stable"] == first
    model.notes.append(f"sizes asked for: {seen.asked}, then 0")
