"""Fingerprints of objects: what of them is ours, as sixteen hex digits.

A fingerprint covers our labels and annotations, the owner and the content. It leaves out what others may
write without asking (their labels, annotations and finalizers, status, everything the API server numbers)
and a Deployment's `replicas`, which is compared by itself because it changes in every trial.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.api.base import GROUP
from seatrial.build.names import MANAGED_BY
from seatrial.build.revision import digest

CONTENT = ("spec", "data", "revision")
"""Where kinds keep what they are: `data` and `revision` are a ControllerRevision's."""


def fingerprint(manifest: Mapping[str, Any]) -> str:
    """The fingerprint of an object, whether we rendered it or the API server returned it."""
    metadata = manifest.get("metadata") or {}
    content = {key: manifest[key] for key in CONTENT if key in manifest}
    if manifest.get("kind") == "Deployment" and "spec" in content:
        content["spec"] = {key: value for key, value in content["spec"].items() if key != "replicas"}
    return digest(
        {
            "labels": ours(metadata.get("labels")),
            "annotations": ours(metadata.get("annotations")),
            "owners": metadata.get("ownerReferences") or [],
            **content,
        },
        16,
    )


def ours(values: Mapping[str, str] | None) -> dict[str, str]:
    """The labels or annotations that are the operator's to say."""
    return {key: value for key, value in (values or {}).items() if is_ours(key)}


def is_ours(key: str) -> bool:
    """Whether a label or annotation key is the operator's to say."""
    return key == MANAGED_BY or key.partition("/")[0] == GROUP
