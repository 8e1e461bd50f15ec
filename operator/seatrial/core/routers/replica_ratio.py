"""Replica ratio: one Service and nothing in front of it, so pods are the weights.

At rest the Service NAME selects one revision; in a canary it selects the pods of every revision, and a new connection
comes to each ready pod with the same chance. What must not serve has no pod while the Service is that open. A flip,
and every way back, is one write of the selector.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from zlib import crc32

from seatrial.api.ratio import pods_of, share_of
from seatrial.api.spec import RouterKind
from seatrial.api.status import PARTS, Slots, Status
from seatrial.build.deployment import serving_port
from seatrial.build.names import MODEL_LABEL, REVISION_LABEL, child_name
from seatrial.build.runtimes import port_of
from seatrial.build.service import model_service
from seatrial.core.legs import Kind, Leg
from seatrial.core.passing import Pass
from seatrial.core.routers.base import Obstacle, Sight
from seatrial.core.state import Backend, Manifest, Ref, Route
from seatrial.core.traffic import SLOTS, percent


class ReplicaRatio:
    """Coarse weights, no copies, no header; nothing in the way of a request counts it."""

    kind = RouterKind.REPLICA_RATIO
    unconfirmed = "the endpoints do not follow the Service"
    counts = False
    enters = False
    scales = True
    reads_endpoints = True

    def holder(self, model: str) -> Ref:
        """The Service that bears the model's name."""
        return Ref("Service", model)

    def url(self, p: Pass) -> str:
        """The Service's name inside the cluster."""
        return f"http://{p.observed.name}.{p.observed.namespace}.svc"

    def pods(self, leg: Leg, replicas: int) -> int:
        """As many as give no more than the weight; at least one, and never more than stable has."""
        return leg.pods(replicas, pods_of(leg.weight, replicas))

    def pods_at(self, parts: int, replicas: int) -> int:
        """The pods that a weight stands for."""
        return max(1, round(replicas * parts / max(1, PARTS - parts)))

    def weight(self, leg: Leg, replicas: int) -> int:
        """The candidate's pods of all pods."""
        return 0 if leg.kind is Kind.BLUE_GREEN else share_of(self.pods(leg, replicas), replicas, PARTS)

    def told(self, leg: Leg, replicas: int) -> str:
        """`20 % (1 of 5 pods, 5 % was asked)`."""
        if leg.kind is Kind.BLUE_GREEN:
            return leg.told()
        pods, really = self.pods(leg, replicas), percent(self.weight(leg, replicas))
        asked = "" if really == str(leg.weight) else f", {leg.weight} % was asked"
        return f"{really} % ({pods} of {pods + replicas} pods{asked})"

    def obstacle(self, p: Pass, status: Status) -> Obstacle | None:
        """A Service sends to one port, so during a canary both revisions must answer on the same one."""
        kept = p.observed.records.get(status.stable or "")
        if kept is None or p.wanted == status.stable or not any(leg.weight for leg in p.legs):
            return None
        before, after = serving_port(kept.deployment), port_of(p.observed.raw_spec)
        if before == after:
            return None
        return Obstacle(
            "PortChanged",
            f"revision {p.wanted} answers on port {after} and stable {status.stable} on {before}, and one Service sends "
            f"all pods to one port: keep port {before}, or change it in a trial with blueGreen",
        )

    def objects(self, p: Pass, status: Status) -> list[Manifest]:
        """The Service NAME: open while two revisions have a weight, else for the one that has."""
        slots, wanted = status.traffic.slots, status.traffic.wanted
        weights = {getattr(slots, slot): getattr(wanted, slot) for slot in SLOTS}
        serving = [revision for revision, weight in weights.items() if revision is not None and weight > 0]
        kept = [p.observed.records.get(revision) for revision in serving]
        if not serving:
            return []
        alone = serving[0] if len(serving) == 1 else None
        port = next((serving_port(r.deployment) for r in kept if r is not None), port_of(p.observed.raw_spec))
        return [model_service(p.observed.name, p.observed.namespace, alone, port)]

    def read(self, sight: Sight) -> Route | None:
        """What the Service selects, and which pods its endpoints are."""
        service = sight.objects.get(self.holder(sight.model))
        if service is None:
            return None
        selector = (service.get("spec") or {}).get("selector") or {}
        behind = Counter(_revision(sight.model, pod) for pod in ready_endpoints(sight.endpoints))
        if selector.get(MODEL_LABEL) != sight.model or not selector.keys() <= {MODEL_LABEL, REVISION_LABEL}:
            return Route(generation=0, backends=(), services=frozenset(), accepted=False, problem="it was edited")
        alone = selector.get(REVISION_LABEL)
        weights = {alone: PARTS} if alone is not None else shares(behind)
        strangers = {revision: pods for revision, pods in behind.items() if revision != alone} if alone else {}
        named = {revision for revision in (sight.slots.a, sight.slots.b, alone) if revision}
        return Route(
            generation=crc32(repr((sorted(selector.items()), sorted(weights.items()))).encode()),
            backends=_backends(sight.model, sight.slots, weights),
            services=frozenset(child_name(sight.model, r) for r in ({*named, *behind} if alone is None else {alone})),
            accepted=not strangers,
            problem=_told(sight.model, strangers),
            open=alone is None,
        )


def shares(pods: Mapping[str, int]) -> dict[str, int]:
    """Weights by revision for ready pods by revision; they sum to all parts, or there are none.

    >>> shares({"b": 1, "a": 2})
    {'a': 666667, 'b': 333333}
    """
    total = sum(pods.values())
    if total == 0:
        return {}
    out = {revision: share_of(pods[revision], total - pods[revision], PARTS) for revision in sorted(pods)}
    largest = max(out, key=lambda revision: out[revision])
    return {**out, largest: out[largest] + PARTS - sum(out.values())}


def ready_endpoints(slices: Iterable[Manifest]) -> set[str]:
    """Names of the pods that new connections go to."""
    return {
        str(endpoint["targetRef"].get("name"))
        for entry in slices
        for endpoint in entry.get("endpoints") or ()
        if (endpoint.get("conditions") or {}).get("ready", True) and endpoint.get("targetRef")
    }


def _revision(model: str, pod: str) -> str:
    """The revision of a pod, by its name: a pod that is gone already still stands in the endpoints for a moment."""
    found = re.match(rf"{re.escape(model)}-([0-9a-f]{{10}})-", pod)
    return found[1] if found is not None else pod


def _backends(model: str, slots: Slots, weights: Mapping[str, int]) -> tuple[Backend, ...]:
    """The weights in the order of the slots, as a route with two backends would say them."""
    a, b = slots.a or slots.b, slots.b or slots.a
    if a is not None and b is not None and weights.keys() <= {a, b}:
        split = [(a, weights.get(a, 0) if slots.a else 0), (b, weights.get(b, 0) if slots.b else 0)]
    else:  # nothing is known of the slots, or something else is selected
        split = sorted(weights.items())
        if len(split) == 1:
            split.append((split[0][0], 0))
    return tuple(Backend(child_name(model, revision), weight) for revision, weight in split)


def _told(model: str, strangers: Mapping[str, int]) -> str:
    if not strangers:
        return ""
    found = " and ".join(f"{pods} of {revision}" for revision, pods in sorted(strangers.items()))
    return f"Service {model} still has the endpoints of other pods: {found}"
