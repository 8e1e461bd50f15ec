"""Drift: how far the candidate's predictions are from stable's over the same time.

Bins are chosen once, from what stable predicted in the hour before (`core/bins.py`), and stay for the trial. Both arms are counted
exactly, by bin, from the moment the present weight was confirmed, so that both saw the same time in the same mixture. The
statistics are in `core/statistics/drift.py`; `docs/drift.md` says what is assumed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from seatrial.api.base import format_duration
from seatrial.api.spec import Check, Drift
from seatrial.api.status import CheckStatus, DriftStatus, Outcome
from seatrial.core import bins, counters, histograms
from seatrial.core.checks import predictions
from seatrial.core.checks.base import (
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
from seatrial.core.checks.judging import FALSE_ALARM, FALSE_PASS, rounded
from seatrial.core.checks.predictions import Comparison, Subject, subject_of
from seatrial.core.checks.reading import (
    ALL,
    LOOK_BACK,
    answers_of,
    born,
    existence,
    matching,
    question_key,
    sides,
    span,
    unseen_pod,
    unusable,
    whole,
)
from seatrial.core.histograms import Row
from seatrial.core.questions import (
    CounterQuestion,
    Counters,
    ExistsQuestion,
    MetricAnswer,
    MetricQuestion,
    Missing,
    NoData,
    Series,
)
from seatrial.core.statistics import drift as statistics

WINDOW = timedelta(minutes=1)
"""The windows of stable's past that show how predictions hang together."""


def handles(check: Check) -> bool:
    """Whether the check is about drift."""
    return check.drift is not None


def _subject(check: Check) -> Subject | str:
    """What is read, or why it cannot be."""
    return subject_of(check.name, _asked(check))


def _asked(check: Check) -> Drift:
    assert check.drift is not None
    return check.drift


def limit_of(check: Check) -> float:
    """The largest distance that is acceptable."""
    return predictions.limit_of(_asked(check))


# --- opening ------------------------------------------------------------------------------------------


def opening_questions(check: Check, situation: Situation, presets: Presets) -> tuple[MetricQuestion, ...]:  # noqa: ARG001  same signature for every kind
    """Has stable the metric, and what did it predict in the last hour?"""
    subject = _subject(check)
    if situation.stable is None or isinstance(subject, str):
        return ()
    now = milliseconds(situation.now)
    exist = tuple(
        ExistsQuestion(
            _exists_key(check, metric),
            matching(subject.preset, (metric,), ALL, situation.stable, situation),
            now - LOOK_BACK,
            now,
        )
        for metric in subject.metrics
    )
    return (*exist, _past_question(check, subject, situation.stable, situation))


def opening(
    check: Check,
    situation: Situation,
    presets: Presets,  # noqa: ARG001  same signature for every kind
    answers: Mapping[str, MetricAnswer],
) -> CheckStatus | Refusal | Hold:
    """With the bins, as soon as stable has made enough predictions to choose them from."""
    subject = _subject(check)
    if isinstance(subject, str):
        return Refusal(subject)
    opened = CheckStatus(name=check.name)
    if situation.stable is None:
        return opened
    missing: list[Missing] = []
    for metric in subject.metrics:
        match existence(answers, _exists_key(check, metric)):
            case Missing() as answer:
                missing.append(answer)
            case Hold() as hold:
                return hold
    if len(missing) == len(subject.metrics):
        looked_for = matching(subject.preset, (subject.metrics[-1],), ALL, situation.stable, situation)
        names = tuple(dict.fromkeys(name for answer in missing for name in answer.nearest))
        return Refusal(
            f"stable revision {situation.stable.revision} has no predictions in the last hour to compare with. Looked for "
            f"{looked_for}{nearest(names)}. Have Prometheus scrape it, or remove the check"
        )
    past = whole(answers, _past_key(check), "stable")
    if not isinstance(past, Counters):
        return Hold(past.message)
    chosen = _chosen(subject, past.series, situation.stable, situation)
    if isinstance(chosen, str):
        return Refusal(chosen)
    return opened.model_copy(update={"drift": chosen})


def _exists_key(check: Check, metric: str) -> str:
    return f"{check.name}/opening/{metric}"


def _past_key(check: Check) -> str:
    return f"{check.name}/opening"


def _past_question(check: Check, subject: Subject, stable: Arm, situation: Situation) -> CounterQuestion:
    end = span(CheckStatus(name=check.name), situation)[1]
    selector = matching(subject.preset, (*subject.metrics, subject.preset.proof), ALL, stable, situation)
    return CounterQuestion(_past_key(check), selector, end - LOOK_BACK, end)


def _chosen(subject: Subject, series: Sequence[Series], stable: Arm, situation: Situation) -> DriftStatus | str | None:
    """Bins from stable's last hour; a sentence where its buckets cannot show a difference, None while there is too little."""
    end = span(CheckStatus(name="-"), replace(situation, start=situation.now))[1].timestamp()
    begin = end - LOOK_BACK.total_seconds()
    seen, pods = counters.scrapes(series), born(stable)

    def counted(rows: list[Row] | NoData, bins_: int, start: float, end: float) -> list[int]:
        """Counts by bin in a stretch of the past, as far back as all of it is known."""
        if isinstance(rows, NoData):
            return []
        start = counters.countable_from([row.total() for row in rows], start, end, seen, pods)
        found = histograms.count(rows, bins_, start, end, seen, pods)
        return [] if isinstance(found, NoData) else found

    if subject.by is not None:
        # One class after another: a row holds a number for each, and there may be thousands.
        groups: dict[str, list[Series]] = {}
        for one in series:
            if subject.named.matches(one.labels):
                groups.setdefault(one.labels.get(subject.by, ""), []).append(one)
        by_class = {name: sum(counted(subject.rows(group, []), 1, begin, end)) for name, group in groups.items()}
        total = sum(by_class.values())
        frozen: bins.Frozen | str = bins.of_classes(by_class)
    else:
        edges = histograms.edges(series, subject.named)
        counts = counted(subject.rows(series, [edges[edge] for edge in sorted(edges)]), len(edges) + 1, begin, end)
        total = sum(counts)
        frozen = bins.of_histogram(edges, counts) if total >= bins.LEAST else ""
    if total < bins.LEAST:
        return None
    if isinstance(frozen, str):
        return frozen
    length, rows = WINDOW.total_seconds(), subject.rows(series, frozen.marks)
    starts = [begin + index * length for index in range(int(LOOK_BACK / WINDOW))]
    windows = [counted(rows, len(frozen.marks) + 1, start, start + length) for start in starts]
    inflation = statistics.inflation([window for window in windows if window])
    return DriftStatus(marks=list(frozen.marks), blind=frozen.blind, inflation=round(1000 * inflation))


def predicted(
    check: Check, opened: DriftStatus, situation: Situation, answers: Mapping[str, MetricAnswer]
) -> list[int] | str:
    """What stable has predicted in the hour before, by the bins that were chosen from it; or why that is not known."""
    subject, answer = _subject(check), answers.get(_past_key(check))
    if isinstance(subject, str) or situation.stable is None or not isinstance(answer, Counters):
        return "there is no answer about stable's predictions of the last hour"
    rows, seen, pods = (
        subject.rows(answer.series, opened.marks),
        counters.scrapes(answer.series),
        born(situation.stable),
    )
    end = span(CheckStatus(name=check.name), replace(situation, start=situation.now))[1].timestamp()
    if isinstance(rows, NoData):
        return rows.message
    begin = counters.countable_from([row.total() for row in rows], end - LOOK_BACK.total_seconds(), end, seen, pods)
    found = histograms.count(rows, len(opened.marks) + 1, begin, end, seen, pods)
    return found.message if isinstance(found, NoData) else found


# --- looking ------------------------------------------------------------------------------------------


def ask(
    check: Check,
    stored: CheckStatus,
    situation: Situation,
    presets: Presets,  # noqa: ARG001  same signature for every kind
) -> tuple[MetricQuestion, ...]:
    """Raw samples of both arms since the last count; an hour of stable's past while the bins are not chosen."""
    subject = _subject(check)
    if isinstance(subject, str) or situation.stable is None or not situation.concurrent:
        return ()
    start, end = span(stored, situation)
    asked = [
        CounterQuestion(
            question_key(check.name, side),
            matching(subject.preset, (*subject.metrics, subject.preset.proof), ALL, arm, situation),
            start,
            end,
        )
        for side, arm in sides(situation)
    ]
    past = () if _bins(check, stored) is not None else (_past_question(check, subject, situation.stable, situation),)
    return (*asked, *past)


def fold(
    check: Check,
    stored: CheckStatus,
    situation: Situation,
    presets: Presets,  # noqa: ARG001  same signature for every kind
    answers: Mapping[str, MetricAnswer],
) -> CheckStatus:
    """Add both arms' counts since the last look, or neither's. A candidate's pod that was scraped and is not any more leaves a
    caveat in `message`: `judge` lets nothing pass on it."""
    subject = _subject(check)
    if isinstance(subject, str):
        return unanswered(stored, situation, Outcome.ERROR, subject)
    now = milliseconds(situation.now)
    fresh = {"outcome": Outcome.INCONCLUSIVE, "message": "", "through": now, "at": now}
    if situation.stable is None or not situation.concurrent:
        return stored.model_copy(update=fresh)
    have = _bins(check, stored)
    if have is None:
        past = whole(answers, _past_key(check), "stable")
        if not isinstance(past, Counters):
            return unanswered(stored, situation, Outcome.ERROR, past.message)
        chosen = _chosen(subject, past.series, situation.stable, situation)
        if isinstance(chosen, str):
            return unanswered(stored, situation, Outcome.ERROR, chosen)
        return stored.model_copy(update={**fresh, "drift": chosen})
    read = answers_of(check.name, sides(situation), stored, situation, answers)
    if isinstance(read, CheckStatus):
        return read
    start, end = (at.timestamp() for at in span(stored, situation))
    if (status := unusable(read, subject.preset, stored, situation, end)) is not None:
        return status
    rows: dict[str, list[Row]] = {}
    for one in read:
        found = subject.rows(one.series, have.marks)
        if isinstance(found, NoData):
            return unanswered(stored, situation, Outcome.ERROR, f"{one.side} {one.arm.revision}: {found.message}")
        rows[one.side] = found
    since = min(start, (situation.confirmed_at or situation.now).timestamp())
    start = max(
        counters.countable_from(
            [row.total() for row in rows[one.side]], start, end, one.seen, born(one.arm), since=since
        )
        for one in read
    )
    number, new = len(have.marks) + 1, {}
    for one in read:
        counted = histograms.count(rows[one.side], number, start, end, one.seen, born(one.arm), since=since)
        if isinstance(counted, NoData):
            return unanswered(stored, situation, Outcome.NO_DATA, counted.message)
        new[one.side] = counted
    drift = have.model_copy(
        update={"candidate": _plus(have.candidate, new["candidate"]), "stable": _plus(have.stable, new["stable"])}
    )
    fresh["message"] = unseen_pod(read[0].seen, read[0].arm, end)
    return stored.model_copy(update={**fresh, "drift": drift})


def _plus(have: Sequence[int], new: Sequence[int]) -> list[int]:
    return [a + b for a, b in zip(have if len(have) == len(new) else [0] * len(new), new, strict=True)]


def _bins(check: Check, stored: CheckStatus) -> DriftStatus | None:
    """The bins as status has them, where they can be ones that were chosen here."""
    have = stored.drift
    if have is None or _asked(check).by is not None:
        return have
    try:
        cuts = [float(mark) for mark in have.marks]
    except ValueError:
        return None
    return have if cuts and all(a < b for a, b in itertools.pairwise(cuts)) else None


# --- judging ------------------------------------------------------------------------------------------


def judge(check: Check, stored: CheckStatus, situation: Situation) -> CheckStatus:
    """Fail once the distance surely exceeds its limit, Pass once it is surely under it; else what is missing."""
    if stored.outcome in (Outcome.NO_DATA, Outcome.ERROR):
        return stored
    if not situation.concurrent:
        return _alone(check, stored, situation)
    have = _bins(check, stored)
    if have is None:
        wait = f"{check.name}: bins are chosen once stable has made {bins.LEAST} predictions within an hour, which it has not yet"
        return verdict(stored, situation, Outcome.INCONCLUSIVE, wait)
    view = _View(check, have, situation)
    drift = view.looked()
    judged = stored.model_copy(update={"drift": drift, "value": view.distance()})
    said = view.numbers()
    if not drift.next:
        missing, needs = view.missing(stored)
        return verdict(judged, situation, Outcome.INCONCLUSIVE, f"{said}: {missing}", needs)
    if drift.outcome is Outcome.FAIL:
        return verdict(
            judged,
            situation,
            Outcome.FAIL,
            f"{said}, surely more than {view.limit:g}: fail. If this is meant: seatrial accept {situation.name} --check "
            f'{check.name} --reason "…"',
        )
    if drift.outcome is not Outcome.PASS or sum(drift.candidate) < situation.min_samples:
        missing, needs = view.missing(stored)
        return verdict(judged, situation, Outcome.INCONCLUSIVE, f"{said}: {missing}", needs)
    within = f"{said}, surely less than {view.limit:g}"
    if not situation.settled:
        waits = f"{within}: waits until the weight has been in force for two scrapes"
        return verdict(judged, situation, Outcome.INCONCLUSIVE, waits, 0)
    if stored.message:
        return verdict(judged, situation, Outcome.NO_DATA, stored.message)
    return verdict(judged, situation, Outcome.PASS, f"{within}: pass{f'; it {have.blind}' if have.blind else ''}")


def _alone(check: Check, stored: CheckStatus, situation: Situation) -> CheckStatus:
    """Without stable beside it nothing can be compared: at the last step, what was found before holds."""
    if situation.last and stored.drift is not None and stored.drift.outcome is Outcome.PASS:
        said = f"{check.name}: surely less than {limit_of(check):g} while stable answered beside it: pass"
        return verdict(stored, situation, Outcome.PASS, said)
    return verdict(
        stored, situation, Outcome.INCONCLUSIVE, f"{check.name}: stable answers nothing beside it to compare with"
    )


class _View:
    """What a verdict is made of."""

    def __init__(self, check: Check, drift: DriftStatus, situation: Situation) -> None:
        self._check, self._drift, self._situation = check, drift, situation
        empty = [0] * (len(drift.marks) + 1)
        candidate, stable = _plus(drift.candidate, empty), _plus(drift.stable, empty)
        self._both = Comparison(_asked(check), drift.marks, candidate, stable, drift.inflation / 1000)
        self.limit = self._both.limit

    def looked(self) -> DriftStatus:
        """With one more verdict where it is time for one."""
        both = self._both
        if min(both.made, both.beside) < both.floor or both.size < self._drift.next:
            return self._drift
        look, outcome = self._drift.looks + 1, Outcome.INCONCLUSIVE
        if both.above(statistics.nats_of_look(FALSE_ALARM / max(1, self._situation.checks), look)):
            outcome = Outcome.FAIL
        elif both.below(self._nats(look)):
            outcome = Outcome.PASS
        later = math.ceil(max(both.size, 1.0) * statistics.GROWTH)
        self._drift = self._drift.model_copy(update={"looks": look, "next": later, "outcome": outcome})
        return self._drift

    def distance(self) -> Decimal | None:
        """As measured."""
        return self._both.distance()

    def numbers(self) -> str:
        """The distance, the bin that moved most, and what both were counted from."""
        both = self._both
        counted = f"{both.beside:,} → {both.made:,} predictions"
        if not both.made or not both.beside:
            return f"{self._check.name}: {counted}"
        return f"{self._check.name}: {both.measure.name} {both.measured():.3f} ({both.moved()}; {counted})"

    def missing(self, stored: CheckStatus) -> tuple[str, int | None]:
        """What an undecided check waits for, and how many of the candidate's predictions that are, where it is known."""
        both = self._both
        least = max(self._situation.min_samples, math.ceil(both.floor)) - both.made
        behind = math.ceil(both.floor) - both.beside
        if behind > 0 and least <= 0:
            return f"needs {behind:,} more predictions of stable", None
        growth = None
        if both.made and both.beside:
            growth = both.growth(self._nats(self._drift.looks + 1))
        if self._drift.next and growth is None:
            return f"neither surely more than {self.limit:g} nor surely less yet: waits", None
        more = max(least, 0 if growth is None else (growth - 1.0) * both.made, 1)
        return f"needs about {rounded(more):,} more predictions{self._time(more, stored)}", rounded(more)

    def _time(self, more: float, stored: CheckStatus) -> str:
        begun, made = self._situation.confirmed_at, self._both.made
        if begun is None or stored.through is None or not made:
            return ""
        seconds = (stored.through - milliseconds(begun)).total_seconds()
        if seconds <= 0:
            return ""
        return f", {format_duration(timedelta(seconds=rounded(more * seconds / made)))} at today's rate"

    def _nats(self, look: int) -> float:
        return statistics.nats_of_look(FALSE_PASS, look)
