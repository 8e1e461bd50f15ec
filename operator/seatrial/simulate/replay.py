"""A past of the service, read from Prometheus as the checks read it, as traffic that comes again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from seatrial.api.spec import ModelDeploymentSpec, RouterKind, Runtime
from seatrial.api.status import CheckStatus, PaceStatus, Tally
from seatrial.build.revision import revision
from seatrial.core.checks import Arm, Situation, ask, opening, opening_questions
from seatrial.core.checks.share import WINDOW, history
from seatrial.core.questions import MetricAnswer, MetricQuestion
from seatrial.core.routers import ROUTERS
from seatrial.core.statistics import clumps
from seatrial.core.statistics.clumps import Pace
from seatrial.metrics import presets
from seatrial.metrics.source import PrometheusSource
from seatrial.simulate.course import Course
from seatrial.simulate.traffic import Record, Traffic

PATIENCE = 60.0
"""Seconds for an answer: hours of raw samples are more than a look asks for."""
ENOUGH = 40.0
"""Events from which on clumps are measured and not taken from `--clumps`."""


class ReplayError(Exception):
    """The past cannot be read; the message says why."""


def replay(
    url: str, window: timedelta, course: Course, raw: Mapping[str, Any], namespace: str, who: str, clump: float
) -> Traffic:
    """The service as it was in the time before now. `raw` is the spec as stored, `who` the revision whose pods answered."""
    spec = ModelDeploymentSpec.model_validate(raw)
    source = PrometheusSource(url, timeout=PATIENCE)
    try:
        return asyncio.run(_read(source, window, course, spec, namespace, who or revision(raw), clump))
    finally:
        source.close()


async def _read(
    source: PrometheusSource,
    window: timedelta,
    course: Course,
    spec: ModelDeploymentSpec,
    namespace: str,
    who: str,
    clump: float,
) -> Traffic:
    now, length = datetime.now(UTC), max(WINDOW, course.interval)
    known = presets.load()
    here = _situation(course, spec, namespace, who, now)
    first = await _ask(source, [q for check in course.checks for q in opening_questions(check, here, known)])
    tallies: dict[str, list[Tally]] = {}
    for check in course.checks:
        opened = opening(check, here, known, first)
        if not isinstance(opened, CheckStatus):
            raise ReplayError(f"check {check.name}: {opened.message}")
        stored = opened.model_copy(update={"through": now - window, "pace": PaceStatus()})
        found = history(check, stored, here, known, await _ask(source, ask(check, stored, here, known)), length)
        if isinstance(found, str):
            raise ReplayError(f"check {check.name}: {found}")
        tallies[check.name] = found
    return _traffic(tallies, length.total_seconds(), clump)


async def _ask(source: PrometheusSource, questions: Sequence[MetricQuestion]) -> Mapping[str, MetricAnswer]:
    answers, _ = await source.answer(questions)
    return answers


def _situation(course: Course, spec: ModelDeploymentSpec, namespace: str, who: str, now: datetime) -> Situation:
    router = spec.traffic.router
    return Situation(
        namespace=namespace,
        name=course.name,
        stable=Arm(who, "a"),
        candidate=Arm(who, "b"),
        runtime=spec.runtime or Runtime.CUSTOM,
        model_name=spec.model.name if spec.model else None,
        weight=50.0,
        last=False,
        concurrent=True,
        min_samples=course.min_samples,
        settled=True,
        confirmed_at=None,
        start=now,
        now=now,
        interval=course.interval,
        # Which rule of a team's route is ours is known in the cluster only.
        gateway=ROUTERS[router].counts and router is not RouterKind.ROUTE_REF,
    )


def _traffic(tallies: Mapping[str, Sequence[Tally]], length: float, clump: float) -> Traffic:
    """Rates from the check that has seen the most requests; a window without any has the share of the whole past."""
    busiest = max(tallies.values(), key=lambda windows: sum(tally.total for tally in windows))
    totals = np.array([float(tally.total) for tally in busiest])
    if totals.sum() == 0:
        raise ReplayError("not one request came in that time: choose a longer --window, or give --rate")
    shares, means, measured = {}, {}, [clump]
    for name, windows in tallies.items():
        bad, seen = (np.array([float(getattr(tally, what)) for tally in windows]) for what in ("events", "total"))
        means[name] = float(bad.sum() / max(seen.sum(), 1.0))
        shares[name] = np.where(seen > 0, bad / np.maximum(seen, 1.0), means[name])
        measured.append(_clump(windows))
    return Traffic(float(totals.mean() / length), means, max(measured), record=Record(length, totals / length, shares))


def _clump(windows: Sequence[Tally]) -> float:
    """Mean size of a clump, where there are events enough to tell."""
    pace = Pace()
    for tally in windows:
        pace = clumps.observed(pace, tally.events, tally.total)
    return 1.0 if pace.weight < ENOUGH else (max(1.0, pace.squares / pace.weight) + 1.0) / 2.0
