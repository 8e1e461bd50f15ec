"""Full clusters, drained nodes and parked models: what others do to the same pods, and what becomes of a trial."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cluster.api import Object
from tests.cluster.evictions import drain, may_go
from tests.cluster.model import PARTS, Model, lost_nothing

GPU = "example.com~1gpu"
"""`example.com/gpu` in a JSON pointer."""


def overlay(status: Object) -> Object:
    found: Object = status.get("rollout", {}).get("overlay") or {}
    return found


def blocked(status: Object) -> bool:
    return overlay(status).get("kind") == "Blocked"


@contextmanager
def gpus(model: Model, count: int) -> Iterator[None]:
    """The node advertises an extended resource, as a device plugin has it do."""
    node = model.api.list("Node", "")[0]["metadata"]["name"]
    places = [f"/status/{part}/{GPU}" for part in ("capacity", "allocatable")]
    add = [{"op": "add", "path": place, "value": str(count)} for place in places]
    model.api.patch("Node", "", node, *add, subresource="status")
    try:
        yield
    finally:
        remove = [{"op": "remove", "path": place} for place in places]
        model.api.patch("Node", "", node, *remove, subresource="status")


@pytest.mark.together
def test_a_gpu_that_no_node_has(model: Model) -> None:
    """Blocked, with the name of what is lacking; the trial goes on once a node advertises it."""
    model.apply(model.spec(GENERATION=1))
    first = model.stable()
    spec = model.spec(GENERATION=2, more={"progressDeadline": "10s"})
    spec["template"]["spec"]["containers"][0]["resources"]["limits"] = {"example.com/gpu": "1"}
    with model.traffic() as traffic:
        model.apply(spec)
        status = model.until("blocked", blocked)
        assert "finds no node with enough example.com/gpu" in status["message"]
        assert f"then revision {status['candidate']} goes back" in status["message"]
        assert overlay(status)["deadline"]
        assert overlay(status)["then"] == "Rollback"
        time.sleep(12)
        assert model.status["phase"] == "Preparing", "the progress deadline does not run while there is no capacity"
        with gpus(model, 2):
            assert model.on_step(20, 60) == status["candidate"]
            assert model.status["stable"] == first
            model.ask("abort")
            model.sent_back()
    lost_nothing(traffic.report)


@pytest.mark.together
def test_no_node_with_room_until_the_deadline(model: Model) -> None:
    """The trial ends without a verdict and under its own name; what serves is untouched."""
    model.apply(model.spec(GENERATION=1))
    first = model.stable()
    spec = model.spec(GENERATION=2, more={"capacityDeadline": "15s"})
    spec["template"]["spec"]["nodeSelector"] = {"example.com/none": "has-it"}
    with model.traffic() as traffic:
        model.apply(spec)
        model.until("blocked", blocked)
        status = model.sent_back()
    lost_nothing(traffic.report)
    assert set(traffic.report.revisions) == {first}
    assert status["rejected"]["reason"] == "NoCapacity"
    assert "finds no node" in status["message"]
    assert "The model was not judged" in status["message"]
    assert "RollingBack" not in {reason for reason, _ in model.events()}, "it had no traffic to lose"


@pytest.mark.together
def test_a_node_is_drained_in_mid_trial(model: Model) -> None:
    """Every pod of both sides is evicted, one at a time on each side, and nobody notices."""
    model.apply(model.spec(replicas=4, GENERATION=1))
    first = model.stable()
    with model.traffic(rate=100) as traffic:
        model.apply(model.spec(replicas=4, steps=[(50, "10m")], GENERATION=2))
        second = model.on_step(50)
        may_go(model, (first, second))
        assert len(model.api.list("PodDisruptionBudget", model.namespace)) == 2
        before = {pod["metadata"]["name"] for revision in (first, second) for pod in model.pods(revision)}
        fewest = {first: 4, second: 2}
        watching = threading.Event()
        watcher = threading.Thread(target=_fewest_ready, args=(model, fewest, watching))
        watcher.start()
        refused = drain(model, before)
        watching.set()
        watcher.join()
        assert model.weights() == {first: PARTS // 2, second: PARTS // 2}
        left = {pod["metadata"]["name"] for revision in (first, second) for pod in model.pods(revision)}
        assert not left & before
    lost_nothing(traffic.report)
    assert refused > 0, "all at once: no budget was in the way"
    assert fewest == {first: 3, second: 1}
    model.notes.append(f"evictions refused by a budget before they were allowed: {refused}")


def _fewest_ready(model: Model, fewest: dict[str, int], over: threading.Event) -> None:
    """Keep the lowest number of ready pods that each revision had."""
    while not over.wait(0.1):
        for entry in model.status["revisions"]:
            fewest[entry["name"]] = min(fewest[entry["name"]], entry["ready"])


@pytest.mark.together
def test_parked_in_mid_trial_and_back(model: Model) -> None:
    """Through the scale subresource, as autoscalers write it: nothing runs at 0, and the trial begins anew after."""
    model.apply(model.spec(GENERATION=1))
    first = model.stable()
    with model.traffic():  # what it loses while nothing runs is the point of parking
        model.apply(model.spec(GENERATION=2, steps=[(20, "10m"), (50, "5s")]))
        second = model.on_step(20)
        resource = ("ModelDeployment", model.namespace, model.name)
        model.api.merge(*resource, {"spec": {"replicas": 0}}, subresource="scale")
        model.until("parked", lambda s: s["phase"] == "Parked")
        model.until("no pods", lambda _: not model.pods(first) and not model.pods(second))
        assert model.status["stable"] == first
        assert model.status.get("replicas", 0) == 0
        model.api.merge(*resource, {"spec": {"replicas": 2}}, subresource="scale")
        assert model.on_step(20) == second
        assert model.status["stable"] == first
