"""What is allowed and regretted later. A new hint is an item of `HINTS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from seatrial.api.base import GROUP, parse_duration
from seatrial.api.ratio import pods_of, share_of
from seatrial.api.spec import PRE_STOP_SECONDS


@dataclass(frozen=True, slots=True)
class Hint:
    """One thing to know of a resource that is not refused."""

    at: str
    """Where it is looked for, lists as `[]`."""
    blame: str
    """The field that would be changed, seen from there."""
    applies: Callable[[Mapping[str, Any]], bool]
    """Whether it is to be said; an object with another form may raise LookupError, TypeError or ValueError."""
    message: str
    """The sentence; `{field}` is a field of what was found, or of `values`."""
    values: Callable[[Mapping[str, Any]], Mapping[str, object]] = lambda found: found
    """What the sentence quotes."""

    def holds(self, found: object) -> bool:
        """Whether it is to be said of what was found there. What is malformed has its own finding."""
        try:
            return isinstance(found, Mapping) and self.applies(found)
        except (LookupError, TypeError, ValueError):
            return False

    def say(self, found: Mapping[str, Any]) -> str:
        """The sentence for what was found."""
        return self.message.format_map(self.values(found))


def _records_for_no_version(spec: Mapping[str, Any]) -> bool:
    return "preflight" in spec and isinstance(spec["model"], Mapping) and "version" not in spec["model"]


def _ends_with_a_shadow(strategy: Mapping[str, Any]) -> bool:
    return "shadow" in strategy["stages"][-1]


def _flips_unseen(spec: Mapping[str, Any]) -> bool:
    return "preview" not in spec["traffic"] and any("blueGreen" in stage for stage in spec["strategy"]["stages"])


def _really(spec: Mapping[str, Any]) -> list[tuple[int, int, int]]:
    """Percent asked, percent given and pods of each canary step, where pods are weights."""
    replicas, out = spec["replicas"], []
    for canary in (stage["canary"] for stage in spec["strategy"]["stages"] if "canary" in stage):
        least = 1 if canary["scale"] == "ByWeight" else int(canary["scale"])
        for step in canary["steps"]:
            pods = pods_of(step["weight"], replicas, least)
            out.append((step["weight"], share_of(pods, replicas, 100), pods))
    return out


def _weighs_otherwise(spec: Mapping[str, Any]) -> bool:
    if "replicaRatio" not in spec["traffic"] or not spec["replicas"]:
        return False
    return any(abs(asked - given) * 4 > asked for asked, given, _ in _really(spec))


def _weights_told(spec: Mapping[str, Any]) -> Mapping[str, object]:
    steps = (
        f"{asked} % is {pods} of {pods + spec['replicas']} pods, {given} %" for asked, given, pods in _really(spec)
    )
    return {"replicas": spec["replicas"], "steps": "; ".join(steps)}


def _starts_anew(probation: Mapping[str, Any]) -> bool:
    return probation["keep"] == "None" and bool(parse_duration(probation["duration"]))


def _shares(strategy: Mapping[str, Any]) -> bool:
    return any("canary" in stage and stage["canary"]["capacity"] == "Shared" for stage in strategy["stages"])


def _shares_and_keeps_all(strategy: Mapping[str, Any]) -> bool:
    probation = strategy["probation"]
    return _shares(strategy) and probation["keep"] == "Full" and bool(parse_duration(probation["duration"]))


def _forgotten_in_mid_trial(spec: Mapping[str, Any]) -> bool:
    strategy = spec["strategy"]
    times = [step["minDuration"] for stage in strategy["stages"] for step in stage.get("canary", {}).get("steps", ())]
    if strategy["probation"]["holdback"]:
        times.append(strategy["probation"]["duration"])
    lasts = sum((parse_duration(time) for time in times), timedelta(0))
    return parse_duration(spec["traffic"]["stickiness"]["cookie"]["maxAge"]) < lasts


def _cuts_what_it_drains(spec: Mapping[str, Any]) -> bool:
    grace = spec["template"]["spec"]["terminationGracePeriodSeconds"]
    return bool(grace < PRE_STOP_SECONDS + parse_duration(spec["traffic"]["drain"]).total_seconds())


def _has(name: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda found: name in found


HINTS: tuple[Hint, ...] = (
    *(
        Hint(
            at="metadata.annotations",
            blame=f".{name}",
            applies=_has(name),
            message=(
                f"{name} is about the object in the cluster, who asked for what there and who changed it: remove it "
                "from the file, which would speak for others and is refused where the chart's policies are installed"
            ),
        )
        for name in (f"{GROUP}/commands", f"{GROUP}/spec-by")
    ),
    Hint(
        at="spec.template.spec.containers[]",
        blame=".image",
        applies=lambda container: isinstance(container["image"], str) and "@sha256:" not in container["image"],
        message=(
            "{image} can be moved to another image, and a trial in which pods of one revision run different images is "
            "void: pin it by digest (NAME@sha256:…)"
        ),
    ),
    Hint(
        at="spec",
        blame=".template.spec.terminationGracePeriodSeconds",
        applies=_cuts_what_it_drains,
        message=(
            "a pod that is evicted or scaled away is killed after {template[spec][terminationGracePeriodSeconds]}s, the "
            f"first {PRE_STOP_SECONDS}s of which it waits for the proxies, and traffic.drain says that a request may "
            "take {traffic[drain]}: leave the field out, and it follows the drain"
        ),
    ),
    Hint(
        at="spec",
        blame=".model.version",
        applies=_records_for_no_version,
        message=(
            "recorded requests belong to one version of a model, and without a version nothing can tell whether these "
            "belong to this one: set spec.model.version"
        ),
    ),
    Hint(
        at="spec.strategy",
        blame=".stages",
        applies=_ends_with_a_shadow,
        message=(
            "the last stage is a shadow: once it has passed, all traffic moves at once, and no user has met the "
            "candidate before; add a canary after it to move them step by step"
        ),
    ),
    Hint(
        at="spec",
        blame=".traffic.preview",
        applies=_flips_unseen,
        message=(
            "blueGreen waits in full size for somebody to look at the candidate, and there is no address to look at: "
            "set traffic.preview"
        ),
    ),
    Hint(
        at="spec.strategy",
        blame=".stages",
        applies=_shares,
        message=(
            "capacity Shared makes stable smaller as the candidate grows, so a candidate that fails cannot be sent back "
            "at once: its users stay with it until stable's pods have started again, one after another; set capacity to "
            "Extra wherever there is room for the candidate's pods beside stable's"
        ),
    ),
    Hint(
        at="spec.strategy",
        blame=".probation.keep",
        applies=_shares_and_keeps_all,
        message=(
            "capacity Shared saves pods in the trial, and keep Full asks for twice as many in the probation after it: "
            "set keep to Warm, or capacity to Extra"
        ),
    ),
    Hint(
        at="spec",
        blame=".traffic.stickiness.cookie.maxAge",
        applies=_forgotten_in_mid_trial,
        message=(
            "clients drop the cookie before the steps of the canary (and a holdback) are over at the earliest, and users "
            "are drawn again: raise traffic.stickiness.cookie.maxAge above their time"
        ),
    ),
    Hint(
        at="spec",
        blame=".strategy.stages",
        applies=_weighs_otherwise,
        message=(
            "with replicaRatio pods are weights, and beside replicas: {replicas} steps give something else than they ask: "
            "{steps}. Choose weights that pods can give, or more replicas"
        ),
        values=_weights_told,
    ),
    Hint(
        at="spec.strategy.probation",
        blame=".keep",
        applies=_starts_anew,
        message=(
            "no pod of the revision before is kept, so going back takes as long as its pods need to start and load the "
            "model: set keep to Warm or Full to return sooner"
        ),
    ),
)
