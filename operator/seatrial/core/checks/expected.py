"""Expected performance without labels: what the metric of each arm may be expected to be, from its scores alone (CBPE).

It takes scores that are calibrated probabilities, which nobody here can check: so a failure only warns, unless the user says
otherwise. Both arms are counted by bin over the same time, from the moment the present weight was confirmed. What lies between
two edges is only known to lie there: a verdict is given where it holds for every score the bins allow. The statistics are in
`core/statistics/expected.py`; `docs/expected.md` says what is assumed.

* **Fail**: the candidate's metric surely is below stable's by more than the margin.
* **Pass**: it surely is not.
* else **Inconclusive**, with what is missing, or why these buckets cannot tell.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal

from seatrial.api.spec import Check, Drift, Expected, OnFail
from seatrial.api.status import MOST_SCORE_BINS, CheckStatus, ExpectedStatus, Outcome
from seatrial.core import bins, histograms
from seatrial.core.checks import binned
from seatrial.core.checks.base import Hold, Presets, Refusal, Situation, verdict
from seatrial.core.checks.binned import Past, plus
from seatrial.core.checks.judging import FALSE_ALARM, FALSE_PASS, rounded
from seatrial.core.checks.predictions import Subject, subject_of
from seatrial.core.questions import MetricAnswer, MetricQuestion
from seatrial.core.statistics import drift as sampling
from seatrial.core.statistics import expected as statistics
from seatrial.core.statistics.expected import Bins, Metric

DEFAULT_POINTS = 2.0
"""Percentage points by which the candidate's metric may be lower, unless the check says otherwise."""


def handles(check: Check) -> bool:
    """Whether the check is about expected performance."""
    return check.expected is not None


def _asked(check: Check) -> Expected:
    assert check.expected is not None
    return check.expected


def margin_of(check: Check) -> float:
    """How much lower the metric may be, as a part of 1."""
    points = DEFAULT_POINTS if check.margin is None or check.margin.points is None else float(check.margin.points)
    return points / 100.0


def _subject(check: Check) -> Subject | str:
    return subject_of(check.name, Drift(histogram=_asked(check).histogram))


# --- opening ------------------------------------------------------------------------------------------


def opening_questions(check: Check, situation: Situation, presets: Presets) -> tuple[MetricQuestion, ...]:  # noqa: ARG001  same signature for every kind
    """Has stable the histogram, and what did it predict in the last hour?"""
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
    return binned.opening(
        check.name, _subject(check), "expected", lambda past: _chosen(check, past), situation, answers
    )


def _chosen(check: Check, past: Past) -> ExpectedStatus | str | None:
    """The histogram's own edges; a sentence where no verdict could come of them, None while stable has predicted too little."""
    asked, named = _asked(check), past.subject.named
    spelled, threshold = histograms.edges(past.series, named), float(asked.threshold)
    if spelled and not histograms.divides(past.series, named, threshold):
        return _no_edge(asked, sorted(spelled))
    if sum(past.in_all([])) < bins.LEAST:
        return None
    spelled.setdefault(threshold, repr(threshold))
    order = sorted(edge for edge in spelled if 0.0 <= edge <= 1.0)
    marks = [spelled[edge] for edge in order]
    counts = past.in_all(marks)
    kept = _fewer(order, counts, threshold)
    marks = [spelled[edge] for edge in kept]
    counts = past.in_all(marks)
    low, high = statistics.expected(asked.metric.value, Bins(tuple(kept), threshold), counts)
    blind = ""
    if high - low >= margin_of(check):
        blind = (
            f"cannot show that a margin of {_points(margin_of(check))} is kept: for stable's last hour the buckets leave "
            f"{_points(high - low)} of {_called(asked)} open; give the histogram edges closer together where the scores are, "
            "such as 0.01, 0.02 … 0.99, or widen the margin"
        )
        if check.failing is not OnFail.WARN:
            return f"{asked.histogram} {blind}, or let the check only warn"
    return ExpectedStatus(marks=marks, blind=blind, inflation=round(1000 * past.inflation(marks)))


def _no_edge(asked: Expected, order: Sequence[float]) -> str:
    threshold = float(asked.threshold)
    below, above = [edge for edge in order if edge < threshold], [edge for edge in order if edge > threshold]
    near = " and ".join(f"{edge:.4g}" for edge in (*below[-1:], *above[:1]))
    return (
        f"the threshold {asked.threshold} is no edge of {asked.histogram}, so one of its buckets holds predictions of both sides: "
        f"give the histogram an edge there (nearest: {near})"
    )


def _fewer(order: Sequence[float], counts: Sequence[int], threshold: float) -> list[float]:
    """No more edges than status can hold; the threshold and 1 stay, and those whose loss leaves least open go first."""
    edges, held = list(order), list(counts)
    while len(edges) >= MOST_SCORE_BINS:
        bounds = [0.0, *edges, 1.0]
        costs = [
            (math.inf if edge in (threshold, 1.0) else (held[i] + held[i + 1]) * (bounds[i + 2] - bounds[i]), i)
            for i, edge in enumerate(edges)
        ]
        i = min(costs)[1]
        held[i : i + 2] = [held[i] + held[i + 1]]
        del edges[i]
    return edges


# --- looking ------------------------------------------------------------------------------------------


def ask(
    check: Check,
    stored: CheckStatus,
    situation: Situation,
    presets: Presets,  # noqa: ARG001  same signature for every kind
) -> tuple[MetricQuestion, ...]:
    """Raw samples of both arms since the last count; an hour of stable's past while the bins are not known."""
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
    kept = ("expected", stored.expected if _bins(check, stored) is not None else None)
    return binned.folded(
        check.name, _subject(check), kept, lambda past: _chosen(check, past), stored, situation, answers
    )


def _bins(check: Check, stored: CheckStatus) -> Bins | None:
    """The bins as status has them, where they can be ones that were chosen here."""
    have, threshold = stored.expected, float(_asked(check).threshold)
    if have is None or not binned.in_order(have.marks):
        return None
    edges = tuple(float(mark) for mark in have.marks)
    return Bins(edges, threshold) if threshold in edges and edges[0] >= 0.0 and edges[-1] <= 1.0 else None


# --- judging ------------------------------------------------------------------------------------------


def judge(check: Check, stored: CheckStatus, situation: Situation) -> CheckStatus:
    """Fail once the metric surely is lower by more than the margin, Pass once it surely is not; else what is missing."""
    if stored.outcome in (Outcome.NO_DATA, Outcome.ERROR):
        return stored
    if not situation.concurrent:
        return _alone(check, stored, situation)
    have, known = stored.expected, _bins(check, stored)
    if have is None or known is None:
        wait = (
            f"{check.name}: begins once stable has made {bins.LEAST} predictions within an hour, which it has not yet"
        )
        return verdict(stored, situation, Outcome.INCONCLUSIVE, wait)
    view = _View(check, have, known, situation)
    expected = view.looked()
    judged = stored.model_copy(update={"expected": expected, "value": view.value()})
    said, allowed = view.numbers(), _points(margin_of(check))
    if expected.looks and expected.outcome is Outcome.FAIL:
        meant = "" if check.failing is OnFail.WARN else _meant(check, situation)
        return verdict(judged, situation, Outcome.FAIL, f"{said}, surely more than {allowed} lower: fail{meant}")
    if expected.outcome is not Outcome.PASS or sum(expected.candidate) < situation.min_samples:
        missing, needs = view.missing(stored)
        return verdict(judged, situation, Outcome.INCONCLUSIVE, f"{said}: {missing}", needs)
    within = f"{said}, surely at most {allowed} lower"
    if not situation.settled:
        waits = f"{within}: waits until the weight has been in force for two scrapes"
        return verdict(judged, situation, Outcome.INCONCLUSIVE, waits)
    if stored.message:
        return verdict(judged, situation, Outcome.NO_DATA, stored.message)
    return verdict(judged, situation, Outcome.PASS, f"{within}: pass")


def _meant(check: Check, situation: Situation) -> str:
    return f'. If this is meant: seatrial accept {situation.name} --check {check.name} --reason "…"'


def _alone(check: Check, stored: CheckStatus, situation: Situation) -> CheckStatus:
    """Without stable beside it nothing can be compared: at the last step, what was found before holds."""
    if situation.last and stored.expected is not None and stored.expected.outcome is Outcome.PASS:
        said = f"{check.name}: surely at most {_points(margin_of(check))} lower while stable answered beside it: pass"
        return verdict(stored, situation, Outcome.PASS, said)
    return verdict(
        stored, situation, Outcome.INCONCLUSIVE, f"{check.name}: stable answers nothing beside it to compare with"
    )


class _View:
    """What a verdict is made of."""

    def __init__(self, check: Check, have: ExpectedStatus, known: Bins, situation: Situation) -> None:
        self._check, self._have, self._known, self._situation = check, have, known, situation
        self._metric: Metric = _asked(check).metric.value
        self._margin = margin_of(check)
        self._inflation = max(1.0, have.inflation / 1000)
        empty = [0] * (len(have.marks) + 1)
        self._candidate, self._stable = plus(have.candidate, empty), plus(have.stable, empty)
        self._made = sum(known.asked(self._metric, self._candidate))
        self._beside = sum(known.asked(self._metric, self._stable))
        self._ours = statistics.expected(self._metric, known, self._candidate)
        self._theirs = statistics.expected(self._metric, known, self._stable)

    def looked(self) -> ExpectedStatus:
        """With one more verdict where it is time for one."""
        if min(self._made, self._beside) < self._floor():
            return self._have
        size = 1.0 / sampling.spread([self._made], [self._beside], self._inflation)
        if size < self._have.next:
            return self._have
        look, outcome = self._have.looks + 1, Outcome.INCONCLUSIVE
        wrong = sampling.nats_of_look(FALSE_ALARM / max(1, self._situation.checks), look)
        if self._surely(self._candidate, wrong)[1] < self._surely(self._stable, wrong)[0] - self._margin:
            outcome = Outcome.FAIL
        elif self._slack_below(look) < self._room():
            outcome = Outcome.PASS
        later = math.ceil(max(size, 1.0) * sampling.GROWTH)
        self._have = self._have.model_copy(update={"looks": look, "next": later, "outcome": outcome})
        return self._have

    def _surely(self, counts: Sequence[int], nats: float) -> tuple[float, float]:
        """Bounds of one arm's metric; each arm may be wrong with half of the chance."""
        return statistics.surely(self._metric, self._known, counts, self._inflation, nats + math.log(2.0))

    def _room(self) -> float:
        """What the margin leaves for chance, if the bins hide the worst that they can."""
        return self._margin - (self._theirs[1] - self._ours[0])

    def _slack_below(self, look: int) -> float:
        """What chance may hide, as far as a Pass is concerned."""
        nats = sampling.nats_of_look(FALSE_PASS, look)
        ours, theirs = self._surely(self._candidate, nats), self._surely(self._stable, nats)
        return (self._ours[0] - ours[0]) + (theirs[1] - self._theirs[1])

    def value(self) -> Decimal | None:
        """The middle of what the candidate's metric may be."""
        return Decimal(f"{sum(self._ours) / 2.0:.6f}") if self._made else None

    def numbers(self) -> str:
        """Both metrics as the bins allow them, what they are counted from, and what is assumed."""
        what = "predictions above the threshold" if self._metric == "Precision" else "predictions"
        counted = f"{self._made:,} vs {self._beside:,} {what}"
        if not self._made or not self._beside:
            return f"{self._check.name}: {counted}"
        said = f"{_called(_asked(self._check))} {_range(self._ours)} vs {_range(self._theirs)}"
        return f"{self._check.name}: {said} ({counted}; assumes calibrated scores{self._beyond()})"

    def _beyond(self) -> str:
        """What is above 1 is no probability."""
        if self._known.edges[-1] < 1.0 or not self._candidate[-1]:
            return ""
        return f", and {self._candidate[-1]:,} of the candidate's are above 1"

    def missing(self, stored: CheckStatus) -> tuple[str, int | None]:
        """What an undecided check waits for, or why it waits in vain; and how many more predictions, where a number does."""
        total = sum(self._candidate)
        ratio = total / self._made if self._made else 1.0  # of precision, predictions for each that is positive
        least = max(self._situation.min_samples - total, (math.ceil(self._floor()) - self._made) * ratio)
        behind = math.ceil(self._floor()) - self._beside
        if behind > 0 and least <= 0:
            return f"needs {behind:,} more predictions of stable", None
        if self._have.looks and self._room() <= 0:
            return self._cannot_pass(), None
        growth = None
        if self._have.looks:
            growth = statistics.growth(self._room(), self._slack_below(self._have.looks + 1))
        more = max(least, 0 if growth is None else (growth - 1.0) * total, 1)
        time = binned.time_for(more, total, stored, self._situation)
        return f"needs about {rounded(more):,} more predictions{time}", rounded(more)

    def _cannot_pass(self) -> str:
        """At these shares no number of predictions makes it pass."""
        if self._ours[1] < self._theirs[0] - self._margin:
            return f"more than {_points(self._margin)} lower, which is not sure yet: waits"
        wide = _points(self._ours[1] - self._ours[0] + self._theirs[1] - self._theirs[0])
        return (
            f"the buckets leave {wide} of the difference open and the margin is {_points(self._margin)}, so they cannot tell: "
            "give the histogram edges closer together where the scores are, or widen the margin"
        )

    def _floor(self) -> float:
        return sampling.FLOOR * self._inflation


def _called(asked: Expected) -> str:
    """The metric in a sentence."""
    return f"expected {asked.metric if asked.metric == 'F1' else asked.metric.lower()}"


def _range(bounds: tuple[float, float]) -> str:
    low, high = (f"{bound * 100:.1f}" for bound in bounds)
    return f"{low} %" if low == high else f"{low}–{high} %"


def _points(share: float) -> str:
    value = f"{share * 100:.2g}" if share < 0.1 else f"{share * 100:.0f}"
    return f"{value} point{'' if value == '1' else 's'}"
