"""What of a ModelDeployment is sailed: its legs, its checks on shares and predictions, and its times; and what is left out, said in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from seatrial.api.spec import Check, CheckPreset, ModelDeploymentSpec, OnFail, OnUndecided, RouterKind
from seatrial.core.checks import answers_in, counts_elsewhere
from seatrial.core.checks.drift import limit_of
from seatrial.core.checks.judging import FALSE_ALARM
from seatrial.core.checks.terms import Terms, terms_of
from seatrial.core.evidence import DEFAULT_SCRAPE
from seatrial.core.legs import Kind, Leg, legs
from seatrial.core.routers import ROUTERS
from seatrial.core.state import Installation
from seatrial.core.traffic import parts

EVENTS, TIMES, REQUESTS, SCORES, CLASSES = "events_total", "time_bucket", "requests_total", "scores", "classes_total"
"""Metrics of a simulated world; the label `check` says whose they are."""
CLASS, REVISION = "class", "revision"


@dataclass(frozen=True, slots=True)
class Course:
    """The way of every candidate."""

    name: str
    legs: tuple[Leg, ...]
    checks: tuple[Check, ...]
    """Those that count a share."""
    drifts: tuple[Check, ...]
    """Those that compare predictions."""
    means: tuple[Check, ...]
    """Those about a mean: they are taken to pass, but their numbers may come too late for the plan."""
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
    def judged(self) -> tuple[Check, ...]:
        """All checks that are simulated."""
        return (*self.checks, *self.drifts)

    def alarm(self, kind: Kind) -> float:
        """The chance of a false alarm that one check has in a stage of a kind."""
        return FALSE_ALARM / max(1, sum(1 for check in self.judged if answers_in(check, kind)))

    @property
    def pauses(self) -> bool:
        """Whether a failure of some check waits for a person."""
        return any(check.failing is not OnFail.ROLLBACK for check in self.judged)


def course(name: str, spec: ModelDeploymentSpec) -> Course:
    """What can be sailed of a spec. Without a check on a share or on predictions there is nothing to judge."""
    out, taken, drifts = [], [], []
    for check in spec.analysis.checks if spec.analysis.none is None else ():
        if check.preset is not None or check.share is not None:
            taken.append(check)
        elif check.drift is not None:
            drifts.append(check)
        else:
            out.append(f"check {check.name} {_kind(check)}: taken to pass")
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
        drifts=tuple(drifts),
        means=tuple(check for check in spec.analysis.checks if check.mean is not None),
        interval=spec.analysis.interval,
        min_samples=spec.analysis.min_samples,
        on_undecided=spec.strategy.on_undecided,
        probation=probation.duration,
        holdback=probation.holdback if probation.duration > timedelta(0) else 0,
        drain=spec.traffic.drain,
        left_out=tuple(out),
    )


def _kind(check: Check) -> str:
    if check.mean is not None:
        return "is about a mean"
    return "compares answers" if check.agreement is not None else "is a query"


def part_of(terms: Terms) -> str:
    """The counter of a check's events: times are known by its name."""
    return EVENTS if terms.carried else TIMES


def as_simulated(found: Course) -> list[dict[str, Any]]:
    """The checks with their allowances written out, on counters that a simulated world has: the judge is the same."""
    return [*_shares(found), *(_drift(check) for check in found.drifts)]


def _drift(check: Check) -> dict[str, Any]:
    assert check.drift is not None
    matcher = f'{{check="{check.name}"}}'
    counted: dict[str, str] = {"histogram": f"{SCORES}{matcher}"}
    if check.drift.classes is not None:
        counted = {"classes": f"{CLASSES}{matcher}", "by": CLASS}
    out = {"statistic": str(check.drift.statistic), "max": f"{limit_of(check):.10g}", **counted}
    return {"name": check.name, "drift": out, "onFail": str(check.failing)}


def _shares(found: Course) -> list[dict[str, Any]]:
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
        of = {"of": f'{part_of(terms)}{{check="{check.name}"}}', "per": f'{REQUESTS}{{check="{check.name}"}}'}
        if counts_elsewhere(check):
            of["revisionLabel"] = REVISION
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
