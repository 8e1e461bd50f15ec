"""A query of the user's: one number at one instant, held against `min` and `max`.

`$selector`, `$namespace` and `$window` are replaced as text; what is sent is the very text that
`core/promql.py` judged.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal

from seatrial.api.spec import Check
from seatrial.api.status import CheckStatus, Outcome
from seatrial.core import promql
from seatrial.core.checks.base import (
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
from seatrial.core.checks.preset import quote
from seatrial.core.questions import (
    ExistsQuestion,
    Failure,
    Found,
    InstantQuestion,
    MetricAnswer,
    MetricQuestion,
    Missing,
    NoData,
    Value,
)

LOOK_BACK = timedelta(hours=1)
LONGEST_WINDOW = 300.0
SCRAPES_IN_WINDOW = 4
USUAL_SCRAPE = 15.0
"""Seconds between scrapes where they are not known yet."""
LARGEST = Decimal("999999999999999.999999999")
"""The largest number that status can hold. Infinity is kept as this: above every bound, and so it is compared."""


def handles(check: Check) -> bool:
    """Whether the check is a query."""
    return check.query is not None


def rendered(check: Check, arm: Arm, situation: Situation) -> str:
    """The text that is judged and sent."""
    assert check.query is not None
    scrape = situation.scrape_interval or USUAL_SCRAPE
    since = situation.confirmed_at or situation.now
    window = min(LONGEST_WINDOW, (situation.now - since).total_seconds())
    window = max(window, SCRAPES_IN_WINDOW * scrape)
    selector = f"namespace={quote(situation.namespace)},pod=~{quote(pods_pattern(situation, arm))}"
    return promql.substitute(check.query, selector, situation.namespace, f"{math.ceil(window)}s")


def opening_questions(check: Check, situation: Situation, presets: Presets) -> tuple[MetricQuestion, ...]:  # noqa: ARG001  same signature for every kind
    """Does each metric of the query exist in the namespace, and does the query give one number for stable?"""
    if situation.stable is None:
        return ()
    text = rendered(check, situation.stable, situation)
    if promql.problems_in(text, situation.namespace):
        return ()
    now = milliseconds(situation.now)
    exists = [
        ExistsQuestion(f"{check.name}/opening/{name}", _exists(name, situation), now - LOOK_BACK, now)
        for name in promql.metric_names(text)
    ]
    return (*exists, InstantQuestion(f"{check.name}/opening", text, now))


def opening(
    check: Check,
    situation: Situation,
    presets: Presets,  # noqa: ARG001  same signature for every kind
    answers: Mapping[str, MetricAnswer],
) -> CheckStatus | Refusal | Hold:
    """Refuse a query that cannot be sent, or whose metrics nobody exports."""
    text = rendered(check, situation.stable or situation.candidate, situation)
    if problems := promql.problems_in(text, situation.namespace):
        return Refusal("; ".join(problems))
    if situation.stable is None:
        return CheckStatus(name=check.name, query=text)
    for name in promql.metric_names(text):
        match answers.get(f"{check.name}/opening/{name}", Failure("Prometheus was not asked")):
            case Found():
                continue
            case Missing(nearest=names):
                return Refusal(
                    f"{_exists(name, situation)} has no series in the last hour{nearest(names)}. The query is {text}"
                )
            case NoData(message) | Failure(message):
                return Hold(message)
            case _:
                return Hold("Prometheus gave an answer to another question")
    match answers.get(f"{check.name}/opening", Failure("Prometheus was not asked")):
        case Failure(message):
            return Hold(f"asked of stable: {message}")
        case Value(warnings=warnings) if warnings:
            return Hold(f"asked of stable, a partial answer: {'; '.join(warnings)}")
        case _:
            return CheckStatus(name=check.name, query=text)


def _exists(name: str, situation: Situation) -> str:
    return f"{{__name__={quote(name)},namespace={quote(situation.namespace)}}}"


def ask(
    check: Check,
    stored: CheckStatus,  # noqa: ARG001  same signature for every kind
    situation: Situation,
    presets: Presets,  # noqa: ARG001  same signature for every kind
) -> tuple[MetricQuestion, ...]:
    """The query, at the instant of this look."""
    text = rendered(check, situation.candidate, situation)
    if promql.problems_in(text, situation.namespace):
        return ()
    return (InstantQuestion(check.name, text, milliseconds(situation.now)),)


def fold(
    check: Check,
    stored: CheckStatus,
    situation: Situation,
    presets: Presets,  # noqa: ARG001  same signature for every kind
    answers: Mapping[str, MetricAnswer],
) -> CheckStatus:
    """Keep the value and the query that gave it."""
    text = rendered(check, situation.candidate, situation)
    stored = stored.model_copy(update={"query": text[:8192]})
    if problems := promql.problems_in(text, situation.namespace):
        return unanswered(stored, situation, Outcome.ERROR, "; ".join(problems))
    match answers.get(check.name, Failure("Prometheus was not asked")):
        case Value(warnings=warnings) if warnings:
            return unanswered(
                stored, situation, Outcome.ERROR, f"a partial answer is not judged: {'; '.join(warnings)}"
            )
        case Value(value=value) if math.isnan(value):
            return unanswered(stored, situation, Outcome.NO_DATA, "the value is NaN: was there any traffic?")
        case Value(value=value):
            now = milliseconds(situation.now)
            update = {"value": _kept(value), "outcome": Outcome.INCONCLUSIVE, "message": "", "through": now, "at": now}
            return stored.model_copy(update=update)
        case NoData(message):
            return unanswered(stored, situation, Outcome.NO_DATA, message)
        case Failure(message):
            return unanswered(stored, situation, Outcome.ERROR, message)
        case _:
            return unanswered(stored, situation, Outcome.ERROR, "Prometheus gave an answer to another question")


def _kept(value: float) -> Decimal:
    """The value as status holds it: nine decimals, and nothing beyond `LARGEST`."""
    if abs(value) >= float(LARGEST):
        return LARGEST if value > 0 else -LARGEST
    exact = Decimal(value).quantize(Decimal("0.000000001")).normalize()
    return exact + Decimal(0)  # -0 becomes 0


def judge(check: Check, stored: CheckStatus, situation: Situation) -> CheckStatus:
    """Inside the bounds: Pass, once the weight has settled. Outside: Fail, at once."""
    if stored.outcome in (Outcome.NO_DATA, Outcome.ERROR) or stored.value is None:
        return stored
    value = stored.value
    said = f"{check.name} {_said(value)}"
    if check.max is not None and value > _bound(check.max):
        return verdict(stored, situation, Outcome.FAIL, f"{said} is above max {check.max}: fail")
    if check.min is not None and value < _bound(check.min):
        return verdict(stored, situation, Outcome.FAIL, f"{said} is below min {check.min}: fail")
    limits = " and ".join(
        f"{word} {bound}" for word, bound in (("min", check.min), ("max", check.max)) if bound is not None
    )
    if not situation.settled:
        return verdict(
            stored,
            situation,
            Outcome.INCONCLUSIVE,
            f"{said} is within {limits}: waits until the weight has been in force for two scrapes",
        )
    return verdict(stored, situation, Outcome.PASS, f"{said} is within {limits}: pass")


def _bound(text: str) -> Decimal:
    return Decimal(text[:-1]) / 100 if text.endswith("%") else Decimal(text)


def _said(value: Decimal) -> str:
    if abs(value) >= LARGEST:
        return "(infinite, or too large to write down)" if value > 0 else "(minus infinity, or too small to write down)"
    return f"{float(value):.6g}"
