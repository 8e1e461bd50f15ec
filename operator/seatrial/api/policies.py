"""House rules: `TrialPolicy` for one namespace, `ClusterTrialPolicy` for many.

Both hold checks and strategies under names, say which of them a resource gets that brings none of its own, and what no
resource may go below. How they meet a resource's own spec is `core/house.py`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from seatrial.api.base import Duration, Model
from seatrial.api.spec import BY_NAME, ONCE_EACH, Check, Name63, Strategy

POLICY_KIND, POLICY_PLURAL = "TrialPolicy", "trialpolicies"
CLUSTER_POLICY_KIND, CLUSTER_POLICY_PLURAL = "ClusterTrialPolicy", "clustertrialpolicies"
POLICY_KINDS = (POLICY_KIND, CLUSTER_POLICY_KIND)

LabelKey = Annotated[str, StringConstraints(min_length=1, max_length=317)]
LabelValue = Annotated[str, StringConstraints(max_length=63)]
Names = Annotated[list[Name63], Field(max_length=16, json_schema_extra=ONCE_EACH)]


class NamedStrategy(Strategy):
    """A strategy of the house, by the name under which resources get it."""

    name: Name63
    """The strategy's name, for `strategyFrom` of a resource and `defaults.strategy`."""


class PolicyDefaults(Model):
    """What a resource gets that brings none of its own. It may always bring its own."""

    strategy: Name63 | None = None
    """The strategy, of those above, of a resource whose `strategy` says nothing else than Seatrial's own default."""
    checks: Annotated[Names, Field(min_length=1)] | None = None
    """The checks, of those above, of a resource that leaves `analysis.checks` out."""


class RequiredShadow(Model):
    """A shadow before any user meets a candidate. It is put first where a resource has none."""

    percent: Annotated[int, Field(ge=1, le=100)] = 1
    """Percent of live requests that are copied, at the least."""
    min_duration: Duration
    """How long, at the least."""


class RequiredCanary(Model):
    """A canary: without one a trial moves all traffic at once, which is refused then."""

    first_weight: Annotated[int, Field(ge=1, le=99)] | None = None
    """Percent of live requests of the first step, at the most. A step is put first where a resource begins higher."""
    min_duration: Duration | None = None
    """The least time of each step."""


class RequiredApproval(Model):
    """A person's approval before the last step or stage is left, and all traffic moves."""

    not_author: bool = False
    """Of somebody who neither made the revision nor changed the spec since."""


class RequiredProbation(Model):
    """A probation after each promotion."""

    min_duration: Duration
    """How long, at the least."""


class Requirements(Model):
    """What no resource may go below. Where its own is stricter, its own counts."""

    checks: Annotated[Names, Field(min_length=1)] | None = None
    """Checks, of those above, that each resource has. One of its own of the same name may be stricter in margin, min, max,
    worseWhen and onFail, and has to ask the same."""
    min_samples: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    """The least `analysis.minSamples`."""
    shadow: RequiredShadow | None = None
    """A shadow before any user meets a candidate."""
    canary: RequiredCanary | None = None
    """A canary."""
    approval: RequiredApproval | None = None
    """A person's approval before all traffic moves."""
    probation: RequiredProbation | None = None
    """A probation after each promotion."""


class TrialPolicySpec(Model):
    """Checks and strategies that the ModelDeployments of a namespace share, and what none of them may go below."""

    checks: Annotated[list[Check], Field(max_length=16, json_schema_extra=BY_NAME)] | None = None
    """Checks by name, as in `analysis.checks`. By itself one does nothing: resources name it in `analysis.use`, or it is
    named below."""
    strategies: Annotated[list[NamedStrategy], Field(max_length=4, json_schema_extra=BY_NAME)] | None = None
    """Strategies by name. By itself one does nothing: resources name it in `strategyFrom`, or it is named below."""
    defaults: PolicyDefaults | None = None
    """What a resource gets that brings none of its own."""
    require: Requirements | None = None
    """What no resource may go below."""


class SelectorOperator(StrEnum):
    """How a label is looked at."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class LabelExpression(Model):
    """One condition on a label."""

    key: LabelKey
    """The label."""
    operator: SelectorOperator
    """How it is looked at."""
    values: Annotated[list[LabelValue], Field(max_length=32, json_schema_extra=ONCE_EACH)] | None = None
    """The values, for `In` and `NotIn`."""


class NamespaceSelector(Model):
    """Namespaces by their labels, as in other Kubernetes APIs; all that is said has to hold."""

    match_labels: Annotated[dict[str, LabelValue], Field(max_length=16)] | None = None
    """Labels with these values."""
    match_expressions: Annotated[list[LabelExpression], Field(max_length=16)] | None = None
    """Conditions on labels."""


class ClusterTrialPolicySpec(TrialPolicySpec):
    """Checks and strategies that the ModelDeployments of many namespaces share, and what none of them may go below."""

    namespace_selector: NamespaceSelector | None = None
    """In which namespaces it holds; in all of them where left out."""
