"""Predictions by bin, as checks on distributions read them: stable's hour before the trial, and both arms since the last look."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from seatrial.api.base import format_duration
from seatrial.api.status import CheckStatus, DriftStatus, ExpectedStatus, Outcome
from seatrial.core import counters, histograms
from seatrial.core.checks.base import Arm, Hold, Refusal, Situation, milliseconds, nearest, unanswered
from seatrial.core.checks.judging import rounded
from seatrial.core.checks.predictions import Subject
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
    Failure,
    MetricAnswer,
    MetricQuestion,
    Missing,
    NoData,
    Series,
)
from seatrial.core.statistics import drift as statistics

Kept = DriftStatus | ExpectedStatus
WINDOW = timedelta(minutes=1)
"""The windows of stable's past that show how predictions hang together."""


# --- the past -----------------------------------------------------------------------------------------


def opening_questions(name: str, subject: Subject, stable: Arm, situation: Situation) -> tuple[MetricQuestion, ...]:
    """Has stable the metric, and what did it predict in the last hour?"""
    now = milliseconds(situation.now)
    exist = tuple(
        ExistsQuestion(
            _exists_key(name, metric),
            matching(subject.preset, (metric,), ALL, stable, situation),
            now - LOOK_BACK,
            now,
        )
        for metric in subject.metrics
    )
    return (*exist, _past_question(name, subject, stable, situation))


def opening(
    name: str,
    subject: Subject | str,
    field: str,
    choose: Callable[[Past], Kept | str | None],
    situation: Situation,
    answers: Mapping[str, MetricAnswer],
) -> CheckStatus | Refusal | Hold:
    """With the bins in a field of status, as soon as stable has made enough predictions to choose them from."""
    if isinstance(subject, str):
        return Refusal(subject)
    if situation.stable is None:
        return CheckStatus(name=name)
    past = _opened(name, subject, situation.stable, situation, answers)
    if not isinstance(past, Past):
        return past
    chosen = choose(past)
    if isinstance(chosen, str):
        return Refusal(chosen)
    return CheckStatus(name=name).model_copy(update={field: chosen})


def _opened(
    name: str, subject: Subject, stable: Arm, situation: Situation, answers: Mapping[str, MetricAnswer]
) -> Past | Refusal | Hold:
    """Stable's hour before the trial, or why the trial cannot begin."""
    missing: list[Missing] = []
    for metric in subject.metrics:
        match existence(answers, _exists_key(name, metric)):
            case Missing() as answer:
                missing.append(answer)
            case Hold() as hold:
                return hold
    if len(missing) == len(subject.metrics):
        looked_for = matching(subject.preset, (subject.metrics[-1],), ALL, stable, situation)
        names = tuple(dict.fromkeys(name for answer in missing for name in answer.nearest))
        return Refusal(
            f"stable revision {stable.revision} has no predictions in the last hour to compare with. Looked for "
            f"{looked_for}{nearest(names)}. Have Prometheus scrape it, or remove the check"
        )
    past = past_of(name, subject, stable, situation, answers)
    return Hold(past.message) if isinstance(past, Failure | NoData) else past


def past_of(
    name: str, subject: Subject, stable: Arm, situation: Situation, answers: Mapping[str, MetricAnswer]
) -> Past | Failure | NoData:
    """Stable's hour before now."""
    found = whole(answers, _past_key(name), "stable")
    if not isinstance(found, Counters):
        return found
    end = span(CheckStatus(name="-"), replace(situation, start=situation.now))[1].timestamp()
    return Past(subject, tuple(found.series), counters.scrapes(found.series), born(stable), end)


def _exists_key(name: str, metric: str) -> str:
    return f"{name}/opening/{metric}"


def _past_key(name: str) -> str:
    return f"{name}/opening"


def _past_question(name: str, subject: Subject, stable: Arm, situation: Situation) -> CounterQuestion:
    end = span(CheckStatus(name=name), situation)[1]
    selector = matching(subject.preset, (*subject.metrics, subject.preset.proof), ALL, stable, situation)
    return CounterQuestion(_past_key(name), selector, end - LOOK_BACK, end)


@dataclass(frozen=True, slots=True)
class Past:
    """What stable predicted in an hour."""

    subject: Subject
    series: tuple[Series, ...]
    seen: counters.Scrapes
    pods: Mapping[str, float]
    end: float

    @property
    def begin(self) -> float:
        """An hour before the end."""
        return self.end - LOOK_BACK.total_seconds()

    def counted(self, rows: list[Row] | NoData, bins: int, start: float, end: float) -> list[int]:
        """Counts by bin in a stretch of the past, as far back as all of it is known."""
        if isinstance(rows, NoData):
            return []
        start = counters.countable_from([row.total() for row in rows], start, end, self.seen, self.pods)
        found = histograms.count(rows, bins, start, end, self.seen, self.pods)
        return [] if isinstance(found, NoData) else found

    def known(self, marks: Sequence[str]) -> list[int] | str:
        """Counts by bin of as much of the hour as is known; or why nothing is."""
        rows = self.subject.rows(self.series, marks)
        if isinstance(rows, NoData):
            return rows.message
        begin = counters.countable_from([row.total() for row in rows], self.begin, self.end, self.seen, self.pods)
        found = histograms.count(rows, len(marks) + 1, begin, self.end, self.seen, self.pods)
        return found.message if isinstance(found, NoData) else found

    def in_all(self, marks: Sequence[str]) -> list[int]:
        """Counts by bin of the whole hour."""
        return self.counted(self.subject.rows(self.series, marks), len(marks) + 1, self.begin, self.end)

    def inflation(self, marks: Sequence[str]) -> float:
        """How much more counts vary than those of independent predictions."""
        length, rows = WINDOW.total_seconds(), self.subject.rows(self.series, marks)
        starts = [self.begin + index * length for index in range(int(LOOK_BACK / WINDOW))]
        windows = [self.counted(rows, len(marks) + 1, start, start + length) for start in starts]
        return statistics.inflation([window for window in windows if window])


# --- both arms ----------------------------------------------------------------------------------------


def questions(
    name: str, subject: Subject, stored: CheckStatus, situation: Situation, *, past: bool
) -> tuple[MetricQuestion, ...]:
    """Raw samples of both arms since the last count; an hour of stable's past while the bins are not chosen."""
    if situation.stable is None or not situation.concurrent:
        return ()
    start, end = span(stored, situation)
    asked = tuple(
        CounterQuestion(
            question_key(name, side),
            matching(subject.preset, (*subject.metrics, subject.preset.proof), ALL, arm, situation),
            start,
            end,
        )
        for side, arm in sides(situation)
    )
    return (*asked, _past_question(name, subject, situation.stable, situation)) if past else asked


@dataclass(frozen=True, slots=True)
class Both:
    """How much both arms rose, by bin."""

    candidate: list[int]
    stable: list[int]
    unseen: str
    """About a candidate's pod that was scraped and is not any more; empty where there is none."""


def both(
    name: str,
    subject: Subject,
    marks: Sequence[str],
    stored: CheckStatus,
    situation: Situation,
    answers: Mapping[str, MetricAnswer],
) -> Both | CheckStatus:
    """Both arms' counts since the last look; the check's status where one of them cannot be counted."""
    read = answers_of(name, sides(situation), stored, situation, answers)
    if isinstance(read, CheckStatus):
        return read
    start, end = (at.timestamp() for at in span(stored, situation))
    if (status := unusable(read, subject.preset, stored, situation, end)) is not None:
        return status
    rows: dict[str, list[Row]] = {}
    for one in read:
        found = subject.rows(one.series, marks)
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
    new = {}
    for one in read:
        counted = histograms.count(rows[one.side], len(marks) + 1, start, end, one.seen, born(one.arm), since=since)
        if isinstance(counted, NoData):
            return unanswered(stored, situation, Outcome.NO_DATA, counted.message)
        new[one.side] = counted
    return Both(new["candidate"], new["stable"], unseen_pod(read[0].seen, read[0].arm, end))


def folded(
    name: str,
    subject: Subject | str,
    kept: tuple[str, Kept | None],
    choose: Callable[[Past], Kept | str | None],
    stored: CheckStatus,
    situation: Situation,
    answers: Mapping[str, MetricAnswer],
) -> CheckStatus:
    """Add both arms' counts since the last look, or neither's; the bins first, where there are none. A candidate's pod that was
    scraped and is not any more leaves a caveat in `message`: nothing passes on it.

    `kept`: the field of status that holds the counts, and what it holds.
    """
    if isinstance(subject, str):
        return unanswered(stored, situation, Outcome.ERROR, subject)
    now = milliseconds(situation.now)
    fresh = {"outcome": Outcome.INCONCLUSIVE, "message": "", "through": now, "at": now}
    if situation.stable is None or not situation.concurrent:
        return stored.model_copy(update=fresh)
    field, have = kept
    if have is None:
        past = past_of(name, subject, situation.stable, situation, answers)
        chosen = past.message if isinstance(past, Failure | NoData) else choose(past)
        if isinstance(chosen, str):
            return unanswered(stored, situation, Outcome.ERROR, chosen)
        return stored.model_copy(update={**fresh, field: chosen})
    new = both(name, subject, have.marks, stored, situation, answers)
    if isinstance(new, CheckStatus):
        return new
    counts = {"candidate": plus(have.candidate, new.candidate), "stable": plus(have.stable, new.stable)}
    return stored.model_copy(update={**fresh, "message": new.unseen, field: have.model_copy(update=counts)})


def plus(have: Sequence[int], new: Sequence[int]) -> list[int]:
    """Counts by bin together; what is of other bins counts for nothing."""
    return [a + b for a, b in zip(have if len(have) == len(new) else [0] * len(new), new, strict=True)]


def in_order(marks: Sequence[str]) -> bool:
    """Whether these can be edges that were chosen here."""
    try:
        cuts = [float(mark) for mark in marks]
    except ValueError:
        return False
    return bool(cuts) and all(a < b for a, b in itertools.pairwise(cuts))


def time_for(more: float, made: int, stored: CheckStatus, situation: Situation) -> str:
    """How long so many more predictions of the candidate take at today's rate; empty where that is not known."""
    begun = situation.confirmed_at
    if begun is None or stored.through is None or not made:
        return ""
    seconds = (stored.through - milliseconds(begun)).total_seconds()
    if seconds <= 0:
        return ""
    return f", {format_duration(timedelta(seconds=rounded(more * seconds / made)))} at today's rate"
