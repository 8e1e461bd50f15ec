"""The Gateway API: an HTTPRoute of ours, whose weights the gateway's proxies carry out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from seatrial.api.spec import ParentRef, RouterKind, Stickiness, StickyHeader
from seatrial.api.status import Status
from seatrial.build.route import Preview, http_route
from seatrial.core import capacity, sticky
from seatrial.core.conditions import condition
from seatrial.core.legs import Leg
from seatrial.core.passing import Pass
from seatrial.core.routers.base import Obstacle, Sight
from seatrial.core.state import Backend, Manifest, Ref, Route
from seatrial.core.traffic import copies_of, parts

UNASKED = Stickiness(header=StickyHeader())
"""How users bear marks once nobody asks for it: rules on their way out are for nobody."""


class GatewayApi:
    """Fine weights, copies, a preview header; the proxies' metrics tell the revisions apart."""

    kind = RouterKind.GATEWAY_API
    unconfirmed = "the gateway does not take the route"
    counts = True
    enters = True
    scales = False
    reads_endpoints = False

    def holder(self, model: str) -> Ref:
        """The route bears the model's name."""
        return Ref("HTTPRoute", model)

    def url(self, p: Pass) -> str:
        """The first host name."""
        return f"http://{(p.spec.traffic.hostnames or [''])[0]}"

    def pods(self, leg: Leg, replicas: int) -> int:
        """What the share of the requests needs, rounded up."""
        return leg.pods(replicas, capacity.needed(replicas, leg.weight or leg.mirror))

    def pods_at(self, parts: int, replicas: int) -> int:
        """The same for a weight that is no leg's."""
        return capacity.pods_for(replicas, parts)

    def weight(self, leg: Leg, replicas: int) -> int:  # noqa: ARG002  another router needs it
        """What was asked."""
        return parts(leg.weight)

    def told(self, leg: Leg, replicas: int) -> str:  # noqa: ARG002  as above
        """What was asked."""
        return leg.told()

    def obstacle(self, p: Pass, status: Status) -> Obstacle | None:  # noqa: ARG002  as above
        """No Gateway, or one that is not ready."""
        if not parents(p):
            return Obstacle(
                "NoGateway",
                "no Gateway is named: set spec.traffic.gatewayAPI.parentRefs, or start the operator with "
                "--gateway NAMESPACE/NAME",
            )
        problem = p.observed.gateway_problem
        return Obstacle("GatewayNotReady", problem) if problem else None

    def objects(self, p: Pass, status: Status) -> list[Manifest]:
        """The route."""
        rules = sticky.rules(status.traffic, direct=p.installation.unsafe_traffic)
        attach = parents(p)
        if not rules or not attach or p.observed.conflict:
            return []
        everybody, *groups = rules
        previewed, asked = status.traffic.preview, p.spec.traffic.preview
        route = http_route(
            p.observed.name,
            p.observed.namespace,
            hostnames=p.spec.traffic.hostnames or (),
            parents=attach,
            slots=everybody.slots,
            groups=groups,
            stickiness=p.spec.traffic.stickiness or UNASKED,
            copies=copies_of(status.traffic),
            preview=Preview(asked.header, previewed) if asked and asked.header and previewed else None,
        )
        return [route]

    def read(self, sight: Sight) -> Route | None:
        """The route, with what its parents say of it."""
        found = sight.objects.get(self.holder(sight.model))
        return None if found is None else parse_route(found)


def parents(p: Pass) -> list[ParentRef]:
    """The Gateways to attach to; empty where neither the resource nor the installation names one."""
    if p.spec.traffic.gateway_api is not None:
        return p.spec.traffic.gateway_api.parent_refs
    if p.installation.gateway is None:
        return []
    namespace, name = p.installation.gateway
    return [ParentRef(name=name, namespace=namespace)]


def parse_route(manifest: Manifest, rule: int = 0) -> Route:
    """An HTTPRoute with what its parents say of it, as far as one of its rules and those after it are concerned."""
    metadata, spec = manifest["metadata"], manifest.get("spec") or {}
    generation = int(metadata.get("generation") or 0)
    rules = spec.get("rules") or []
    backends, *others = [_backends(each) for each in rules[rule:]] or [()]
    parents = spec.get("parentRefs") or []
    said = [
        _parent_says(parent, metadata["namespace"], (manifest.get("status") or {}).get("parents") or [], generation)
        for parent in parents
    ]
    refused = next((message for accepted, _, message in said if not accepted), "")
    unresolved = next((message for _, resolved, message in said if not resolved), "")
    return Route(
        generation=generation,
        backends=backends,
        services=frozenset(_services(rules)),
        accepted=bool(said) and all(accepted for accepted, _, _ in said),
        copies=tuple(copies_in(rules[rule])) if rule < len(rules) else (),
        resolved=all(resolved for _, resolved, _ in said),
        problem=refused or unresolved,
        others=tuple(others),
        parents=tuple(
            ParentRef(name=ref["name"], namespace=ref.get("namespace"), section_name=ref.get("sectionName"))
            for ref in parents
        ),
    )


def _backends(rule: Mapping[str, Any]) -> tuple[Backend, ...]:
    return tuple(Backend(str(ref.get("name")), int(ref.get("weight", 1))) for ref in rule.get("backendRefs") or ())


def copies_in(rule: Mapping[str, Any]) -> Iterable[tuple[str, int]]:
    """Service and percent of each mirror of a rule."""
    for entry in rule.get("filters") or ():
        if mirror := entry.get("requestMirror"):
            yield str((mirror.get("backendRef") or {}).get("name")), int(mirror.get("percent", 100))


def _services(rules: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for rule in rules:
        refs = list(rule.get("backendRefs") or ())
        filters = list(rule.get("filters") or ())
        for ref in refs:
            filters += ref.get("filters") or ()
        refs += [entry["requestMirror"].get("backendRef") or {} for entry in filters if entry.get("requestMirror")]
        for ref in refs:
            if ref.get("kind", "Service") == "Service" and ref.get("name"):
                yield str(ref["name"])


def _parent_says(
    parent: Mapping[str, Any], namespace: str, statuses: Iterable[Mapping[str, Any]], generation: int
) -> tuple[bool, bool, str]:
    """(accepted, resolved, message) of one parent for this generation."""
    wanted = _parent_key(parent, namespace)
    entries = [entry for entry in statuses if _parent_key(entry.get("parentRef") or {}, namespace) == wanted]
    where = f"Gateway {wanted[0]}/{wanted[1]}"
    accepted, resolved, message = False, True, f"{where} has not answered for this generation of the route"
    for entry in entries:
        accept = condition(entry.get("conditions"), "Accepted")
        if int(accept.get("observedGeneration") or 0) != generation:
            continue
        if accept.get("status") != "True":
            said = accept.get("message") or accept.get("reason")
            return False, resolved, f"{where} does not accept the route: {said}"
        accepted, message = True, ""
        refs = condition(entry.get("conditions"), "ResolvedRefs")
        if refs.get("status") == "False":
            resolved = False
            message = f"{where} cannot resolve a reference: {refs.get('message') or refs.get('reason')}"
    return accepted, resolved, message


def _parent_key(ref: Mapping[str, Any], namespace: str) -> tuple[str, str, str]:
    return str(ref.get("namespace") or namespace), str(ref.get("name")), str(ref.get("sectionName") or "")
