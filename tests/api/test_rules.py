"""Each rule in Python. The same cases go to the real API server in `test_contract.py`."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.api import crd
from seatrial.api.rules import RULES, broken, instances
from tests.api.cases import BREAKING, CHANGING, VALID, Case, resource, with_steps


@pytest.mark.parametrize("case", BREAKING, ids=lambda case: case.rule)
def test_a_broken_rule_is_found_and_no_other(case: Case) -> None:
    found = broken(crd.with_defaults(case.document))
    assert [(one.rule.name, one.path, one.message) for one in found] == [(case.rule, case.path, case.sentence)]


@pytest.mark.parametrize("name", VALID)
def test_what_is_within_bounds_breaks_nothing(name: str) -> None:
    assert broken(crd.with_defaults(VALID[name])) == []


def test_every_rule_has_a_case_that_breaks_it() -> None:
    assert {case.rule for case in (*BREAKING, *CHANGING)} == {rule.name for rule in RULES}


def test_rules_have_names_of_their_own() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_message_is_a_sentence_with_a_next_step(rule: object) -> None:
    message = rule.message  # type: ignore[attr-defined]
    assert len(message) > 30
    assert not message.endswith(".")
    assert ": " in message, "after the colon stands what to do"
    assert "\n" not in message


@given(st.lists(st.integers(1, 99), min_size=1, max_size=20))
def test_weights_may_only_rise(weights: list[int]) -> None:
    document = crd.with_defaults(with_steps(*({"weight": weight} for weight in weights)))
    rising = all(low < high for low, high in itertools.pairwise(weights))
    assert (broken(document) == []) is rising


def test_places_are_found_with_their_indices() -> None:
    document = {"a": {"b": [{"c": 1}, {}, {"c": 3}]}}
    assert list(instances(document, "")) == [("", document)]
    assert list(instances(document, "a.b[]")) == [("a.b[0]", {"c": 1}), ("a.b[1]", {}), ("a.b[2]", {"c": 3})]
    assert list(instances(document, "a.b[].c")) == [("a.b[0].c", 1), ("a.b[2].c", 3)]
    assert list(instances(document, "a.nothing[].c")) == []


def test_a_malformed_value_is_skipped_only_when_it_is_known_to_be_malformed() -> None:
    document = crd.with_defaults(resource(progressDeadline="soon", analysis={"interval": "1s"}))
    with pytest.raises(ValueError, match="soon"):
        broken(document)
    assert [one.rule.name for one in broken(document, trusting=False)] == ["interval"]


def test_percent_signs_in_a_sentence_are_no_place_holders() -> None:
    (rule,) = [rule for rule in RULES if rule.name == "preset-max-is-share"]
    expression = rule.validation()["messageExpression"]
    assert "0%% to 100%%" in expression
    assert expression.endswith(".format([self.name, self.max])")
