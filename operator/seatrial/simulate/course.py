"""What of a ModelDeployment is sailed: its legs, its checks on shares and its times; and what is left out, said in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from seatrial.api.spec import Check, CheckPreset, ModelDeploymentSpec, OnFail, OnUndecided, RouterKind
from seatrial.core.checks.judging import FALSE_ALARM
from seatrial.core.checks.terms import Terms, terms_of
from seatrial.core.evidence import DEFAULT_SCRAPE
from seatrial.core.legs import Leg, legs
from seatrial.core.routers import ROUTERS
from seatrial.core.state import Installation
from seatrial.core.traffic import parts


@dataclass(frozen=True, slots=True)
class Course:
    """The way of every candidate."""

    name: str
    legs: tuple[Leg, ...]
    checks: tuple[Check, ...]
    interval: timedelta
    min_samples: int
    on_undecided: OnUndecided
    probation: timedelta
    holdback: int
    """Percent that the revision before keeps on probation."""
    drain: timedelta
    left_out: tuple[str, ...] = ()
    """What is not simulated, a sentence each."""
    scrape: timedelta = DEFAULT_SCRAPE
    dwell: timedelta = Installation().dwell

    @property
    def terms(self) -> tuple[Terms, ...]:
        """What each check allows."""
        return tuple(terms_of(check) for check in self.checks)

    @property
    def least(self) -> timedelta:
        """The least time that a trial takes."""
        return sum((leg.min_duration for leg in self.legs), timedelta(0))

    @property
    def alarm(self) -> float:
        """The chance of a false alarm that one check has."""
        return FALSE_ALARM / len(self.checks)

    @property
    def rolls_back(self) -> tuple[bool, ...]:
        """For each check, whether its failure sends the candidate back; else it pauses."""
        return tuple(check.failing is OnFail.ROLLBACK for check in self.checks)


def course(name: str, spec: ModelDeploymentSpec) -> Course:
    """What can be sailed of a spec. Without a check on a share there is nothing to judge, and `checks` is empty."""
    out, taken = [], []
    for check in spec.analysis.checks if spec.analysis.none is None else ():
        if check.preset is not None or check.share is not None:
            taken.append(check)
        else:
            kind = "compares answers" if check.agreement is not None else "is a query"
            out.append(f"check {check.name} {kind}: taken to pass")
    router, way = ROUTERS[spec.traffic.router], legs(spec.strategy)
    if spec.traffic.router is RouterKind.REPLICA_RATIO:
        way = tuple(replace(leg, weight=router.weight(leg, spec.replicas) // parts(1)) for leg in way)
    if any(leg.approval is not None for leg in way):
        out.append("approvals: given at once")
    if spec.strategy.windows is not None:
        out.append("strategy.windows: taken to be open")
    if spec.preflight is not None:
        out.append("preflight: taken to pass")
    if spec.traffic.stickiness is not None:
        out.append("traffic.stickiness: every request is drawn by itself")
    probation = spec.strategy.probation
    return Course(
        name=name,
        legs=way,
        checks=tuple(taken),
        interval=spec.analysis.interval,
        min_samples=spec.analysis.min_samples,
        on_undecided=spec.strategy.on_undecided,
        probation=probation.duration,
        holdback=probation.holdback if probation.duration > timedelta(0) else 0,
        drain=spec.traffic.drain,
        left_out=tuple(out),
    )


def part_of(terms: Terms) -> str:
    """The counter of a check's events: times are known by its name."""
    return "events_total" if terms.carried else "time_bucket"


def as_shares(found: Course) -> list[dict[str, Any]]:
    """The checks with their allowances written out, on counters that a simulated world has: the judge is the same."""
    out: list[dict[str, Any]] = []
    for check, terms in zip(found.checks, found.terms, strict=True):
        margin: Mapping[str, str] = {
            key: value
            for key, value in (
                ("points", None if terms.points is None else f"{terms.points * 100:.10g}"),
                ("relative", None if terms.relative is None else f"{terms.relative * 100:.10g}%"),
            )
            if value is not None
        }
        of = {"of": f'{part_of(terms)}{{check="{check.name}"}}', "per": f'requests_total{{check="{check.name}"}}'}
        written: dict[str, Any] = {
            "name": check.name,
            "share": of,
            "onFail": str(check.failing),
            "worseWhen": str(terms.worse_when),
        }
        if margin:
            written["margin"] = margin
        if terms.ceiling is not None:
            written["max"] = f"{terms.ceiling:.10g}"
        out.append(written)
    return out


def is_errors(check: Check) -> bool:
    """Whether a check counts errors."""
    return check.preset is CheckPreset.ERRORS


def is_latency(check: Check) -> bool:
    """Whether a check counts slow answers."""
    return check.preset is CheckPreset.LATENCY
