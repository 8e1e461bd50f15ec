"""Drift: how far the candidate's predictions are from stable's over the same time.

Bins are chosen once, from what stable predicted in the hour before (`core/bins.py`), and stay for the trial. Both arms are counted
exactly, by bin, from the moment the present weight was confirmed, so that both saw the same time in the same mixture. The
statistics are in `core/statistics/drift.py`; `docs/drift.md` says what is assumed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal

from seatrial.api.spec import Check, Drift
from seatrial.api.status import CheckStatus, DriftStatus, Outcome
from seatrial.core import bins, histograms
from seatrial.core.checks import binned, predictions
from seatrial.core.checks.base import (
    Hold,
    Presets,
    Refusal,
    Situation,
    verdict,
)
from seatrial.core.checks.binned import Past, plus
from seatrial.core.checks.judging import FALSE_ALARM, FALSE_PASS, rounded
from seatrial.core.checks.predictions import Comparison, Subject, subject_of
from seatrial.core.questions import Failure, MetricAnswer, MetricQuestion, NoData, Series
from seatrial.core.statistics import drift as statistics


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
    return binned.opening_questions(check.name, subject, situation.stable, situation)


def opening(
    check: Check,
    situation: Situation,
    presets: Presets,  # noqa: ARG001  same signature for every kind
    answers: Mapping[str, MetricAnswer],
) -> CheckStatus | Refusal | Hold:
    """With the bins, as soon as stable has made enough predictions to choose them from."""
    return binned.opening(check.name, _subject(check), "drift", _chosen, situation, answers)


def _chosen(past: Past) -> DriftStatus | str | None:
    """Bins from stable's last hour; a sentence where its buckets cannot show a difference, None while there is too little."""
    subject, series = past.subject, past.series
    if subject.by is not None:
        # One class after another: a row holds a number for each, and there may be thousands.
        groups: dict[str, list[Series]] = {}
        for one in series:
            if subject.named.matches(one.labels):
                groups.setdefault(one.labels.get(subject.by, ""), []).append(one)
        by_class = {
            name: sum(past.counted(subject.rows(group, []), 1, past.begin, past.end)) for name, group in groups.items()
        }
        total = sum(by_class.values())
        frozen: bins.Frozen | str = bins.of_classes(by_class)
    else:
        edges = histograms.edges(series, subject.named)
        counts = past.in_all([edges[edge] for edge in sorted(edges)])
        total = sum(counts)
        frozen = bins.of_histogram(edges, counts) if total >= bins.LEAST else ""
    if total < bins.LEAST:
        return None
    if isinstance(frozen, str):
        return frozen
    inflation = past.inflation(frozen.marks)
    return DriftStatus(marks=list(frozen.marks), blind=frozen.blind, inflation=round(1000 * inflation))


def predicted(
    check: Check, opened: DriftStatus, situation: Situation, answers: Mapping[str, MetricAnswer]
) -> list[int] | str:
    """What stable has predicted in the hour before, by the bins that were chosen from it; or why that is not known."""
    subject = _subject(check)
    if isinstance(subject, str) or situation.stable is None:
        return "there is no answer about stable's predictions of the last hour"
    past = binned.past_of(check.name, subject, situation.stable, situation, answers)
    if isinstance(past, Failure | NoData):
        return "there is no answer about stable's predictions of the last hour"
    return past.known(opened.marks)


# --- looking ------------------------------------------------------------------------------------------


def ask(
    check: Check,
    stored: CheckStatus,
    situation: Situation,
    presets: Presets,  # noqa: ARG001  same signature for every kind
) -> tuple[MetricQuestion, ...]:
    """Raw samples of both arms since the last count; an hour of stable's past while the bins are not chosen."""
    subject = _subject(check)
    if isinstance(subject, str):
        return ()
    return binned.questions(check.name, subject, stored, situation, past=_bins(check, stored) is None)


def fold(
    check: Check,
    stored: CheckStatus,
    situation: Situation,
    presets: Presets,  # noqa: ARG001  same signature for every kind
    answers: Mapping[str, MetricAnswer],
) -> CheckStatus:
    """Add both arms' counts since the last look, or neither's."""
    kept = ("drift", _bins(check, stored))
    return binned.folded(check.name, _subject(check), kept, _chosen, stored, situation, answers)


def _bins(check: Check, stored: CheckStatus) -> DriftStatus | None:
    """The bins as status has them, where they can be ones that were chosen here."""
    have = stored.drift
    if have is None or _asked(check).by is not None:
        return have
    return have if binned.in_order(have.marks) else None


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
        candidate, stable = plus(drift.candidate, empty), plus(drift.stable, empty)
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
        time = binned.time_for(more, both.made, stored, self._situation)
        return f"needs about {rounded(more):,} more predictions{time}", rounded(more)

    def _nats(self, look: int) -> float:
        return statistics.nats_of_look(FALSE_PASS, look)
