"""What checks on counters of the model have in common: which series are asked for, and whether the answers can be used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from seatrial.api.spec import MetricSource
from seatrial.api.status import CheckStatus, Outcome
from seatrial.core import counters
from seatrial.core.checks.base import (
    INGESTION,
    Arm,
    Place,
    Situation,
    milliseconds,
    pods_pattern,
    unanswered,
)
from seatrial.core.checks.preset import Counted, Preset, literal, quote
from seatrial.core.questions import Counters, Failure, MetricAnswer, NoData

LOOK_BACK = timedelta(hours=1)
"""How far back a series may lie that shows that stable has such metrics, and how far its windows are looked at."""


def span(stored: CheckStatus, situation: Situation) -> tuple[datetime, datetime]:
    """The stretch this look counts, in Prometheus' time: always the last one's end to now, a moment ago."""
    start = milliseconds(stored.through or situation.start)
    end = max(start, milliseconds(situation.now))
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


def selector_of(preset: Preset, names: Sequence[str], only: Mapping[str, str], arm: Arm, situation: Situation) -> str:
    """A selector of several metrics at once. `only` leaves series alone that have no such label: the proof has none."""
    place = situation.place or Place(situation.name)
    placeholders = {
        "$namespace": situation.namespace,
        "$route": place.route,
        "$rules": str(place.rule),
        "$rule": str(place.rule),
        "$copies": str(place.ahead),
        "$slot": "0" if arm.slot == "a" else "1",
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
        value, pattern = template, several or "$pods" in template
        if several:
            value = value.replace("$rules", f"[0-{situation.rules - 1}]")
        for placeholder, text in placeholders.items():
            value = value.replace(placeholder, literal(text) if pattern else text)
        value = value.replace("$pods", pods_pattern(situation, arm))
        matchers.append(f"{label}{'=~' if pattern else '='}{quote(value)}")
    matchers += [f"{label}=~{quote('|' + pattern)}" for label, pattern in only.items()]
    return "{" + ",".join(matchers) + "}"


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
        requests=Counted(metric),
        error_label="",
        error_values="",
        latency=None,
    )
