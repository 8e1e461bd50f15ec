"""The HTTPRoute: rule 0 is live traffic for ever, with two backends from the first write on.

Envoy names its clusters by the position of a backend in its rule, so a backend never changes its place, and at
rest both have a weight, so that Envoy always has both clusters.
A filter on each backend gives each its own cluster, without which the two could not be told apart, and
tells the caller which revision answered. Copies are a filter of rule 0; the preview is a rule after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from seatrial.api.spec import ParentRef, RouteRef
from seatrial.build.names import RESPONSE_HEADER, child_name, comparer_name, labels
from seatrial.build.rule import Splice

COMPARED = 5
"""Percent of live requests that a comparer may choose from."""
PREVIEWED = "candidate"
"""Value of the preview header that reaches the candidate."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One backend of rule 0."""

    revision: str
    weight: int
    """Parts of a million."""


@dataclass(frozen=True, slots=True)
class Copies:
    """Requests of rule 0 that are sent to one more revision, whose answers go nowhere."""

    revision: str
    percent: int
    compared: bool = False
    """A few more copies go to the comparer."""

    def targets(self, model: str) -> list[tuple[str, int]]:
        """Service and percent of each mirror, in order: the gateway names what it counts by the position."""
        compared = [(comparer_name(model, self.revision), min(self.percent, COMPARED))] if self.compared else []
        return [(child_name(model, self.revision), self.percent), *compared]


@dataclass(frozen=True, slots=True)
class Preview:
    """A header with which a request reaches one revision on purpose."""

    header: str
    revision: str


def http_route(
    model: str,
    namespace: str,
    *,
    hostnames: Sequence[str],
    parents: Sequence[ParentRef],
    slots: tuple[Slot, Slot],
    copies: Copies | None = None,
    preview: Preview | None = None,
) -> dict[str, Any]:
    """The route. Every default of the Gateway API is written out; what is not asked for is not in it."""
    path = {"path": {"type": "PathPrefix", "value": "/"}}
    live: dict[str, Any] = {"matches": [path], "backendRefs": [_backend(model, slot) for slot in slots]}
    if copies is not None:
        live["filters"] = [_mirror(name, percent) for name, percent in copies.targets(model)]
    rules = [live]
    if preview is not None:
        header = {"type": "Exact", "name": preview.header, "value": PREVIEWED}
        rules.append(
            {
                "matches": [{**path, "headers": [header]}],
                "backendRefs": [_backend(model, Slot(preview.revision, 1))],
            }
        )
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": model, "namespace": namespace, "labels": labels(model)},
        "spec": {
            "hostnames": list(hostnames),
            "parentRefs": [_parent(ref, namespace) for ref in parents],
            "rules": rules,
        },
    }


def splice(model: str, ref: RouteRef, *, slots: tuple[Slot, Slot], copies: Copies | None = None) -> Splice:
    """The same for one rule of a route that is not ours."""
    mirrors = [] if copies is None else copies.targets(model)
    return Splice(
        ref.name,
        ref.rule,
        backends=tuple(_backend(model, slot) for slot in slots),
        copies=tuple(_mirror(name, percent) for name, percent in mirrors),
    )


def _mirror(service: str, percent: int) -> dict[str, Any]:
    mirror: dict[str, Any] = {"backendRef": {"group": "", "kind": "Service", "name": service, "port": 80}}
    if percent < 100:  # left out, it is understood by implementations that know no percentage, too
        mirror["percent"] = percent
    return {"type": "RequestMirror", "requestMirror": mirror}


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
