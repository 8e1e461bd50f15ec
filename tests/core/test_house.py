"""How house rules and a resource's own spec become one: what a policy requires, no resource can go below."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.api import crd, policy_crd, rules
from seatrial.api.policies import CLUSTER_POLICY_KIND, POLICY_KIND, NamespaceSelector
from seatrial.api.policy_rules import rules_of
from seatrial.api.spec import Approval, Check, ModelDeploymentSpec, OnFail
from seatrial.api.status import HouseRules
from seatrial.build.revision import revision
from seatrial.cluster.house import House, chooses
from seatrial.core.checks.terms import terms_of
from seatrial.core.house import Effective, Known, Policy, meet, merged, parse, stricter
from seatrial.core.legs import Kind, legs

Spec = dict[str, Any]
OF = "payments/fraud"
PODS: Spec = {"spec": {"containers": [{"name": "model", "image": "registry.example.com/fraud@sha256:1"}]}}


def own(**spec: Any) -> ModelDeploymentSpec:
    """A resource's own spec, as the API server stores it."""
    whole = {
        "runtime": "MLServer",
        "model": {"name": "fraud"},
        "template": copy.deepcopy(PODS),
        "traffic": {"hostnames": ["fraud.example.com"]},
        **spec,
    }
    document = {"apiVersion": "seatrial.dev/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": "fraud"}}
    stored = crd.with_defaults({**document, "spec": whole})["spec"]
    assert rules.broken({**document, "spec": stored}) == []
    return ModelDeploymentSpec.model_validate(stored)


def policy(name: str = "critical", kind: str = CLUSTER_POLICY_KIND, **spec: Any) -> Policy:
    """A policy as the API server stores it."""
    metadata = {"name": name, **({"namespace": "payments"} if kind == POLICY_KIND else {})}
    document = {"apiVersion": "seatrial.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
    stored = crd.with_defaults(document, policy_crd.schema_of(kind))
    assert rules.broken(stored, among=rules_of(kind)) == []
    heard = parse(stored)
    assert heard.spec is not None, heard.problem
    return Policy(heard.ref, heard.spec)


def effective(spec: ModelDeploymentSpec, *policies: Policy) -> Effective:
    out = merged(spec, OF, policies)
    assert out.conflicts == ()
    return out


def conflict(spec: ModelDeploymentSpec, *policies: Policy) -> str:
    (sentence,) = merged(spec, OF, policies).conflicts
    return sentence


def checks(out: Effective) -> dict[str, Spec]:
    return {check.name: check.wire() for check in out.spec.analysis.checks}


ERRORS: Spec = {"name": "errors", "preset": "Errors", "margin": {"points": "0.3"}}
ORDERS: Spec = {
    "name": "orders",
    "share": {"of": "orders_total", "per": "requests_total"},
    "margin": {"relative": "5%"},
}
CAREFUL: Spec = {"name": "careful", "stages": [{"canary": {"steps": [{"weight": 1}, {"weight": 20}]}}]}
CANARY: Spec = {"stages": [{"canary": {"steps": [{"weight": 10, "minDuration": "1m"}, {"weight": 50}]}}]}


# --- sharing ---------------------------------------------------------------------------------------------------------


def test_without_policies_a_spec_stays_as_it_is() -> None:
    spec = own()
    out, house = meet(spec, OF, Known(), ())
    assert out is spec
    assert (house.rules, house.conflict, house.gone, house.unread) == ((), "", "", "")


def test_a_policy_that_nothing_of_concerns_a_resource_is_not_remembered() -> None:
    spec = own()
    library = policy(checks=[ORDERS], strategies=[CAREFUL])
    out, house = meet(spec, OF, Known((library,), frozenset({library.ref})), ())
    assert out is spec
    assert house.rules == ()


def test_named_checks_come_besides_its_own() -> None:
    out = effective(own(analysis={"checks": [ERRORS], "use": ["orders"]}), policy(checks=[ORDERS]))
    assert list(checks(out)) == ["errors", "orders"]
    assert out.origins == {"analysis.checks[1]": "check orders of ClusterTrialPolicy critical, in analysis.use"}


def test_named_checks_come_besides_the_default_ones() -> None:
    out = effective(own(analysis={"use": ["orders"]}), policy(checks=[ORDERS]))
    assert list(checks(out)) == ["errors", "latency", "orders"]


def test_the_namespaces_own_policy_is_nearer() -> None:
    narrow = {**ORDERS, "margin": {"relative": "1%"}}
    both = policy(checks=[ORDERS]), policy("team", POLICY_KIND, checks=[narrow])
    out = effective(own(analysis={"use": ["orders"]}), *both)
    assert checks(out)["orders"]["margin"] == {"relative": "1%"}
    assert "TrialPolicy team" in out.origins["analysis.checks[2]"]


def test_a_strategy_by_name() -> None:
    out = effective(own(strategyFrom="careful"), policy(strategies=[CAREFUL]))
    assert [leg.weight for leg in legs(out.spec.strategy)] == [1, 20]
    assert out.origins == {"strategy": "strategy careful of ClusterTrialPolicy critical"}


DEFAULTS = policy(checks=[ERRORS, ORDERS], strategies=[CAREFUL], defaults={"strategy": "careful", "checks": ["orders"]})


def test_defaults_are_for_a_resource_that_brings_none_of_its_own() -> None:
    out = effective(own(), DEFAULTS)
    assert [leg.weight for leg in legs(out.spec.strategy)] == [1, 20]
    assert list(checks(out)) == ["orders"]
    mine = effective(own(strategy=CANARY, analysis={"checks": [ERRORS]}), DEFAULTS)
    assert [leg.weight for leg in legs(mine.spec.strategy)] == [10, 50]
    assert list(checks(mine)) == ["errors"]
    assert effective(own(analysis={"none": "a toy"}), DEFAULTS).spec.analysis.checks == []


def test_the_nearest_default_counts() -> None:
    halves = {"name": "halves", "stages": [{"canary": {"steps": [{"weight": 50}]}}]}
    team = policy("team", POLICY_KIND, strategies=[halves], defaults={"strategy": "halves"})
    out = effective(own(), DEFAULTS, team)
    assert [leg.weight for leg in legs(out.spec.strategy)] == [50]
    assert list(checks(out)) == ["orders"], "the checks still come from the cluster's"


@pytest.mark.parametrize(
    ("spec", "policies", "says"),
    [
        (
            own(strategyFrom="careful"),
            (),
            "strategyFrom of ModelDeployment payments/fraud is careful, and no policy that holds here has a strategy",
        ),
        (
            own(strategyFrom="careful", strategy=CANARY),
            (policy(strategies=[CAREFUL]),),
            "ModelDeployment payments/fraud has a strategy, and strategyFrom careful names another",
        ),
        (
            own(analysis={"use": ["orders"]}),
            (),
            "analysis.use of ModelDeployment payments/fraud names orders, and no policy that holds here has a check",
        ),
        (
            own(analysis={"checks": [{**ORDERS, "max": "2%"}], "use": ["orders"]}),
            (policy(checks=[ORDERS]),),
            "ModelDeployment payments/fraud has a check orders, and analysis.use names the one of ClusterTrialPolicy crit",
        ),
        (
            own(analysis={"use": ["orders"]}),
            (policy("a", checks=[ORDERS]), policy("b", checks=[{**ORDERS, "max": "2%"}])),
            "ClusterTrialPolicy a and ClusterTrialPolicy b both have a check orders, and they differ",
        ),
        (
            own(),
            (
                policy("a", strategies=[CAREFUL], defaults={"strategy": "careful"}),
                policy("b", strategies=[{**CANARY, "name": "x"}], defaults={"strategy": "x"}),
            ),
            "ClusterTrialPolicy a and ClusterTrialPolicy b both have a defaults.strategy for ModelDeployment payments/fr",
        ),
        (
            own(),
            (
                policy("a", checks=[ERRORS], defaults={"checks": ["errors"]}),
                policy("b", checks=[ORDERS], defaults={"checks": ["orders"]}),
            ),
            "ClusterTrialPolicy a and ClusterTrialPolicy b both have defaults.checks",
        ),
        (
            own(analysis={"none": "a toy"}),
            (policy(checks=[ERRORS], require={"checks": ["errors"]}),),
            "ModelDeployment payments/fraud says analysis.none, and ClusterTrialPolicy critical requires check errors",
        ),
        (
            own(analysis={"checks": [{"name": "errors", "query": "sum(up{$selector})", "max": "1"}]}),
            (policy(checks=[ERRORS], require={"checks": ["errors"]}),),
            "check errors of ModelDeployment payments/fraud and the one that ClusterTrialPolicy critical requires differ in the field preset",
        ),
        (
            own(analysis={"checks": [{"name": "slow", "preset": "Latency", "slowerThan": "60s"}]}),
            (policy(checks=[{"name": "slow", "preset": "Latency"}], require={"checks": ["slow"]}),),
            "check slow of ModelDeployment payments/fraud and the one that ClusterTrialPolicy critical requires differ in the field slowerThan",
        ),
        (
            own(analysis={"checks": [{"name": "errors", "preset": "Errors", "from": "Runtime"}]}),
            (policy(checks=[ERRORS], require={"checks": ["errors"]}),),
            "check errors of ModelDeployment payments/fraud and the one that ClusterTrialPolicy critical requires differ in the field from",
        ),
        (
            own(),
            (
                policy("a", checks=[ERRORS], require={"checks": ["errors"]}),
                policy("b", checks=[{**ERRORS, "preset": "Latency"}], require={"checks": ["errors"]}),
            ),
            "ClusterTrialPolicy a and ClusterTrialPolicy b both require a check errors",
        ),
        (
            own(strategy={"stages": [{"shadow": {}}]}),
            (policy(require={"canary": {}}),),
            "the last stage of ModelDeployment payments/fraud moves all traffic at once, and ClusterTrialPolicy critical",
        ),
        (
            own(strategy={"stages": [{"canary": {"steps": [{"weight": 5, "approval": {"when": "ToEnter"}}]}}]}),
            (policy(require={"approval": {}}),),
            "the last step of ModelDeployment payments/fraud has an approval ToEnter, and ClusterTrialPolicy critical req",
        ),
        (
            own(replicas=9, traffic={"replicaRatio": {}}, strategy=CANARY),
            (policy(require={"shadow": {"minDuration": "10m"}}),),
            "ModelDeployment payments/fraud and ClusterTrialPolicy critical do not go together: spec.strategy.stages: ",
        ),
        (
            own(analysis={"checks": [{**ORDERS, "name": f"c{at}"} for at in range(16)]}),
            (policy(checks=[ERRORS], require={"checks": ["errors"]}),),
            "ModelDeployment payments/fraud comes to 17 checks with those of its policies and 16 are the most",
        ),
    ],
)
def test_a_conflict_names_both_sides_and_the_field(
    spec: ModelDeploymentSpec, policies: tuple[Policy, ...], says: str
) -> None:
    sentence = conflict(spec, *policies)
    assert sentence.startswith(says)
    assert ": " in sentence, "after the colon stands what to do"


# --- requirements ----------------------------------------------------------------------------------------------------


def test_a_required_shadow_is_put_first() -> None:
    out = effective(own(strategy=CANARY), policy(require={"shadow": {"minDuration": "30m", "percent": 20}}))
    assert [leg.mark() for leg in legs(out.spec.strategy)] == ["shadow 20", "10", "50"]
    assert out.origins == {"strategy.stages[0]": "required by ClusterTrialPolicy critical"}


def test_a_required_check_stands_in_for_a_default_that_nobody_wrote() -> None:
    rule = policy(checks=[ERRORS], require={"checks": ["errors"]})
    out = effective(own(), rule)
    assert checks(out)["errors"]["margin"] == {"points": "0.3"}
    assert list(checks(out)) == ["errors", "latency"]
    written = effective(own(analysis={"checks": [{"name": "errors", "preset": "Errors"}]}), rule)
    assert checks(written)["errors"]["margin"] == {"points": "0.3", "relative": "50%"}


def test_what_its_own_check_leaves_open_is_as_required() -> None:
    slow = {"name": "slow", "preset": "Latency"}
    rule = policy(checks=[{**slow, "slowerThan": "250ms", "from": "Gateway"}], require={"checks": ["slow"]})
    out = effective(own(analysis={"checks": [{**slow, "margin": {"points": "1"}}]}), rule)
    assert checks(out)["slow"] == {
        "name": "slow",
        "preset": "Latency",
        "from": "Gateway",
        "slowerThan": "250ms",
        "margin": {"points": "1"},
    }


def test_its_own_shadow_is_raised_to_what_is_required() -> None:
    shadow = {"stages": [{"shadow": {"percent": 50, "minDuration": "1m"}}, *CANARY["stages"]]}
    out = effective(own(strategy=shadow), policy(require={"shadow": {"minDuration": "48h", "percent": 20}}))
    first = legs(out.spec.strategy)[0]
    assert (first.mirror, first.min_duration, first.max_duration) == (50, timedelta(hours=48), timedelta(hours=48))


def test_a_canary_that_begins_too_high_gets_a_step_before() -> None:
    out = effective(own(strategy=CANARY), policy(require={"canary": {"firstWeight": 2, "minDuration": "5m"}}))
    assert [(leg.weight, leg.min_duration.total_seconds()) for leg in legs(out.spec.strategy)] == [
        (2, 300),
        (10, 300),
        (50, 300),
    ]


@pytest.mark.parametrize(
    "stages",
    [
        [{"shadow": {}}],
        [{"shadow": {}}, {"blueGreen": {}}],
        CANARY["stages"],
        [{"canary": {"steps": [{"weight": 5, "approval": {"when": "ToLeave"}}]}}],
    ],
)
def test_a_required_approval_stands_before_all_traffic(stages: list[Spec]) -> None:
    both = policy(require={"approval": {}}), policy("second", require={"approval": {"notAuthor": True}})
    out = effective(own(strategy={"stages": stages}), *both)
    assert legs(out.spec.strategy)[-1].approval == Approval(not_author=True)


def test_the_rest_is_raised_and_never_lowered() -> None:
    rule = policy(require={"minSamples": 500, "probation": {"minDuration": "24h"}})
    out = effective(own(strategy=CANARY), rule)
    assert (out.spec.analysis.min_samples, out.spec.strategy.probation.duration) == (500, timedelta(hours=24))
    mine = {**CANARY, "probation": {"duration": "72h"}}
    more = effective(own(strategy=mine, analysis={"minSamples": 900}), rule)
    assert (more.spec.analysis.min_samples, more.spec.strategy.probation.duration) == (900, timedelta(hours=72))
    assert more.origins == {}


def test_where_it_conflicts_the_requirement_is_followed() -> None:
    """Nothing begins then; what is under way is judged by what the house requires."""
    rule = policy(checks=[ERRORS], require={"checks": ["errors"]})
    out = merged(own(analysis={"none": "a toy"}), OF, [rule])
    assert out.conflicts
    assert out.spec.analysis.none is None
    assert checks(out)["errors"]["margin"] == {"points": "0.3"}


def test_house_rules_are_no_part_of_a_revision() -> None:
    spec = own()
    assert revision(spec.wire()) == revision(effective(spec, DEFAULTS).spec.wire())


# --- properties ------------------------------------------------------------------------------------------------------

_points = st.sampled_from(["0.1", "0.5", "2"])
_percent = st.sampled_from(["1%", "5%", "20%"])
_margins = st.fixed_dictionaries({}, optional={"points": _points, "relative": _percent}).filter(bool)
_fail = st.sampled_from(["Rollback", "Pause"])


@st.composite
def a_check(draw: st.DrawFn, name: str) -> Spec:
    kind = draw(st.sampled_from(["Errors", "Errors", "Latency", "share", "query"]))
    optional: dict[str, st.SearchStrategy[Any]] = {"onFail": _fail}
    base: Spec = {"name": name}
    if kind == "query":
        base |= {"query": "sum(up{$selector})", "max": draw(st.sampled_from(["1", "2", "2.0", "10"]))}
        optional["min"] = st.sampled_from(["-5", "0", "0.5"])
    elif kind == "share":
        base |= {"share": ORDERS["share"], "margin": draw(_margins)}
        optional["worseWhen"] = st.sampled_from(["Higher", "Lower", "Either"])
    else:
        base |= {"preset": kind}
        optional |= {"max": _percent, "margin": _margins, "from": st.sampled_from(["Gateway", "Runtime"])}
        if kind == "Latency":
            optional["slowerThan"] = st.sampled_from(["100ms", "10s"])
    return base | draw(st.fixed_dictionaries({}, optional=optional))


_names = st.sampled_from(["errors", "latency", "orders"])
_durations = st.sampled_from(["0s", "1m", "30m", "25h"])
_stages = st.sampled_from(
    [
        CANARY["stages"],
        [{"shadow": {"percent": 10}}, *CANARY["stages"]],
        [{"shadow": {"minDuration": "20h"}}, {"shadow": {"percent": 30, "minDuration": "1m"}}],
        [{"blueGreen": {"approval": {"notAuthor": True}}}],
        [{"canary": {"steps": [{"weight": weight} for weight in range(2, 22)]}}],
        [{"canary": {"steps": [{"weight": 1, "approval": {"when": "ToEnter"}}]}}],
        [{"shadow": {}}, {"shadow": {}}, {"shadow": {}}, {"blueGreen": {}}],
    ]
)


@st.composite
def a_spec(draw: st.DrawFn) -> ModelDeploymentSpec:
    out: Spec = {}
    if draw(st.booleans()):
        out["strategy"] = {"stages": draw(_stages), "probation": {"duration": draw(_durations)}}
    analysis = draw(st.sampled_from(["none", "left out", "own"]))
    if analysis == "none":
        out["analysis"] = {"none": "a toy"}
    elif analysis == "own":
        names = draw(st.lists(_names, unique=True, min_size=1))
        out["analysis"] = {"checks": [draw(a_check(name)) for name in names], "minSamples": draw(st.integers(1, 900))}
    return own(**out)


@st.composite
def a_policy(draw: st.DrawFn, name: str) -> Policy:
    names = draw(st.lists(_names, unique=True))
    optional: dict[str, st.SearchStrategy[Any]] = {
        "minSamples": st.integers(1, 900),
        "shadow": st.fixed_dictionaries({"minDuration": _durations, "percent": st.integers(1, 60)}),
        "canary": st.fixed_dictionaries({}, optional={"firstWeight": st.integers(1, 20)}),
        "approval": st.fixed_dictionaries({"notAuthor": st.booleans()}),
        "probation": st.fixed_dictionaries({"minDuration": _durations}),
    }
    require: Spec = draw(st.fixed_dictionaries({}, optional=optional))
    required = [name for name in names if draw(st.booleans())]
    out: Spec = {"checks": [draw(a_check(one)) for one in names], "require": require}
    if required:
        require["checks"] = required
    offers: bool = draw(st.booleans())
    if names and offers:
        out["defaults"] = {"checks": names}
    return policy(name, draw(st.sampled_from([POLICY_KIND, CLUSTER_POLICY_KIND])), **out)


_houses = st.tuples(a_policy("a"), a_policy("b"), a_policy("c"))


@given(spec=a_spec(), house=_houses)
@settings(max_examples=150, deadline=None)
def test_no_resource_can_go_below_what_is_required(spec: ModelDeploymentSpec, house: Sequence[Policy]) -> None:
    """Whatever a resource says: the requirement holds, or nothing begins and both are named."""
    out = merged(spec, OF, house)
    for one in house:
        fault = below(out.spec, one)
        assert not fault or out.conflicts, f"{fault}, and nobody is told"
        if fault:
            assert OF in " ".join(out.conflicts) or "both" in " ".join(out.conflicts)


def below(spec: ModelDeploymentSpec, one: Policy) -> str:
    """What of a policy's requirements a spec does not meet. Written without a look at how they are merged."""
    asked = one.spec.require
    assert asked is not None
    way, library = legs(spec.strategy), {check.name: check for check in one.spec.checks or ()}
    have = {check.name: check for check in spec.analysis.checks}
    for name in asked.checks or ():
        if spec.analysis.none is not None or name not in have:
            return f"check {name} is missing"
        if weaker := laxer(have[name], library[name]):
            return f"check {name} is laxer in {weaker}"
    if asked.min_samples is not None and spec.analysis.min_samples < asked.min_samples:
        return "too few samples"
    if (shadow := asked.shadow) is not None and not any(
        leg.kind is Kind.SHADOW and leg.mirror >= shadow.percent and leg.min_duration >= shadow.min_duration
        for leg in way
    ):
        return "no such shadow"
    if (canary := asked.canary) is not None:
        live = [leg for leg in way if leg.kind is Kind.CANARY]
        if not live or live[0].weight > (canary.first_weight or 100):
            return "no such canary"
    if (approval := asked.approval) is not None:
        last = way[-1].approval
        if last is None or last.when != "ToLeave" or (approval.not_author and not last.not_author):
            return "no such approval"
    if (probation := asked.probation) is not None and spec.strategy.probation.duration < probation.min_duration:
        return "too short a probation"
    return ""


def laxer(have: Check, asked: Check) -> str:
    """In what a check lets something through that another would not."""
    if have.failing is OnFail.PAUSE and asked.failing is OnFail.ROLLBACK:
        return "onFail"
    if (have.preset, have.share, have.query) != (asked.preset, asked.share, asked.query):
        return "kind"
    if (have.source, have.slower_than) != (asked.source, asked.slower_than):
        return "from or slowerThan"
    if asked.query is not None:
        for bound, sign in (("max", 1), ("min", -1)):
            mine, theirs = getattr(have, bound), getattr(asked, bound)
            if theirs is not None and (mine is None or sign * Decimal(mine) > sign * Decimal(theirs)):
                return bound
        return ""
    mine, theirs = terms_of(have), terms_of(asked)
    if theirs.ceiling is not None and (mine.ceiling is None or mine.ceiling > theirs.ceiling):
        return "max"
    if not set(theirs.sides) <= set(mine.sides):
        return "worseWhen"
    return "margin" if any(mine.margin(base) > theirs.margin(base) for base in (0.0, 0.001, 0.02, 0.3)) else ""


@given(spec=a_spec(), house=_houses, order=st.permutations([0, 1, 2]))
@settings(max_examples=100, deadline=None)
def test_the_order_of_policies_says_nothing(
    spec: ModelDeploymentSpec, house: Sequence[Policy], order: Sequence[int]
) -> None:
    assert merged(spec, OF, house) == merged(spec, OF, [house[at] for at in order])


@given(spec=a_spec(), house=_houses)
@settings(max_examples=100, deadline=None)
def test_what_is_remembered_says_the_same(spec: ModelDeploymentSpec, house: Sequence[Policy]) -> None:
    """A restart, with every policy deleted meanwhile, changes nothing of what a resource runs with."""
    known = Known(tuple(house), frozenset(one.ref for one in house))
    out, told = meet(spec, OF, known, ())
    stored = [HouseRules.model_validate(json.loads(json.dumps(entry.wire()))) for entry in told.rules]
    again, held = meet(spec, OF, Known(), stored)
    assert (again, held.rules, held.conflict) == (out, told.rules, told.conflict)
    assert bool(held.gone) is bool(stored)


@given(one=a_check("c"), other=a_check("c"), third=a_check("c"))
@settings(max_examples=200, deadline=None)
def test_the_stricter_of_two_checks_is_as_strict_as_both(one: Spec, other: Spec, third: Spec) -> None:
    a, b, c = (Check.model_validate(each) for each in (one, other, third))
    joined = stricter(a, b)
    assert stricter(a, a) == a
    if isinstance(joined, str):
        assert isinstance(stricter(b, a), str)
        return
    assert joined == stricter(b, a)
    assert laxer(joined, a) == laxer(joined, b) == ""
    over, back = stricter(joined, c), stricter(b, c)
    if isinstance(over, Check) and isinstance(back, Check):
        assert over == stricter(a, back)


# --- what is remembered ----------------------------------------------------------------------------------------------

RULE = policy(checks=[ERRORS], require={"checks": ["errors"]})


def remembered(*policies: Policy) -> tuple[HouseRules, ...]:
    return meet(own(), OF, Known(policies, frozenset(one.ref for one in policies)), ())[1].rules


def test_a_deleted_policy_goes_on_holding_and_says_so() -> None:
    out, house = meet(own(), OF, Known(), remembered(RULE))
    assert out.analysis.checks[0].margin == RULE.spec.checks[0].margin  # type: ignore[index] # it has one
    assert house.rules == remembered(RULE)
    assert house.gone == (
        "ClusterTrialPolicy critical exists no longer, and its rules as they were go on holding, for ever if need be: create "
        "it again; with an empty spec it lets go"
    )


def test_one_that_is_empty_or_chooses_other_namespaces_lets_go() -> None:
    empty = policy()
    for known in (Known((empty,), frozenset({empty.ref})), Known((), frozenset({RULE.ref}))):
        spec = own()
        out, house = meet(spec, OF, known, remembered(RULE))
        assert out is spec
        assert (house.rules, house.gone) == ((), "")


def test_rules_that_cannot_be_read_go_on_holding() -> None:
    out, house = meet(own(), OF, Known(unread="forbidden"), remembered(RULE))
    assert out.analysis.checks[0].name == "errors"
    assert (house.rules, house.gone, house.unread) == (remembered(RULE), "", "forbidden")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"checks": [{}]}', '{"requires": {}}'])
def test_a_status_that_was_tampered_with_is_no_policy(text: str) -> None:
    entry = HouseRules(policy="ClusterTrialPolicy/x", rules=text)
    spec = own()
    assert meet(spec, OF, Known(), [entry])[0] is spec


def test_rules_too_long_to_be_remembered_are_a_conflict() -> None:
    long = [{"name": f"c{at}", "query": "sum(up{$selector}) + " + "0 + " * 1015 + "0", "max": "1"} for at in range(16)]
    rule = policy(checks=long, require={"checks": [one["name"] for one in long]})
    _, house = meet(own(analysis={"checks": [], "use": ["c0"]}), OF, Known((rule,), frozenset({rule.ref})), ())
    assert "characters long and 65536 are the most" in house.conflict


def test_more_policies_than_can_be_remembered_are_a_conflict() -> None:
    many = tuple(policy(f"p{at}", require={"minSamples": 500}) for at in range(9))
    _, house = meet(own(), OF, Known(many, frozenset(one.ref for one in many)), ())
    assert house.conflict.startswith("9 policies hold for ModelDeployment payments/fraud and 8 are the most")


# --- whom a policy chooses -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selector", "labels", "chosen"),
    [
        ({}, {}, True),
        ({"matchLabels": {"tier": "critical"}}, {"tier": "critical", "team": "x"}, True),
        ({"matchLabels": {"tier": "critical"}}, {"tier": "low"}, False),
        ({"matchLabels": {"tier": "critical"}}, {}, False),
        ({"matchExpressions": [{"key": "t", "operator": "In", "values": ["a", "b"]}]}, {"t": "b"}, True),
        ({"matchExpressions": [{"key": "t", "operator": "In", "values": ["a", "b"]}]}, {}, False),
        ({"matchExpressions": [{"key": "t", "operator": "NotIn", "values": ["a"]}]}, {}, True),
        ({"matchExpressions": [{"key": "t", "operator": "NotIn", "values": ["a"]}]}, {"t": "a"}, False),
        ({"matchExpressions": [{"key": "t", "operator": "Exists"}]}, {"t": ""}, True),
        ({"matchExpressions": [{"key": "t", "operator": "Exists"}]}, {}, False),
        ({"matchExpressions": [{"key": "t", "operator": "DoesNotExist"}]}, {}, True),
        ({"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "t", "operator": "Exists"}]}, {"t": "x"}, False),
    ],
)
def test_a_selector_chooses_as_in_other_apis(selector: Spec, labels: Mapping[str, str], chosen: bool) -> None:
    assert chooses(NamespaceSelector.model_validate(selector), labels) is chosen


def stored(kind: str, name: str, namespace: str = "", **spec: Any) -> Spec:
    metadata = {"name": name, "uid": f"uid-{name}", **({"namespace": namespace} if namespace else {})}
    return {"kind": kind, "metadata": metadata, "spec": spec}


def test_until_a_namespaces_labels_are_known_nobody_says_that_nothing_holds() -> None:
    house = House([("payments", "fraud")])
    house.note(stored(CLUSTER_POLICY_KIND, "critical", namespaceSelector={"matchLabels": {"tier": "critical"}}))
    assert "those of payments are not known yet" in house.of("payments").unread
    house.note_namespace({"metadata": {"name": "payments", "labels": {"tier": "low"}}})
    known = house.of("payments")
    assert (known.unread, known.in_force, known.exist) == ("", (), frozenset({"ClusterTrialPolicy/critical"}))


def test_a_policy_that_is_not_understood_is_not_taken_for_none() -> None:
    house = House([("payments", "fraud")])
    house.note(stored(POLICY_KIND, "team", "payments", newField=1))
    known = house.of("payments")
    assert known.unread.startswith("TrialPolicy team is not understood: spec.newField")
    assert known.exist == frozenset()
    assert house.of("elsewhere").unread == ""


def test_what_a_failure_does_by_default_counts_as_if_it_were_written() -> None:
    """A required errors check that says nothing of onFail sends back; a resource's own cannot make it pause."""
    errors = {"name": "errors", "preset": "Errors"}
    joined = stricter(Check.model_validate({**errors, "onFail": "Pause"}), Check.model_validate(errors))
    assert isinstance(joined, Check)
    assert joined.failing is OnFail.ROLLBACK


@pytest.mark.parametrize(
    ("field", "asked", "own"),
    [
        ("drift", {"drift": {"histogram": "model_score"}}, {"drift": {"histogram": "model_score", "max": "9"}}),
        ("minDuration", {"minDuration": "1h"}, {"minDuration": "20h"}),
        ("minSamples", {"minSamples": 1000}, {"minSamples": 1_000_000}),
    ],
)
def test_a_check_of_another_distance_or_horizon_is_another_check(field: str, asked: Spec, own: Spec) -> None:
    """Neither may stand in for what a policy requires."""
    mean = {"mean": {"of": "revenue_total", "per": "orders_total"}, "worseWhen": "Lower", "margin": {"relative": "5%"}}
    base = {"name": "c", **({} if field == "drift" else mean)}
    assert stricter(Check.model_validate({**base, **asked}), Check.model_validate({**base, **own})) == field
