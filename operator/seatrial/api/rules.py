"""What makes a resource impossible although every field by itself is fine.

Each rule is one record: where it looks, the same question in CEL (the API server asks it at admission)
and in Python (`seatrial lint` asks it offline), and the sentence that a person reads. A contract test
sends the cases that break them through both and compares the sentences.

`self` in both languages is the object at `at`, after the API server has filled in its defaults.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from seatrial.api.base import GROUP, format_duration, parse_duration
from seatrial.api.spec import MEAN_DURATION

NAME_MAX = 52
"""A Deployment is named NAME-REVISION and may have 63 characters; a revision has 10."""


@dataclass(frozen=True, slots=True)
class Value:
    """A value quoted in a message, computed in CEL and in Python: a string, a number or a list of numbers."""

    cel: str
    python: Callable[[Any], object]


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that cannot be."""

    name: str
    """Short and unique; names the rule in tests."""
    at: str
    """Where the rule looks: `""` for the whole object, `spec.analysis.checks[]` for every check."""
    cel: str
    """True when all is well, in CEL."""
    holds: Callable[[Any], bool]
    """True when all is well, in Python, for the plain JSON value."""
    message: str
    """The sentence. `{x}` stands for the entry `x` of `values`."""
    values: Mapping[str, Value] = field(default_factory=dict)
    """What the message quotes."""
    blame: str = ""
    """The field under `at` that is to blame, such as `.port`."""
    looks_back: bool = False
    """The CEL asks `oldSelf` too, an optional: what was stored before. `lint` has one object only."""

    def say(self, value: Any) -> str:
        """The sentence for one object that breaks the rule."""
        return self.message.format(**{name: quoted.python(value) for name, quoted in self.values.items()})

    def validation(self) -> dict[str, Any]:
        """The rule as an entry of `x-kubernetes-validations`."""
        entry: dict[str, Any] = {"rule": self.cel}
        if self.values:
            entry["messageExpression"] = self._message_expression()
        else:
            entry["message"] = self.message
        if self.blame:
            entry["fieldPath"] = self.blame
        if self.looks_back:
            entry["optionalOldSelf"] = True
        return entry

    def _message_expression(self) -> str:
        # `format`, since the API server takes `"…" + string(number)` for a text without limit and refuses its cost.
        parts = re.split(r"\{(\w+)\}", self.message)
        text = "%s".join(part.replace("%", "%%") for part in parts[::2])
        terms = ", ".join(self.values[name].cel for name in parts[1::2])
        return f"{json.dumps(text, ensure_ascii=False)}.format([{terms}])"


@dataclass(frozen=True, slots=True)
class Broken:
    """A rule that an object breaks, and where."""

    rule: Rule
    path: str
    """The field to blame, list indices included: `spec.analysis.checks[1].max`."""
    message: str


@functools.cache
def _parts(at: str) -> tuple[tuple[str, str], ...]:
    """The names in a schema path, each with `[]` where it is a list."""
    return tuple(re.findall(r"([^.\[\]]+)(\[\])?", at))


def instances(document: Any, at: str) -> Iterator[tuple[str, Any]]:
    """Every place in a document that a schema path names, with its value; absent ones are left out."""
    places: list[tuple[str, Any]] = [("", document)]
    for name, is_list in _parts(at):
        found = [
            (f"{path}.{name}" if path else name, value[name])
            for path, value in places
            if isinstance(value, Mapping) and name in value
        ]
        if is_list:
            found = [
                (f"{path}[{index}]", item)
                for path, value in found
                if isinstance(value, list)
                for index, item in enumerate(value)
            ]
        places = found
    yield from places


def broken(document: Mapping[str, Any], *, trusting: bool = True, among: Sequence[Rule] | None = None) -> list[Broken]:
    """The rules that a document (with its defaults filled in) breaks; `among` those of a ModelDeployment, or others.

    `trusting` says that its fields are known to have the right types. Otherwise a rule that stumbles
    over a malformed value is skipped: the malformed value is the finding.
    """
    out = []
    for rule in RULES if among is None else among:
        for path, value in instances(document, rule.at):
            try:
                if not rule.holds(value):
                    blamed = f"{path}{rule.blame}".removeprefix(".")
                    out.append(Broken(rule, blamed, rule.say(value)))
            except (AttributeError, IndexError, KeyError, TypeError, ValueError):
                if trusting:
                    raise
    return out


def _quoted(name: str) -> Value:
    return Value(f"self.{name}", lambda self: self[name])


def _between(value: str, least: str | None, most: str | None) -> bool:
    """Whether a duration is within bounds, both inclusive."""
    length = parse_duration(value)
    low = parse_duration(least) if least else timedelta(0)
    return low <= length and (most is None or length <= parse_duration(most))


def _sticky_header(traffic: Mapping[str, Any]) -> str:
    """The request header by which users are known again."""
    return str(traffic.get("stickiness", {}).get("header", {}).get("name", "cookie"))


def _unique(items: Sequence[object]) -> bool:
    return all(items.count(item) == 1 for item in items)


def _number(text: str) -> float:
    return float(text.removesuffix("%"))


def _runtime(spec: Mapping[str, Any]) -> str:
    return str(spec.get("runtime", "Custom"))


def _bounds(check: Mapping[str, Any]) -> list[str]:
    return [check[name] for name in ("min", "max") if name in check]


def _weights(canary: Mapping[str, Any]) -> list[int]:
    return [step["weight"] for step in canary["steps"]]


def _rising(weights: Sequence[int]) -> bool:
    return all(low < high for low, high in itertools.pairwise(weights))


def _parents_apart(gateway: Mapping[str, Any]) -> bool:
    """Two references to one Gateway are told apart by their listeners, as the Gateway API demands."""
    refs = gateway["parentRefs"]
    gateways = [(ref["name"], ref.get("namespace")) for ref in refs]
    return all("sectionName" in ref or gateways.count(key) == 1 for ref, key in zip(refs, gateways, strict=True)) and (
        _unique(refs)
    )


def _reserved(metadata: Mapping[str, Any]) -> list[str]:
    keys = [*metadata.get("labels", {}), *metadata.get("annotations", {})]
    return [key for key in keys if key.startswith(f"{GROUP}/")]


def _ways(analysis: Mapping[str, Any]) -> set[tuple[Any, ...]]:
    """The ways in which answers are compared."""
    asked = [check["agreement"] for check in analysis.get("checks", []) if "agreement" in check]
    return {(one["mode"], one.get("tolerance"), one.get("topK")) for one in asked}


def _means(spec: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [check for check in spec["analysis"].get("checks", []) if "mean" in check]


def _horizon(check: Mapping[str, Any]) -> timedelta:
    """How long a mean is watched before any verdict."""
    return parse_duration(check["minDuration"]) if "minDuration" in check else MEAN_DURATION


def _first_steps(spec: Mapping[str, Any]) -> list[timedelta]:
    """The longest time of each canary's first step."""
    return [parse_duration(canary["steps"][0]["maxDuration"]) for canary in _canaries(spec)]


def _longest(spec: Mapping[str, Any]) -> list[timedelta]:
    """The longest time of each exposure on which live requests, or copies of them, are judged."""
    steps = [step for canary in _canaries(spec) for step in canary["steps"]]
    shadows = [stage["shadow"] for stage in spec["strategy"]["stages"] if "shadow" in stage]
    return [parse_duration(one["maxDuration"]) for one in (*shadows, *steps)]


def _elsewhere(spec: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Checks that read what another service counts of what came of the answers."""
    checks = spec["analysis"].get("checks", [])
    return [check for check in checks if "revisionLabel" in (check.get("share") or check.get("mean") or {})]


def _by_pods(spec: Mapping[str, Any]) -> bool:
    """Whether pods are weights."""
    return "replicaRatio" in spec["traffic"]


def _canaries(spec: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [stage["canary"] for stage in spec["strategy"]["stages"] if "canary" in stage]


def _lowest(spec: Mapping[str, Any]) -> int:
    """The weight of the first step."""
    return int(_canaries(spec)[0]["steps"][0]["weight"])


def _one_pod_fits(spec: Mapping[str, Any]) -> bool:
    """Whether one pod beside all of stable's exposes no more than double what each step asks."""
    steps = [step for canary in _canaries(spec) if canary["scale"] == "ByWeight" for step in canary["steps"]]
    return spec["replicas"] == 0 or all(2 * step["weight"] * (spec["replicas"] + 1) >= 100 for step in steps)


CHECKS = ("preset", "share", "mean", "query", "agreement", "drift")
ROUTERS = ("gatewayAPI", "routeRef", "replicaRatio")
STAGES = ("shadow", "canary", "blueGreen")
_RUNTIME_CEL = "has(self.runtime) ? self.runtime : 'Custom'"
KNOWS_MODEL = ("MLServer", "KServe", "Triton", "TFServing", "OpenVINO")
"""Runtimes whose readiness is asked for by the model's name."""
OPEN_INFERENCE = ("MLServer", "KServe", "Triton", "OpenVINO")
"""Runtimes that speak the Open Inference Protocol over HTTP."""
_IS_KNOWN_CEL = "has(self.runtime) && self.runtime != 'Custom'"
_KNOWS_MODEL_CEL = f"has(self.runtime) && self.runtime in {list(KNOWS_MODEL)}"
_OPEN_INFERENCE_CEL = f"has(self.runtime) && self.runtime in {list(OPEN_INFERENCE)}"
_TIMED = ("Latency", "FirstToken", "InterToken")
_OF_TOKENS = ("FirstToken", "InterToken")
_CHECK = _quoted("name")
_HORIZON_CEL = f"has(c.minDuration) ? c.minDuration : '{format_duration(MEAN_DURATION)}'"
_ELSEWHERE_CEL = "(has(c.share) && has(c.share.revisionLabel)) || (has(c.mean) && has(c.mean.revisionLabel))"
_BY_PODS_CEL = "has(self.traffic.replicaRatio)"
_CANARY_CEL = "self.strategy.stages[self.strategy.stages.size() - 1].canary"
_LOWEST = Value(f"{_CANARY_CEL}.steps[0].weight", _lowest)


RULES: tuple[Rule, ...] = (
    Rule(
        name="name-length",
        at="",
        blame=".metadata.name",
        cel=f"self.metadata.name.size() <= {NAME_MAX}",
        holds=lambda self: len(self["metadata"]["name"]) <= NAME_MAX,
        message=(
            f"the name has {{length}} characters and {NAME_MAX} is the most, because a revision is added to it "
            "to name Deployments: choose a shorter one"
        ),
        values={
            "length": Value("self.metadata.name.size()", lambda self: len(self["metadata"]["name"])),
        },
    ),
    Rule(
        name="name-letters",
        at="",
        blame=".metadata.name",
        cel="self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
        holds=lambda self: re.fullmatch("[a-z]([-a-z0-9]*[a-z0-9])?", self["metadata"]["name"]) is not None,
        message=(
            "{name} names Services too, so it must begin with a letter and hold only lower-case letters, digits "
            "and '-': choose another name"
        ),
        values={"name": Value("self.metadata.name", lambda self: self["metadata"]["name"])},
    ),
    Rule(
        name="port-needed",
        at="spec",
        blame=".port",
        cel=f"has(self.port) || ({_IS_KNOWN_CEL})",
        holds=lambda self: "port" in self or _runtime(self) != "Custom",
        message=(
            "spec.port is missing, and runtime {runtime} does not say which port answers requests: set spec.port, "
            "or set spec.runtime to a model server that is known"
        ),
        values={"runtime": Value(_RUNTIME_CEL, _runtime)},
    ),
    Rule(
        name="runtime-needs-model",
        at="spec",
        blame=".model",
        cel=f"has(self.model) || !({_KNOWS_MODEL_CEL})",
        holds=lambda self: "model" in self or _runtime(self) not in KNOWS_MODEL,
        message=(
            "spec.model.name is missing, and runtime {runtime} is asked by the model's name whether it is loaded: "
            "set spec.model.name to the model's name inside the server"
        ),
        values={"runtime": Value(_RUNTIME_CEL, _runtime)},
    ),
    Rule(
        name="preflight-needs-open-inference",
        at="spec",
        blame=".preflight",
        cel=f"!has(self.preflight) || ({_OPEN_INFERENCE_CEL})",
        holds=lambda self: "preflight" not in self or _runtime(self) in OPEN_INFERENCE,
        message=(
            "spec.preflight.requests speak the Open Inference Protocol, and runtime {runtime} is not known to: "
            "set spec.runtime to one that is (MLServer, KServe, Triton, OpenVINO) and spec.model.name, or remove "
            "spec.preflight"
        ),
        values={"runtime": Value(_RUNTIME_CEL, _runtime)},
    ),
    Rule(
        name="runtime-metrics-known",
        at="spec",
        blame=".analysis.checks",
        cel=(
            f"({_IS_KNOWN_CEL}) || !has(self.analysis.checks) || "
            "self.analysis.checks.all(c, !has(c.from) || c.from != 'Runtime')"
        ),
        holds=lambda self: (
            _runtime(self) != "Custom"
            or all(check.get("from") != "Runtime" for check in self["analysis"].get("checks", []))
        ),
        message=(
            "a check says from: Runtime, and no metrics of runtime {runtime} are known: use from: Gateway, write a "
            "query, or set spec.runtime to a model server that is known"
        ),
        values={"runtime": Value(_RUNTIME_CEL, _runtime)},
    ),
    Rule(
        name="progress-deadline",
        at="spec",
        blame=".progressDeadline",
        cel="duration(self.progressDeadline) >= duration('10s')",
        holds=lambda self: _between(self["progressDeadline"], "10s", None),
        message="progressDeadline is {deadline} and no pod is ready that fast: set 10s or more",
        values={"deadline": _quoted("progressDeadline")},
    ),
    Rule(
        name="capacity-deadline",
        at="spec",
        blame=".capacityDeadline",
        cel="duration(self.capacityDeadline) >= duration('10s')",
        holds=lambda self: _between(self["capacityDeadline"], "10s", None),
        message=(
            "capacityDeadline is {deadline}, and pods take longer to be placed and to get their images: set 10s or more"
        ),
        values={"deadline": _quoted("capacityDeadline")},
    ),
    Rule(
        name="own-labels",
        at="spec.template.metadata",
        cel=(
            f"(!has(self.labels) || self.labels.all(k, !k.startsWith('{GROUP}/'))) && "
            f"(!has(self.annotations) || self.annotations.all(k, !k.startsWith('{GROUP}/')))"
        ),
        holds=lambda self: not _reserved(self),
        message=f"labels and annotations that begin with {GROUP}/ are the operator's own: rename or remove them",
    ),
    Rule(
        name="restart-policy",
        at="spec.template.spec",
        blame=".restartPolicy",
        cel="!has(self.restartPolicy) || self.restartPolicy == 'Always'",
        holds=lambda self: self.get("restartPolicy", "Always") == "Always",
        message="restartPolicy is {policy}, but a model that serves is restarted when it stops: remove the field",
        values={"policy": _quoted("restartPolicy")},
    ),
    Rule(
        name="drain",
        at="spec.traffic",
        blame=".drain",
        cel="duration(self.drain) <= duration('1h')",
        holds=lambda self: _between(self["drain"], None, "1h"),
        message="drain is {drain} and a revision may stay for 1h at most after its last traffic: set 1h or less",
        values={"drain": _quoted("drain")},
    ),
    Rule(
        name="one-router",
        at="spec.traffic",
        cel="[has(self.gatewayAPI), has(self.routeRef), has(self.replicaRatio)].filter(x, x).size() <= 1",
        holds=lambda self: sum(router in self for router in ROUTERS) <= 1,
        message=(
            "traffic names two of gatewayAPI, routeRef and replicaRatio, and requests are divided in one place: keep one"
        ),
    ),
    Rule(
        name="hostnames-of-a-router",
        at="spec.traffic",
        blame=".hostnames",
        cel="(has(self.replicaRatio) || has(self.routeRef)) != has(self.hostnames)",
        holds=lambda self: ("replicaRatio" in self or "routeRef" in self) != ("hostnames" in self),
        message=(
            "host names belong to a route that is made for a gateway; with routeRef they are written in your own route, "
            "and with replicaRatio there is only the Service of the model's name: set hostnames, or one of these, and not "
            "both"
        ),
    ),
    Rule(
        name="stickiness-needs-rules",
        at="spec.traffic",
        blame=".stickiness",
        cel="!has(self.routeRef) || !has(self.stickiness)",
        holds=lambda self: "routeRef" not in self or "stickiness" not in self,
        message=(
            "stickiness needs rules of its own, and routeRef adds no rule to a route that is not ours: remove "
            "stickiness, or have a route made with hostnames"
        ),
    ),
    Rule(
        name="header-needs-a-rule",
        at="spec.traffic",
        blame=".preview.header",
        cel="!has(self.routeRef) || !has(self.preview) || !has(self.preview.header)",
        holds=lambda self: "routeRef" not in self or "header" not in self.get("preview", {}),
        message=(
            "a preview header needs a rule of its own, and routeRef adds no rule to a route that is not ours: remove "
            "the header, and use the Service NAME-preview, or a rule of yours that leads to it"
        ),
    ),
    Rule(
        name="router-stays-in-a-trial",
        at="",
        blame=".spec.traffic",
        looks_back=True,
        cel=(
            "!oldSelf.hasValue() || "
            "(has(self.spec.traffic.replicaRatio) == has(oldSelf.value().spec.traffic.replicaRatio) && "
            "has(self.spec.traffic.routeRef) == has(oldSelf.value().spec.traffic.routeRef)) || "
            "!has(self.status) || !(has(self.status.rollout) || has(self.status.probation))"
        ),
        holds=lambda _self: True,
        message=(
            "the router cannot change while two revisions are served, in a trial or a probation: wait for its end, "
            "or end it with seatrial abort or undo"
        ),
    ),
    Rule(
        name="ratio-without-header",
        at="spec.traffic",
        blame=".preview",
        cel="!has(self.replicaRatio) || !has(self.preview) || !has(self.preview.header)",
        holds=lambda self: "replicaRatio" not in self or "header" not in self.get("preview", {}),
        message=(
            "preview.header is read by a gateway, and with replicaRatio there is none: remove header, and reach the "
            "candidate at the Service NAME-preview"
        ),
    ),
    Rule(
        name="ratio-without-stickiness",
        at="spec.traffic",
        blame=".stickiness",
        cel="!has(self.replicaRatio) || !has(self.stickiness)",
        holds=lambda self: "replicaRatio" not in self or "stickiness" not in self,
        message=(
            "stickiness is kept by a gateway, and with replicaRatio there is none: remove stickiness, or use a gateway"
        ),
    ),
    Rule(
        name="ratio-without-sharing",
        at="spec",
        blame=".strategy.stages",
        cel=f"!{_BY_PODS_CEL} || self.strategy.stages.all(s, !has(s.canary) || s.canary.capacity != 'Shared')",
        holds=lambda self: not _by_pods(self) or all(canary["capacity"] != "Shared" for canary in _canaries(self)),
        message=(
            "capacity of the canary is Shared, and with replicaRatio pods are weights, so stable cannot have fewer: set "
            "capacity to Extra, or use a gateway"
        ),
    ),
    Rule(
        name="ratio-without-shadow",
        at="spec",
        blame=".strategy.stages",
        cel=f"!{_BY_PODS_CEL} || self.strategy.stages.all(s, !has(s.shadow))",
        holds=lambda self: not _by_pods(self) or all("shadow" not in stage for stage in self["strategy"]["stages"]),
        message=(
            "stages[{index}] is a shadow, and replicaRatio cannot copy requests, because nothing stands between clients "
            "and pods: remove the stage, or use a gateway"
        ),
        values={
            "index": Value(
                "self.strategy.stages.map(s, has(s.shadow)).indexOf(true)",
                lambda self: ["shadow" in stage for stage in self["strategy"]["stages"]].index(True),
            )
        },
    ),
    Rule(
        name="ratio-without-holdback",
        at="spec",
        blame=".strategy.probation.holdback",
        cel=f"!{_BY_PODS_CEL} || self.strategy.probation.holdback == 0",
        holds=lambda self: not _by_pods(self) or self["strategy"]["probation"]["holdback"] == 0,
        message=(
            "holdback is {holdback} percent in the probation, and with replicaRatio the Service leads to one revision "
            "after the promotion: set holdback to 0, or use a gateway"
        ),
        values={
            "holdback": Value(
                "self.strategy.probation.holdback", lambda self: self["strategy"]["probation"]["holdback"]
            )
        },
    ),
    Rule(
        name="ratio-up-to-half",
        at="spec",
        blame=".strategy.stages",
        cel=(
            f"!{_BY_PODS_CEL} || self.strategy.stages.all(s, !has(s.canary) || s.canary.steps.all(t, t.weight <= 50))"
        ),
        holds=lambda self: (
            not _by_pods(self) or all(step["weight"] <= 50 for canary in _canaries(self) for step in canary["steps"])
        ),
        message=(
            "a step of the canary asks {weight} %, and with replicaRatio stable keeps all of its pods beside as many of "
            "the candidate, which is 50 %: set 50 or less; promotion to 100 follows the last step by itself"
        ),
        values={
            "weight": Value(
                f"{_CANARY_CEL}.steps.map(t, t.weight).max()",
                lambda self: max(step["weight"] for step in _canaries(self)[0]["steps"]),
            )
        },
    ),
    Rule(
        name="ratio-scale",
        at="spec",
        blame=".strategy.stages",
        cel=f"!{_BY_PODS_CEL} || self.strategy.stages.all(s, !has(s.canary) || s.canary.scale != 'Full')",
        holds=lambda self: not _by_pods(self) or all(canary["scale"] != "Full" for canary in _canaries(self)),
        message=(
            "scale of the canary is Full, and with replicaRatio as many pods as stable has are 50 % of the requests at "
            "every step: remove scale, or write a number of pods"
        ),
    ),
    Rule(
        name="ratio-of-whole-pods",
        at="spec",
        blame=".strategy.stages",
        looks_back=True,
        # An autoscaler that changes replicas alone is not held up by steps that were fine when they were written.
        cel=(
            f"!{_BY_PODS_CEL} || has(self.strategyFrom) || (oldSelf.hasValue() && oldSelf.value().strategy == self.strategy && "
            "has(oldSelf.value().traffic.replicaRatio)) || self.replicas == 0 || "
            "self.strategy.stages.all(s, !has(s.canary) || s.canary.scale != 'ByWeight' || "
            "s.canary.steps.all(t, 2 * t.weight * (self.replicas + 1) >= 100))"
        ),
        holds=lambda self: not _by_pods(self) or "strategyFrom" in self or _one_pod_fits(self),
        message=(
            "a step of the canary asks {weight} %, and with replicaRatio one pod beside replicas: {replicas} gets "
            "{really} %, more than double: raise the weight to {least}, or replicas to {enough}, or set scale to "
            '"1" if one pod is what you mean'
        ),
        values={
            "weight": _LOWEST,
            "replicas": Value("self.replicas", lambda self: self["replicas"]),
            "really": Value("100 / (self.replicas + 1)", lambda self: 100 // (self["replicas"] + 1)),
            "least": Value("(50 + self.replicas) / (self.replicas + 1)", lambda self: -(-50 // (self["replicas"] + 1))),
            "enough": Value(f"(49 + {_LOWEST.cel}) / {_LOWEST.cel} - 1", lambda self: -(-50 // _lowest(self)) - 1),
        },
    ),
    Rule(
        name="ratio-is-not-counted-by-a-gateway",
        at="spec",
        blame=".analysis.checks",
        cel=(
            f"!{_BY_PODS_CEL} || !has(self.analysis.checks) || "
            "self.analysis.checks.all(c, !has(c.from) || c.from != 'Gateway')"
        ),
        holds=lambda self: (
            not _by_pods(self) or all(check.get("from") != "Gateway" for check in self["analysis"].get("checks", []))
        ),
        message=(
            "a check says from: Gateway, and with replicaRatio no gateway sees the requests: use from: Runtime, or "
            "write a query"
        ),
    ),
    Rule(
        name="ratio-needs-runtime-metrics",
        at="spec",
        blame=".analysis",
        cel=(
            f"!{_BY_PODS_CEL} || ({_IS_KNOWN_CEL}) || has(self.analysis.none) || "
            "(has(self.analysis.checks) && self.analysis.checks.all(c, !has(c.preset) || has(c.from)))"
        ),
        holds=lambda self: (
            not _by_pods(self)
            or _runtime(self) != "Custom"
            or "none" in self["analysis"]
            or (
                "checks" in self["analysis"]
                and all("preset" not in check or "from" in check for check in self["analysis"]["checks"])
            )
        ),
        message=(
            "the presets of checks need numbers, no gateway counts with replicaRatio, and no metrics of runtime "
            "{runtime} are known: write queries in analysis.checks, set analysis.none with a reason, or set "
            "spec.runtime to a model server that is known"
        ),
        values={"runtime": Value(_RUNTIME_CEL, _runtime)},
    ),
    Rule(
        name="parents-apart",
        at="spec.traffic.gatewayAPI",
        blame=".parentRefs",
        cel=(
            "self.parentRefs.all(p, self.parentRefs.exists_one(q, q == p)) && self.parentRefs.all(p, "
            "has(p.sectionName) || self.parentRefs.exists_one(q, q.name == p.name && "
            "has(q.__namespace__) == has(p.__namespace__) && "
            "(!has(p.__namespace__) || q.__namespace__ == p.__namespace__)))"
        ),
        holds=_parents_apart,
        message="parentRefs names one Gateway twice: give each a sectionName of its own, or remove one",
    ),
    Rule(
        name="preflight-timeout",
        at="spec.preflight",
        blame=".timeout",
        cel="duration(self.timeout) >= duration('1s') && duration(self.timeout) <= duration('1h')",
        holds=lambda self: _between(self["timeout"], "1s", "1h"),
        message="timeout is {timeout}: give a pod between 1s and 1h to answer all recorded requests",
        values={"timeout": _quoted("timeout")},
    ),
    Rule(
        name="tolerance",
        at="spec.preflight.requests",
        blame=".tolerance",
        cel="double(self.tolerance) >= 0.0",
        holds=lambda self: float(self["tolerance"]) >= 0,
        message="tolerance is {tolerance} and no difference is below 0: set 0 for equal numbers, or more",
        values={"tolerance": _quoted("tolerance")},
    ),
    Rule(
        name="one-kind-of-stickiness",
        at="spec.traffic.stickiness",
        cel="has(self.cookie) != has(self.header)",
        holds=lambda self: ("cookie" in self) != ("header" in self),
        message=(
            "stickiness is exactly one of cookie, which browsers keep, and header, for clients without cookies: set one of "
            "them"
        ),
    ),
    Rule(
        name="cookie-age",
        at="spec.traffic.stickiness.cookie",
        blame=".maxAge",
        cel="duration(self.maxAge) >= duration('1m') && duration(self.maxAge) <= duration('9600h')",
        holds=lambda self: _between(self["maxAge"], "1m", "9600h"),
        message="maxAge is {age}: let a client keep the cookie for between 1m and 9600h (400 days)",
        values={"age": _quoted("maxAge")},
    ),
    Rule(
        name="a-header-of-its-own",
        at="spec.traffic",
        blame=".stickiness.header.name",
        cel=(
            "!has(self.stickiness) || !has(self.stickiness.header) || "
            "!(self.stickiness.header.name in ['cookie', 'set-cookie', 'host', 'x-model-revision'])"
        ),
        holds=lambda self: (
            "header" not in self.get("stickiness", {})
            or _sticky_header(self) not in ("cookie", "set-cookie", "host", "x-model-revision")
        ),
        message="the header {name} means something else already: give stickiness a header of its own",
        values={"name": Value("self.stickiness.header.name", _sticky_header)},
    ),
    Rule(
        name="preview-beside-stickiness",
        at="spec.traffic",
        blame=".preview.header",
        cel=(
            "!has(self.stickiness) || !has(self.preview) || !has(self.preview.header) || self.preview.header != "
            "(has(self.stickiness.header) ? self.stickiness.header.name : 'cookie')"
        ),
        holds=lambda self: "stickiness" not in self or self.get("preview", {}).get("header") != _sticky_header(self),
        message="preview and stickiness both use the header {name}: give each its own",
        values={"name": Value("self.preview.header", lambda self: self["preview"]["header"])},
    ),
    Rule(
        name="weights-rise",
        at="spec.strategy.stages[].canary",
        blame=".steps",
        cel=(
            "self.steps.map(s, s.weight).isSorted() && "
            "self.steps.all(s, self.steps.exists_one(t, t.weight == s.weight))"
        ),
        holds=lambda self: _rising(_weights(self)),
        message="the weights are {weights}, and each step must be higher than the one before: raise or remove a step",
        values={
            "weights": Value("self.steps.map(s, s.weight)", _weights),
        },
    ),
    Rule(
        name="weight-below-100",
        at="spec.strategy.stages[].canary.steps[]",
        blame=".weight",
        cel="self.weight < 100",
        holds=lambda self: bool(self["weight"] < 100),
        message=(
            "weight is 100, but the last step is judged against stable, so stable must keep traffic: set 99 or "
            "less; promotion to 100 follows the last step by itself"
        ),
    ),
    Rule(
        name="shared-by-weight",
        at="spec.strategy.stages[].canary",
        blame=".capacity",
        cel="self.capacity != 'Shared' || self.scale == 'ByWeight'",
        holds=lambda self: self["capacity"] != "Shared" or self["scale"] == "ByWeight",
        message=(
            "capacity is Shared and scale is {scale}: what both revisions share goes to them by their weights; leave "
            "scale out, or set capacity to Extra"
        ),
        values={"scale": _quoted("scale")},
    ),
    Rule(
        name="one-kind-of-stage",
        at="spec.strategy.stages[]",
        cel="[has(self.shadow), has(self.canary), has(self.blueGreen)].exists_one(x, x)",
        holds=lambda self: sum(kind in self for kind in STAGES) == 1,
        message="a stage is exactly one of shadow, canary and blueGreen: write each as a stage of its own",
    ),
    Rule(
        name="stages-in-order",
        at="spec.strategy",
        blame=".stages",
        cel="self.stages.size() < 2 || self.stages.map(s, has(s.shadow)).all(x, x) || "
        "(self.stages.filter(s, !has(s.shadow)).size() == 1 && !has(self.stages[self.stages.size() - 1].shadow))",
        holds=lambda self: all("shadow" in stage for stage in self["stages"][:-1]),
        message=(
            "live traffic never falls in a trial, so shadows come first, and one canary or one blueGreen is the "
            "last stage: put the stages in this order"
        ),
    ),
    Rule(
        name="something-speaks-for-the-flip",
        at="spec.strategy",
        blame=".stages",
        cel="self.stages.exists(s, has(s.shadow)) || self.stages.all(s, !has(s.blueGreen) || has(s.blueGreen.approval))",
        holds=lambda self: (
            any("shadow" in stage for stage in self["stages"])
            or all("approval" in stage["blueGreen"] for stage in self["stages"] if "blueGreen" in stage)
        ),
        message=(
            "nobody comes to a preview by himself, so nothing would speak for the flip of blueGreen: put a shadow "
            "before it, or set blueGreen.approval"
        ),
    ),
    Rule(
        name="probation-length",
        at="spec.strategy.probation",
        blame=".duration",
        cel="duration(self.duration) <= duration('720h')",
        holds=lambda self: _between(self["duration"], None, "720h"),
        message="probation lasts {duration} and 720h (30 days) is the most: set 720h or less",
        values={"duration": _quoted("duration")},
    ),
    Rule(
        name="drill-not-too-often",
        at="spec.strategy.drill",
        blame=".every",
        cel="duration(self.every) >= duration('1h') && duration(self.every) <= duration('8784h')",
        holds=lambda self: _between(self["every"], "1h", "8784h"),
        message="drills every {every}: set 1h or more, since each takes minutes, and 8784h (a year) at the most",
        values={"every": _quoted("every")},
    ),
    Rule(
        name="holdback-needs-pods",
        at="spec.strategy.probation",
        blame=".holdback",
        cel="self.holdback == 0 || self.keep != 'None'",
        holds=lambda self: self["holdback"] == 0 or self["keep"] != "None",
        message=(
            "holdback is {holdback} percent and keep is None, so nobody would answer them: set keep to Warm or Full, "
            "or holdback to 0"
        ),
        values={"holdback": Value("self.holdback", lambda self: self["holdback"])},
    ),
    *(
        Rule(
            name=f"{name}-{bound}",
            at=at,
            blame=f".{field}",
            cel=cel,
            holds=holds,
            message=message,
            values={"least": _quoted("minDuration"), "most": _quoted("maxDuration")},
        )
        for name, at in (
            ("step", "spec.strategy.stages[].canary.steps[]"),
            ("shadow", "spec.strategy.stages[].shadow"),
            ("preview", "spec.strategy.stages[].blueGreen"),
        )
        for bound, field, cel, holds, message in (
            (
                "min-duration",
                "minDuration",
                "duration(self.minDuration) <= duration('720h')",
                lambda self: _between(self["minDuration"], None, "720h"),
                "minDuration is {least} and 720h (30 days) is the most: set 720h or less",
            ),
            (
                "max-duration",
                "maxDuration",
                "duration(self.maxDuration) >= duration(self.minDuration)",
                lambda self: parse_duration(self["maxDuration"]) >= parse_duration(self["minDuration"]),
                "maxDuration is {most} and minDuration {least}: raise maxDuration",
            ),
        )
    ),
    Rule(
        name="interval",
        at="spec.analysis",
        blame=".interval",
        cel="duration(self.interval) >= duration('5s') && duration(self.interval) <= duration('10m')",
        holds=lambda self: _between(self["interval"], "5s", "10m"),
        message="interval is {interval}: set the time between two looks to between 5s and 10m",
        values={"interval": _quoted("interval")},
    ),
    Rule(
        name="none-excludes-checks",
        at="spec.analysis",
        blame=".none",
        cel="!has(self.none) || !has(self.checks) || self.checks.size() == 0",
        holds=lambda self: "none" not in self or not self.get("checks"),
        message=(
            "analysis.none says that no metric judges this model, and the length of analysis.checks is {count}: "
            "remove one of the two"
        ),
        values={
            "count": Value("self.checks.size()", lambda self: len(self["checks"])),
        },
    ),
    Rule(
        name="none-excludes-shared-checks",
        at="spec.analysis",
        blame=".none",
        cel="!has(self.none) || !has(self.use)",
        holds=lambda self: "none" not in self or "use" not in self,
        message="analysis.none says that no metric judges this model, and analysis.use names checks: remove one of the two",
    ),
    Rule(
        name="something-judges",
        at="spec.analysis",
        blame=".checks",
        cel="has(self.none) || !has(self.checks) || self.checks.size() > 0 || has(self.use)",
        holds=lambda self: "none" in self or "checks" not in self or len(self["checks"]) > 0 or "use" in self,
        message="nothing here can judge this model: add a check, or set analysis.none with a reason",
    ),
    Rule(
        name="one-kind-of-check",
        at="spec.analysis.checks[]",
        cel="[has(self.preset), has(self.share), has(self.mean), has(self.query), has(self.agreement), has(self.drift)].exists_one(x, x)",
        holds=lambda self: sum(kind in self for kind in CHECKS) == 1,
        message="check {check} says none or several of preset, share, mean, query, agreement and drift: name exactly one",
        values={"check": _CHECK},
    ),
    Rule(
        name="share-needs-something-to-hold-it-against",
        at="spec.analysis.checks[]",
        cel="!has(self.share) || ((has(self.margin) || has(self.max)) && !has(self.from) && !has(self.min))",
        holds=lambda self: (
            "share" not in self or (bool({"margin", "max"} & self.keys()) and not {"from", "min"} & self.keys())
        ),
        message=(
            "check {check} is a share of your own: give it a margin to stable, a max, or both; from and min say nothing "
            "of it, remove them"
        ),
        values={"check": _CHECK},
    ),
    Rule(
        name="worse-when-of-share",
        at="spec.analysis.checks[]",
        blame=".worseWhen",
        cel=(
            "!has(self.worseWhen) || has(self.mean) || "
            "(has(self.share) && (self.worseWhen == 'Higher' || !has(self.max)))"
        ),
        holds=lambda self: (
            "worseWhen" not in self
            or "mean" in self
            or ("share" in self and (self["worseWhen"] == "Higher" or "max" not in self))
        ),
        message=(
            "check {check} has worseWhen, which belongs to share and mean; and a max is for shares that are worse when higher: remove "
            "one of the two"
        ),
        values={"check": _CHECK},
    ),
    Rule(
        name="mean-has-a-direction-and-a-margin",
        at="spec.analysis.checks[]",
        cel=(
            "!has(self.mean) || (has(self.worseWhen) && has(self.margin) && has(self.margin.relative) && "
            "!has(self.margin.points) && double(self.margin.relative.replace('%', '')) < 100.0 && "
            "!(has(self.from) || has(self.min) || has(self.max)))"
        ),
        holds=lambda self: (
            "mean" not in self
            or (
                "worseWhen" in self
                and self.get("margin", {}).keys() == {"relative"}
                and _number(self["margin"]["relative"]) < 100
                and not {"from", "min", "max"} & self.keys()
            )
        ),
        message=(
            "check {check} compares means, which have units of their own: say worseWhen, and a margin with relative below 100% "
            "and no points; from, min and max say nothing of it, remove them"
        ),
        values={"check": _CHECK},
    ),
    Rule(
        name="horizon-of-mean",
        at="spec.analysis.checks[]",
        cel="has(self.mean) || !(has(self.minSamples) || has(self.minDuration))",
        holds=lambda self: "mean" in self or not {"minSamples", "minDuration"} & self.keys(),
        message=(
            "check {check} has minSamples or minDuration, which belong to mean: remove them; analysis.minSamples and the "
            "steps' minDuration are for every check"
        ),
        values={"check": _CHECK},
    ),
    Rule(
        name="horizon-within-a-month",
        at="spec.analysis.checks[]",
        blame=".minDuration",
        cel="!has(self.minDuration) || duration(self.minDuration) <= duration('720h')",
        holds=lambda self: "minDuration" not in self or _between(self["minDuration"], None, "720h"),
        message="minDuration of check {check} is {least} and 720h (30 days) is the most: set 720h or less",
        values={"check": _CHECK, "least": _quoted("minDuration")},
    ),
    Rule(
        name="mean-within-its-step",
        at="spec",
        blame=".analysis.checks",
        cel=(
            "!has(self.analysis.checks) || self.analysis.checks.all(c, !has(c.mean) || self.strategy.stages.all(s, "
            f"!has(s.canary) || duration({_HORIZON_CEL}) < duration(s.canary.steps[0].maxDuration)))"
        ),
        holds=lambda self: all(_horizon(check) < most for check in _means(self) for most in _first_steps(self)),
        message=(
            "the first canary step ends undecided after its maxDuration, before a check's mean may be judged (minDuration, 1h "
            "where left out): set the check's minDuration below, or raise maxDuration"
        ),
    ),
    Rule(
        name="warm-within-every-step",
        at="spec",
        blame=".analysis.warmPeriod",
        cel=(
            "self.strategy.stages.all(s, (!has(s.shadow) || duration(self.analysis.warmPeriod) < "
            "duration(s.shadow.maxDuration)) && (!has(s.canary) || s.canary.steps.all(t, "
            "duration(self.analysis.warmPeriod) < duration(t.maxDuration))))"
        ),
        holds=lambda self: all(parse_duration(self["analysis"]["warmPeriod"]) < most for most in _longest(self)),
        message=(
            "warmPeriod is {period}, and a step ends undecided after its maxDuration before any answer is timed: set a shorter "
            "warmPeriod, or raise maxDuration"
        ),
        values={
            "period": Value("self.analysis.warmPeriod", lambda self: self["analysis"]["warmPeriod"]),
        },
    ),
    Rule(
        name="outcomes-need-a-canary",
        at="spec",
        blame=".strategy.stages",
        cel=(
            f"!has(self.analysis.checks) || !self.analysis.checks.exists(c, {_ELSEWHERE_CEL}) || "
            "self.strategy.stages.exists(s, has(s.canary))"
        ),
        holds=lambda self: not _elsewhere(self) or bool(_canaries(self)),
        message=(
            "a check reads what another service counts (revisionLabel), and nobody acts on the answers of a shadow or comes to "
            "the preview of a blueGreen: add a canary, or remove the check"
        ),
    ),
    Rule(
        name="something-judges-the-shadow",
        at="spec",
        blame=".analysis.checks",
        cel=(
            "!self.strategy.stages.exists(s, has(s.shadow)) || !has(self.analysis.checks) || "
            f"self.analysis.checks.size() == 0 || !self.analysis.checks.all(c, {_ELSEWHERE_CEL})"
        ),
        holds=lambda self: (
            not any("shadow" in stage for stage in self["strategy"]["stages"])
            or not self["analysis"].get("checks")
            or len(_elsewhere(self)) < len(self["analysis"]["checks"])
        ),
        message=(
            "every check reads what another service counts (revisionLabel), and nobody acts on the answers of a shadow, so it "
            "would pass unjudged: add a check of errors, or remove the shadow"
        ),
    ),
    Rule(
        name="agreement-has-a-margin-only",
        at="spec.analysis.checks[]",
        cel="!has(self.agreement) || !(has(self.from) || has(self.min) || has(self.max))",
        holds=lambda self: "agreement" not in self or not ({"from", "min", "max"} & self.keys()),
        message="check {check} compares answers with stable's own, so from, min and max say nothing: use margin",
        values={"check": _CHECK},
    ),
    Rule(
        name="agreement-field-of-mode",
        at="spec.analysis.checks[].agreement",
        cel=(
            "(!has(self.tolerance) || (self.mode == 'Numeric' && double(self.tolerance) >= 0.0)) && "
            "(!has(self.topK) || self.mode == 'TopK')"
        ),
        holds=lambda self: (
            ("tolerance" not in self or (self["mode"] == "Numeric" and float(self["tolerance"]) >= 0))
            and ("topK" not in self or self["mode"] == "TopK")
        ),
        message=(
            "answers are compared by {mode}; tolerance, 0 or more, belongs to Numeric and topK to TopK: remove what does "
            "not belong"
        ),
        values={"mode": _quoted("mode")},
    ),
    Rule(
        name="agreement-in-one-way",
        at="spec.analysis",
        blame=".checks",
        cel=(
            "!has(self.checks) || self.checks.filter(c, has(c.agreement)).map(c, [c.agreement.mode, "
            "has(c.agreement.tolerance) ? c.agreement.tolerance : '', "
            "has(c.agreement.topK) ? string(c.agreement.topK) : '']).all(w, "
            "w == self.checks.filter(c, has(c.agreement)).map(c, [c.agreement.mode, "
            "has(c.agreement.tolerance) ? c.agreement.tolerance : '', "
            "has(c.agreement.topK) ? string(c.agreement.topK) : ''])[0])"
        ),
        holds=lambda self: len(_ways(self)) <= 1,
        message=(
            "agreement checks differ in mode, tolerance or topK, and answers are compared in one way: make them the "
            "same; they may name different outputs"
        ),
    ),
    Rule(
        name="agreement-needs-a-shadow",
        at="spec",
        blame=".analysis.checks",
        cel=(
            "!has(self.analysis.checks) || self.analysis.checks.all(c, !has(c.agreement)) || has(self.strategyFrom) || "
            "self.strategy.stages.exists(s, has(s.shadow))"
        ),
        holds=lambda self: (
            not _ways(self["analysis"])
            or "strategyFrom" in self
            or any("shadow" in stage for stage in self["strategy"]["stages"])
        ),
        message=(
            "a check compares answers (agreement), and only in a shadow both models answer the same request: put a "
            "shadow first, or remove the check"
        ),
    ),
    Rule(
        name="drift-has-its-own-max",
        at="spec.analysis.checks[]",
        cel="!has(self.drift) || !(has(self.from) || has(self.margin) || has(self.min) || has(self.max))",
        holds=lambda self: "drift" not in self or not ({"from", "margin", "min", "max"} & self.keys()),
        message="check {check} is about drift, of which from, margin, min and max beside it say nothing: use drift.max",
        values={"check": _CHECK},
    ),
    Rule(
        name="drift-of-one-thing",
        at="spec.analysis.checks[].drift",
        cel="has(self.histogram) != has(self.classes) && has(self.classes) == has(self.by)",
        holds=lambda self: ("histogram" in self) != ("classes" in self) and ("classes" in self) == ("by" in self),
        message="drift is that of a histogram, or of classes by a label: set histogram alone, or classes and by",
    ),
    Rule(
        name="drift-in-order",
        at="spec.analysis.checks[].drift",
        blame=".statistic",
        cel="!has(self.classes) || self.statistic != 'KS'",
        holds=lambda self: "classes" not in self or self["statistic"] != "KS",
        message="classes have no order, which KS needs: use PSI or JS",
    ),
    Rule(
        name="drift-max-of-statistic",
        at="spec.analysis.checks[].drift",
        blame=".max",
        cel=(
            "!has(self.max) || (double(self.max) > 0.0 && (self.statistic == 'PSI' || double(self.max) < "
            "(self.statistic == 'JS' ? 0.83 : 1.0)))"
        ),
        holds=lambda self: (
            "max" not in self
            or (
                float(self["max"]) > 0
                and (self["statistic"] == "PSI" or float(self["max"]) < (0.83 if self["statistic"] == "JS" else 1.0))
            )
        ),
        message=(
            "drift.max is {max}: {statistic} cannot be held to that; set it above 0, for JS below 0.83 and for KS below 1"
        ),
        values={"max": _quoted("max"), "statistic": _quoted("statistic")},
    ),
    Rule(
        name="query-needs-bound",
        at="spec.analysis.checks[]",
        cel="!has(self.query) || has(self.min) || has(self.max)",
        holds=lambda self: "query" not in self or bool(_bounds(self)),
        message="check {check} has a query and nothing to hold its value against: add min, max or both",
        values={"check": _CHECK},
    ),
    Rule(
        name="query-without-preset-fields",
        at="spec.analysis.checks[]",
        cel="!has(self.query) || !(has(self.margin) || has(self.from))",
        holds=lambda self: "query" not in self or not ({"margin", "from"} & self.keys()),
        message=("check {check} has a query, and margin and from belong to presets: remove them, and use min and max"),
        values={"check": _CHECK},
    ),
    Rule(
        name="slower-than-latency",
        at="spec.analysis.checks[]",
        blame=".slowerThan",
        cel=f"!has(self.slowerThan) || (has(self.preset) && self.preset in {list(_TIMED)})",
        holds=lambda self: "slowerThan" not in self or self.get("preset") in _TIMED,
        message=(
            "check {check} has slowerThan, which belongs to the presets Latency, FirstToken and InterToken: remove it, or "
            "use one of them"
        ),
        values={"check": _CHECK},
    ),
    Rule(
        name="slower-than-positive",
        at="spec.analysis.checks[]",
        blame=".slowerThan",
        cel="!has(self.slowerThan) || duration(self.slowerThan) > duration('0s')",
        holds=lambda self: "slowerThan" not in self or parse_duration(self["slowerThan"]) > timedelta(0),
        message="slowerThan of check {check} is 0 and every request takes longer: set the time at which one is slow",
        values={"check": _CHECK},
    ),
    Rule(
        name="tokens-are-counted-by-runtimes",
        at="spec.analysis.checks[]",
        blame=".from",
        cel=f"!has(self.preset) || !(self.preset in {list(_OF_TOKENS)}) || !has(self.from) || self.from != 'Gateway'",
        holds=lambda self: self.get("preset") not in _OF_TOKENS or self.get("from") != "Gateway",
        message="check {check} is of tokens, and no gateway counts them: remove from, or say from: Runtime",
        values={"check": _CHECK},
    ),
    Rule(
        name="preset-without-min",
        at="spec.analysis.checks[]",
        blame=".min",
        cel="!has(self.preset) || !has(self.min)",
        holds=lambda self: "preset" not in self or "min" not in self,
        message="check {check} has preset {preset}, and no share of bad requests is too small: remove min",
        values={"check": _CHECK, "preset": _quoted("preset")},
    ),
    Rule(
        name="preset-max-is-share",
        at="spec.analysis.checks[]",
        blame=".max",
        cel=(
            "(!has(self.preset) && !has(self.share)) || !has(self.max) || "
            "(self.max.matches('^[0-9]+([.][0-9]+)?%$') && double(self.max.replace('%', '')) <= 100.0)"
        ),
        holds=lambda self: (
            not {"preset", "share"} & self.keys()
            or "max" not in self
            or (re.fullmatch(r"[0-9]+(\.[0-9]+)?%", self["max"]) is not None and _number(self["max"]) <= 100)
        ),
        message=(
            'max of check {check} is {max}, and here it is a share: write a percentage from 0% to 100%, such as "5%"'
        ),
        values={"check": _CHECK, "max": _quoted("max")},
    ),
    Rule(
        name="query-bounds-are-numbers",
        at="spec.analysis.checks[]",
        cel=(
            "!has(self.query) || has(self.preset) || "
            "((!has(self.min) || !self.min.endsWith('%')) && (!has(self.max) || !self.max.endsWith('%')))"
        ),
        holds=lambda self: (
            "query" not in self or "preset" in self or not any(bound.endswith("%") for bound in _bounds(self))
        ),
        message=(
            "check {check} compares the value of a query, which has no percent: write min and max as plain "
            'numbers, such as "0.05"'
        ),
        values={"check": _CHECK},
    ),
    Rule(
        name="min-not-above-max",
        at="spec.analysis.checks[]",
        cel=(
            "!has(self.query) || !has(self.min) || !has(self.max) || "
            "double(self.min.replace('%', '')) <= double(self.max.replace('%', ''))"
        ),
        holds=lambda self: (
            "query" not in self
            or "min" not in self
            or "max" not in self
            or _number(self["min"]) <= _number(self["max"])
        ),
        message="check {check} has min {min} above max {max}, so no value can pass: exchange or correct them",
        values={"check": _CHECK, "min": _quoted("min"), "max": _quoted("max")},
    ),
    Rule(
        name="query-names-pods",
        at="spec.analysis.checks[]",
        blame=".query",
        cel="!has(self.query) || self.query.contains('$selector') || self.query.contains('$namespace')",
        holds=lambda self: "query" not in self or "$selector" in self["query"] or "$namespace" in self["query"],
        message=(
            "the query of check {check} has neither $selector nor $namespace, so it would count other models' "
            "requests too: write $selector between the braces of each metric"
        ),
        values={"check": _CHECK},
    ),
    Rule(
        name="margin-says-something",
        at="spec.analysis.checks[].margin",
        cel="has(self.points) || has(self.relative)",
        holds=lambda self: "points" in self or "relative" in self,
        message="the margin is empty: set points, relative or both, or remove margin for the default",
    ),
    Rule(
        name="margin-positive",
        at="spec.analysis.checks[].margin",
        cel=(
            "(!has(self.points) || (double(self.points) > 0.0 && double(self.points) <= 100.0)) && "
            "(!has(self.relative) || double(self.relative.replace('%', '')) > 0.0)"
        ),
        holds=lambda self: (
            ("points" not in self or 0 < float(self["points"]) <= 100)
            and ("relative" not in self or _number(self["relative"]) > 0)
        ),
        message=(
            "a margin of 0 or less could never be shown to hold, and one above 100 points never fails: set points "
            "above 0 and up to 100, and relative above 0%"
        ),
    ),
    Rule(
        name="live-window",
        at="spec.analysis.live[]",
        blame=".window",
        cel="duration(self.window) >= duration('10m') && duration(self.window) <= duration('6h')",
        holds=lambda self: _between(self["window"], "10m", "6h"),
        message=(
            "the window of {live} is {window}: samples of a longer one than 6h are too many for one question, and one under 10m "
            "sees too little; set 10m to 6h"
        ),
        values={"live": _quoted("name"), "window": _quoted("window")},
    ),
    Rule(
        name="live-every",
        at="spec.analysis.live[]",
        blame=".every",
        cel="duration(self.every) >= duration('1m') && duration(self.every) <= duration('24h')",
        holds=lambda self: _between(self["every"], "1m", "24h"),
        message="{live} is looked at every {every}: set 1m to 24h",
        values={"live": _quoted("name"), "every": _quoted("every")},
    ),
)
RULES += tuple(
    replace(rule, name=f"live-{rule.name}", at="spec.analysis.live[].drift")
    for rule in RULES
    if rule.at == "spec.analysis.checks[].drift"
)
"""All of them. A new one needs a case in `tests/api/cases.py` that breaks it."""
