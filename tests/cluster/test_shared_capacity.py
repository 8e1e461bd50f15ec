"""`capacity: Shared` under a real quota with room for one pod more than the model has: both ways, and nobody notices."""

from __future__ import annotations

import threading
import time
from typing import Self

import pytest

from tests.cluster.api import Object
from tests.cluster.model import PARTS, Model, lost_nothing

REPLICAS = 3


def shared(model: Model, generation: int) -> Object:
    spec = model.spec(replicas=REPLICAS, GENERATION=generation)
    steps = [{"weight": 20, "minDuration": "5s"}, {"weight": 60, "minDuration": "5s"}]
    spec["strategy"]["stages"] = [{"canary": {"steps": steps, "capacity": "Shared"}}]
    return spec


def full(model: Model) -> None:
    """The namespace has room for one pod more."""
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "tight", "namespace": model.namespace}}
    model.api.apply({**quota, "spec": {"hard": {"pods": str(REPLICAS + 1)}}})
    model.until("the quota counts", lambda _: _used(model) == REPLICAS)


def _used(model: Model) -> int:
    quota = model.api.get("ResourceQuota", model.namespace, "tight")
    return int(quota.get("status", {}).get("used", {}).get("pods", -1))


class Watch:
    """The sizes that a trial went through, and what the quota refused."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.most = 0
        self.walk: list[tuple[int, ...]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.2):
            self.most = max(self.most, _used(self.model))
            status = self.model.status
            weights = sorted(status.get("revisions", []), key=lambda entry: str(entry["role"]), reverse=True)
            ready = tuple(entry.get("ready", 0) for entry in weights)
            if not self.walk or self.walk[-1] != ready:
                self.walk.append(ready)

    def refused(self) -> list[str]:
        events = self.model.api.list("Event", self.model.namespace)
        return [event["message"] for event in events if "exceeded quota" in event.get("message", "")]


@pytest.mark.together
def test_promoted_in_a_full_namespace(model: Model) -> None:
    model.apply(shared(model, 1))
    first = model.stable()
    full(model)
    with model.traffic(rate=60) as traffic, Watch(model) as watch:
        began = time.monotonic()
        model.apply(shared(model, 2))
        second = model.stable(120, other_than=first)
        took = time.monotonic() - began
        time.sleep(2)
    lost_nothing(traffic.report)
    assert model.weights()[second] >= PARTS - 1
    assert (watch.most, watch.refused()) == (REPLICAS + 1, [])
    model.notes.append(f"promoted in {took:.0f} s; ready pods of stable and candidate: {watch.walk}")


@pytest.mark.together
def test_sent_back_in_a_full_namespace(model: Model) -> None:
    """It walks back pod by pod: stable's pods first, then their share of the traffic."""
    model.apply(shared(model, 1))
    first = model.stable()
    full(model)
    spec = shared(model, 2)
    spec["strategy"]["stages"][0]["canary"]["steps"][1]["minDuration"] = "10m"
    with model.traffic(rate=60) as traffic, Watch(model) as watch:
        model.apply(spec)
        second = model.on_step(60, 120)
        smaller = model.until("stable smaller", lambda _: len(model.pods(first)) == 2 and len(model.pods(second)) == 2)
        assert "going back starts 1 more" in model.until("what it takes", lambda s: s.get("kept"))["kept"], smaller
        model.ask("abort", "the labels of Tuesday are wrong")
        began = time.monotonic()
        status = model.sent_back(120)
        took = time.monotonic() - began
        time.sleep(2)
        assert set(traffic.answers(1)) == {first}
    lost_nothing(traffic.report)
    assert status["rejected"]["reason"] == "Aborted"
    assert len(model.pods(first)) == REPLICAS
    assert (watch.most, watch.refused()) == (REPLICAS + 1, [])
    model.notes.append(f"sent back in {took:.0f} s; ready pods of stable and candidate: {watch.walk}")
