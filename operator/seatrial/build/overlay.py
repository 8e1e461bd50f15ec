"""How an object we render is laid over the one that is stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.build.fingerprint import CONTENT, is_ours


def owned(manifest: Mapping[str, Any], owner: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest with its controller reference."""
    return {**manifest, "metadata": {**manifest["metadata"], "ownerReferences": [dict(owner)]}}


def replacement(live: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a PUT: our labels, annotations, owner and content; what others put beside them is kept.

    The content is ours alone: a field that somebody added to `spec` goes away, which applying on the
    server's side would leave in place.
    """
    there, ours = live["metadata"], wanted["metadata"]
    metadata = {
        "name": there["name"],
        "namespace": there["namespace"],
        "uid": there["uid"],
        "resourceVersion": there["resourceVersion"],
        "labels": _merged(there.get("labels"), ours.get("labels")),
        "annotations": _merged(there.get("annotations"), ours.get("annotations")),
        "ownerReferences": ours.get("ownerReferences") or [],
    }
    if there.get("finalizers"):
        metadata["finalizers"] = there["finalizers"]
    return {
        "apiVersion": wanted["apiVersion"],
        "kind": wanted["kind"],
        "metadata": metadata,
        **{key: wanted[key] for key in CONTENT if key in wanted},
    }


def _merged(live: Mapping[str, str] | None, wanted: Mapping[str, str] | None) -> dict[str, str]:
    foreign = {key: value for key, value in (live or {}).items() if not is_ours(key)}
    return {**foreign, **(wanted or {})}
