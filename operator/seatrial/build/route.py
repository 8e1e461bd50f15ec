"""The HTTPRoute: rule 0 is live traffic for ever, with two backends from the first write on.

Envoy names its clusters by the position of a backend in its rule, so a backend never changes its place, and at
rest both have a weight, so that Envoy always has both clusters.
A filter on each backend gives each its own cluster, without which the two could not be told apart, and
tells the caller which revision answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from seatrial.api.spec import ParentRef
from seatrial.build.names import RESPONSE_HEADER, child_name, labels


@dataclass(frozen=True, slots=True)
class Slot:
    """One backend of the route."""

    revision: str
    weight: int
    """Parts of a million."""


def http_route(
    model: str,
    namespace: str,
    *,
    hostnames: Sequence[str],
    parents: Sequence[ParentRef],
    slots: tuple[Slot, Slot],
) -> dict[str, Any]:
    """The route for two slots. Every default of the Gateway API is written out."""
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": model, "namespace": namespace, "labels": labels(model)},
        "spec": {
            "hostnames": list(hostnames),
            "parentRefs": [_parent(ref, namespace) for ref in parents],
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                    "backendRefs": [_backend(model, slot) for slot in slots],
                }
            ],
        },
    }


def _parent(ref: ParentRef, namespace: str) -> dict[str, Any]:
    out: dict[str, Any] = {
        "group": "gateway.networking.k8s.io",
        "kind": "Gateway",
        "name": ref.name,
        "namespace": ref.namespace or namespace,
    }
    if ref.section_name is not None:
        out["sectionName"] = ref.section_name
    return out


def _backend(model: str, slot: Slot) -> dict[str, Any]:
    return {
        "group": "",
        "kind": "Service",
        "name": child_name(model, slot.revision),
        "port": 80,
        "weight": slot.weight,
        "filters": [
            {
                "type": "ResponseHeaderModifier",
                "responseHeaderModifier": {"set": [{"name": RESPONSE_HEADER, "value": slot.revision}]},
            }
        ],
    }
