"""The record of a revision: a ControllerRevision that holds the Deployment as it was first rendered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.build.names import child_name, labels
from seatrial.build.revision import ALGORITHM, revision_input
from seatrial.build.revision import revision as revision_of


def record(
    model: str, namespace: str, revision: str, spec: Mapping[str, Any], deployment: Mapping[str, Any]
) -> dict[str, Any]:
    """The record. Its `data` is immutable by the API server's own rule.

    A record that was lost may be made again while the spec asks for another revision already: then the
    Deployment is all that is known of this one, and nothing of the other's is written into it.
    """
    ours = revision_of(spec) == revision
    info = (spec.get("model") or {}) if ours else {}
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
            "input": revision_input(spec) if ours else {"template": deployment["spec"]["template"]},
            "modelVersion": info.get("version"),
            "trainingData": info.get("trainingData"),
            "deployment": dict(deployment),
        },
        "revision": 1,
    }
