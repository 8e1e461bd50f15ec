"""The record of a revision: a ControllerRevision that holds the Deployment as it was first rendered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.build.names import child_name, labels
from seatrial.build.revision import ALGORITHM, revision_input


def record(
    model: str, namespace: str, revision: str, spec: Mapping[str, Any], deployment: Mapping[str, Any]
) -> dict[str, Any]:
    """The record. Its `data` is immutable by the API server's own rule."""
    info = spec.get("model") or {}
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": child_name(model, revision),
            "namespace": namespace,
            "labels": labels(model, revision),
        },
        "data": {
            "algorithm": ALGORITHM,
            "input": revision_input(spec),
            "modelVersion": info.get("version"),
            "trainingData": info.get("trainingData"),
            "deployment": dict(deployment),
        },
        "revision": 1,
    }
