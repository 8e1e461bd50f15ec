"""Policies that break one rule each, with the whole sentence; and some that are just within bounds."""

from __future__ import annotations

from typing import Any

from tests.api.cases import QUERY, Case, Document

ERRORS: Document = {"name": "errors", "preset": "Errors"}
HALVES: Document = {"name": "halves", "stages": [{"canary": {"steps": [{"weight": 50}]}}]}


def policy(**spec: Any) -> Document:
    return {
        "apiVersion": "seatrial.dev/v1alpha1",
        "kind": "TrialPolicy",
        "metadata": {"name": "team", "namespace": "default"},
        "spec": spec,
    }


def cluster_policy(**spec: Any) -> Document:
    return {
        "apiVersion": "seatrial.dev/v1alpha1",
        "kind": "ClusterTrialPolicy",
        "metadata": {"name": "critical"},
        "spec": spec,
    }


def chosen(**expression: Any) -> Document:
    return cluster_policy(namespaceSelector={"matchExpressions": [{"key": "tier", **expression}]})


_SELECTOR = "spec.namespaceSelector.matchExpressions[0].values"

BREAKING = [
    Case(
        "defaults-names-checks",
        policy(checks=[ERRORS], defaults={"checks": ["errors", "orders"]}),
        "spec.defaults.checks",
        "defaults.checks names orders, and no check of spec.checks has this name: add it there, or correct it",
    ),
    Case(
        "require-names-checks",
        policy(require={"checks": ["errors"]}),
        "spec.require.checks",
        "require.checks names errors, and no check of spec.checks has this name: add it there, or correct it",
    ),
    Case(
        "defaults-names-a-strategy",
        cluster_policy(strategies=[HALVES], defaults={"strategy": "careful"}),
        "spec.defaults.strategy",
        "defaults.strategy names careful, and no strategy of spec.strategies has this name: add it there, or correct it",
    ),
    *(
        Case(
            f"required-{part}-length",
            policy(require={part: {"minDuration": "721h"}}),
            f"spec.require.{part}.minDuration",
            f"require.{part}.minDuration is 721h and 720h (30 days) is the most: set 720h or less",
        )
        for part in ("shadow", "canary", "probation")
    ),
    Case(
        "required-canary-says-something",
        policy(require={"canary": {"minDuration": "0s"}}),
        "spec.require.canary",
        "require.canary.minDuration is 0 and asks for nothing: set the least time of a step, or leave it out",
    ),
    Case(
        "values-of-a-selector",
        chosen(operator="In"),
        _SELECTOR,
        "the operator for label tier is In: In and NotIn need values, and Exists and DoesNotExist take none",
    ),
    Case(
        "values-of-a-selector",
        chosen(operator="Exists", values=["a"]),
        _SELECTOR,
        "the operator for label tier is Exists: In and NotIn need values, and Exists and DoesNotExist take none",
    ),
    Case(
        "query-needs-bound",
        policy(checks=[ERRORS, {"name": "c", "query": QUERY}]),
        "spec.checks[1]",
        "check c has a query and nothing to hold its value against: add min, max or both",
    ),
    Case(
        "weights-rise",
        policy(strategies=[HALVES, {"name": "x", "stages": [{"canary": {"steps": [{"weight": 5}, {"weight": 5}]}}]}]),
        "spec.strategies[1].stages[0].canary.steps",
        "the weights are [5, 5], and each step must be higher than the one before: raise or remove a step",
    ),
]

VALID = {
    "nothing": policy(),
    "nothing for all": cluster_policy(),
    "a library": policy(checks=[ERRORS], strategies=[HALVES, {"name": "usual"}]),
    "everything": cluster_policy(
        checks=[ERRORS, {"name": "cost", "query": QUERY, "max": "1"}],
        strategies=[HALVES],
        defaults={"strategy": "halves", "checks": ["errors", "cost"]},
        require={
            "checks": ["errors"],
            "minSamples": 500,
            "shadow": {"minDuration": "720h", "percent": 20},
            "canary": {"firstWeight": 1, "minDuration": "1m"},
            "approval": {"notAuthor": True},
            "probation": {"minDuration": "0s"},
        },
        namespaceSelector={
            "matchLabels": {"tier": "critical"},
            "matchExpressions": [
                {"key": "a", "operator": "In", "values": ["x"]},
                {"key": "b", "operator": "DoesNotExist"},
            ],
        },
    ),
    "a canary of whatever weight": policy(require={"canary": {}, "approval": {}}),
}

MALFORMED = {
    "a shadow without a time": (policy(require={"shadow": {"percent": 5}}), "spec.require.shadow.minDuration"),
    "an unknown operator": (chosen(operator="Is"), "spec.namespaceSelector.matchExpressions[0].operator"),
    "no step so high": (policy(require={"canary": {"firstWeight": 100}}), "spec.require.canary.firstWeight"),
    "a strategy without a name": (policy(strategies=[{}]), "spec.strategies[0].name"),
}
