"""PodDisruptionBudgets: one for each revision that gets live traffic, so that a node drains without a gap."""

from __future__ import annotations

from typing import Any

from seatrial.build.names import child_name, labels, selector


def disruption_budget(model: str, namespace: str, revision: str) -> dict[str, Any]:
    """The budget of one revision's pods: one of them may be away at a time.

    Pods that run and are not ready may always go: they answer nobody, and a candidate that crashes again and again
    must not keep a node from being drained.
    """
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {
            "name": child_name(model, revision),
            "namespace": namespace,
            "labels": labels(model, revision),
        },
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": selector(model, revision)},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }
