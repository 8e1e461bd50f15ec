"""Errors and Latency: a share of requests, the candidate's against stable's.

Until sequential tests come, the judge is made of one-sided bounds (`core/bounds.py`):

* Fail when the candidate is worse than the margin with 99.99 % confidence, or above the ceiling; on the requests of
  this weight, of the last one or two five-minute blocks, or of the whole trial. Nothing else is asked for, so ten
  errors in ten requests are enough. A long healthy past must not drown a fresh fault: that is what the blocks are for.
* Pass when there are enough requests and the harm that this weight can do stays within the margin:
  weight × upper bound (95 %) of the difference. At the last step the bound itself, on all evidence of the trial.
* Else Inconclusive, with the number of requests that is missing at today's shares.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from seatrial.api.base import format_duration
from seatrial.api.spec import Check, CheckPreset, Margin, MetricSource
from seatrial.api.status import Arms, CheckStatus, Outcome, Tally
from seatrial.core import bounds, counters
from seatrial.core.checks.base import (
    INGESTION,
    Arm,
    Hold,
    Presets,
    Refusal,
    Situation,
    milliseconds,
    nearest,
    pods_pattern,
    unanswered,
    verdict,
)
from seatrial.core.checks.preset import Counted, Preset, literal, quote
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

FAIL_CONFIDENCE = 0.9999
PASS_CONFIDENCE = 0.95
RELATIVE_FLOOR = 0.0025
"""A relative margin is never less than this share: without it a stable that makes no errors could not be matched."""
BLOCK = timedelta(minutes=5)
LOOK_BACK = timedelta(hours=1)
"""How far back a series may lie that shows that stable has such metrics."""

_DEFAULT_MARGIN = {
    CheckPreset.ERRORS: Margin(points=Decimal("0.5"), relative=Decimal(50)),
    CheckPreset.LATENCY: Margin(points=Decimal(2)),
}
_DEFAULT_MAX = {CheckPreset.ERRORS: 0.05}


@dataclass(frozen=True, slots=True)
class Terms:
    """What a check allows, as shares from 0 to 1."""

    points: float | None
    relative: float | None
    ceiling: float | None

    def margin(self, base: float) -> float:
        """How much more than stable's share is still acceptable: the stricter of the two margins."""
        allowed = [self.points] if self.points is not None else []
        if self.relative is not None:
            allowed.append(max(self.relative * base, RELATIVE_FLOOR))
        return min(allowed, default=1.0)


def terms_of(check: Check) -> Terms:
    """A check's margins and ceiling, defaults filled in."""
    assert check.preset is not None
    margin = check.margin or _DEFAULT_MARGIN[check.preset]
    ceiling = _DEFAULT_MAX.get(check.preset)
    if check.max is not None:
        ceiling = float(check.max.rstrip("%")) / (100.0 if check.max.endswith("%") else 1.0)
    return Terms(
        points=None if margin.points is None else float(margin.points) / 100.0,
        relative=None if margin.relative is None else float(margin.relative) / 100.0,
        ceiling=ceiling,
    )


def handles(check: Check) -> bool:
    """Whether the check is a preset's."""
    return check.preset is not None


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
    if not eligible:
        wanted = f"from: {check.source}" if check.source else f"runtime {situation.runtime}"
        return Refusal(f"there is no metric preset for {wanted}: use from: Gateway, or write a query")
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
    """Presets that can serve this check, the gateway first."""
    usable = [
        preset
        for preset in presets.values()
        if (not preset.runtimes or situation.runtime in preset.runtimes)
        and check.source in (None, preset.source)
        and (check.preset is not CheckPreset.LATENCY or preset.latency is not None)
    ]
    return sorted(usable, key=lambda preset: (preset.source is not MetricSource.GATEWAY, preset.name))


def _opening_key(check: Check, preset: Preset) -> str:
    return f"{check.name}/opening/{preset.name}"


# --- asking -------------------------------------------------------------------------------------------


def ask(check: Check, stored: CheckStatus, situation: Situation, presets: Presets) -> tuple[MetricQuestion, ...]:
    """Raw samples of both arms since the last count. One question for each arm, so that all its numbers are of a piece."""
    preset = _preset(check, stored, situation, presets)
    if preset is None:
        return ()
    start, end = span(stored, situation)
    counted = _counted(check, preset)
    only = dict(counted.only)
    if check.preset is CheckPreset.LATENCY and stored.slower_than is not None:
        only["le"] = "|".join(literal(text) for text in (*_spellings(stored.slower_than), "+Inf"))
    return tuple(
        CounterQuestion(
            question_key(check.name, side),
            _selector(preset, (counted.metric, preset.proof), only, arm, situation),
            start,
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
    if check.preset is CheckPreset.ERRORS:
        return preset.requests
    assert preset.latency is not None
    return preset.latency


def _selector(preset: Preset, names: Sequence[str], only: Mapping[str, str], arm: Arm, situation: Situation) -> str:
    """A selector of several metrics at once. `only` leaves series alone that have no such label: the proof has none."""
    placeholders = {
        "$namespace": situation.namespace,
        "$route": situation.name,
        "$slot": "0" if arm.slot == "a" else "1",
        "$model": situation.model_name or "",
    }
    metrics = sorted(set(names))
    matchers = [
        f"__name__={quote(metrics[0])}"
        if len(metrics) == 1
        else f"__name__=~{quote('|'.join(literal(name) for name in metrics))}"
    ]
    selector = preset.copies if arm.copied and preset.copies is not None else preset.selector
    for label, template in selector.items():
        value, pattern = template, "$pods" in template
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
    # Counts of this weight began when it was confirmed; a pod born since then has no past to leave out.
    since = min(start, (situation.confirmed_at or situation.now).timestamp())
    start = max(_countable_from(sample, start, end, since) for sample in samples)
    if stored.trial is None and preset.source is MetricSource.GATEWAY:
        start = max(start, _own_from(samples[0], start, situation))
    tallies: dict[str, Tally] = {}
    for sample in samples:
        tally = _tally(check, sample, start, end, since)
        if isinstance(tally, NoData):
            return unanswered(stored, situation, Outcome.NO_DATA, tally.message)
        tallies[sample.side] = tally
    caveat = _unseen_pod(samples[0], end) if preset.source is MetricSource.RUNTIME else ""
    counted = added(stored, situation, Arms(candidate=tallies["candidate"], stable=tallies.get("stable", Tally())))
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
    mine = [one for one in series if one.labels.get("__name__") == counted.metric]
    if edge is None:
        bad = [one for one in mine if preset.is_error(one.labels)]
    else:
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


def _own_from(sample: _Sample, start: float, situation: Situation) -> float:
    """The first instant from which a slot's counters count the candidate alone.

    The gateway counts by slot, and the revision before had the same one. A last scrape from before its traffic
    ended would have its errors counted as the candidate's.
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
        if last is not None and start - last > max(0.0, reach):
            out = max(out, next((t for t in times if t > start), start))
    return out


def _tally(check: Check, sample: _Sample, start: float, end: float, since: float) -> Tally | NoData:
    total = counters.count(sample.all, start, end, sample.seen, _born(sample.arm), since=since)
    part = counters.count(sample.bad, start, end, sample.seen, _born(sample.arm), since=since)
    if isinstance(total, NoData):
        return total
    if isinstance(part, NoData):
        return part
    events = part if check.preset is CheckPreset.ERRORS else total - part
    return Tally(events=min(max(0, events), total), total=total)


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


def added(stored: CheckStatus, situation: Situation, new: Arms) -> CheckStatus:
    """The evidence with one look's counts in it."""
    now = milliseconds(situation.now)
    since = stored.block_since
    if since is None:
        recent, previous, since = new, None, milliseconds(stored.through or situation.start)
    elif now - since < BLOCK:
        recent, previous = _plus(stored.recent, new), stored.previous
    else:
        # A block that was not followed for long is no longer the one before this one.
        previous = stored.recent if now - since < 2 * BLOCK else None
        recent, since = new, milliseconds(stored.through or situation.start)
    return stored.model_copy(
        update={
            "step": _plus(stored.step, new),
            "trial": _plus(stored.trial, new),
            "recent": recent,
            "previous": previous,
            "block_since": since,
            "through": now,
            "at": now,
        }
    )


def _plus(a: Arms | None, b: Arms | None) -> Arms:
    a, b = a or Arms(), b or Arms()
    return Arms(stable=_sum(a.stable, b.stable), candidate=_sum(a.candidate, b.candidate))


def _sum(a: Tally, b: Tally) -> Tally:
    return Tally(events=a.events + b.events, total=a.total + b.total)


# --- judging ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Evidence:
    """Counts of both arms; fractions when they are imagined."""

    events: float
    total: float
    base_events: float
    base_total: float

    @property
    def share(self) -> float:
        return self.events / self.total if self.total > 0 else 0.0

    @property
    def base(self) -> float:
        return self.base_events / self.base_total if self.base_total > 0 else 0.0

    def worse_at_least(self, confidence: float) -> float:
        return bounds.difference_lower(self.events, self.total, self.base_events, self.base_total, confidence)

    def worse_at_most(self, confidence: float) -> float:
        return bounds.difference_upper(self.events, self.total, self.base_events, self.base_total, confidence)


def _evidence(arms: Arms | None) -> _Evidence:
    arms = arms or Arms()
    return _Evidence(arms.candidate.events, arms.candidate.total, arms.stable.events, arms.stable.total)


def judge(check: Check, stored: CheckStatus, situation: Situation) -> CheckStatus:
    """Fail at once on what is known; Pass on enough of it; else say what is missing."""
    if stored.outcome in (Outcome.NO_DATA, Outcome.ERROR):
        return stored
    return judge_share(_subject(check, stored), terms_of(check), stored, situation)


def judge_share(subject: str, terms: Terms, stored: CheckStatus, situation: Situation) -> CheckStatus:
    """The verdict on counted shares of any kind; `subject` begins its sentence."""
    if (sentence := failure(terms, stored, situation)) is not None:
        return verdict(stored, situation, Outcome.FAIL, f"{subject} {sentence}: fail")
    evidence = _evidence(stored.trial if situation.last else stored.step)
    weight = 1.0 if situation.last else float(situation.weight) / 100.0
    compare = situation.concurrent or (situation.last and terms.ceiling is None and evidence.base_total > 0)
    if not compare and terms.ceiling is None:
        return verdict(
            stored,
            situation,
            Outcome.INCONCLUSIVE,
            f"{subject} {_numbers(evidence, compared=False)}: stable answers nothing beside it to compare with, "
            "and the check has no ceiling: set max",
        )
    said = f"{subject} {_numbers(evidence, compared=compare)}, {_at_most(terms, evidence, weight, situation, compare)}"
    enough = evidence.total >= situation.min_samples
    if enough and _affordable(terms, evidence, weight, compare):
        if not situation.settled:
            return verdict(
                stored,
                situation,
                Outcome.INCONCLUSIVE,
                f"{said}: waits until the weight has been in force for two scrapes",
            )
        if stored.message:
            return verdict(stored, situation, Outcome.NO_DATA, stored.message)
        return verdict(stored, situation, Outcome.PASS, f"{said}: pass")
    return verdict(
        stored, situation, Outcome.INCONCLUSIVE, f"{said}: {_missing(terms, evidence, weight, situation, compare)}"
    )


def failure(terms: Terms, stored: CheckStatus, situation: Situation) -> str | None:
    """Why the evidence is a failure; None where it is not. Any of its four views is enough."""
    views = (
        ("at this weight", stored.step),
        ("in the last five minutes", stored.recent),
        ("in the last ten minutes", _plus(stored.recent, stored.previous)),
        ("in the whole trial", stored.trial),
    )
    seen: list[_Evidence] = []
    for where, arms in views:
        evidence = _evidence(arms)
        if evidence in seen:
            continue  # in the first minutes all four are the same
        seen.append(evidence)
        if (sentence := _failure(terms, evidence, situation, where)) is not None:
            return sentence
    return None


def _failure(terms: Terms, seen: _Evidence, situation: Situation, where: str) -> str | None:
    """Why this evidence is a failure, with its numbers; None where it is not."""
    if seen.events <= 0:
        return None
    if situation.concurrent and seen.base_total > 0:
        least = seen.worse_at_least(FAIL_CONFIDENCE)
        margin = terms.margin(seen.base)
        if least > margin:
            return f"{_numbers(seen, compared=True)} {where}, at least {_points(least)} worse, margin {_points(margin)}"
    if terms.ceiling is not None:
        least = bounds.lower(seen.events, seen.total, FAIL_CONFIDENCE)
        if least > terms.ceiling:
            return (
                f"{_numbers(seen, compared=seen.base_total > 0)} {where}, at least {_percent(least)}, "
                f"ceiling {_percent(terms.ceiling)}"
            )
    return None


def _affordable(terms: Terms, seen: _Evidence, weight: float, compare: bool) -> bool:
    """Whether the harm that the upper bound leaves possible is within what the check allows."""
    if compare:
        return weight * seen.worse_at_most(PASS_CONFIDENCE) <= terms.margin(seen.base)
    assert terms.ceiling is not None
    return weight * bounds.upper(seen.events, seen.total, PASS_CONFIDENCE) <= terms.ceiling


def _at_most(terms: Terms, seen: _Evidence, weight: float, situation: Situation, compare: bool) -> str:
    if compare:
        most, allowed = seen.worse_at_most(PASS_CONFIDENCE), f"margin {_points(terms.margin(seen.base))}"
        said = f"at most {_points(max(0.0, most))} worse"
    else:
        assert terms.ceiling is not None
        most, allowed = bounds.upper(seen.events, seen.total, PASS_CONFIDENCE), f"ceiling {_percent(terms.ceiling)}"
        said = f"at most {_percent(most)}"
    if weight < 1.0:
        said += f", {_points(max(0.0, weight * most))} at {float(situation.weight):g}% weight"
    return f"{said} ({allowed})"


def _missing(terms: Terms, seen: _Evidence, weight: float, situation: Situation, compare: bool) -> str:
    """What an undecided check waits for."""
    least = max(0.0, situation.min_samples - seen.total)
    ratio = (100.0 - float(situation.weight)) / float(situation.weight) if compare and situation.weight > 0 else 0.0
    if not situation.concurrent:
        ratio = 0.0
    needed = requests_needed(terms, seen, weight, ratio, compare=compare)
    if needed is None:
        return "cannot pass at these shares, however many requests come"
    if needed <= least:
        return f"needs {math.ceil(least):,} more requests of the {situation.min_samples:,} that a pass takes"
    return f"needs about {_rounded(needed):,} more requests"


def requests_needed(
    terms: Terms, seen: _Evidence, weight: float, ratio: float, *, compare: bool = True
) -> float | None:
    """How many more requests on the candidate make it pass, if both shares stay as they are.

    `ratio` is the number of requests that stable gets for each of them. None where no number does.
    """
    share = seen.share if seen.total > 0 else seen.base

    def imagined(more: float) -> _Evidence:
        total, base_total = seen.total + more, seen.base_total + ratio * more
        return _Evidence(share * total, total, seen.base * base_total, base_total)

    high = max(50.0, seen.total)
    while not _affordable(terms, imagined(high), weight, compare):
        high *= 2.0
        if high > 1e9:
            return None
    low = 0.0
    while high - low > max(0.5, 0.02 * high):
        middle = (low + high) / 2.0
        if _affordable(terms, imagined(middle), weight, compare):
            high = middle
        else:
            low = middle
    return high


# --- words --------------------------------------------------------------------------------------------


def _subject(check: Check, stored: CheckStatus) -> str:
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


def _numbers(seen: _Evidence, *, compared: bool) -> str:
    if not compared:
        return f"{_percent(seen.share)} ({seen.events:,.0f} of {seen.total:,.0f})"
    return (
        f"{_percent(seen.share)} vs {_percent(seen.base)} "
        f"({seen.events:,.0f} of {seen.total:,.0f} vs {seen.base_events:,.0f} of {seen.base_total:,.0f})"
    )


def _percent(share: float) -> str:
    return f"{share * 100:.2f}%" if share == 0 or share >= 0.0001 else f"{share * 100:.1g}%"


def _points(share: float) -> str:
    return f"{share * 100:.2f} points"


def _rounded(number: float) -> int:
    """Up to two significant digits: it is an estimate, and should look like one."""
    size: int = 10 ** max(0, math.floor(math.log10(max(1.0, number))) - 1)
    return math.ceil(number / size) * size
