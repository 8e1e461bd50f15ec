"""Errors and Latency: a share of requests, the candidate's against stable's. Where they are counted, and how many.

The verdict on the counts is in `judging`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from seatrial.api.base import format_duration
from seatrial.api.spec import Check, CheckPreset, MetricSource
from seatrial.api.status import Arms, CheckStatus, Outcome, Tally
from seatrial.core import counters, promql
from seatrial.core.checks.base import (
    INGESTION,
    Arm,
    Hold,
    Place,
    Presets,
    Refusal,
    Situation,
    milliseconds,
    nearest,
    pods_pattern,
    unanswered,
)
from seatrial.core.checks.gathering import gathered, kept
from seatrial.core.checks.judging import judge_share
from seatrial.core.checks.preset import Counted, Preset, literal, quote
from seatrial.core.checks.terms import terms_of
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
    Series,
)
from seatrial.core.statistics import clumps
from seatrial.core.statistics.clumps import Pace

LOOK_BACK = timedelta(hours=1)
"""How far back a series may lie that shows that stable has such metrics, and how far its windows are looked at."""
WINDOW = timedelta(seconds=15)
"""The least length of a window of stable's past."""


def handles(check: Check) -> bool:
    """Whether the check is a preset's, or a share of the user's own."""
    return check.preset is not None or check.share is not None


# --- opening: whose numbers are read ------------------------------------------------------------------


def opening_questions(check: Check, situation: Situation, presets: Presets) -> tuple[MetricQuestion, ...]:
    """Has stable any series, at the gateway or at the runtime?"""
    if situation.stable is None:
        return ()
    now = milliseconds(situation.now)
    return tuple(
        ExistsQuestion(
            _opening_key(check, preset),
            _selector(preset, (preset.exists,), {}, situation.stable, situation),
            now - LOOK_BACK,
            now,
        )
        for preset in _eligible(check, situation, presets)
    )


def opening(
    check: Check, situation: Situation, presets: Presets, answers: Mapping[str, MetricAnswer]
) -> CheckStatus | Refusal | Hold:
    """The gateway where its metrics are found (it sees refused and reset requests too), else the runtime."""
    eligible = _eligible(check, situation, presets)
    if check.share is not None and isinstance(problem := _own(check), str):
        return Refusal(problem)
    if not eligible:
        wanted = f"from: {check.source}" if check.source else f"runtime {situation.runtime}"
        use = "use from: Gateway, or write a query" if situation.gateway else "no gateway counts here: write a query"
        return Refusal(f"there is no metric preset for {wanted}: {use}")
    if situation.stable is None:
        return CheckStatus(name=check.name, source=eligible[0].source)
    looked_for = []
    for preset in eligible:
        match answers.get(_opening_key(check, preset), Failure("Prometheus was not asked")):
            case Found():
                return CheckStatus(
                    name=check.name, source=preset.source, message=f"reads the numbers of {preset.title}"
                )
            case Missing(nearest=names):
                selector = _selector(preset, (preset.exists,), {}, situation.stable, situation)
                looked_for.append(f"{preset.title}: {selector}{nearest(names)}")
            case NoData(message) | Failure(message):
                return Hold(message)
            case _:
                return Hold("Prometheus gave an answer to another question")
    return Refusal(
        f"stable revision {situation.stable.revision} has no series in the last hour, so nothing could be compared. "
        f"Looked for {' · '.join(looked_for)}. Have Prometheus scrape it, or judge by a query"
    )


def _eligible(check: Check, situation: Situation, presets: Presets) -> list[Preset]:
    """Presets that can serve this check, the gateway first; for a share of the user's own, the one it describes."""
    if check.share is not None:
        own = _own(check)
        return [] if isinstance(own, str) else [own]
    usable = [
        preset
        for preset in presets.values()
        if (situation.gateway or preset.source is not MetricSource.GATEWAY)
        and (not preset.runtimes or situation.runtime in preset.runtimes)
        and check.source in (None, preset.source)
        and (check.preset is not CheckPreset.LATENCY or preset.latency is not None)
    ]
    return sorted(usable, key=lambda preset: (preset.source is not MetricSource.GATEWAY, preset.name))


def _own(check: Check) -> Preset | str:
    """What a share of the user's own reads, or why it cannot be read."""
    assert check.share is not None
    part, whole = promql.named(check.share.of), promql.named(check.share.per)
    if isinstance(part, str) or isinstance(whole, str):
        return part if isinstance(part, str) else str(whole)
    label = check.share.revision_label
    where = {"pod": "$pods"} if label is None else {label: "$revision"}
    return Preset(
        name="own",
        title=f"check {check.name}",
        source=MetricSource.RUNTIME,
        runtimes=(),
        selector={"namespace": "$namespace", **where},
        exists=whole.metric,
        proof="up" if label is None else whole.metric,
        requests=Counted(whole.metric),
        error_label="",
        error_values="",
        latency=None,
        part=part,
        whole=whole,
    )


def _opening_key(check: Check, preset: Preset) -> str:
    return f"{check.name}/opening/{preset.name}"


# --- asking -------------------------------------------------------------------------------------------


def ask(check: Check, stored: CheckStatus, situation: Situation, presets: Presets) -> tuple[MetricQuestion, ...]:
    """Raw samples of both arms since the last count. One question for each arm, so that all its numbers are of a piece.

    The first question reaches an hour into stable's past, to learn how its errors come.
    """
    preset = _preset(check, stored, situation, presets)
    if preset is None:
        return ()
    start, end = span(stored, situation)
    past = LOOK_BACK if stored.pace is None else timedelta(0)
    counted = _counted(check, preset)
    names = (counted.metric,) if check.preset is CheckPreset.LATENCY else preset.metrics
    only = dict(counted.only)
    if check.preset is CheckPreset.LATENCY and stored.slower_than is not None:
        only["le"] = "|".join(literal(text) for text in (*_spellings(stored.slower_than), "+Inf"))
    return tuple(
        CounterQuestion(
            question_key(check.name, side),
            _selector(preset, (*names, preset.proof), only, arm, situation),
            start - past if side == "stable" else start,
            end,
        )
        for side, arm in _sides(situation)
    )


def span(stored: CheckStatus, situation: Situation) -> tuple[datetime, datetime]:
    """The stretch this look counts, in Prometheus' time: always the last one's end to now, a moment ago."""
    start = milliseconds(stored.through or situation.start)
    end = max(start, milliseconds(situation.now))
    return start - INGESTION, end - INGESTION


def _sides(situation: Situation) -> list[tuple[str, Arm]]:
    sides = [("candidate", situation.candidate)]
    if situation.stable is not None and situation.concurrent:
        sides.append(("stable", situation.stable))
    return sides


def question_key(name: str, side: str) -> str:
    """The key of the question about one side of a check."""
    return f"{name}/{side}"


def _preset(check: Check, stored: CheckStatus, situation: Situation, presets: Presets) -> Preset | None:
    eligible = [p for p in _eligible(check, situation, presets) if stored.source in (None, p.source)]
    return eligible[0] if eligible else None


def _counted(check: Check, preset: Preset) -> Counted:
    if check.preset is not CheckPreset.LATENCY:
        return preset.requests
    assert preset.latency is not None
    return preset.latency


def _selector(preset: Preset, names: Sequence[str], only: Mapping[str, str], arm: Arm, situation: Situation) -> str:
    """A selector of several metrics at once. `only` leaves series alone that have no such label: the proof has none."""
    place = situation.place or Place(situation.name)
    placeholders = {
        "$namespace": situation.namespace,
        "$route": place.route,
        "$rules": str(place.rule),
        "$rule": str(place.rule),
        "$copies": str(place.ahead),
        "$slot": "0" if arm.slot == "a" else "1",
        "$model": situation.model_name or "",
        "$revision": arm.revision,
    }
    metrics = sorted(set(names))
    matchers = [
        f"__name__={quote(metrics[0])}"
        if len(metrics) == 1
        else f"__name__=~{quote('|'.join(literal(name) for name in metrics))}"
    ]
    selector = preset.copies if arm.copied and preset.copies is not None else preset.selector
    for label, template in selector.items():
        several = situation.rules > 1 and "$rules" in template
        value, pattern = template, several or "$pods" in template
        if several:
            value = value.replace("$rules", f"[0-{situation.rules - 1}]")
        for placeholder, text in placeholders.items():
            value = value.replace(placeholder, literal(text) if pattern else text)
        value = value.replace("$pods", pods_pattern(situation, arm))
        matchers.append(f"{label}{'=~' if pattern else '='}{quote(value)}")
    matchers += [f"{label}=~{quote('|' + pattern)}" for label, pattern in only.items()]
    return "{" + ",".join(matchers) + "}"


def _spellings(edge: str) -> list[str]:
    """How a bucket edge may be written: Prometheus 3 writes 250.0 where 2 kept 250."""
    number = float(edge)
    return sorted({edge, f"{number:g}", repr(number)})


# --- counting -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Sample:
    """The answer for one arm."""

    side: str
    arm: Arm
    bad: tuple[Series, ...]
    """Errors; for Latency the quick ones, which are taken from all."""
    all: tuple[Series, ...]
    seen: counters.Scrapes


def fold(
    check: Check,
    stored: CheckStatus,
    situation: Situation,
    presets: Presets,
    answers: Mapping[str, MetricAnswer],
) -> CheckStatus:
    """Add both arms' counts since the last look, or neither's.

    Where a target turns up whose past is unknown, counting begins, on both arms, at the first instant from which
    all are known. A candidate's pod that was scraped and is not any more leaves a caveat in `message`: `judge`
    lets nothing pass on it.
    """
    preset = _preset(check, stored, situation, presets)
    if preset is None:
        return unanswered(stored, situation, Outcome.ERROR, "its metric preset is gone: restart the trial")
    start, end = (at.timestamp() for at in span(stored, situation))
    read = answers_of(check.name, _sides(situation), stored, situation, answers)
    if isinstance(read, CheckStatus):
        return read
    if stored.trial is None and situation.candidate.copied and situation.confirmed_at is None:
        # Until the copies are known to be the candidate's, they may be those of the revision before.
        return stored.model_copy(update={"through": milliseconds(situation.now)})
    seen = {side: counters.scrapes(answer.series) for side, _, answer in read}
    for side, arm, _ in read:
        if (problem := _not_scraped(seen[side], side, arm, preset, end)) is not None:
            return unanswered(stored, situation, Outcome.NO_DATA, problem)
    edge = stored.slower_than
    if check.preset is CheckPreset.LATENCY and edge is None:
        control = read[-1][2].series
        chosen = _edge(check, preset, control)
        if isinstance(chosen, NoData):
            return unanswered(stored, situation, Outcome.NO_DATA, chosen.message)
        edge = chosen
    samples = [_sample(check, preset, edge, side, arm, answer.series, seen[side]) for side, arm, answer in read]
    for sample in samples:
        if check.preset is CheckPreset.LATENCY and sample.all and not sample.bad:
            return unanswered(stored, situation, Outcome.ERROR, f"{sample.side} has no bucket with the edge {edge}")
    if stored.pace is None and situation.concurrent:
        stored = stored.model_copy(update={"pace": kept(_past(check, samples[-1], start, situation))})
    # Counts of this weight began when it was confirmed; a pod born since then has no past to leave out.
    since = min(start, (situation.confirmed_at or situation.now).timestamp())
    start = max(_countable_from(sample, start, end, since) for sample in samples)
    if stored.trial is None and preset.source is MetricSource.GATEWAY:
        own = _own_from(samples[0], start, end, situation)
        if own is None:
            return stored.model_copy(update={"through": milliseconds(situation.now)})
        start = max(start, own)
    tallies: dict[str, Tally] = {}
    for sample in samples:
        tally = _tally(check, sample, start, end, since)
        if isinstance(tally, NoData):
            return unanswered(stored, situation, Outcome.NO_DATA, tally.message)
        tallies[sample.side] = tally
    caveat = _unseen_pod(samples[0], end) if preset.source is MetricSource.RUNTIME else ""
    new = Arms(candidate=tallies["candidate"], stable=tallies.get("stable", Tally()))
    counted = gathered(stored, situation, new, terms_of(check))
    return counted.model_copy(update={"slower_than": edge, "outcome": Outcome.INCONCLUSIVE, "message": caveat})


def answers_of(
    name: str,
    sides: Sequence[tuple[str, Arm]],
    stored: CheckStatus,
    situation: Situation,
    answers: Mapping[str, MetricAnswer],
) -> list[tuple[str, Arm, Counters]] | CheckStatus:
    """The counters of every side of a check, whole; or its status where one of them cannot be counted."""
    read: list[tuple[str, Arm, Counters]] = []
    for side, arm in sides:
        match answers.get(question_key(name, side), Failure("Prometheus was not asked")):
            case Counters(warnings=warnings) if warnings:
                return unanswered(
                    stored,
                    situation,
                    Outcome.ERROR,
                    f"a partial answer for {side} is not counted: {'; '.join(warnings)}",
                )
            case Counters() as answer:
                read.append((side, arm, answer))
            case NoData(message):
                return unanswered(stored, situation, Outcome.NO_DATA, message)
            case Failure(message):
                return unanswered(stored, situation, Outcome.ERROR, message)
            case _:
                return unanswered(stored, situation, Outcome.ERROR, "Prometheus gave an answer to another question")
    return read


def _not_scraped(seen: counters.Scrapes, side: str, arm: Arm, preset: Preset, end: float) -> str | None:
    """Why this arm's numbers cannot be trusted to be of now."""
    if not seen.times:
        return f"Prometheus has no samples of {side} {arm.revision} ({preset.title}) yet"
    if any(seen.fresh(target, end) for target in seen.times):
        return None
    last = max((times for target in seen.times if (times := seen.last(target, end)) is not None), default=None)
    if last is None:
        return f"Prometheus has no samples of {side} {arm.revision} ({preset.title}) yet"
    return (
        f"{side} {arm.revision} was last scraped {end - last:.0f} s ago ({preset.title}): nothing newer can be judged"
    )


def _unseen_pod(sample: _Sample, end: float) -> str:
    """A sentence about a pod that exists, was scraped, and is not any more; empty where there is none."""
    for target, pod in sorted(sample.seen.pods.items()):
        last = sample.seen.last(target, end)
        if pod in sample.arm.pods and last is not None and not sample.seen.fresh(target, end):
            return f"pod {pod} was last scraped {end - last:.0f} s ago: nothing passes on the other pods alone"
    return ""


def _sample(
    check: Check,
    preset: Preset,
    edge: str | None,
    side: str,
    arm: Arm,
    series: Sequence[Series],
    seen: counters.Scrapes,
) -> _Sample:
    counted = _counted(check, preset)
    if edge is None:
        mine = [one for one in series if preset.is_request(one.labels)]
        bad = [one for one in series if preset.is_error(one.labels)]
    else:
        mine = [one for one in series if one.labels.get("__name__") == counted.metric]
        bad = [one for one in mine if _le(one) == float(edge)]
        mine = [one for one in mine if math.isinf(_le(one))]
    return _Sample(side, arm, tuple(bad), tuple(mine), seen)


def _le(one: Series) -> float:
    try:
        return float(one.labels.get("le", "nan"))
    except ValueError:
        return math.nan


def _countable_from(sample: _Sample, start: float, end: float, since: float) -> float:
    return counters.countable_from((*sample.all, *sample.bad), start, end, sample.seen, _born(sample.arm), since=since)


def _own_from(sample: _Sample, start: float, end: float, situation: Situation) -> float | None:
    """The first instant from which a slot's counters count the candidate alone; None while it is still to come.

    The gateway counts by slot, and the revision before had the same one. A last scrape from before its traffic
    ended would have its errors counted as the candidate's, in this look or in the next one.
    """
    if sample.arm.copied and situation.confirmed_at is not None:
        # Copies have no drain: one revision's end where the next one's begin.
        start, reach = max(start, situation.confirmed_at.timestamp()), 0.0
    elif situation.vacant is not None:
        reach = (situation.vacant - INGESTION).total_seconds()
    else:
        return start
    out = start
    for target, times in sample.seen.times.items():
        last = sample.seen.last(target, start)
        if last is None or start - last <= max(0.0, reach):
            continue
        first = next((t for t in times if t > start), None)
        if first is not None:
            out = max(out, first)
        elif sample.seen.fresh(target, end):
            return None
    return out


def _tally(check: Check, sample: _Sample, start: float, end: float, since: float) -> Tally | NoData:
    total = counters.count(sample.all, start, end, sample.seen, _born(sample.arm), since=since)
    part = counters.count(sample.bad, start, end, sample.seen, _born(sample.arm), since=since)
    if isinstance(total, NoData):
        return total
    if isinstance(part, NoData):
        return part
    events = total - part if check.preset is CheckPreset.LATENCY else part
    return Tally(events=min(max(0, events), total), total=total)


def _past(check: Check, stable: _Sample, end: float, situation: Situation) -> Pace:
    """Stable's windows in the hour before; those in which somebody's past is not known are left out."""
    pace, length = Pace(), max(WINDOW, situation.interval).total_seconds()
    count = int(LOOK_BACK.total_seconds() / length)
    for index in range(count, 0, -1):
        begin = end - index * length
        tally = _tally(check, stable, begin, begin + length, begin)
        if isinstance(tally, Tally):
            pace = clumps.observed(pace, tally.events, tally.total)
    return pace


def history(
    check: Check,
    stored: CheckStatus,
    situation: Situation,
    presets: Presets,
    answers: Mapping[str, MetricAnswer],
    length: timedelta,
) -> list[Tally] | str:
    """What the whole service answered in each window of the stretch that `ask` has asked for, or why that is not known.

    A gateway counts by slot, and stable may have been in either: both are taken. A window in which somebody's past is not
    known counts nothing.
    """
    preset = _preset(check, stored, situation, presets)
    if preset is None:
        return "there is no metric preset for it"
    sides = [side for side in _sides(situation) if side[0] == "stable" or preset.source is MetricSource.GATEWAY]
    read = answers_of(check.name, sides, stored, situation, answers)
    if isinstance(read, CheckStatus):
        return read.message
    series = [one for _, _, answer in read for one in answer.series]
    edge = None
    if check.preset is CheckPreset.LATENCY:
        chosen = _edge(check, preset, series)
        if isinstance(chosen, NoData):
            return chosen.message
        edge = chosen
    both = _sample(check, preset, edge, "stable", read[-1][1], series, counters.scrapes(series))
    if not both.all:
        return f"Prometheus has no samples of its requests in that time ({preset.title})"
    start, end = (at.timestamp() for at in span(stored, situation))
    out = []
    for index in range(int((end - start) / length.total_seconds())):
        begin = start + index * length.total_seconds()
        tally = _tally(check, both, begin, begin + length.total_seconds(), begin)
        out.append(tally if isinstance(tally, Tally) else Tally())
    return out


def _born(arm: Arm) -> dict[str, float]:
    return {pod: created.timestamp() for pod, created in arm.pods.items()}


def _edge(check: Check, preset: Preset, series: Sequence[Series]) -> str | NoData:
    """The bucket edge above which an answer counts as slow, as the metric spells it.

    The smallest edge at or above `slowerThan`; without it, the edge nearest (as a ratio) to the 95th percentile.
    """
    latency = _counted(check, preset)
    spelled: dict[float, str] = {}
    recent: dict[float, float] = {}
    ever: dict[float, float] = {}
    for one in series:
        le = _le(one)
        if one.labels.get("__name__") != latency.metric or math.isnan(le) or not one.samples:
            continue
        first, last = one.samples[0][1], one.samples[-1][1]
        spelled.setdefault(le, one.labels["le"])
        recent[le] = recent.get(le, 0.0) + (last - first if last >= first else last)
        ever[le] = ever.get(le, 0.0) + last
    edges = sorted(le for le in spelled if math.isfinite(le))
    if not edges:
        return NoData(f"no answer was timed yet ({preset.title}, {latency.metric})")
    if check.slower_than is not None:
        limit = check.slower_than.total_seconds() * latency.per_second
        above = [le for le in edges if le >= limit * (1 - 1e-9)]
        if not above:
            return NoData(
                f"slowerThan {format_duration(check.slower_than)} is above the largest bucket edge of {preset.title}, "
                f"{_time(spelled[edges[-1]], latency)}: set it lower"
            )
        return spelled[above[0]]
    counts = recent if recent.get(math.inf, 0.0) >= 100 else ever
    if counts.get(math.inf, 0.0) <= 0:
        return NoData(f"stable has answered no request yet, so its usual latency is not known ({preset.title})")
    p95 = _quantile(counts, edges, 0.95)
    return spelled[min(edges, key=lambda le: abs(math.log(max(le, 1e-9) / max(p95, 1e-9))))]


def _quantile(counts: Mapping[float, float], edges: Sequence[float], q: float) -> float:
    """A quantile by linear interpolation inside its bucket, as `histogram_quantile` does it."""
    rank = q * counts[math.inf]
    below, edge_below = 0.0, 0.0
    for edge in edges:
        here = counts.get(edge, 0.0)
        if here >= rank:
            return edge_below + (edge - edge_below) * (rank - below) / (here - below) if here > below else edge
        below, edge_below = here, edge
    return edges[-1]


def judge(check: Check, stored: CheckStatus, situation: Situation) -> CheckStatus:
    """Fail at once on what is known; Pass on enough of it; else say what is missing."""
    if stored.outcome in (Outcome.NO_DATA, Outcome.ERROR):
        return stored
    return judge_share(_subject(check, stored), terms_of(check), stored, situation)


def _subject(check: Check, stored: CheckStatus) -> str:
    if check.share is not None:
        return check.name
    what = "errors"
    if check.preset is CheckPreset.LATENCY:
        unit = "" if stored.slower_than is None else f" than {stored.slower_than}{_unit(stored)}"
        what = f"slower{unit}"
    return what if check.name == what else f"{check.name}: {what}"


def _unit(stored: CheckStatus) -> str:
    """The unit of the frozen edge; the gateway counts milliseconds, runtimes count seconds."""
    return "ms" if stored.source is MetricSource.GATEWAY else "s"


def _time(edge: str, latency: Counted) -> str:
    return f"{float(edge):g}{latency.unit}"
