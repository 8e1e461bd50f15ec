"""A rule of a team's own HTTPRoute: as through a route of ours, but found and written by the name of the rule.

Its backends are written by a patch (`core/borrowed.py` says when), so it brings no object of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from seatrial.api.base import KIND
from seatrial.api.spec import RouterKind
from seatrial.api.status import Status
from seatrial.build.names import MANAGER
from seatrial.build.rule import LARGEST, find, is_taken, names, original, sorted_out
from seatrial.core.passing import Pass
from seatrial.core.routers.base import Obstacle, Sight
from seatrial.core.routers.gateway_api import GatewayApi, copies_in, parse_route
from seatrial.core.state import Manifest, Ref, Route, Rule


class TeamRoute(GatewayApi):
    """What a route of ours can do but for what needs rules of its own: users who stay, a preview header."""

    kind = RouterKind.ROUTE_REF

    def holder(self, model: str) -> Ref:
        """The rule, whatever its route is called."""
        return Ref("HTTPRouteRule", model)

    def url(self, p: Pass) -> str:
        """The route's first host name, and the path of the rule."""
        route = p.observed.route
        return f"http://{route.address}"[:512] if route is not None and route.address else ""

    def obstacle(self, p: Pass, status: Status) -> Obstacle | None:  # noqa: ARG002  another router needs it
        """No such route, or no such rule in it. What its Gateways have to say is in its status."""
        problem = p.observed.route_problem
        return Obstacle("RouteNotFound", problem) if problem else None

    def objects(self, p: Pass, status: Status) -> list[Manifest]:  # noqa: ARG002  as above
        """None: the route is there."""
        return []

    def read(self, sight: Sight) -> Route | None:  # noqa: ARG002  as above
        """Nothing: the route is not among our objects; `parse_team_route` reads it."""
        return None


def parse_team_route(model: str, manifest: Manifest, name: str) -> tuple[Route | None, Rule | None, str]:
    """A route that is not ours, by one of its rules; where there is none, a sentence that says why."""
    metadata, index = manifest["metadata"], find(manifest, name)
    owner: Mapping[str, Any] = next((o for o in metadata.get("ownerReferences") or () if o.get("controller")), {})
    if owner.get("kind") == KIND:
        problem = f"HTTPRoute {metadata['name']} is made for ModelDeployment {owner.get('name')}: name a route of yours"
        return None, None, f"{problem} in spec.traffic.routeRef.name"
    if index is None:
        there = ", ".join(names(manifest)) or "none has a name"
        problem = f"HTTPRoute {metadata['name']} has no rule named {name} (its rules: {there})"
        return None, None, f"{problem}: set name: {name} in the rule that leads to the model"
    rule = manifest["spec"]["rules"][index]
    kept = original(rule)
    if len(kept) > LARGEST:
        problem = f"the backends of rule {name} of HTTPRoute {metadata['name']} take {len(kept):,} characters"
        return None, None, f"{problem}, and {LARGEST:,} can be kept for giving them back: make them fewer"
    theirs, ours = sorted_out(model, rule)
    refs = rule.get("backendRefs") or []
    return (
        replace(
            parse_route(manifest, index),
            copies=tuple(copies_in({"filters": ours})),
            others=(),
            address=_address(manifest["spec"], rule),
        ),
        Rule(
            index=index,
            ahead=len(theirs),
            taken=is_taken(model, rule) or bool(ours),
            original=kept,
            counted=any(ref.get("filters") for ref in refs),
            manager=_last_writer(metadata.get("managedFields") or ()),
        ),
        "",
    )


def _last_writer(managed: Iterable[Mapping[str, Any]]) -> str:
    """Who wrote the rules of a route last: it owns them, and nobody does who wrote them before, for they are one list."""
    writers = [
        (entry.get("manager") == MANAGER, str(entry.get("time") or ""), str(entry.get("manager") or ""))
        for entry in managed
        if "f:rules" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
    ]
    return max(writers, default=(False, "", ""))[2]


def _address(spec: Mapping[str, Any], rule: Mapping[str, Any]) -> str:
    hosts, matches = spec.get("hostnames") or [], rule.get("matches") or [{}]
    path = str((matches[0].get("path") or {}).get("value") or "")
    return f"{hosts[0]}{path.rstrip('/')}" if hosts else ""
