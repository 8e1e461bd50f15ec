"""The CustomResourceDefinitions of the two kinds of policies, made as the resource's own."""

from __future__ import annotations

import functools

from seatrial.api.base import GROUP, VERSION
from seatrial.api.crd import Schema, attach, structural
from seatrial.api.policies import (
    CLUSTER_POLICY_KIND,
    CLUSTER_POLICY_PLURAL,
    POLICY_KIND,
    POLICY_PLURAL,
    ClusterTrialPolicySpec,
    TrialPolicySpec,
)
from seatrial.api.policy_rules import rules_of

MODELS: dict[str, type[TrialPolicySpec]] = {
    POLICY_KIND: TrialPolicySpec,
    CLUSTER_POLICY_KIND: ClusterTrialPolicySpec,
}
_ABOUT = {
    POLICY_KIND: "House rules for the ModelDeployments of one namespace: shared checks and strategies, defaults, and "
    "what none of them may go below.",
    CLUSTER_POLICY_KIND: "House rules for the ModelDeployments of many namespaces: shared checks and strategies, "
    "defaults, and what none of them may go below.",
}
_NAMES = {
    POLICY_KIND: (POLICY_PLURAL, "tp", "Namespaced"),
    CLUSTER_POLICY_KIND: (CLUSTER_POLICY_PLURAL, "ctp", "Cluster"),
}


@functools.cache
def schema_of(kind: str) -> Schema:
    """The schema of a policy's whole object, rules attached. Do not change it: it is shared."""
    root: Schema = {
        "description": _ABOUT[kind],
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"description": f"{GROUP}/{VERSION}", "type": "string"},
            "kind": {"description": kind, "type": "string"},
            "metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 253}}},
            "spec": structural(MODELS[kind]),
        },
    }
    for rule in rules_of(kind):
        attach(root, rule)
    return root


def definition_of(kind: str) -> Schema:
    """The whole CustomResourceDefinition of a kind of policy."""
    plural, short, scope = _NAMES[kind]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": scope,
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": [short],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "additionalPrinterColumns": [
                        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
                    ],
                    "schema": {"openAPIV3Schema": schema_of(kind)},
                },
            ],
        },
    }
