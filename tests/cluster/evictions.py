"""Nodes that are drained."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from tests.cluster.api import Object
from tests.cluster.model import Model


def may_go(model: Model, revisions: Sequence[str]) -> None:
    """Wait until each revision has a budget that lets one pod go; one that has just been made allows nothing."""
    for revision in revisions:
        model.until("a pod may go", partial(_one_may_go, model, revision))


def _one_may_go(model: Model, revision: str, _: Object) -> bool:
    found = model.api.find("PodDisruptionBudget", model.namespace, f"{model.name}-{revision}") or {}
    return bool(found.get("status", {}).get("disruptionsAllowed") == 1)


def drain(model: Model, pods: set[str]) -> int:
    """Ask for all of them again and again, as `kubectl drain` does; gives how often the answer was no."""
    left, refused, limit = set(pods), 0, time.monotonic() + 120
    while left:
        assert time.monotonic() < limit, f"not evicted: {left}\n{model.story()}"
        for pod in sorted(left):
            if model.api.evict(model.namespace, pod):
                left.discard(pod)
            else:
                refused += 1
        time.sleep(0.5)
    model.until("everybody ready again", lambda s: all(r["ready"] == r["replicas"] for r in s["revisions"]))
    return refused
