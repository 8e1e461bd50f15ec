"""Services: one for each revision, which the route names, and one stable address inside the cluster."""

from __future__ import annotations

from typing import Any

from seatrial.build.names import PREVIEW, child_name, labels, selector


def revision_service(model: str, namespace: str, revision: str, port: int) -> dict[str, Any]:
    """The Service that selects one revision's pods. Its name and selector never change."""
    return _service(child_name(model, revision), namespace, labels(model, revision), selector(model, revision), port)


def model_service(model: str, namespace: str, serving: str | None, port: int) -> dict[str, Any]:
    """The Service that bears the model's name: the pods of one revision, or of every one where `serving` is None."""
    return _service(model, namespace, labels(model), selector(model, serving), port)


def preview_service(model: str, namespace: str, revision: str, port: int) -> dict[str, Any]:
    """The Service of the preview: the candidate while there is one, else stable."""
    return _service(child_name(model, PREVIEW), namespace, labels(model), selector(model, revision), port)


def _service(
    name: str, namespace: str, own_labels: dict[str, str], selects: dict[str, str], port: int
) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "labels": own_labels},
        "spec": {
            "type": "ClusterIP",
            "selector": selects,
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": port}],
        },
    }
