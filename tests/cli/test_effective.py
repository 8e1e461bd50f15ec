"""`get NAME --effective`: what a model runs with, and where each value comes from."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from seatrial.api.lint import Severity, lint
from seatrial.cli.effective import as_yaml, show, spec_of
from seatrial.cli.errors import CliError
from seatrial.cli.reading import Reading
from seatrial.core.house import Known, meet
from tests.cli.conftest import Plane
from tests.cli.worlds import WORLDS
from tests.core.test_house import DEFAULTS, ERRORS, own, policy

RULE = policy(
    checks=[ERRORS],
    require={
        "checks": ["errors"],
        "shadow": {"minDuration": "30m"},
        "approval": {"notAuthor": True},
        "minSamples": 500,
    },
)


def ruled(*policies: Any, **spec: Any) -> dict[str, Any]:
    """A resource as the operator leaves it."""
    mine = own(**spec)
    _, house = meet(mine, "payments/fraud", Known(policies, frozenset(one.ref for one in policies)), ())
    stored = mine.wire()
    if "checks" not in spec.get("analysis", {}):
        del stored["analysis"]["checks"]  # the API server knows no default for them
    return {
        "apiVersion": "seatrial.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": "fraud", "namespace": "payments", "generation": 1},
        "spec": stored,
        "status": {"observedGeneration": 1, "phase": "Stable", "house": [entry.wire() for entry in house.rules]},
    }


def test_each_value_says_where_it_comes_from() -> None:
    lines = [line.strip() for line in as_yaml(show(ruled(RULE))).splitlines()]
    assert lines[0] == (
        "# What ModelDeployment payments/fraud runs with. A value without a comment is its own, or Seatrial's default."
    )
    required = "# required by ClusterTrialPolicy critical"
    said = [line for line in lines[1:] if "#" in line]
    assert said == [f"-  {required}", f"approval:  {required}", f"minSamples: 500  {required}", f"-  {required}"]


def test_it_is_a_resource_that_says_all_by_itself() -> None:
    """Nothing in it is refused, and what it says is what the operator follows."""
    shown = yaml.safe_load(as_yaml(show(ruled(RULE, DEFAULTS, analysis={"use": ["orders"]}))))
    assert [found for found in lint(shown) if found.severity is Severity.ERROR] == []
    assert shown["spec"]["strategy"]["stages"][0] == {
        "shadow": {"percent": 1, "minDuration": "30m", "maxDuration": "24h", "scale": "ByWeight"}
    }
    assert [check["name"] for check in shown["spec"]["analysis"]["checks"]] == ["orders", "errors"]


def test_without_rules_it_is_its_own_spec() -> None:
    shown = show(ruled())
    assert shown.object["spec"] == own().wire()
    assert as_yaml(shown).count("#") == 1


def test_a_conflict_is_said() -> None:
    assert "# Conflict: ModelDeployment payments/fraud says analysis.none, and Clu" in as_yaml(
        show(ruled(RULE, analysis={"none": "a toy"}))
    )


def test_the_way_of_a_trial_is_the_one_it_runs_by() -> None:
    assert [step.place for step in Reading(ruled(RULE)).steps] == ["shadow 1 %", "5 %", "25 %", "50 %"]


def test_a_resource_of_another_version_is_read_as_far_as_possible() -> None:
    newer = ruled(RULE)
    newer["spec"]["newField"] = 1
    assert spec_of(newer) is newer["spec"]
    with pytest.raises(CliError, match="of another version than this seatrial"):
        show(newer)


def test_against_an_api_server(plane: Plane) -> None:
    plane.put("canary")
    shown = json.loads(plane.run("get", "fraud", "--effective", "-o", "json").out)
    assert shown["object"]["metadata"]["name"] == "fraud"
    assert shown["origins"] == {}
    assert shown["conflicts"] == []
    assert yaml.safe_load(plane.run("get", "fraud", "--effective").out) == shown["object"]
    for wrong in (
        ("get", "--effective"),
        ("get", "fraud", "--effective", "-w"),
        ("get", "fraud", "--effective", "-o", "name"),
    ):
        assert "--effective shows the spec of one NAME" in plane.run(*wrong).err


def test_every_world_has_an_effective_spec() -> None:
    for name, made in WORLDS.items():
        assert "spec:" in as_yaml(show(made())), name
