"""Tries a preset on whatever a Prometheus holds: which series exist, and what the preset would have counted.

It asks as a check does, so what it finds a check finds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from seatrial.api.spec import Check, CheckPreset, Runtime
from seatrial.api.status import Tally
from seatrial.core import counters
from seatrial.core.checks import share
from seatrial.core.checks.base import INGESTION, Arm, Place, Situation, milliseconds
from seatrial.core.checks.preset import TIMED, Counted, Preset, literal
from seatrial.core.checks.reading import LOOK_BACK, Read, matching
from seatrial.core.questions import (
    CounterQuestion,
    Counters,
    ExistsQuestion,
    Failure,
    Found,
    MetricAnswer,
    MetricQuestion,
    Missing,
    NoData,
)

REVISION = "[0-9a-f]{10}"
"""A pattern of any revision."""
KINDS = {
    CheckPreset.LATENCY: "the time to an answer",
    CheckPreset.FIRST_TOKEN: "the time to the first token",
    CheckPreset.INTER_TOKEN: "the time between tokens",
}
"""What is timed, in words."""


@dataclass(frozen=True, slots=True)
class Aim:
    """Whose numbers are looked for."""

    namespace: str
    name: str
    """The ModelDeployment."""
    revision: str | None = None
    """All of its revisions where left out."""
    model: str | None = None
    """The model's name in its server; the ModelDeployment's where left out."""
    route: str | None = None
    """The HTTPRoute; of the ModelDeployment's name where left out."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One metric of a preset."""

    metric: str
    reads: str
    """What is read from it."""
    selector: str
    series: int
    nearest: tuple[str, ...] = ()
    """Names that do exist, where it does not."""
    needed: bool = True
    """A counter of errors may be absent: it is born with the first one."""


@dataclass(frozen=True, slots=True)
class Slow:
    """How many of what was timed took longer than an edge."""

    kind: CheckPreset
    edge: str
    unit: str
    tally: Tally


@dataclass(frozen=True, slots=True)
class Report:
    """What came of it."""

    seen: tuple[Seen, ...]
    errors: Tally | None
    """Requests, and errors among them; None where they cannot be counted."""
    slow: tuple[Slow, ...]
    missing: tuple[str, ...]
    """Sentences on what stands in the way of a check."""
    failed: str = ""
    """Why Prometheus did not answer."""

    @property
    def usable(self) -> bool:
        """Whether all that the preset promises is there."""
        return not self.missing and not self.failed


def questions(preset: Preset, aim: Aim, now: datetime, window: timedelta) -> tuple[MetricQuestion, ...]:
    """Which series exist, and their samples of the last minutes."""
    here, arm, loose = _situation(aim, now, window), _arm(aim), _loose(preset, aim)
    end = milliseconds(now)
    exist = tuple(
        ExistsQuestion(f"exists/{metric}", selector, end - LOOK_BACK, end)
        for metric, (selector, _) in _metrics(loose, arm, here).items()
    )
    kinds = (CheckPreset.ERRORS, *(kind for kind in KINDS if loose.timed(kind) is not None))
    counted = tuple(
        CounterQuestion(f"count/{kind}", share.selector_of(loose, kind, None, arm, here), here.start, end - INGESTION)
        for kind in kinds
    )
    return (*exist, *counted)


def report(preset: Preset, aim: Aim, now: datetime, window: timedelta, answers: Mapping[str, MetricAnswer]) -> Report:
    """What the answers say."""
    here, arm, loose = _situation(aim, now, window), _arm(aim), _loose(preset, aim)
    failures = [answer.message for answer in answers.values() if isinstance(answer, Failure)]
    if failures:
        return Report((), None, (), (), failures[0])
    seen = []
    for metric, (selector, reads) in _metrics(loose, arm, here).items():
        answer = answers.get(f"exists/{metric}")
        found = answer.series if isinstance(answer, Found) else 0
        names = answer.nearest if isinstance(answer, Missing) else ()
        needed = any(metric == counted.metric for counted in loose.requests) or reads not in ("errors", "requests")
        seen.append(Seen(metric, reads, selector, found, names, needed))
    there = {one.metric for one in seen if one.series}
    missing = []
    if not there & {counted.metric for counted in loose.requests}:
        missing.append(f"no series of {' or '.join(c.metric for c in loose.requests)}: nothing can be counted")
    missing += [
        f"no series of {timed.metric}: {KINDS[kind]} is not known"
        for kind in KINDS
        if (timed := loose.timed(kind)) is not None and timed.metric not in there
    ]
    errors, slow = None, []
    for kind in (CheckPreset.ERRORS, *KINDS):
        answer = answers.get(f"count/{kind}")
        if not isinstance(answer, Counters) or not answer.series:
            continue
        counted = _count(loose, kind, arm, answer, here)
        if isinstance(counted, str):
            missing.append(counted)
        elif isinstance(counted, Slow):
            slow.append(counted)
        else:
            errors = counted
    return Report(tuple(seen), errors, tuple(slow), tuple(dict.fromkeys(missing)))


def _count(loose: Preset, kind: CheckPreset, arm: Arm, answer: Counters, here: Situation) -> Tally | Slow | str:
    """The tally of all series together; a sentence where it cannot be made."""
    check = Check(name="probe", preset=kind)
    timed = loose.timed(kind) if kind in TIMED else None
    edge = None
    if timed is not None:
        chosen = share.edge_of(check, loose, timed, answer.series)
        if isinstance(chosen, NoData):
            return chosen.message
        edge = chosen
    seen, events, total = counters.scrapes(answer.series), 0, 0
    for target, times in seen.times.items():
        # What a target had counted before its first scrape is not known, and other targets owe nothing to it.
        start, end = max(here.start.timestamp(), times[0]), here.now.timestamp()
        own = tuple(one for one in answer.series if counters.target_of(one.labels) == target)
        sample = share.sample_of(check, loose, edge, Read("candidate", arm, own, seen))
        tally = share.tally_of(check, sample, start, end, start)
        if isinstance(tally, NoData):
            return tally.message
        events, total = events + tally.events, total + tally.total
    tally = Tally(events=events, total=total)
    return tally if timed is None or edge is None else Slow(kind, edge, timed.unit, tally)


def _metrics(loose: Preset, arm: Arm, here: Situation) -> dict[str, tuple[str, str]]:
    """Each metric of a preset once, with the selector that finds it and what is read from it."""
    out: dict[str, tuple[str, str]] = {}
    timed = [(KINDS[kind], one) for kind in KINDS if (one := loose.timed(kind)) is not None]
    named = [("requests", one) for one in loose.requests] + [("errors", one) for one in loose.errors] + timed
    for reads, counted in named:
        if counted.metric not in out:
            wide = counted if reads != "errors" else Counted(counted.metric)
            out[counted.metric] = (matching(loose, (counted.metric,), wide, arm, here), reads)
    return out


def _loose(preset: Preset, aim: Aim) -> Preset:
    """The preset with patterns where a revision, or its slot, is not known."""
    revision = REVISION if aim.revision is None else literal(aim.revision)
    known = {
        "$service": f"{literal(aim.name)}-{revision}",
        "$pods": f"{literal(aim.name)}-{revision}-.*",
        "$revision": revision if aim.revision is not None else ".+",
        "$slot": "[01]",
        "$rules": "[0-9]+",
    }
    selector = {}
    for label, template in preset.selector.items():
        value = template
        for placeholder, pattern in known.items():
            value = value.replace(placeholder, pattern)
        selector[label] = value if value == template or value.startswith("~") else f"~{value}"
    return replace(preset, selector=selector)


def _arm(aim: Aim) -> Arm:
    return Arm(aim.revision or "", "a")


def _situation(aim: Aim, now: datetime, window: timedelta) -> Situation:
    arm = _arm(aim)
    return Situation(
        namespace=aim.namespace,
        name=aim.name,
        stable=None,
        candidate=arm,
        runtime=Runtime.CUSTOM,
        model_name=aim.model or aim.name,
        weight=100.0,
        last=False,
        concurrent=False,
        min_samples=1,
        settled=True,
        confirmed_at=None,
        start=milliseconds(now) - window,
        now=milliseconds(now) - INGESTION,
        place=Place(aim.route or aim.name),
    )
