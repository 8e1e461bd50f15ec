"""Agreement: the share of answers in which the candidate differs from stable, beside that in which stable does.

A comparer asks stable twice and the candidate once, and counts both pairs (`core/compared.py`). That makes a
share check: the candidate's arm is the candidate beside stable, the control arm is stable beside itself, and both
have the same number of requests. An answer that does not come differs, on either side.

The two arms share one answer of stable's, so they err together rather than apart; the bounds take them to be
independent and are a little wider than they need be.

A stable that differs from itself in many answers hides differences of the candidate: of a candidate that is wrong in a
share p of its answers only p × (1 - floor) shows. Above `NOISIEST` nothing passes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Protocol

from seatrial.api.agreement import Agreement
from seatrial.api.spec import Margin
from seatrial.api.status import Arms, CheckStatus, Outcome, Tally
from seatrial.build.names import comparer_name
from seatrial.core import compared, counters
from seatrial.core.checks.base import Arm, Hold, Presets, Refusal, Situation, unanswered, verdict
from seatrial.core.checks.gathering import gathered
from seatrial.core.checks.judging import judge_share
from seatrial.core.checks.preset import literal, quote
from seatrial.core.checks.reading import answers_of, question_key, span
from seatrial.core.checks.terms import Terms, terms
from seatrial.core.compared import Result
from seatrial.core.questions import CounterQuestion, MetricAnswer, MetricQuestion, Series

DEFAULT_MARGIN = Margin(points=Decimal(1))
INFLATION = 2.0
"""Answers to one request differ or not whatever the next one is: little comes in clumps."""
NOISIEST = 0.2
"""The largest share of stable's answers that may differ from its own for agreement to say anything."""
PAIRS = {"candidate": compared.CANDIDATE, "stable": compared.ITSELF}


class Asked(Protocol):
    """What of a check is read here."""

    @property
    def name(self) -> str:
        """The check's name."""

    @property
    def agreement(self) -> Agreement | None:
        """How answers are compared; None for checks of another kind."""

    @property
    def margin(self) -> Margin | None:
        """How much more often than stable itself the candidate may differ; `DEFAULT_MARGIN` where left out."""


def handles(check: Asked) -> bool:
    """Whether the check is about agreement."""
    return check.agreement is not None


def opening_questions(check: Asked, situation: Situation, presets: Presets) -> tuple[MetricQuestion, ...]:  # noqa: ARG001  same signature for every kind
    """Nothing: the comparer starts with the candidate."""
    return ()


def opening(
    check: Asked,
    situation: Situation,  # noqa: ARG001  same signature for every kind
    presets: Presets,  # noqa: ARG001  same signature for every kind
    answers: Mapping[str, MetricAnswer],  # noqa: ARG001  same signature for every kind
) -> CheckStatus | Refusal | Hold:
    """Without evidence."""
    return CheckStatus(name=check.name)


def ask(
    check: Asked,
    stored: CheckStatus,
    situation: Situation,
    presets: Presets,  # noqa: ARG001  same signature for every kind
) -> tuple[MetricQuestion, ...]:
    """Raw samples of both pairs since the last count, with what was not compared and why."""
    start, end = span(stored, situation)
    return tuple(
        CounterQuestion(question_key(check.name, side), _selector(check, pair, situation), start, end)
        for side, pair in PAIRS.items()
    )


def _selector(check: Asked, pair: str, situation: Situation) -> str:
    """One pair's series of one output. A pattern that may be empty leaves series alone that have no such label."""
    assert check.agreement is not None
    names = f"{compared.ANSWERS}|{compared.DROPPED}|{compared.QUEUE}"
    pods = literal(f"{comparer_name(situation.name, situation.candidate.revision)}-") + ".*"
    output = literal(check.agreement.output or compared.ALL)
    matchers = (
        f"__name__=~{quote(names)}",
        f"namespace={quote(situation.namespace)}",
        f"pod=~{quote(pods)}",
        f"pair=~{quote('|' + literal(pair))}",
        f"output=~{quote('|' + output)}",
    )
    return "{" + ",".join(matchers) + "}"


def fold(
    check: Asked,
    stored: CheckStatus,
    situation: Situation,
    presets: Presets,  # noqa: ARG001  same signature for every kind
    answers: Mapping[str, MetricAnswer],
) -> CheckStatus:
    """Add both pairs' counts since the last look, or neither's; `message` says why nothing was compared."""
    # Both arms are counted by the same pods, the comparer's.
    arm = Arm(situation.candidate.revision, situation.candidate.slot)
    read = answers_of(check.name, [(side, arm) for side in PAIRS], stored, situation, answers)
    if isinstance(read, CheckStatus):
        return read
    start, end = (at.timestamp() for at in span(stored, situation))
    for one in read:
        if (problem := _not_scraped(one.seen, end)) is not None:
            return unanswered(stored, situation, Outcome.NO_DATA, problem)
    tallies = {one.side: _tally(one.series, start, end) for one in read}
    new = Arms(candidate=tallies["candidate"], stable=tallies["stable"])
    counted = gathered(stored, as_halves(situation), new, terms_of(check))
    why = _why_nothing(read[0].series, start, end) if tallies["candidate"].total == 0 else ""
    return counted.model_copy(update={"outcome": Outcome.INCONCLUSIVE, "message": why})


def _not_scraped(seen: counters.Scrapes, end: float) -> str | None:
    """Why the comparer's numbers cannot be trusted to be of now."""
    last = max((at for target in seen.times if (at := seen.last(target, end)) is not None), default=None)
    if last is None:
        return "Prometheus has no samples of the comparer yet"
    if any(seen.fresh(target, end) for target in seen.times):
        return None
    return f"the comparer was last scraped {end - last:.0f} s ago: nothing newer can be judged"


def _count(series: Sequence[Series], seen: counters.Scrapes, start: float, end: float) -> int:
    """How much these counters rose. A comparer lives for one candidate: whatever a new pod has counted is of this trial."""
    number = counters.count(series, start, end, seen, dict.fromkeys(seen.pods.values(), math.inf))
    assert isinstance(number, int), "every series names its pod, since it was selected by it"
    return number


def _tally(series: Sequence[Series], start: float, end: float) -> Tally:
    """Answers that differ or did not come, of all that were compared."""
    seen = counters.scrapes(series)
    everything = _named(series, compared.ANSWERS)
    differing = [one for one in everything if one.labels.get("result") != Result.AGREE]
    total = _count(everything, seen, start, end)
    return Tally(events=min(_count(differing, seen, start, end), total), total=total)


def _why_nothing(series: Sequence[Series], start: float, end: float) -> str:
    """What became of the requests when none was compared."""
    seen = counters.scrapes(series)
    reasons: dict[str, int] = {}
    for one in _named(series, compared.DROPPED):
        if (number := _count([one], seen, start, end)) > 0:
            reason = one.labels.get("reason", "")
            reasons[reason] = reasons.get(reason, 0) + number
    if not reasons:
        return "no copy of a live request reached the comparer"
    most = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return f"no request could be compared ({', '.join(f'{count:,} {reason}' for reason, count in most)})"


def _named(series: Sequence[Series], name: str) -> list[Series]:
    return [one for one in series if one.labels.get("__name__") == name]


def judge(check: Asked, stored: CheckStatus, situation: Situation) -> CheckStatus:
    """As a share is judged at the last step: on all evidence of the trial, whatever weight the candidate has."""
    if stored.outcome in (Outcome.NO_DATA, Outcome.ERROR):
        return stored
    seen = as_halves(situation)
    judged = judge_share(_subject(check), terms_of(check), stored.model_copy(update={"message": ""}), seen)
    evidence = stored.trial or Arms()
    if judged.outcome is Outcome.PASS and evidence.stable.events > NOISIEST * evidence.stable.total:
        return verdict(
            stored,
            situation,
            Outcome.INCONCLUSIVE,
            f"stable's own answers to one request differ in {evidence.stable.events / evidence.stable.total:.0%} of "
            f"{evidence.stable.total:,}, and above {NOISIEST:.0%} agreement says nothing of a candidate: compare a steadier "
            "output, or by class",
        )
    if judged.outcome is Outcome.INCONCLUSIVE and stored.message:
        return verdict(
            judged, situation, Outcome.INCONCLUSIVE, f"{judged.message}; since the last look {stored.message}"
        )
    return judged


def terms_of(check: Asked) -> Terms:
    """What an agreement check allows: a margin over stable's disagreement with itself, and no ceiling."""
    return terms(check.margin or DEFAULT_MARGIN, inflation=INFLATION)


def as_halves(situation: Situation) -> Situation:
    """At half the weight each arm gets as many requests as the other, which is how many are still missing."""
    return replace(situation, last=True, concurrent=True, weight=50.0)


def _subject(check: Asked) -> str:
    assert check.agreement is not None
    output = check.agreement.output
    what = "answers that differ" if output is None else f"answers that differ in {output}"
    return f"{check.name}: {what}"
