"""The specs that sail, by strategy. A new strategy is one line in `STRATEGIES`."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from tests.sim.training import USUAL as SNAPSHOT
from tests.sim.world import NAME, TEAM, base_spec

Spec = dict[str, Any]


def _stages(*stages: Spec, probation: str = "0s", stickiness: Spec | None = None) -> Callable[[], Spec]:
    def make() -> Spec:
        strategy = {"stages": copy.deepcopy(list(stages)), "probation": {"duration": probation}}
        spec = base_spec(progressDeadline="90s", strategy=strategy)
        spec["traffic"]["drain"] = "10s"
        if stickiness is not None:
            spec["traffic"]["stickiness"] = stickiness
        spec["analysis"] = {"interval": "10s", "minSamples": 200}
        return spec

    return make


def _canary(*weights: int, **more: str) -> Spec:
    return {"canary": {"steps": [{"weight": weight, "minDuration": "20s"} for weight in weights], **more}}


def _by_what_it_says(make: Callable[[], Spec]) -> Callable[[], Spec]:
    """The same, judged also by the scores, by the decisions, and by what a shop takes for them."""
    shop = {"of": "shop_revenue_total", "per": "shop_orders_total", "revisionLabel": "model_revision"}

    def made() -> Spec:
        spec = make()
        spec["analysis"]["checks"] = [
            {"name": "errors", "preset": "Errors"},
            {"name": "latency", "preset": "Latency", "slowerThan": "250ms"},
            {"name": "scores", "drift": {"histogram": "model_score"}},
            {"name": "decided", "drift": {"classes": "decisions_total", "by": "decision", "statistic": "JS"}},
            {"name": "revenue", "mean": shop, "margin": {"relative": "50%"}, "minSamples": 100, "minDuration": "20s"},
        ]
        watched = {"name": "scores", "drift": {"histogram": "model_score"}, "window": "10m", "every": "1m"}
        spec["analysis"]["live"] = [{**watched, "snapshot": {"name": SNAPSHOT["metadata"]["name"]}}]
        return spec

    return made


_SHADOW: Spec = {"shadow": {"percent": 50, "minDuration": "20s"}}
_BLUE_GREEN: Spec = {"blueGreen": {"minDuration": "20s"}}


def _without_gateway(make: Callable[[], Spec]) -> Callable[[], Spec]:
    """The same with a Service instead of a gateway: one pod beside four is a fifth."""

    def made() -> Spec:
        spec = make()
        spec["traffic"] = {"replicaRatio": {}, "drain": "10s"}
        return spec

    return made


def _behind_a_teams_rule(make: Callable[[], Spec]) -> Callable[[], Spec]:
    """The same behind a rule of a route that is not ours."""

    def made() -> Spec:
        spec = make()
        spec["traffic"] = {"routeRef": {"name": TEAM, "rule": NAME}, "drain": "10s"}
        return spec

    return made


STRATEGIES: dict[str, Callable[[], Spec]] = {
    "canary": _stages(_canary(5, 25, 50)),
    "shadow, then canary": _stages(_SHADOW, _canary(10, 50)),
    "shadow, then blue-green": _stages(_SHADOW, _BLUE_GREEN),
    "shadow, then canary, by what it says": _by_what_it_says(_stages(_SHADOW, _canary(10, 50))),
    "shared canary": _stages(_canary(5, 50, capacity="Shared")),
    "shared canary, then probation": _stages(_canary(10, 75, capacity="Shared"), probation="1m"),
    "canary, then probation": _stages(_canary(25, 50), probation="1m", stickiness={"cookie": {}}),
    "canary of pods": _without_gateway(_stages(_canary(20, 50), probation="1m")),
    "behind a team's rule": _behind_a_teams_rule(_stages(_SHADOW, _canary(10, 50), probation="1m")),
}
"""Name → what makes its spec."""


def last_step(spec: Spec) -> Spec | None:
    """The last canary step of a spec, to put an approval on; None where there is none."""
    canaries = [stage["canary"] for stage in spec["strategy"]["stages"] if "canary" in stage]
    step: Spec | None = canaries[-1]["steps"][-1] if canaries else None
    return step
