"""What makes a policy impossible although every field by itself is fine.

Its checks and strategies keep the rules of a resource's own, in their new place; the rest is here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from seatrial.api.base import parse_duration
from seatrial.api.policies import CLUSTER_POLICY_KIND
from seatrial.api.rules import RULES, Rule, Value

_MOVED = {"spec.analysis.checks[]": "spec.checks[]", "spec.strategy": "spec.strategies[]"}
"""Where the parts that a policy shares with a resource stand in the one and in the other."""


def _inherited() -> Iterable[Rule]:
    for rule in RULES:
        for place, moved in _MOVED.items():
            if rule.at == place or rule.at.startswith(f"{place}."):
                yield replace(rule, at=rule.at.replace(place, moved, 1))


def _lost(spec: Mapping[str, Any], block: str, field: str, library: str) -> list[str]:
    """Names that are said and are not there."""
    said = spec.get(block, {}).get(field, [])
    there = {entry["name"] for entry in spec.get(library, [])}
    return [name for name in ([said] if isinstance(said, str) else said) if name not in there]


def _names(block: str, field: str) -> Rule:
    """Names of checks lead to checks."""
    at = f"self.{block}.{field}"
    known = "has(self.checks) && self.checks.exists(c, c.name == n)"
    return Rule(
        name=f"{block}-names-checks",
        at="spec",
        blame=f".{block}.{field}",
        cel=f"!has(self.{block}) || !has({at}) || {at}.all(n, {known})",
        holds=lambda self: not _lost(self, block, field, "checks"),
        message=f"{block}.{field} names {{name}}, and no check of spec.checks has this name: add it there, or correct it",
        values={"name": Value(f"{at}.filter(n, !({known}))[0]", lambda self: _lost(self, block, field, "checks")[0])},
    )


def _at_most_a_month(field: str) -> Rule:
    path = f"{field}.minDuration"
    return Rule(
        name=f"required-{field}-length",
        at=f"spec.require.{field}",
        blame=".minDuration",
        cel="!has(self.minDuration) || duration(self.minDuration) <= duration('720h')",
        holds=lambda self: "minDuration" not in self or parse_duration(self["minDuration"]) <= timedelta(hours=720),
        message=f"require.{path} is {{length}} and 720h (30 days) is the most: set 720h or less",
        values={"length": Value("self.minDuration", lambda self: self["minDuration"])},
    )


def _values_fit(expression: Mapping[str, Any]) -> bool:
    return (expression["operator"] in ("In", "NotIn")) == bool(expression.get("values"))


_EVERYWHERE: tuple[Rule, ...] = (
    *_inherited(),
    _names("defaults", "checks"),
    _names("require", "checks"),
    Rule(
        name="defaults-names-a-strategy",
        at="spec",
        blame=".defaults.strategy",
        cel=(
            "!has(self.defaults) || !has(self.defaults.strategy) || "
            "(has(self.strategies) && self.strategies.exists(s, s.name == self.defaults.strategy))"
        ),
        holds=lambda self: not _lost(self, "defaults", "strategy", "strategies"),
        message=(
            "defaults.strategy names {name}, and no strategy of spec.strategies has this name: add it there, or correct it"
        ),
        values={"name": Value("self.defaults.strategy", lambda self: self["defaults"]["strategy"])},
    ),
    *(_at_most_a_month(field) for field in ("shadow", "canary", "probation")),
    Rule(
        name="required-canary-says-something",
        at="spec.require.canary",
        cel="!has(self.minDuration) || duration(self.minDuration) > duration('0s')",
        holds=lambda self: "minDuration" not in self or parse_duration(self["minDuration"]) > timedelta(0),
        message="require.canary.minDuration is 0 and asks for nothing: set the least time of a step, or leave it out",
    ),
)
_OF_MANY_NAMESPACES: tuple[Rule, ...] = (
    Rule(
        name="values-of-a-selector",
        at="spec.namespaceSelector.matchExpressions[]",
        blame=".values",
        cel="(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
        holds=_values_fit,
        message=(
            "the operator for label {key} is {operator}: In and NotIn need values, and Exists and DoesNotExist take none"
        ),
        values={
            "key": Value("self.key", lambda self: self["key"]),
            "operator": Value("self.operator", lambda self: self["operator"]),
        },
    ),
)


def rules_of(kind: str) -> tuple[Rule, ...]:
    """The rules of a kind of policy."""
    return (*_EVERYWHERE, *_OF_MANY_NAMESPACES) if kind == CLUSTER_POLICY_KIND else _EVERYWHERE
