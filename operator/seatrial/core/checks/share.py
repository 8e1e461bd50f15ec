"""Errors and Latency: a share of requests, the candidate's against stable's. Where they are counted, and how many.

The verdict on the counts is in `judging`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from seatrial.api.base import format_duration
from seatrial.api.spec import Check, CheckPreset, MetricSource
from seatrial.api.status import Arms, CheckStatus, Outcome, Tally
from seatrial.core import counters, promql
from seatrial.core.checks import eligible
from seatrial.core.checks.base import (
    INGESTION,
    Arm,
    Hold,
    Presets,
    Refusal,
    Situation,
    milliseconds,
    nearest,
    unanswered,
    verdict,
)
from seatrial.core.checks.gathering import gathered, kept
from seatrial.core.checks.judging import judge_share
from seatrial.core.checks.preset import TIMED, Counted, Preset, literal, shared
from seatrial.core.checks.reading import (
    ALL,
    LOOK_BACK,
    Read,
    answers_of,
    born,
    existence,
    matching,
    own_metric,
    question_key,
    sides,
    span,
    unseen_pod,
    unusable,
)
from seatrial.core.checks.terms import terms_of
from seatrial.core.questions import (
    CounterQuestion,
    ExistsQuestion,
    Found,
    MetricAnswer,
    MetricQuestion,
    Missing,
    NoData,
    Series,
)
from seatrial.core.statistics import clumps
from seatrial.core.statistics.clumps import Pace

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
            matching(preset, (preset.exists,), ALL, situation.stable, situation),
            now - LOOK_BACK,
            now,
        )
        for preset in _eligible(check, situation, presets)
    )


def opening(
    check: Check, situation: Situation, presets: Presets, answers: Mapping[str, MetricAnswer]
) -> CheckStatus | Refusal | Hold:
    """The gateway where its metrics are found (it sees refused and reset requests too), else the runtime."""
    if check.share is not None and isinstance(problem := own_preset(check), str):
        return Refusal(problem)
    readable = _eligible(check, situation, presets)
    lacking = "" if check.share is not None else eligible.lacking(check, situation.runtime, presets)
    if not readable:
        return Refusal(eligible.nothing(check, situation.runtime, lacking, gateway=situation.gateway))
    if situation.stable is None:
        return CheckStatus(name=check.name, source=readable[0].source)
    looked_for: list[tuple[Preset, str, str]] = []
    for preset in readable:
        match existence(answers, _opening_key(check, preset)):
            case Found():
                return CheckStatus(
                    name=check.name,
                    source=preset.source,
                    preset=None if check.share is not None else preset.name,
                    unverified=None if preset.verified or check.share is not None else True,
                    message=f"reads the numbers of {preset.called if check.share is None else preset.title}",
                )
            case Missing(nearest=names):
                selector = matching(preset, (preset.exists,), ALL, situation.stable, situation)
                looked_for.append((preset, selector, nearest(names)))
            case Hold() as hold:
                return hold
    return Refusal(eligible.unseen(situation.stable.revision, looked_for, lacking))


def _eligible(check: Check, situation: Situation, presets: Presets) -> list[Preset]:
    """Presets that can serve this check, the gateway first; for a share of the user's own, the one it describes."""
    if check.share is not None:
        mine = own_preset(check)
        return [] if isinstance(mine, str) else [mine]
    return eligible.readable(check, situation.runtime, presets, gateway=situation.gateway)


def own_preset(check: Check) -> Preset | str:
    """What a share of the user's own reads, or why it cannot be read."""
    assert check.share is not None
    part, whole = promql.named(check.share.of), promql.named(check.share.per)
    if isinstance(part, str) or isinstance(whole, str):
        return part if isinstance(part, str) else str(whole)
    return replace(own_metric(check.name, whole.metric, check.share.revision_label), part=part, whole=whole)


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
    return tuple(
        CounterQuestion(
            question_key(check.name, side),
            selector_of(preset, check.preset, stored.slower_than, arm, situation),
            start - past if side == "stable" else start,
            end,
        )
        for side, arm in sides(situation)
    )


def selector_of(
    preset: Preset, kind: CheckPreset | None, slower_than: str | None, arm: Arm, situation: Situation
) -> str:
    """A selector of all that a check counts of one arm, and of the proof that it was scraped."""
    timed = preset.timed(kind)
    counted = preset.counters if timed is None else (timed,)
    asked = shared(counted)
    if timed is not None and slower_than is not None:
        le = "|".join(literal(text) for text in (*_spellings(slower_than), "+Inf"))
        asked = replace(asked, only={**asked.only, "le": le})
    return matching(preset, (*(one.metric for one in counted), preset.proof), asked, arm, situation)


def _preset(check: Check, stored: CheckStatus, situation: Situation, presets: Presets) -> Preset | None:
    """The one that was found when the trial began; the first of its source for evidence that is older than that field."""
    readable = [p for p in _eligible(check, situation, presets) if stored.source in (None, p.source)]
    named = [p for p in readable if p.name == stored.preset]
    return next(iter(named or ([] if stored.preset is not None else readable)), None)


def _spellings(edge: str) -> list[str]:
    """How a bucket edge may be written: Prometheus 3 writes 250.0 where 2 kept 250."""
    number = float(edge)
    return sorted({edge, f"{number:g}", repr(number)})


# --- counting -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sample:
    """The answer for one arm."""

    side: str
    arm: Arm
    bad: tuple[Series, ...]
    """Errors; for Latency the quick ones, which are taken from all."""
    all: tuple[Series, ...]
    seen: counters.Scrapes
    own_labels: frozenset[str]


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
    if situation.candidate.copied and not preset.sees_copies:
        said = f"{preset.title} does not count copies of requests: in a shadow, use from: Runtime"
        return unanswered(stored, situation, Outcome.NO_DATA, said)
    start, end = (at.timestamp() for at in span(stored, situation))
    read = answers_of(check.name, sides(situation), stored, situation, answers)
    if isinstance(read, CheckStatus):
        return read
    if stored.trial is None and situation.candidate.copied and situation.confirmed_at is None:
        # Until the copies are known to be the candidate's, they may be those of the revision before.
        return stored.model_copy(update={"through": milliseconds(situation.now)})
    warm = warm_at(check, situation)
    if warm is not None and milliseconds(situation.now) <= warm:
        passed = {"through": milliseconds(situation.now), "outcome": Outcome.INCONCLUSIVE, "message": ""}
        return stored.model_copy(update=passed)
    if preset.source is MetricSource.GATEWAY and not preset.own_proof:
        # One proxy counts both arms: a scrape that shows the other one's series shows that this one's were 0.
        together = counters.scrapes([one for arm in read for one in arm.series])
        read = [replace(arm, seen=together) for arm in read]
    if (status := unusable(read, preset, stored, situation, end)) is not None:
        return status
    edge, timed = stored.slower_than, preset.timed(check.preset)
    if timed is not None and edge is None:
        control = read[-1].series
        chosen = edge_of(check, preset, timed, control)
        if isinstance(chosen, NoData):
            return unanswered(stored, situation, Outcome.NO_DATA, chosen.message)
        edge = chosen
    samples = [sample_of(check, preset, edge, one) for one in read]
    for sample in samples:
        if timed is not None and sample.all and not sample.bad:
            return unanswered(stored, situation, Outcome.ERROR, f"{sample.side} has no bucket with the edge {edge}")
    if stored.pace is None and situation.concurrent:
        pace = _past(check, samples[-1], start, situation)
        past = Tally(events=round(pace.events), total=round(pace.total)) if timed is not None and pace.windows else None
        stored = stored.model_copy(update={"pace": kept(pace), "past": past})
    # Counts of this weight began when it was confirmed; a pod born since then has no past to leave out.
    since = min(start, (situation.confirmed_at or situation.now).timestamp())
    start = max(_countable_from(sample, start, end, since) for sample in samples)
    if warm is not None:
        start = max(start, (warm - INGESTION).timestamp())
    if stored.trial is None and preset.by_slot:
        own = _own_from(samples[0], start, end, situation)
        if own is None:
            return stored.model_copy(update={"through": milliseconds(situation.now)})
        start = max(start, own)
    tallies: dict[str, Tally] = {}
    for sample in samples:
        tally = tally_of(check, sample, start, end, since)
        if isinstance(tally, NoData):
            return unanswered(stored, situation, Outcome.NO_DATA, tally.message)
        tallies[sample.side] = tally
    caveat = unseen_pod(samples[0].seen, samples[0].arm, end) if preset.source is MetricSource.RUNTIME else ""
    new = Arms(candidate=tallies["candidate"], stable=tallies.get("stable", Tally()))
    counted = gathered(stored, situation, new, terms_of(check))
    update = {"slower_than": edge, "unit": timed.unit if timed is not None else None}
    return counted.model_copy(update={**update, "outcome": Outcome.INCONCLUSIVE, "message": caveat})


def warm_at(check: Check, situation: Situation) -> datetime | None:
    """The instant from which times of answers count: the warm period after the weight was confirmed, and after the newest pod
    was made. None where all of them do.
    """
    if check.preset not in TIMED or situation.warm_period <= timedelta(0):
        return None
    changes = [created for _, arm in sides(situation) for created in arm.pods.values()]
    changes.append(situation.confirmed_at or situation.now)
    return milliseconds(max(changes)) + situation.warm_period


def sample_of(
    check: Check,
    preset: Preset,
    edge: str | None,
    read: Read,
) -> Sample:
    """The series of one arm that a check counts; `edge` for what is timed."""
    timed = preset.timed(check.preset)
    if timed is None or edge is None:
        mine = [one for one in read.series if preset.is_request(one.labels)]
        bad = [one for one in read.series if preset.is_error(one.labels)]
    else:
        mine = [one for one in read.series if timed.matches(one.labels)]
        bad = [one for one in mine if _le(one) == float(edge)]
        mine = [one for one in mine if math.isinf(_le(one))]
    return Sample(read.side, read.arm, tuple(bad), tuple(mine), read.seen, preset.own_labels)


def _le(one: Series) -> float:
    try:
        return float(one.labels.get("le", "nan"))
    except ValueError:
        return math.nan


def _countable_from(sample: Sample, start: float, end: float, since: float) -> float:
    both, pods = (*sample.all, *sample.bad), born(sample.arm)
    return counters.countable_from(both, start, end, sample.seen, pods, since=since, own=sample.own_labels)


def _own_from(sample: Sample, start: float, end: float, situation: Situation) -> float | None:
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


def tally_of(check: Check, sample: Sample, start: float, end: float, since: float) -> Tally | NoData:
    """What an arm counted between two instants."""
    pods, own = born(sample.arm), sample.own_labels
    total = counters.count(sample.all, start, end, sample.seen, pods, since=since, own=own)
    part = counters.count(sample.bad, start, end, sample.seen, pods, since=since, own=own)
    if isinstance(total, NoData):
        return total
    if isinstance(part, NoData):
        return part
    events = total - part if check.preset in TIMED else part
    return Tally(events=min(max(0, events), total), total=total)


def _past(check: Check, stable: Sample, end: float, situation: Situation) -> Pace:
    """Stable's windows in the hour before; those in which somebody's past is not known are left out."""
    pace, length = Pace(), max(WINDOW, situation.interval).total_seconds()
    count = int(LOOK_BACK.total_seconds() / length)
    for index in range(count, 0, -1):
        begin = end - index * length
        tally = tally_of(check, stable, begin, begin + length, begin)
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
    asked = [side for side in sides(situation) if side[0] == "stable" or preset.source is MetricSource.GATEWAY]
    read = answers_of(check.name, asked, stored, situation, answers)
    if isinstance(read, CheckStatus):
        return read.message
    series = tuple(one for arm in read for one in arm.series)
    edge, timed = None, preset.timed(check.preset)
    if timed is not None:
        chosen = edge_of(check, preset, timed, series)
        if isinstance(chosen, NoData):
            return chosen.message
        edge = chosen
    both = sample_of(check, preset, edge, replace(read[-1], series=series, seen=counters.scrapes(series)))
    if not both.all:
        return f"Prometheus has no samples of its requests in that time ({preset.title})"
    start, end = (at.timestamp() for at in span(stored, situation))
    out = []
    for index in range(int((end - start) / length.total_seconds())):
        begin = start + index * length.total_seconds()
        tally = tally_of(check, both, begin, begin + length.total_seconds(), begin)
        out.append(tally if isinstance(tally, Tally) else Tally())
    return out


def edge_of(check: Check, preset: Preset, timed: Counted, series: Sequence[Series]) -> str | NoData:
    """The bucket edge above which an answer counts as slow, as the metric spells it.

    The smallest edge at or above `slowerThan`; without it, the edge nearest (as a ratio) to the 95th percentile.
    """
    spelled: dict[float, str] = {}
    recent: dict[float, float] = {}
    ever: dict[float, float] = {}
    for one in series:
        le = _le(one)
        if not timed.matches(one.labels) or math.isnan(le) or not one.samples:
            continue
        first, last = one.samples[0][1], one.samples[-1][1]
        spelled.setdefault(le, one.labels["le"])
        recent[le] = recent.get(le, 0.0) + (last - first if last >= first else last)
        ever[le] = ever.get(le, 0.0) + last
    edges = sorted(le for le in spelled if math.isfinite(le))
    if not edges:
        return NoData(f"no answer was timed yet ({preset.title}, {timed.metric})")
    if check.slower_than is not None:
        limit = check.slower_than.total_seconds() * timed.per_second
        above = [le for le in edges if le >= limit * (1 - 1e-9)]
        if not above:
            return NoData(
                f"slowerThan {format_duration(check.slower_than)} is above the largest bucket edge of {preset.title}, "
                f"{_time(spelled[edges[-1]], timed)}: set it lower"
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
    judged = judge_share(_subject(check, stored), terms_of(check), stored, situation)
    warm = warm_at(check, situation)
    if judged.outcome is Outcome.INCONCLUSIVE and warm is not None and situation.now < warm:
        left = timedelta(seconds=math.ceil((warm - situation.now).total_seconds()))
        said = f"{judged.message}; answers are not counted for {format_duration(left)} more (warmPeriod)"
        return verdict(judged, situation, Outcome.INCONCLUSIVE, said)
    if not stored.unverified:
        return judged
    said = f"{judged.message}; reads the numbers of {stored.preset} (unverified)"
    return judged.model_copy(update={"message": said[:1024]})


_SLOW = {
    CheckPreset.LATENCY: "slower",
    CheckPreset.FIRST_TOKEN: "first tokens slower",
    CheckPreset.INTER_TOKEN: "gaps between tokens longer",
}


def _subject(check: Check, stored: CheckStatus) -> str:
    if check.share is not None or check.preset is None:
        return check.name
    what = "errors"
    if check.preset in _SLOW:
        unit = "" if stored.slower_than is None else f" than {stored.slower_than}{_unit(stored)}"
        what = f"{_SLOW[check.preset]}{unit}"
    return what if check.name == what else f"{check.name}: {what}"


def _unit(stored: CheckStatus) -> str:
    """The unit of the frozen edge; in evidence from before it was kept, Envoy's milliseconds or MLServer's seconds."""
    return stored.unit or ("ms" if stored.source is MetricSource.GATEWAY else "s")


def _time(edge: str, timed: Counted) -> str:
    return f"{float(edge):g}{timed.unit}"
