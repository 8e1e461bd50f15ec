"""House rules meet a resource's own spec, and one spec comes out.

| Field | Merged as |
|---|---|
| `strategy` | `strategyFrom`, else the resource's own, else a policy's default where its own is Seatrial's default |
| `analysis.checks` | the resource's own, else a policy's defaults where it names none, and those in `analysis.use` |
| a required check | added, or instead of Seatrial's own default; beside a written one of its name the stricter of margin, min, max, worseWhen and onFail |
| `analysis.minSamples` | the larger |
| a required shadow | the longer and the larger percentage; put first where there is none |
| a required canary | each step the longer time; a first step put in where the own begins higher |
| a required approval | to leave the last step or stage; of two, `notAuthor` |
| `strategy.probation.duration` | the longer |

Names are looked up in the namespace's policies first. Requirements of all policies are followed together, the stricter of
each, so their order says nothing. Where a resource and a requirement cannot both be had, the requirement is followed, and a
sentence names both: nothing new begins then, and what is under way is judged by the requirement.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from seatrial.api import rules
from seatrial.api.policies import (
    POLICY_KIND,
    ClusterTrialPolicySpec,
    NamedStrategy,
    NamespaceSelector,
    PolicyDefaults,
    RequiredApproval,
    RequiredCanary,
    RequiredShadow,
    Requirements,
    TrialPolicySpec,
)
from seatrial.api.spec import (
    LONGEST,
    Analysis,
    Approval,
    ApprovalWhen,
    Canary,
    CanaryStep,
    Check,
    Margin,
    ModelDeploymentSpec,
    OnFail,
    Shadow,
    Stage,
    Strategy,
    WorseWhen,
)
from seatrial.api.status import HouseRules
from seatrial.build.revision import canonical
from seatrial.core.checks import agreement, expected
from seatrial.core.checks.terms import DEFAULT_MARGIN, DEFAULT_MAX
from seatrial.core.state import House, Manifest

MOST_CHECKS, MOST_STAGES, MOST_STEPS, MOST_POLICIES, MOST_TEXT = 16, 4, 20, 8, 65536
SAME = (
    "preset",
    "share",
    "mean",
    "drift",
    "expected",
    "agreement",
    "query",
    "source",
    "slower_than",
    "min_samples",
    "min_duration",
)
"""Fields that say what a check asks. Two checks that differ in one of them are not stricter or weaker than each other."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy that holds for a namespace."""

    ref: str
    """`TrialPolicy/NAME` or `ClusterTrialPolicy/NAME`."""
    spec: TrialPolicySpec

    @property
    def near(self) -> bool:
        """It is the namespace's own."""
        return self.ref.startswith(f"{POLICY_KIND}/")

    def __str__(self) -> str:
        return self.ref.replace("/", " ", 1)


@dataclass(frozen=True, slots=True)
class Heard:
    """A policy as it is stored."""

    ref: str
    namespace: str | None
    """Its own; None where it is the cluster's."""
    spec: TrialPolicySpec | None
    """None where it is not understood."""
    problem: str = ""
    selector: NamespaceSelector | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of policies, seen from one namespace."""

    in_force: tuple[Policy, ...] = ()
    exist: frozenset[str] = frozenset()
    """All policies that exist and were understood, whether they hold here or not."""
    unread: str = ""
    """Why more may hold than is known: a sentence, or empty."""


@dataclass(frozen=True, slots=True)
class Effective:
    """What a resource runs with."""

    spec: ModelDeploymentSpec
    origins: Mapping[str, str]
    """By path under `spec`, such as `analysis.checks[1]`: where a value comes from, unless it is the resource's own."""
    conflicts: tuple[str, ...] = ()


def parse(manifest: Manifest) -> Heard:
    """A policy as it is stored; it may be older than its schema."""
    metadata, kind = manifest["metadata"], str(manifest["kind"])
    ref, namespace = f"{kind}/{metadata['name']}", metadata.get("namespace") or None
    model = TrialPolicySpec if kind == POLICY_KIND else ClusterTrialPolicySpec
    try:
        spec = model.model_validate(manifest.get("spec") or {})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in ("spec", *first["loc"]))
        return Heard(ref, namespace, None, f"{where}: {first['msg']}")
    selector = spec.namespace_selector if isinstance(spec, ClusterTrialPolicySpec) else None
    shared = TrialPolicySpec(**{name: getattr(spec, name) for name in TrialPolicySpec.model_fields})
    return Heard(ref, namespace, shared, selector=selector)


def meet(
    spec: ModelDeploymentSpec, of: str, known: Known, stored: Iterable[HouseRules]
) -> tuple[ModelDeploymentSpec, House]:
    """The spec a resource runs with, and what is to be said of its rules.

    `of` names the resource (`payments/fraud`); `stored` are the rules it ran with last. Those of a policy that exists no
    longer, or that cannot be read, go on holding.
    """
    lost = [policy for entry in stored if entry.policy not in known.exist and (policy := remembered(entry)) is not None]
    policies = [Policy(policy.ref, _concerning(policy.spec, spec)) for policy in (*known.in_force, *lost)]
    policies = sorted(
        (policy for policy in policies if policy.spec != TrialPolicySpec()), key=lambda policy: policy.ref
    )
    if not policies and spec.strategy_from is None and not spec.analysis.use:
        return spec, House(unread=known.unread)
    out = merged(spec, of, policies)
    conflicts = list(out.conflicts)
    kept = [HouseRules.model_construct(policy=policy.ref, rules=canonical(policy.spec.wire())) for policy in policies]
    if len(kept) > MOST_POLICIES:
        conflicts.append(
            f"{len(kept)} policies hold for ModelDeployment {of} and {MOST_POLICIES} are the most: join some"
        )
    conflicts += [
        f"the rules of {entry.policy} are {len(entry.rules)} characters long and {MOST_TEXT} are the most: shorten them"
        for entry in kept
        if len(entry.rules) > MOST_TEXT
    ]
    missing = [policy for policy in lost if not known.unread]
    return out.spec, House(
        rules=tuple(entry for entry in kept if len(entry.rules) <= MOST_TEXT)[:MOST_POLICIES],
        conflict=conflicts[0] + (f" ({len(conflicts) - 1} more)" if conflicts[1:] else "") if conflicts else "",
        gone=_gone(missing[0]) if missing else "",
        unread=known.unread,
    )


def _gone(policy: Policy) -> str:
    return (
        f"{policy} exists no longer, and its rules as they were go on holding, for ever if need be: create it again; with "
        "an empty spec it lets go"
    )


def remembered(entry: HouseRules) -> Policy | None:
    """A policy as status keeps it; None where it does not hold one."""
    try:
        return Policy(entry.policy, TrialPolicySpec.model_validate_json(entry.rules))
    except ValidationError:
        return None


def _concerning(policy: TrialPolicySpec, spec: ModelDeploymentSpec) -> TrialPolicySpec:
    """The part of a policy that concerns a resource, so that other parts can be edited and nothing is written."""
    said = policy.defaults or PolicyDefaults()
    defaults = PolicyDefaults(
        strategy=said.strategy if _names_no_strategy(spec) else None,
        checks=said.checks if _names_no_checks(spec) else None,
    )
    strategies = {defaults.strategy, spec.strategy_from}
    required = (policy.require.checks if policy.require is not None else None) or ()
    checks = {*required, *(defaults.checks or ()), *(spec.analysis.use or ())}
    require = policy.require if policy.require != Requirements() else None
    return TrialPolicySpec(
        checks=[check for check in policy.checks or () if check.name in checks] or None,
        strategies=[strategy for strategy in policy.strategies or () if strategy.name in strategies] or None,
        defaults=defaults if defaults != PolicyDefaults() else None,
        require=require,
    )


def _names_no_strategy(spec: ModelDeploymentSpec) -> bool:
    """The API server fills defaults in, so one that was left out and one that says just that look the same."""
    return spec.strategy_from is None and spec.strategy == Strategy()


def _names_no_checks(spec: ModelDeploymentSpec) -> bool:
    return spec.analysis.none is None and "checks" not in spec.analysis.model_fields_set


# --- merging ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Book:
    """The policies of one merge, and what is noted in it."""

    of: str
    policies: Sequence[Policy]
    """The namespace's own first, then by name."""
    origins: dict[str, str] = field(default_factory=dict)
    conflicts: list[str] = field(default_factory=list)

    @property
    def levels(self) -> tuple[list[Policy], list[Policy]]:
        """The namespace's own policies, and those of the cluster."""
        return [one for one in self.policies if one.near], [one for one in self.policies if not one.near]

    @property
    def required(self) -> list[tuple[Policy, Requirements]]:
        """Policies that require something."""
        return [(policy, policy.spec.require) for policy in self.policies if policy.spec.require is not None]

    def conflict(self, sentence: str) -> None:
        """Write down what cannot be had together."""
        if sentence not in self.conflicts:
            self.conflicts.append(sentence)

    def check(self, name: str) -> tuple[Policy, Check] | None:
        """The check of a name, from the nearest policy that has one."""
        for level in self.levels:
            found = [(policy, check) for policy in level for check in policy.spec.checks or () if check.name == name]
            if found:
                self._agree(f"check {name}", found)
                return found[0]
        return None

    def strategy(self, name: str) -> tuple[Policy, NamedStrategy] | None:
        """The strategy of a name, from the nearest policy that has one."""
        for level in self.levels:
            found = [(policy, one) for policy in level for one in policy.spec.strategies or () if one.name == name]
            if found:
                self._agree(f"strategy {name}", found)
                return found[0]
        return None

    def _agree(self, what: str, found: Sequence[tuple[Policy, object]]) -> None:
        for policy, other in found[1:]:
            if other != found[0][1]:
                self.conflict(f"{found[0][0]} and {policy} both have a {what}, and they differ: rename one of them")


def merged(spec: ModelDeploymentSpec, of: str, policies: Iterable[Policy]) -> Effective:
    """The spec that follows from a resource's own and the policies that hold for it."""
    book = _Book(of, sorted(policies, key=lambda policy: (not policy.near, policy.ref)))
    out = spec.model_copy(update={"strategy": _strategy(book, spec), "strategy_from": None})
    out = out.model_copy(update={"analysis": _analysis(book, out)})
    out = out.model_copy(update={"strategy": _required_strategy(book, out.strategy)})
    _hold_against_the_rules(book, spec, out)
    return Effective(out, book.origins, tuple(book.conflicts))


def _strategy(book: _Book, spec: ModelDeploymentSpec) -> Strategy:
    name = spec.strategy_from
    if name is not None:
        if spec.strategy != Strategy():
            book.conflict(
                f"ModelDeployment {book.of} has a strategy, and strategyFrom {name} names another: remove one of the two"
            )
        if (found := book.strategy(name)) is None:
            book.conflict(
                f"strategyFrom of ModelDeployment {book.of} is {name}, and no policy that holds here has a strategy of this "
                "name: add it to one, or correct it"
            )
            return spec.strategy
        book.origins["strategy"] = f"strategy {name} of {found[0]}"
        return _plain(found[1])
    if not _names_no_strategy(spec):
        return spec.strategy
    for level in book.levels:
        offers = [
            (policy, strategy)
            for policy in level
            if policy.spec.defaults is not None
            for strategy in policy.spec.strategies or ()
            if strategy.name == policy.spec.defaults.strategy
        ]
        for policy, other in offers[1:]:
            if _plain(other) != _plain(offers[0][1]):
                book.conflict(
                    f"{offers[0][0]} and {policy} both have a defaults.strategy for ModelDeployment {book.of}, and they "
                    "differ: let one of them have it"
                )
        if offers:
            policy, strategy = offers[0]
            book.origins["strategy"] = f"strategy {strategy.name}, the default of {policy}"
            return _plain(strategy)
    return spec.strategy


def _plain(named: NamedStrategy) -> Strategy:
    return Strategy.model_construct(**{name: getattr(named, name) for name in Strategy.model_fields})


def _analysis(book: _Book, spec: ModelDeploymentSpec) -> Analysis:
    analysis = spec.analysis
    came: dict[str, str] = {}
    checks = {check.name: check for check in _chosen(book, spec, came)}
    for name in analysis.use or ():
        if (found := book.check(name)) is None:
            book.conflict(
                f"analysis.use of ModelDeployment {book.of} names {name}, and no policy that holds here has a check of this "
                "name: add it to one, or correct it"
            )
        elif name in checks and name not in came and checks[name] != found[1]:
            book.conflict(
                f"ModelDeployment {book.of} has a check {name}, and analysis.use names the one of {found[0]}: rename or "
                "remove one of the two"
            )
        else:
            checks[name], came[name] = found[1], f"check {name} of {found[0]}, in analysis.use"
    required = _required_checks(book)
    if required and analysis.none is not None:
        policy = next(iter(required.values()))[0]
        book.conflict(
            f"ModelDeployment {book.of} says analysis.none, and {policy} requires check {next(iter(required))}: remove "
            "analysis.none"
        )
    for name, (policy, wanted) in required.items():
        own = checks.get(name)
        checks[name] = wanted
        if own is None or (_names_no_checks(spec) and name not in came):  # of Seatrial's defaults nobody wrote a word
            came[name] = f"required by {policy}"
            continue
        left_out = {one: getattr(wanted, one) for one in ("source", "slower_than") if getattr(own, one) is None}
        joined = stricter(own.model_copy(update=left_out), wanted)
        if isinstance(joined, Check):
            checks[name] = joined
            if joined != own:
                came[name] = f"stricter than its own: {policy} requires it"
            continue
        came[name] = f"required by {policy}"
        book.conflict(
            f"check {name} of ModelDeployment {book.of} and the one that {policy} requires differ in the field {joined}, so "
            "one does not answer for the other: rename or remove it"
        )
    kept = sorted(checks.values(), key=lambda check: check.name not in required)[:MOST_CHECKS]
    if len(checks) > MOST_CHECKS:
        book.conflict(
            f"ModelDeployment {book.of} comes to {len(checks)} checks with those of its policies and {MOST_CHECKS} are the "
            "most: remove some of its own"
        )
    kept = [check for check in checks.values() if check in kept]
    book.origins.update({f"analysis.checks[{at}]": came[one.name] for at, one in enumerate(kept) if one.name in came})
    least = max((said.min_samples or 0 for _, said in book.required), default=0)
    if least > analysis.min_samples:
        who = next(policy for policy, said in book.required if said.min_samples == least)
        book.origins["analysis.minSamples"] = f"required by {who}"
    return analysis.model_copy(
        update={
            "checks": kept,
            "min_samples": max(least, analysis.min_samples),
            "none": None if required else analysis.none,
            "use": None,
        }
    )


def _chosen(book: _Book, spec: ModelDeploymentSpec, came: dict[str, str]) -> list[Check]:
    """The resource's own checks, or the defaults that stand in for them."""
    if not _names_no_checks(spec):
        return spec.analysis.checks
    for level in book.levels:
        offers = [(one, list(one.spec.defaults.checks or ())) for one in level if one.spec.defaults is not None]
        offers = [(policy, names) for policy, names in offers if names]
        for policy, names in offers[1:]:
            if set(names) != set(offers[0][1]):
                book.conflict(
                    f"{offers[0][0]} and {policy} both have defaults.checks for ModelDeployment {book.of}, and they differ: "
                    "let one of them have it"
                )
        if offers:
            policy, names = offers[0]
            own = {check.name: check for check in policy.spec.checks or ()}
            came.update(dict.fromkeys(names, f"a default of {policy}"))
            return [own[name] for name in names if name in own]
    return spec.analysis.checks


def _required_checks(book: _Book) -> dict[str, tuple[Policy, Check]]:
    """By name, the strictest of what all policies require."""
    out: dict[str, tuple[Policy, Check]] = {}
    for policy, said in book.required:
        own = {check.name: check for check in policy.spec.checks or ()}
        for name in said.checks or ():
            if name not in own:
                continue
            first = out.get(name)
            if first is None:
                out[name] = (policy, own[name])
                continue
            joined = stricter(first[1], own[name])
            if isinstance(joined, Check):
                out[name] = (first[0] if joined == first[1] else policy, joined)
            else:
                book.conflict(
                    f"{first[0]} and {policy} both require a check {name} for ModelDeployment {book.of}, and they differ in "
                    f"the field {joined}: rename one of them"
                )
    return out


def stricter(one: Check, other: Check) -> Check | str:
    """A check that fails wherever one of two would; the name of a field where they do not ask the same.

    What one of them leaves to its default counts as if it had been written: who is asked (`from`), and from when on an
    answer is slow (`slowerThan`), can make a check harmless too.
    """
    update: dict[str, Any] = {}
    for name in SAME:
        if getattr(one, name) != getattr(other, name):
            return str(Check.model_fields[name].alias or name)
    update["margin"] = _narrower(_margin(one), _margin(other)) if one.margin != other.margin else one.margin
    update["max"] = _bound(one.max or _ceiling(one), other.max or _ceiling(other), least=True)
    if one.max == other.max:
        update["max"] = one.max
    update["min"] = _bound(one.min, other.min, least=False)
    sides = {one.worse_when or WorseWhen.HIGHER, other.worse_when or WorseWhen.HIGHER}
    update["worse_when"] = one.worse_when or other.worse_when if len(sides) == 1 else WorseWhen.EITHER
    if one.on_fail != other.on_fail:
        update["on_fail"] = min(one.failing, other.failing, key=list(OnFail).index)
    return one.model_copy(update=update)


def _margin(check: Check) -> Margin | None:
    if check.margin is not None:
        return check.margin
    if check.expected is not None:
        return Margin(points=Decimal(str(expected.DEFAULT_POINTS)))
    if check.preset is None and check.agreement is None:
        return None
    return DEFAULT_MARGIN[check.preset] if check.preset is not None else agreement.DEFAULT_MARGIN


def _ceiling(check: Check) -> str | None:
    found = DEFAULT_MAX.get(check.preset) if check.preset is not None else None
    return None if found is None else f"{Decimal(str(found)) * 100:f}".rstrip("0").rstrip(".") + "%"


def _narrower(one: Margin | None, other: Margin | None) -> Margin | None:
    if one is None or other is None:
        return one or other
    return Margin(points=_least(one.points, other.points), relative=_least(one.relative, other.relative))


def _least(*given: Decimal | None) -> Decimal | None:
    return min((value for value in given if value is not None), default=None)


def _bound(one: str | None, other: str | None, *, least: bool) -> str | None:
    """The stricter of two bounds, as it was written; of two spellings of one number always the same."""
    given = [bound for bound in (one, other) if bound is not None]
    found = sorted(given, key=lambda bound: (Decimal(bound.removesuffix("%")) * (1 if least else -1), bound))
    return found[0] if found else None


# --- what a trial has to have ----------------------------------------------------------------------------------------


def _required_strategy(book: _Book, strategy: Strategy) -> Strategy:
    stages = _with_canary(book, _with_shadow(book, list(strategy.stages)))
    stages = _with_approval(book, stages)
    if len(stages) > MOST_STAGES:
        book.conflict(
            f"ModelDeployment {book.of} comes to {len(stages)} stages with the shadow that its policies require and "
            f"{MOST_STAGES} are the most: remove one of its own"
        )
    probation = strategy.probation
    lasts = [(said.probation.min_duration, policy) for policy, said in book.required if said.probation is not None]
    longest = max((duration for duration, _ in lasts), default=timedelta(0))
    if longest > probation.duration:
        who = next(policy for duration, policy in lasts if duration == longest)
        book.origins["strategy.probation.duration"] = f"required by {who}"
        probation = probation.model_copy(update={"duration": longest})
    return strategy.model_copy(update={"stages": stages, "probation": probation})


def _with_shadow(book: _Book, stages: list[Stage]) -> list[Stage]:
    asked = [(policy, said.shadow) for policy, said in book.required if said.shadow is not None]
    if not asked:
        return stages
    want = RequiredShadow(
        percent=max(shadow.percent for _, shadow in asked),
        min_duration=max(shadow.min_duration for _, shadow in asked),
    )
    who = " and ".join(str(policy) for policy, _ in asked)
    at = next((index for index, stage in enumerate(stages) if stage.shadow is not None), None)
    if any(_answers(stage.shadow, want) for stage in stages):
        return stages
    if at is None:
        made = Shadow(
            percent=want.percent, min_duration=want.min_duration, max_duration=max(LONGEST, want.min_duration)
        )
        book.origins["strategy.stages[0]"] = f"required by {who}"
        return [Stage(shadow=made), *stages]
    own = stages[at].shadow
    assert own is not None
    least = max(own.min_duration, want.min_duration)
    update = {
        "percent": max(own.percent, want.percent),
        "min_duration": least,
        "max_duration": max(own.max_duration, least),
    }
    book.origins[f"strategy.stages[{at}]"] = f"raised to what {who} requires"
    return [*stages[:at], Stage(shadow=own.model_copy(update=update)), *stages[at + 1 :]]


def _answers(shadow: Shadow | None, want: RequiredShadow) -> bool:
    return shadow is not None and shadow.percent >= want.percent and shadow.min_duration >= want.min_duration


def _with_canary(book: _Book, stages: list[Stage]) -> list[Stage]:
    asked = [(policy, said.canary) for policy, said in book.required if said.canary is not None]
    if not asked:
        return stages
    who = " and ".join(str(policy) for policy, _ in asked)
    canary = stages[-1].canary
    if canary is None:
        book.conflict(
            f"the last stage of ModelDeployment {book.of} moves all traffic at once, and {who} requires a canary: make a "
            "canary the last stage"
        )
        return stages
    want = RequiredCanary(
        first_weight=min((said.first_weight for _, said in asked if said.first_weight is not None), default=None),
        min_duration=max((said.min_duration for _, said in asked if said.min_duration is not None), default=None),
    )
    steps = _with_steps(book, list(canary.steps), want, who)
    if steps == canary.steps:
        return stages
    place = f"strategy.stages[{len(stages) - 1}].canary.steps"
    book.origins[place] = f"made to fit what {who} requires"
    return [*stages[:-1], Stage(canary=canary.model_copy(update={"steps": steps}))]


def _with_steps(book: _Book, steps: list[CanaryStep], want: RequiredCanary, who: str) -> list[CanaryStep]:
    if want.first_weight is not None and steps[0].weight > want.first_weight:
        first = steps[0].model_copy(update={"weight": want.first_weight, "approval": None})
        steps = [first, *steps]
        if len(steps) > MOST_STEPS:
            book.conflict(
                f"the canary of ModelDeployment {book.of} begins at {steps[1].weight} % and {who} requires a first step of "
                f"{want.first_weight} % at the most, which would be its step {len(steps)} of {MOST_STEPS}: remove a step"
            )
    least = want.min_duration or timedelta(0)
    return [
        step
        if step.min_duration >= least
        else step.model_copy(update={"min_duration": least, "max_duration": max(step.max_duration, least)})
        for step in steps
    ]


def _with_approval(book: _Book, stages: list[Stage]) -> list[Stage]:
    asked = [(policy, said.approval) for policy, said in book.required if said.approval is not None]
    if not asked:
        return stages
    want = RequiredApproval(not_author=any(approval.not_author for _, approval in asked))
    who = " and ".join(str(policy) for policy, _ in asked)
    last = stages[-1]
    part = last.canary.steps[-1] if last.canary is not None else last.shadow or last.blue_green
    assert part is not None
    own = part.approval
    if own is not None and own.when is not ApprovalWhen.TO_LEAVE:
        book.conflict(
            f"the last step of ModelDeployment {book.of} has an approval {own.when}, and {who} requires one {ApprovalWhen.TO_LEAVE}"
            f", of which a step has one: set approval.when to {ApprovalWhen.TO_LEAVE}, or remove it"
        )
        own = None
    made = Approval(when=ApprovalWhen.TO_LEAVE, not_author=want.not_author or (own is not None and own.not_author))
    if made == own:
        return stages
    place = f"strategy.stages[{len(stages) - 1}]"
    gated: dict[str, Any] = {}
    if last.canary is not None:
        place += f".canary.steps[{len(last.canary.steps) - 1}]"
        gated["canary"] = _gated_canary(last.canary, made)
    elif last.shadow is not None:
        place += ".shadow"
        gated["shadow"] = last.shadow.model_copy(update={"approval": made})
    elif last.blue_green is not None:
        place += ".blueGreen"
        gated["blue_green"] = last.blue_green.model_copy(update={"approval": made})
    book.origins[f"{place}.approval"] = f"required by {who}"
    return [*stages[:-1], last.model_copy(update=gated)]


def _gated_canary(canary: Canary, approval: Approval) -> Canary:
    return canary.model_copy(
        update={"steps": [*canary.steps[:-1], canary.steps[-1].model_copy(update={"approval": approval})]}
    )


def _hold_against_the_rules(book: _Book, own: ModelDeploymentSpec, out: ModelDeploymentSpec) -> None:
    """What no resource may say, its policies may not make of it either."""
    if out.strategy == own.strategy and out.analysis == own.analysis:
        return
    name = book.of.rpartition("/")[2]

    def broken(spec: ModelDeploymentSpec) -> list[rules.Broken]:
        return rules.broken({"metadata": {"name": name}, "spec": spec.wire()})

    found = broken(out)
    if not found:
        return
    before = {one.rule.name for one in broken(own)}
    who = " and ".join(str(policy) for policy in book.policies)
    for one in found:
        if one.rule.name not in before:
            book.conflict(f"ModelDeployment {book.of} and {who} do not go together: {one.path}: {one.message}")


def told(house: House) -> str:
    """Whose rules hold, for a person."""
    return ", ".join(entry.policy.replace("/", " ", 1) for entry in house.rules)
