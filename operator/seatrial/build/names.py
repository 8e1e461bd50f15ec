"""Names, labels and annotations of everything the operator writes."""

from __future__ import annotations

import re

from seatrial.api.base import API_VERSION, GROUP, KIND
from seatrial.build.revision import digest

MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "seatrial"
"""Value of the managed-by label, and the field manager of every write."""

MODEL_LABEL = f"{GROUP}/model"
"""On every child: the ModelDeployment's name."""
REVISION_LABEL = f"{GROUP}/revision"
"""On a revision's Deployment, Service, record and pods: the revision."""
COMPARER_LABEL = f"{GROUP}/comparer"
"""On a comparer's Deployment, Service and pods: the candidate's revision. They do not bear the revision's own label,
or its Service would send them requests."""

DRILL_LABEL = f"{GROUP}/drill"
"""On the Deployment and pods of a drill: the stable revision that they copy."""

COMMANDS = f"{GROUP}/commands"
"""Annotation on a ModelDeployment: commands of people, a line each."""
SPEC_BY = f"{GROUP}/spec-by"
"""Annotation on a ModelDeployment, written by the API server: who made the revision, and who changed the spec since."""
FREEZE = f"{GROUP}/freeze"
"""Annotation on a Namespace: why no trial in it may go on to more exposure."""
FREEZE_CLUSTER = f"{GROUP}/freeze-cluster"
"""Annotation on the Namespace that the operator runs in: the same for all namespaces."""
PORT = f"{GROUP}/port"
"""Annotation on a revision's Deployment: the port that answers inference requests."""
FINALIZER = f"{GROUP}/route"
"""On a ModelDeployment that steers a rule of a team's own route: it goes when the rule is back with its owner."""
PREVIEW = "preview"
"""Stands for a revision in the name of the preview Service."""
SERVICE_NAME_MAX = 63
"""Characters."""
RESPONSE_HEADER = "x-model-revision"
"""Response header that names the revision that answered; stable in meaning for ever."""


def child_name(model: str, revision: str) -> str:
    """Name of a revision's record, Deployment and Service."""
    return f"{model}-{revision}"


def comparer_name(model: str, revision: str) -> str:
    """Name of the Deployment and Service that compare a candidate with stable.

    It does not begin with the candidate's `child_name`: queries select a revision's pods by that. The model comes last,
    where it can be cut; a Service's name has 63 characters at most.
    """
    name = f"compare-{revision}-{model}"
    return name if len(name) <= SERVICE_NAME_MAX else f"{name[: SERVICE_NAME_MAX - 7]}-{digest(model, 6)}"


def is_comparer(model: str, name: str) -> bool:
    """Whether a child of a model is one of its comparers: a model may itself be called `compare-…`."""
    found = re.match("compare-([0-9a-f]{10})-", name)
    return found is not None and name == comparer_name(model, found[1])


def is_backend(model: str, name: str) -> bool:
    """Whether a Service is one of those that routes of a model name: a revision's, or a comparer's."""
    return re.fullmatch(f"{re.escape(model)}-[0-9a-f]{{10}}", name) is not None or is_comparer(model, name)


def comparer_selector(model: str, revision: str) -> dict[str, str]:
    """What selects a comparer's pods."""
    return {MODEL_LABEL: model, COMPARER_LABEL: revision}


def labels(model: str, revision: str | None = None) -> dict[str, str]:
    """Labels of a child."""
    out = {MANAGED_BY: MANAGER, MODEL_LABEL: model}
    return out if revision is None else {**out, REVISION_LABEL: revision}


def selector(model: str, revision: str | None) -> dict[str, str]:
    """What selects a revision's pods; with None, those of every revision."""
    return {MODEL_LABEL: model} if revision is None else {MODEL_LABEL: model, REVISION_LABEL: revision}


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
