"""All ModelDeployments we watch, as far as passes over others or over many need to know: host names, rules, Gateways,
turns, house rules, and who is on trial.

Kept from the watch, so that a pass needs no LIST to see who else claims its host name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from seatrial.cluster.freezes import Freezes
from seatrial.cluster.house import House
from seatrial.cluster.parse import Parent, time_of
from seatrial.cluster.turns import Turns
from seatrial.core.state import Installation, Manifest

Key = tuple[str, str]
"""Namespace and name of a ModelDeployment."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What one resource asks of its Gateways."""

    uid: str
    created: datetime
    hostnames: frozenset[str]
    parents: frozenset[tuple[str, str, str]]
    """Namespace, name and section (empty: all) of the Gateways."""
    rule: tuple[str, str, str] | None = None
    """Namespace, name and rule of a team's own route."""


@dataclass(slots=True)
class Index:
    """Claims by resource, and the way back from a host name or a Gateway."""

    installation: Installation
    claims: dict[Key, Claim] = field(default_factory=dict)
    turns: Turns = field(init=False)
    freezes: Freezes = field(init=False)
    house: House = field(init=False)
    on_trial: set[Key] = field(default_factory=set)
    _by_hostname: dict[str, set[Key]] = field(default_factory=dict)
    _by_gateway: dict[Parent, set[Key]] = field(default_factory=dict)
    _by_route: dict[tuple[str, str], set[Key]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.turns = Turns(self.installation)
        self.freezes = Freezes(self.installation.home, self.on_trial)
        self.house = House(self.claims.keys())

    def put(self, resource: Manifest) -> set[Key]:
        """Take note of a resource; returns the others whom a change of its claim concerns."""
        metadata = resource["metadata"]
        key = (metadata["namespace"], metadata["name"])
        claim = self.claim_of(resource)
        before = self.claims.get(key)
        waiting = self.turns.put(key, resource)
        (self.on_trial.add if (resource.get("status") or {}).get("rollout") else self.on_trial.discard)(key)
        if before == claim:
            return waiting
        touched = self._release(key) if before is not None else set()
        self.claims[key] = claim
        for hostname in claim.hostnames:
            self._by_hostname.setdefault(hostname, set()).add(key)
        for namespace, name, _ in claim.parents:
            self._by_gateway.setdefault((namespace, name), set()).add(key)
        if claim.rule is not None:
            self._by_route.setdefault(claim.rule[:2], set()).add(key)
        return (touched | self._sharing(claim) | waiting) - {key}

    def drop(self, key: Key) -> set[Key]:
        """Forget a resource; returns the others that shared a host name with it, or waited for it."""
        self.on_trial.discard(key)
        return self._release(key) | self.turns.drop(key)

    def _release(self, key: Key) -> set[Key]:
        claim = self.claims.pop(key, None)
        if claim is None:
            return set()
        for hostname in claim.hostnames:
            _discard(self._by_hostname, hostname, key)
        for namespace, name, _ in claim.parents:
            _discard(self._by_gateway, (namespace, name), key)
        if claim.rule is not None:
            _discard(self._by_route, claim.rule[:2], key)
        return self._sharing(claim) - {key}

    def attached(self, gateway: Parent) -> set[Key]:
        """The resources that attach to a Gateway."""
        return set(self._by_gateway.get(gateway, ()))

    def routed(self, route: tuple[str, str]) -> set[Key]:
        """The resources that steer a rule of a team's own route (namespace and name)."""
        return set(self._by_route.get(route, ()))

    def conflict(self, key: Key, mine: Claim) -> str:
        """A sentence about an older resource that owns one of these host names, or the rule, or empty."""
        for other in sorted(self.routed(mine.rule[:2])) if mine.rule is not None else ():
            claim = self.claims[other]
            if claim.rule is None or claim.rule != mine.rule or other == key:
                continue
            if (claim.created, other) < (mine.created, key):
                _, route, rule = claim.rule
                return (
                    f"rule {rule} of HTTPRoute {route} belongs to ModelDeployment "
                    f"{other[0]}/{other[1]}, which is older: name another rule, or delete that one"
                )
        for hostname in sorted(mine.hostnames):
            for other in sorted(self._by_hostname.get(hostname, ())):
                claim = self.claims[other]
                if other == key or not _overlap(claim.parents, mine.parents):
                    continue
                if (claim.created, other) < (mine.created, key):
                    return (
                        f"host name {hostname} belongs to ModelDeployment {other[0]}/{other[1]}, "
                        f"which is older: use another host name, or delete that one"
                    )
        return ""

    def claim_of(self, resource: Manifest) -> Claim:
        """What a resource claims, as it was just read."""
        metadata = resource["metadata"]
        return Claim(
            str(metadata.get("uid")),
            time_of(metadata.get("creationTimestamp")),
            *_claims(resource.get("spec") or {}, metadata["namespace"], self.installation),
        )

    def _sharing(self, claim: Claim) -> set[Key]:
        sharing = {key for hostname in claim.hostnames for key in self._by_hostname.get(hostname, ())}
        return sharing if claim.rule is None else sharing | self.routed(claim.rule[:2])


def _discard(index: dict[Any, set[Key]], at: object, key: Key) -> None:
    found = index.get(at)
    if found is not None:
        found.discard(key)
        if not found:
            del index[at]


def _claims(
    spec: Mapping[str, Any], namespace: str, installation: Installation
) -> tuple[frozenset[str], frozenset[tuple[str, str, str]], tuple[str, str, str] | None]:
    traffic = spec.get("traffic") if isinstance(spec, dict) else None
    if not isinstance(traffic, dict):
        return frozenset(), frozenset(), None
    if ref := traffic.get("routeRef"):
        return frozenset(), frozenset(), (namespace, str(ref.get("name")), str(ref.get("rule")))
    refs = (traffic.get("gatewayAPI") or {}).get("parentRefs") or []
    parents = {
        (str(ref.get("namespace") or namespace), str(ref.get("name")), str(ref.get("sectionName") or ""))
        for ref in refs
    }
    if not refs and installation.gateway is not None:
        parents = {(*installation.gateway, "")}
    return frozenset(str(name) for name in traffic.get("hostnames") or ()), frozenset(parents), None


def _overlap(one: Iterable[tuple[str, str, str]], other: Iterable[tuple[str, str, str]]) -> bool:
    """Whether two sets of parents share a listener; no section means all of them."""
    return any(a[:2] == b[:2] and (not a[2] or not b[2] or a[2] == b[2]) for a in one for b in other)
