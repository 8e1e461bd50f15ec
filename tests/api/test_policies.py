"""Policies: rules, `lint`, the definitions, and that no field is accepted and ignored."""

from __future__ import annotations

import copy
import io
from pathlib import Path
from typing import Any

import pytest
import yaml

from seatrial.api import crd, policy_crd
from seatrial.api.generate import files
from seatrial.api.lint import Severity, lint
from seatrial.api.policies import CLUSTER_POLICY_KIND, POLICY_KIND
from seatrial.api.policy_rules import rules_of
from seatrial.api.rules import RULES, broken
from seatrial.cli.lint import FOUND, OK, UNREADABLE
from seatrial.cli.lint import lint as lint_files
from seatrial.cluster.house import House
from seatrial.core.house import meet
from tests.api.cases import Case, Document, resource
from tests.api.policy_cases import BREAKING, ERRORS, HALVES, MALFORMED, VALID, cluster_policy, policy
from tests.core.test_house import ORDERS, own

ROOT = Path(__file__).resolve().parents[2]


def errors(document: Document) -> list[tuple[str, str]]:
    return [(found.path, found.message) for found in lint(document) if found.severity is Severity.ERROR]


@pytest.mark.parametrize("case", BREAKING, ids=lambda case: case.rule)
def test_a_broken_rule_is_found_and_no_other(case: Case) -> None:
    kind = case.document["kind"]
    found = broken(crd.with_defaults(case.document, policy_crd.schema_of(kind)), among=rules_of(kind))
    assert [(one.rule.name, one.path, one.message) for one in found] == [(case.rule, case.path, case.sentence)]
    assert errors(case.document) == [(case.path, case.sentence)]


@pytest.mark.parametrize("name", VALID)
def test_what_is_within_bounds_breaks_nothing(name: str) -> None:
    assert lint(VALID[name]) == []


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_field_is_found_at_its_path(name: str) -> None:
    document, path = MALFORMED[name]
    assert path in {found for found, _ in errors(document)}


def test_every_rule_of_its_own_has_a_case_and_the_others_are_the_resources() -> None:
    cases = {case.rule for case in BREAKING}
    assert {rule.name for rule in rules_of(CLUSTER_POLICY_KIND)} - {rule.name for rule in RULES} <= cases
    assert all(rule.at.startswith("spec") for rule in rules_of(CLUSTER_POLICY_KIND))


def test_checks_and_strategies_are_written_as_in_a_resource() -> None:
    """The same fields, at another place."""
    mine, theirs = policy_crd.schema_of(POLICY_KIND), crd.object_schema()
    spec = mine["properties"]["spec"]["properties"]
    analysis, strategy = (theirs["properties"]["spec"]["properties"][name] for name in ("analysis", "strategy"))
    assert spec["checks"]["items"] == analysis["properties"]["checks"]["items"]
    named = copy.deepcopy(spec["strategies"]["items"]["properties"])
    del named["name"]
    assert named == strategy["properties"]


def test_the_reference_page_has_every_field() -> None:
    page = files()["docs/reference-policies.md"]
    for path in crd.field_paths(policy_crd.schema_of(CLUSTER_POLICY_KIND)):
        assert f"| `{path.rpartition('.')[2].removesuffix('[]')}` |" in page, path


# --- no field is accepted and ignored --------------------------------------------------------------------------------

CAREFUL = {"stages": [{"canary": {"steps": [{"weight": 20}]}}]}
FIELDS: dict[str, tuple[Document, Document, Document]] = {
    "spec.checks[]": (
        policy(checks=[ORDERS]),
        policy(checks=[{**ORDERS, "max": "9%"}]),
        {"analysis": {"use": ["orders"]}},
    ),
    "spec.strategies[]": (
        policy(strategies=[HALVES]),
        policy(strategies=[{**CAREFUL, "name": "halves"}]),
        {"strategyFrom": "halves"},
    ),
    "spec.defaults.strategy": (
        policy(strategies=[HALVES]),
        policy(strategies=[HALVES], defaults={"strategy": "halves"}),
        {},
    ),
    "spec.defaults.checks": (policy(checks=[ORDERS]), policy(checks=[ORDERS], defaults={"checks": ["orders"]}), {}),
    "spec.require.checks": (policy(checks=[ORDERS]), policy(checks=[ORDERS], require={"checks": ["orders"]}), {}),
    "spec.require.minSamples": (policy(), policy(require={"minSamples": 500}), {}),
    "spec.require.shadow.percent": (
        policy(require={"shadow": {"minDuration": "1m"}}),
        policy(require={"shadow": {"minDuration": "1m", "percent": 5}}),
        {},
    ),
    "spec.require.shadow.minDuration": (
        policy(require={"shadow": {"minDuration": "1m"}}),
        policy(require={"shadow": {"minDuration": "2m"}}),
        {},
    ),
    "spec.require.canary.firstWeight": (
        policy(require={"canary": {}}),
        policy(require={"canary": {"firstWeight": 1}}),
        {},
    ),
    "spec.require.canary.minDuration": (
        policy(require={"canary": {}}),
        policy(require={"canary": {"minDuration": "1h"}}),
        {},
    ),
    "spec.require.approval.notAuthor": (
        policy(require={"approval": {}}),
        policy(require={"approval": {"notAuthor": True}}),
        {},
    ),
    "spec.require.probation.minDuration": (policy(), policy(require={"probation": {"minDuration": "2h"}}), {}),
    **{
        f"spec.namespaceSelector.{field}": (
            cluster_policy(require={"minSamples": 500}, namespaceSelector=chooses),
            cluster_policy(require={"minSamples": 500}, namespaceSelector=not_),
            {},
        )
        for field, chooses, not_ in (
            ("matchLabels", {"matchLabels": {"tier": "a"}}, {"matchLabels": {"tier": "b"}}),
            *(
                (f"matchExpressions[].{name}", {"matchExpressions": [one]}, {"matchExpressions": [other]})
                for name, one, other in (
                    ("key", {"key": "tier", "operator": "Exists"}, {"key": "tear", "operator": "Exists"}),
                    ("operator", {"key": "tier", "operator": "Exists"}, {"key": "tier", "operator": "DoesNotExist"}),
                    (
                        "values",
                        {"key": "tier", "operator": "In", "values": ["a"]},
                        {"key": "tier", "operator": "In", "values": ["b"]},
                    ),
                )
            ),
        )
    },
}
"""By field: two policies in which only it differs, and the resource that they mean different things to."""


def test_every_field_of_a_policy_has_its_case() -> None:
    leaves = crd.field_paths(policy_crd.schema_of(CLUSTER_POLICY_KIND))
    shared = ("spec.checks[].", "spec.strategies[].")
    assert {next((one[:-1] for one in shared if path.startswith(one)), path) for path in leaves} == set(FIELDS)


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_of_a_policy_changes_what_a_resource_runs_with(field: str) -> None:
    one, other, spec = FIELDS[field]
    assert effective(one, spec) != effective(other, spec)


def effective(document: Document, spec: dict[str, Any]) -> object:
    house = House([])
    house.note_namespace({"metadata": {"name": "default", "labels": {"tier": "a"}}})
    metadata = {**document["metadata"], "uid": "u"}
    house.note(crd.with_defaults({**document, "metadata": metadata}, policy_crd.schema_of(document["kind"])))
    out, told = meet(own(**spec), "default/iris", house.of("default"), ())
    assert told.conflict == ""
    return out


# --- lint with house rules -------------------------------------------------------------------------------------------


def run(folder: Path, *models: Document, rules: tuple[Document, ...] = ()) -> tuple[int, list[str]]:
    model, house = folder / "models.yaml", folder / "house.yaml"
    model.write_text(yaml.safe_dump_all(models, sort_keys=False))
    house.write_text(yaml.safe_dump_all(rules, sort_keys=False))
    out = io.StringIO()
    code = lint_files([str(model)], [str(house)] if rules else [], as_json=False, out=out)
    return code, out.getvalue().replace(f"{folder}/", "").splitlines()


REQUIRED = cluster_policy(checks=[ERRORS], require={"checks": ["errors"]})


def test_a_model_is_held_against_the_rules_of_a_file(tmp_path: Path) -> None:
    assert run(tmp_path, resource(), rules=(REQUIRED,)) == (OK, ["1 ModelDeployment checked: 0 errors, 0 warnings"])
    code, lines = run(tmp_path, resource(analysis={"none": "a toy"}), rules=(REQUIRED,))
    assert (code, lines[0]) == (
        FOUND,
        (
            "models.yaml:1: error: ModelDeployment default/iris says analysis.none, and ClusterTrialPolicy critical requires "
            "check errors: remove analysis.none"
        ),
    )


def test_a_policy_of_another_namespace_does_not_count(tmp_path: Path) -> None:
    other = policy(checks=[ERRORS], require={"checks": ["errors"]})
    other["metadata"]["namespace"] = "elsewhere"
    assert run(tmp_path, resource(analysis={"none": "a toy"}), rules=(other,))[0] == OK


def test_a_name_of_the_house_is_a_warning_where_no_rules_are_given(tmp_path: Path) -> None:
    code, lines = run(tmp_path, resource(analysis={"use": ["orders"]}))
    assert (code, lines[0]) == (
        OK,
        (
            "models.yaml:19: warning: spec.analysis.use: this names house rules, which are not in this file: say --policy FILE "
            "to hold it against them"
        ),
    )


def test_a_policy_is_linted_like_a_model(tmp_path: Path) -> None:
    code, lines = run(
        tmp_path, resource(), cluster_policy(checks=[{**ERRORS, "margins": {}}], require={"checks": ["x"]})
    )
    assert code == FOUND
    assert [line.partition(": ")[2] for line in lines] == [
        "error: spec.checks[0].margins: there is no field margins; did you mean margin?",
        (
            "error: spec.require.checks: require.checks names x, and no check of spec.checks has this name: add it there, or "
            "correct it"
        ),
        "2 errors, 0 warnings",
    ]
    assert lines[-1] == "1 ModelDeployment and 1 policy checked: 2 errors, 0 warnings"


def test_rules_that_are_not_valid_are_no_rules(tmp_path: Path) -> None:
    code, lines = run(tmp_path, resource(), rules=(policy(require={"checks": ["errors"]}),))
    assert code == UNREADABLE
    assert "house.yaml: TrialPolicy default/team is not valid: spec.require.checks: " in lines[0]
    assert run(tmp_path, resource(), rules=(resource(),))[0] == UNREADABLE


def test_a_query_of_a_policy_is_judged_too(tmp_path: Path) -> None:
    query = {"name": "c", "query": "sum(rate(a{$selector}[$window])", "max": "1"}
    code, lines = run(tmp_path, policy(checks=[query]))
    assert code == FOUND
    assert "spec.checks[0].query" in lines[0]
