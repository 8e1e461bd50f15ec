"""The way of a trial: its stages laid out as legs, one after another.

A leg is a constant exposure of the candidate: copies of requests, a share of live ones, or none but a preview. A new
kind of stage is a function here and a line in `_LEGS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from seatrial.api.spec import Approval, BlueGreen, Canary, Capacity, Shadow, Stage, Strategy

DRILL_PATIENCE = timedelta(minutes=10)
"""How long a drill waits for enough live requests."""


class Kind(StrEnum):
    """What a leg exposes the candidate to."""

    SHADOW = "Shadow"
    CANARY = "Canary"
    BLUE_GREEN = "BlueGreen"


@dataclass(frozen=True, slots=True)
class Leg:
    """One exposure and how long it lasts."""

    kind: Kind
    min_duration: timedelta
    max_duration: timedelta
    approval: Approval | None = None
    weight: int = 0
    """Percent of live requests that the candidate answers."""
    mirror: int = 0
    """Percent of live requests of which the candidate gets a copy."""
    scale: str = "ByWeight"
    """Pods: what the exposure needs, as many as stable, or a number."""
    shared: bool = False
    """Stable makes room for these pods."""

    @property
    def judged(self) -> bool:
        """Whether live requests, or copies of them, come to the candidate; to a preview nobody comes by himself."""
        return self.kind is not Kind.BLUE_GREEN

    def pods(self, replicas: int, least: int) -> int:
        """Pods the candidate has on this leg: what the exposure needs (`least`), or what `scale` says."""
        if self.scale == "Full":
            return replicas
        return least if self.scale == "ByWeight" else max(least, min(int(self.scale), replicas))

    def told(self) -> str:
        """The leg for a person: `25 %`, `a shadow of 20 %`, `a preview`."""
        if self.kind is Kind.SHADOW:
            return f"a shadow of {self.mirror} %"
        return "a preview" if self.kind is Kind.BLUE_GREEN else f"{self.weight} %"

    def mark(self) -> str:
        """The leg in a few letters, as the trial remembers it: `25`, `shadow 20`, `preview`."""
        if self.kind is Kind.SHADOW:
            return f"shadow {self.mirror}"
        return "preview" if self.kind is Kind.BLUE_GREEN else str(self.weight)


def _shadow(stage: Shadow) -> list[Leg]:
    return [
        Leg(
            Kind.SHADOW,
            stage.min_duration,
            stage.max_duration,
            stage.approval,
            mirror=stage.percent,
            scale=stage.scale,
        )
    ]


def _canary(stage: Canary) -> list[Leg]:
    return [
        Leg(
            Kind.CANARY,
            step.min_duration,
            step.max_duration,
            step.approval,
            weight=step.weight,
            scale=stage.scale,
            shared=stage.capacity is Capacity.SHARED,
        )
        for step in stage.steps
    ]


def _blue_green(stage: BlueGreen) -> list[Leg]:
    return [Leg(Kind.BLUE_GREEN, stage.min_duration, stage.max_duration, stage.approval, scale="Full")]


_LEGS: tuple[Callable[[Stage], list[Leg]], ...] = (
    lambda stage: _shadow(stage.shadow) if stage.shadow else [],
    lambda stage: _canary(stage.canary) if stage.canary else [],
    lambda stage: _blue_green(stage.blue_green) if stage.blue_green else [],
)


DRILL_WEIGHT = 5
"""Percent of live requests that a drill's copy answers, whatever the strategy: a shadow or a preview would answer none."""
DRILL_LOOKS = 3
"""Looks at a copy under live traffic before it is failed."""


def drill(interval: timedelta, *, shared: bool) -> tuple[Leg, ...]:
    """The way of a drill: one step, which it leaves by failing only. `shared`: pods are shared in a trial."""
    least = DRILL_LOOKS * interval
    return (Leg(Kind.CANARY, least, least + DRILL_PATIENCE, weight=DRILL_WEIGHT, shared=shared),)


def legs(strategy: Strategy) -> tuple[Leg, ...]:
    """All legs of a trial in order; at least one."""
    return tuple(leg for stage in strategy.stages for lay_out in _LEGS for leg in lay_out(stage))
