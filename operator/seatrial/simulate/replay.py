"""A past of the service, read from Prometheus as the checks read it, as traffic that comes again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from seatrial.api.spec import Check, ModelDeploymentSpec, RouterKind, Runtime
from seatrial.api.status import CheckStatus, PaceStatus, Tally
from seatrial.build.revision import revision
from seatrial.core import bins
from seatrial.core.checks import Arm, Situation, ask, drift, opening, opening_questions
from seatrial.core.checks.base import Presets
from seatrial.core.checks.reading import LOOK_BACK
from seatrial.core.checks.share import WINDOW, history
from seatrial.core.questions import MetricAnswer, MetricQuestion
from seatrial.core.routers import ROUTERS
from seatrial.core.statistics import clumps
from seatrial.core.statistics.clumps import Pace
from seatrial.metrics import presets
from seatrial.metrics.source import PrometheusSource
from seatrial.simulate.course import Course
from seatrial.simulate.predictions import ANYTHING, Shares
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
    predictions, predicted = {}, 0
    for check in course.drifts:
        answers = await _ask(source, opening_questions(check, here, known))
        predictions[check.name], made = _predictions(check, here, known, answers)
        predicted = max(predicted, made)
    tallies: dict[str, list[Tally]] = {}
    for check in course.checks:
        opened, seen = await _opened(source, check, here, known)
        stored = opened.model_copy(update={"through": now - window, "pace": PaceStatus()})
        found = history(check, stored, seen, known, await _ask(source, ask(check, stored, seen, known)), length)
        if isinstance(found, str):
            raise ReplayError(f"check {check.name}: {found}")
        tallies[check.name] = found
    if not tallies:
        return Traffic(predicted / LOOK_BACK.total_seconds(), {}, clump, predictions=predictions)
    return replace(_traffic(tallies, length.total_seconds(), clump), predictions=predictions)


async def _opened(
    source: PrometheusSource, check: Check, here: Situation, known: Presets
) -> tuple[CheckStatus, Situation]:
    """Whose numbers are read. Which slot stable stood in is known in the cluster only: the other one is tried, too."""
    assert here.stable is not None
    there = replace(here, stable=replace(here.stable, slot="b"), candidate=replace(here.candidate, slot="a"))
    said = ""
    for one in (here, there):
        opened = opening(check, one, known, await _ask(source, opening_questions(check, one, known)))
        if isinstance(opened, CheckStatus):
            return opened, one
        said = said or opened.message
    raise ReplayError(f"check {check.name}: {said}")


def _predictions(
    check: Check, here: Situation, known: Presets, answers: Mapping[str, MetricAnswer]
) -> tuple[Shares, int]:
    """How what stable predicted in the last hour was divided, and how much it was."""
    opened = opening(check, here, known, answers)
    if not isinstance(opened, CheckStatus):
        raise ReplayError(f"check {check.name}: {opened.message}")
    if opened.drift is None:
        raise ReplayError(f"check {check.name}: there are fewer than {bins.LEAST} predictions in the last hour")
    counts = drift.predicted(check, opened.drift, here, answers)
    if isinstance(counts, str):
        raise ReplayError(f"check {check.name}: {counts}")
    assert check.drift is not None
    others = ANYTHING if check.drift.histogram is not None else "other classes"
    parts = tuple(count / sum(counts) for count in counts)
    return Shares((*opened.drift.marks, others), parts, opened.drift.inflation / 1000.0), sum(counts)


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
