"""Names, labels and annotations of everything the operator writes."""

from __future__ import annotations

from seatrial.api.base import API_VERSION, GROUP, KIND

MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "seatrial"
"""Value of the managed-by label, and the field manager of every write."""

MODEL_LABEL = f"{GROUP}/model"
"""On every child: the ModelDeployment's name."""
REVISION_LABEL = f"{GROUP}/revision"
"""On a revision's Deployment, Service, record and pods: the revision."""

COMMANDS = f"{GROUP}/commands"
"""Annotation on a ModelDeployment: commands of people, a line each."""
PORT = f"{GROUP}/port"
"""Annotation on a revision's Deployment: the port that answers inference requests."""
PREVIEW = "preview"
"""Stands for a revision in the name of the preview Service."""
RESPONSE_HEADER = "x-model-revision"
"""Response header that names the revision that answered; stable in meaning for ever."""


def child_name(model: str, revision: str) -> str:
    """Name of a revision's record, Deployment and Service."""
    return f"{model}-{revision}"


def labels(model: str, revision: str | None = None) -> dict[str, str]:
    """Labels of a child."""
    out = {MANAGED_BY: MANAGER, MODEL_LABEL: model}
    return out if revision is None else {**out, REVISION_LABEL: revision}


def selector(model: str, revision: str) -> dict[str, str]:
    """What selects a revision's pods."""
    return {MODEL_LABEL: model, REVISION_LABEL: revision}


def owner_reference(name: str, uid: str) -> dict[str, object]:
    """The controller reference that every child carries."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
