"""Checks: questions asked of the evidence at every look, and their verdicts.

A new kind of check is one module with the functions of `base.Kind`, and one line in `KINDS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from seatrial.api.spec import Analysis, Check, Runtime
from seatrial.api.status import CheckStatus, Outcome
from seatrial.core.checks import agreement, blocks, drift, drill, expected, mean, query, share
from seatrial.core.checks.base import Arm, Hold, Kind, Place, Presets, Refusal, Situation
from seatrial.core.checks.forecast import Stable, warning
from seatrial.core.checks.gathering import pace_of
from seatrial.core.checks.share import WINDOW
from seatrial.core.checks.terms import terms_of
from seatrial.core.legs import Kind as LegKind
from seatrial.core.legs import Leg
from seatrial.core.questions import MetricAnswer, MetricQuestion
from seatrial.core.statistics import clumps

__all__ = [
    "KINDS",
    "Arm",
    "Hold",
    "Kind",
    "Place",
    "Presets",
    "Refusal",
    "Runtime",
    "Situation",
    "answers_in",
    "ask",
    "fold",
    "forecast",
    "has_learned",
    "judge",
    "needs_control",
    "opening",
    "opening_questions",
    "restart",
]

LEARNED = 20
"""Windows of stable's past from which on a forecast is made."""
KINDS: tuple[Kind, ...] = (drill, share, mean, query, agreement, drift, expected)


def kind_of(check: Check) -> Kind:
    """The module that implements a check."""
    for kind in KINDS:
        if kind.handles(check):
            return kind
    raise LookupError(
        f"check {check.name} is of no known kind: it needs a preset, a share, a mean, a query, an agreement, a drift or an "
        "expected metric"
    )


def needs_control(check: Check) -> bool:
    """Whether a check says nothing while stable gets no live requests beside the candidate."""
    if check.agreement is not None or check.drift is not None or check.expected is not None:
        return True
    return check.query is None and terms_of(check).ceiling is None


def opening_questions(check: Check, situation: Situation, presets: Presets) -> tuple[MetricQuestion, ...]:
    """What has to be known of stable before any pod of the candidate is started."""
    return kind_of(check).opening_questions(check, situation, presets)


def opening(
    check: Check, situation: Situation, presets: Presets, answers: Mapping[str, MetricAnswer]
) -> CheckStatus | Refusal | Hold:
    """The check as the trial begins with it, or why the trial cannot begin."""
    return kind_of(check).opening(check, situation, presets, answers)


def ask(check: Check, stored: CheckStatus, situation: Situation, presets: Presets) -> tuple[MetricQuestion, ...]:
    """What to ask at this look."""
    return kind_of(check).ask(check, stored, situation, presets)


def fold(
    check: Check,
    stored: CheckStatus,
    situation: Situation,
    presets: Presets,
    answers: Mapping[str, MetricAnswer],
) -> CheckStatus:
    """Add this look's answers to the evidence, all of them or none."""
    return kind_of(check).fold(check, stored, situation, presets, answers)


def judge(check: Check, stored: CheckStatus, situation: Situation) -> CheckStatus:
    """The verdict on the evidence."""
    return kind_of(check).judge(check, stored, situation)


def forecast(check: Check, learned: CheckStatus, legs: Sequence[Leg], analysis: Analysis) -> str:
    """Why a plan will be slow to decide, from what stable's past taught; empty where it will not, or nothing was taught."""
    if check.mean is not None:
        return mean.forecast(check, learned, legs, analysis)
    pace = pace_of(learned)
    if (check.preset is None and check.share is None) or pace.windows < LEARNED:
        return ""
    terms, seconds = terms_of(check), pace.windows * max(WINDOW, analysis.interval).total_seconds()
    # Of the whole hour: in two minutes there may be a clump or none, and a plan would be called slow, or not, by that.
    size, prudent = (clumps.clump(pace, prior) for prior in (terms.inflation, terms.prudent))
    stable = Stable(pace.total / seconds, clumps.long_run(pace), size, prudent)
    counted = sum(1 for one in analysis.checks if one.query is None)
    return warning(check.name, terms, stable, legs, analysis.interval, analysis.min_samples, counted)


def has_learned(stored: CheckStatus) -> bool:
    """Whether stable's past was looked at."""
    return stored.pace is not None or (stored.mean is not None and stored.mean.spread is not None)


def answers_in(check: Check, kind: LegKind) -> bool:
    """Whether a stage of this kind can answer a check: only in a shadow both models answer the same request, and nobody acts
    on what a shadow answers."""
    if kind is LegKind.SHADOW:
        return not counts_elsewhere(check)
    return check.agreement is None


def counts_elsewhere(check: Check) -> bool:
    """Whether a check reads what another service counts of what came of the answers."""
    asked = check.share or check.mean
    return asked is not None and asked.revision_label is not None


def restart(stored: CheckStatus, *, trial: bool) -> CheckStatus:
    """Empty evidence: of the step, when a new weight is confirmed; of the whole `trial`, when it is void.

    What was chosen for the trial stays: the source, the edge that makes an answer slow, the bins of a drift check. So do the
    verdicts that one has taken, since each has spent some of its promise. So does what stable was like.
    """
    update: dict[str, object] = {
        "outcome": Outcome.INCONCLUSIVE,
        "message": "",
        "value": None,
        "needs": None,
        "step": None,
        "recent": None,
        "previous": None,
        "block_since": None,
        "burdened": None,
        "mean": None if stored.mean is None else blocks.restart(stored.mean, trial=trial),
        "evidence": [] if trial else [side.model_copy(update={"step": []}) for side in stored.evidence],
    }
    if stored.drift is not None:
        outcome = Outcome.INCONCLUSIVE if trial else stored.drift.outcome
        empty = {"candidate": [], "stable": [], "next": 0, "outcome": outcome}
        update["drift"] = stored.drift.model_copy(update=empty)
    if stored.expected is not None:
        outcome = Outcome.INCONCLUSIVE if trial else stored.expected.outcome
        empty = {"candidate": [], "stable": [], "next": 0, "outcome": outcome}
        update["expected"] = stored.expected.model_copy(update=empty)
    if trial:
        update["trial"] = None
    return stored.model_copy(update=update)
