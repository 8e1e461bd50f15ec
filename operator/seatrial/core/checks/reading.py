"""What checks on counters of the model have in common: which series are asked for, and whether the answers can be used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from seatrial.api.spec import MetricSource
from seatrial.api.status import CheckStatus, Outcome
from seatrial.build.names import child_name
from seatrial.core import counters
from seatrial.core.checks.base import (
    INGESTION,
    Arm,
    Hold,
    Place,
    Situation,
    milliseconds,
    pods_pattern,
    unanswered,
)
from seatrial.core.checks.preset import Counted, Preset, literal, quote
from seatrial.core.clock import WENT_AHEAD
from seatrial.core.questions import Counters, Failure, Found, MetricAnswer, Missing, NoData, Series

LOOK_BACK = timedelta(hours=1)
"""How far back a series may lie that shows that stable has such metrics, and how far its windows are looked at."""


def span(stored: CheckStatus, situation: Situation) -> tuple[datetime, datetime]:
    """The stretch this look counts, in Prometheus' time: always the last one's end to now, a moment ago.

    A last end that is still to come was noted by a clock that went ahead: it is not waited for.
    """
    now = milliseconds(situation.now)
    start = milliseconds(stored.through or situation.start)
    if start > now + WENT_AHEAD:
        start = now
    end = max(start, now)
    return start - INGESTION, end - INGESTION


def sides(situation: Situation) -> list[tuple[str, Arm]]:
    """The arms that answer now: the candidate, and stable where live requests come to it beside."""
    found = [("candidate", situation.candidate)]
    if situation.stable is not None and situation.concurrent:
        found.append(("stable", situation.stable))
    return found


def question_key(name: str, side: str) -> str:
    """The key of the question about one side of a check."""
    return f"{name}/{side}"


NOT_ASKED = Failure("Prometheus was not asked")
OTHER = Failure("Prometheus gave an answer to another question")


@dataclass(frozen=True, slots=True)
class Read:
    """What Prometheus has of one arm."""

    side: str
    arm: Arm
    series: tuple[Series, ...]
    seen: counters.Scrapes


ALL = Counted("")
"""Leaves nothing out."""


def matching(preset: Preset, names: Sequence[str], asked: Counted, arm: Arm, situation: Situation) -> str:
    """A selector of several metrics at once. Patterns leave series alone that have no such label: the proof has none."""
    place = situation.place or Place(situation.name)
    placeholders = {
        "$namespace": situation.namespace,
        "$route": place.route,
        "$rules": str(place.rule),
        "$rule": str(place.rule),
        "$copies": str(place.ahead),
        "$slot": "0" if arm.slot == "a" else "1",
        "$service": child_name(situation.name, arm.revision),
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
        value, pattern = template.removeprefix("~"), several or "$pods" in template or template.startswith("~")
        if several:
            value = value.replace("$rules", f"[0-{situation.rules - 1}]")
        for placeholder, text in placeholders.items():
            value = value.replace(placeholder, literal(text) if pattern else text)
        value = value.replace("$pods", pods_pattern(situation, arm))
        matchers.append(f"{label}{'=~' if pattern else '='}{quote(value)}")
    model = literal(situation.model_name) if situation.model_name else ".*"
    for label, text in asked.only.items():
        matchers.append(f"{label}=~{quote('|' + text.replace('$model', model))}")
    matchers += [f"{label}!~{quote(text)}" for label, text in asked.never.items()]
    return "{" + ",".join(matchers) + "}"


def answers_of(
    name: str,
    sides: Sequence[tuple[str, Arm]],
    stored: CheckStatus,
    situation: Situation,
    answers: Mapping[str, MetricAnswer],
) -> list[Read] | CheckStatus:
    """The counters of every side of a check, whole; or its status where one of them cannot be counted."""
    read: list[Read] = []
    for side, arm in sides:
        match whole(answers, question_key(name, side), side):
            case Counters(series=series):
                read.append(Read(side, arm, tuple(series), counters.scrapes(series)))
            case NoData(message):
                return unanswered(stored, situation, Outcome.NO_DATA, message)
            case Failure(message):
                return unanswered(stored, situation, Outcome.ERROR, message)
    return read


def whole(answers: Mapping[str, MetricAnswer], key: str, side: str) -> Counters | NoData | Failure:
    """The counters that were asked for, all of them: a part of an answer is a failure."""
    match answers.get(key, NOT_ASKED):
        case Counters(warnings=warnings) if warnings:
            return Failure(f"a partial answer for {side} is not counted: {'; '.join(warnings)}")
        case Counters() | NoData() | Failure() as answer:
            return answer
        case _:
            return OTHER


def existence(answers: Mapping[str, MetricAnswer], key: str) -> Found | Missing | Hold:
    """Whether there is such a series, as far as that is known."""
    match answers.get(key, NOT_ASKED):
        case Found() | Missing() as answer:
            return answer
        case NoData(message) | Failure(message):
            return Hold(message)
        case _:
            return Hold(OTHER.message)


def unusable(
    read: Sequence[Read], preset: Preset, stored: CheckStatus, situation: Situation, end: float
) -> CheckStatus | None:
    """The check's status where the numbers of an arm are not of now; None where all of them are."""
    for one in read:
        if (problem := not_scraped(one.seen, one.side, one.arm, preset, end)) is not None:
            return unanswered(stored, situation, Outcome.NO_DATA, problem)
    return None


def not_scraped(seen: counters.Scrapes, side: str, arm: Arm, preset: Preset, end: float) -> str | None:
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


def unseen_pod(seen: counters.Scrapes, arm: Arm, end: float) -> str:
    """A sentence about a pod that exists, was scraped, and is not any more; empty where there is none."""
    for target, pod in sorted(seen.pods.items()):
        last = seen.last(target, end)
        if pod in arm.pods and last is not None and not seen.fresh(target, end):
            return f"pod {pod} was last scraped {end - last:.0f} s ago: nothing passes on the other pods alone"
    return ""


def born(arm: Arm) -> dict[str, float]:
    """When each pod was created, in Unix seconds."""
    return {pod: created.timestamp() for pod, created in arm.pods.items()}


def own_metric(name: str, metric: str, revision_label: str | None) -> Preset:
    """A metric of the user's own as a preset: counted by the model's pods, or by a service that keeps the revision."""
    where = {"pod": "$pods"} if revision_label is None else {revision_label: "$revision"}
    return Preset(
        name="own",
        title=f"check {name}",
        source=MetricSource.RUNTIME,
        runtimes=(),
        selector={"namespace": "$namespace", **where},
        exists=metric,
        proof="up" if revision_label is None else metric,
        requests=(Counted(metric),),
    )
