"""The HTTPRoute: rule 0 is live traffic for ever, with two backends from the first write on.

Envoy names its clusters by the position of a backend in its rule, so a backend never changes its place, and at
rest both have a weight, so that Envoy always has both clusters.
A filter on each backend gives each its own cluster, without which the two could not be told apart, and
tells the caller which revision answered. Copies are a filter of rule 0. After it come the
rules for users who bear a mark, always the same number where there are any, and last the preview.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from seatrial.api.spec import ParentRef, RouteRef, Stickiness
from seatrial.build.names import RESPONSE_HEADER, child_name, comparer_name, labels
from seatrial.build.rule import Splice

COMPARED = 5
"""Percent of live requests that a comparer may choose from."""
PREVIEWED = "candidate"
"""Value of the preview header that reaches the candidate."""
ANY = "*"
"""In a mark: any number."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One backend of rule 0."""

    revision: str
    weight: int
    """Parts of a million."""
    mark: str | None = None
    """The mark that its answers give a user."""


@dataclass(frozen=True, slots=True)
class Group:
    """Users who bear one of these marks, and where they are answered."""

    marks: tuple[str, ...]
    """Empty for everybody. The first group whose mark a request bears takes it."""
    slots: tuple[Slot, Slot]


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
    groups: Sequence[Group] = (),
    stickiness: Stickiness | None = None,
    copies: Copies | None = None,
    preview: Preview | None = None,
) -> dict[str, Any]:
    """The route. Every default of the Gateway API is written out; what is not asked for is not in it.

    `groups` are users who bear a mark, and `stickiness` says how they bear it.
    """
    give = partial(_backend, model, stickiness)
    live: dict[str, Any] = {"matches": [_match()], "backendRefs": [give(slot) for slot in slots]}
    if copies is not None:
        live["filters"] = [_mirror(name, percent) for name, percent in copies.targets(model)]
    rules = [live]
    for group in groups:
        bears = [_match(_bearing(stickiness, mark)) for mark in group.marks]
        rules.append({"matches": bears, "backendRefs": [give(slot) for slot in group.slots]})
    if preview is not None:
        header = {"type": "Exact", "name": preview.header, "value": PREVIEWED}
        matches = [_match(header)]
        if groups:  # the rule that names more headers comes first: who bears a mark reaches the preview all the same
            matches.append(_match(header, _bearing(stickiness, None)))
        rules.append({"matches": matches, "backendRefs": [give(Slot(preview.revision, 1))]})
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
        backends=tuple(_backend(model, None, slot) for slot in slots),
        copies=tuple(_mirror(name, percent) for name, percent in mirrors),
    )


def _match(*headers: dict[str, str]) -> dict[str, Any]:
    path = {"path": {"type": "PathPrefix", "value": "/"}}
    return {**path, "headers": list(headers)} if headers else path


def _bearing(stickiness: Stickiness | None, mark: str | None) -> dict[str, str]:
    """What a request has that bears a mark; with None, any header that could hold one."""
    assert stickiness is not None
    pattern = ".*" if mark is None else mark.replace(ANY, "[0-9]+")
    if stickiness.cookie is not None:
        held = pattern if mark is None else f"^(.*; *)?{stickiness.cookie.name}={pattern}( *;.*)?$"
        return {"type": "RegularExpression", "name": "cookie", "value": held}
    assert stickiness.header is not None
    kind = "Exact" if pattern == mark else "RegularExpression"
    return {"type": kind, "name": stickiness.header.name, "value": pattern}


def _given(stickiness: Stickiness, mark: str) -> dict[str, Any]:
    """What gives a user a mark; the cookies of the model itself stay."""
    if stickiness.cookie is not None:
        age = int(stickiness.cookie.max_age.total_seconds())
        value = f"{stickiness.cookie.name}={mark}; Max-Age={age}; Path=/; HttpOnly; SameSite=Lax"
        return {"add": [{"name": "set-cookie", "value": value}]}
    assert stickiness.header is not None
    return {"set": [{"name": stickiness.header.name, "value": mark}]}


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


def _backend(model: str, stickiness: Stickiness | None, slot: Slot) -> dict[str, Any]:
    headers: dict[str, Any] = {"set": [{"name": RESPONSE_HEADER, "value": slot.revision}]}
    if stickiness is not None and slot.mark is not None:
        given = _given(stickiness, slot.mark)
        headers = {**given, "set": [*headers["set"], *given.get("set", ())]}
    return {
        "group": "",
        "kind": "Service",
        "name": child_name(model, slot.revision),
        "port": 80,
        "weight": slot.weight,
        "filters": [{"type": "ResponseHeaderModifier", "responseHeaderModifier": headers}],
    }
