"""Whether the Gateways can copy requests, asked before a trial with a shadow begins.

A GatewayClass says what its implementation can do. Some say nothing: for those there is a table of what was tried; of the
rest nothing is known, and the trial itself has to show it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from seatrial.core import voyage
from seatrial.core.passing import Pass
from seatrial.core.state import GatewayClass

ALL, SOME, SEVERAL = (
    "HTTPRouteRequestMirror",
    "HTTPRouteRequestPercentageMirror",
    "HTTPRouteRequestMultipleMirrors",
)
"""Features of the Gateway API, by the names that GatewayClasses give them."""

TRIED: Mapping[str, frozenset[str]] = {
    "gateway.envoyproxy.io": frozenset({ALL, SOME, SEVERAL}),  # Envoy Gateway 1.9.1; ADR 0015 has the numbers
}
"""By the domain of `spec.controllerName`: what implementations can do that leave `status.supportedFeatures` empty."""


@dataclass(frozen=True, slots=True)
class Need:
    """A feature that a trial needs."""

    feature: str
    why: str
    instead: str
    """What to do where there is no such gateway."""


def lacking(p: Pass) -> str:
    """A feature that the rest of the trial needs and a Gateway's class does not have: a sentence, or empty."""
    for found in p.observed.gateway_classes:
        features = _features(found)
        for need in _needs(p):
            if features is not None and need.feature not in features:
                said = f"GatewayClass {found.name} ({found.controller}) does not have {need.feature}"
                return f"{need.why} and {said}: {need.instead}, or name another Gateway"
    return ""


def unknown(p: Pass) -> str:
    """A class of which nobody knows whether it can copy requests: a sentence, or empty."""
    for found in p.observed.gateway_classes:
        if _features(found) is None and any(True for _ in _needs(p)):
            said = found.unread or f"GatewayClass {found.name} ({found.controller}) names no supportedFeatures"
            return (
                f"{said}, so nothing is known of whether it copies requests: it is tried. Without copies the shadow "
                "stays undecided; a gateway that knows no percentage may copy all of them"
            )
    return ""


def _features(found: GatewayClass) -> frozenset[str] | None:
    """None where nothing is known."""
    return found.features or TRIED.get(found.controller.partition("/")[0])


def _needs(p: Pass) -> Iterator[Need]:
    """What the shadows that are still to come need."""
    rollout = p.observed.status.rollout
    begun = max(0, rollout.step) if rollout is not None and rollout.revision == p.wanted else 0
    percents = [leg.mirror for leg in p.legs[begun:] if leg.mirror]
    if not percents:
        return
    yield Need(ALL, "a shadow wants copies of requests,", "leave the shadow out")
    if voyage.agreements(p):
        why = "an agreement check wants copies for its comparer beside the candidate's,"
        yield Need(SEVERAL, why, "remove the check")
        yield Need(SOME, "an agreement check wants a percentage of the requests copied,", "remove the check")
    if min(percents) < 100:
        why = f"a shadow wants {min(percents)} % of the requests copied,"
        yield Need(SOME, why, "set shadow.percent to 100")
