"""The generator: what it can say, what it refuses to say, and what the definition holds."""

from __future__ import annotations

import re
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from pydantic import Field, StringConstraints

from seatrial.api import crd
from seatrial.api.base import Duration, Model, OpenModel
from seatrial.api.generate import files
from seatrial.api.rules import RULES
from seatrial.api.spec import ModelDeploymentSpec
from tests.api.cases import VALID, resource

ROOT = Path(__file__).resolve().parents[2]


class Colour(StrEnum):
    """A colour."""

    RED = "Red"
    BLUE = "Blue"


class Part(Model):
    """A part."""

    wait_for: Duration = timedelta(minutes=90)
    """How long."""
    colour: Colour | None = None
    """Which
    colour."""


class Whole(Model):
    """A whole."""

    first: Part
    """The first part."""
    second: Part = Part(colour=Colour.RED)
    """The second part."""
    many: Annotated[list[Part], Field(max_length=3)] = Field(default_factory=lambda: [Part(), Part()])
    """All parts."""
    extra: Annotated[dict[str, Annotated[str, StringConstraints(max_length=5)]], Field(max_length=2)] | None = None
    """By name."""


def test_an_optional_field_is_simply_not_required() -> None:
    colour = crd.structural(Part)["properties"]["colour"]
    assert colour == {"description": "Which colour.", "enum": ["Red", "Blue"], "type": "string"}
    assert "required" not in crd.structural(Part)


def test_a_default_is_written_as_on_the_wire_and_into_the_description() -> None:
    wait = crd.structural(Part)["properties"]["waitFor"]
    assert (wait["default"], wait["description"]) == ("1h30m", "How long. Default: 1h30m.")


def test_references_are_resolved_and_the_fields_own_words_win() -> None:
    whole = crd.structural(Whole)
    assert whole["properties"]["first"]["description"] == "The first part."
    assert whole["properties"]["first"]["properties"] == crd.structural(Part)["properties"]
    assert "$ref" not in str(whole)
    assert whole["required"] == ["first"]


def test_defaults_of_objects_are_written_in_full() -> None:
    """The API server checks a default against the rules as it stands, before it completes it."""
    properties = crd.structural(Whole)["properties"]
    assert properties["second"]["default"] == {"waitFor": "1h30m", "colour": "Red"}
    assert properties["many"]["default"] == [{"waitFor": "1h30m"}, {"waitFor": "1h30m"}]


def test_a_default_that_depends_on_other_fields_is_in_no_schema() -> None:
    class Choosy(Model):
        quiet: bool = False
        words: Annotated[list[Part], Field(max_length=2)] = Field(
            default_factory=lambda before: [] if before["quiet"] else [Part()]
        )

    properties = crd.structural(Choosy)["properties"]
    assert properties["quiet"]["default"] is False
    assert "default" not in properties["words"]


def test_a_map_has_one_schema_for_its_values() -> None:
    extra = crd.structural(Whole)["properties"]["extra"]
    assert extra["additionalProperties"] == {"type": "string", "maxLength": 5}
    assert extra["maxProperties"] == 2


def test_somebody_elses_object_keeps_what_we_do_not_know() -> None:
    class Foreign(OpenModel):
        name: str

    assert crd.structural(Foreign)["x-kubernetes-preserve-unknown-fields"] is True
    assert "x-kubernetes-preserve-unknown-fields" not in crd.structural(Part)


class Endless(Model):
    """Contains itself."""

    inner: Endless | None = None


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (int | str, "a union of"),
        (Part | Whole, "a union of"),
        (tuple[int, str], "no "),
        (set[str], "uniqueItems"),
        (Any, "no single type"),
        (dict[Literal["a", "b"], int], "propertyNames"),
        (dict[Annotated[str, StringConstraints(pattern="^a")], int], "propertyNames|patternProperties"),
        (Endless, "Endless contains itself"),
    ],
)
def test_what_a_structural_schema_cannot_say_is_refused_with_its_place(kind: Any, reason: str) -> None:
    model = type("Bad", (Model,), {"__annotations__": {"field": kind}, "__module__": __name__})
    with pytest.raises(crd.InexpressibleError, match=rf"Bad\.field.*({reason})"):
        crd.structural(model)


def test_what_has_no_limit_is_found() -> None:
    class Loose(Model):
        text: str
        numbers: list[int]
        names: dict[str, str]
        colour: Colour
        part: Part

    assert crd.unbounded(crd.structural(Loose)) == ["text", "numbers", "names", "names.*"]


# ---------------------------------------------------------------------------------------------------------------------


def test_everything_in_the_resource_has_a_limit() -> None:
    """What every object has (`apiVersion`, `kind`) is the API server's own business."""
    assert crd.unbounded(crd.object_schema()) == ["apiVersion", "kind"]


@pytest.mark.parametrize("hashed", crd.HASHED)
def test_what_makes_a_revision_has_no_default(hashed: str) -> None:
    nodes = {path: node for path, node in crd.nodes() if re.match(rf"{re.escape(hashed)}(\.|\[|$)", path)}
    assert hashed in nodes
    assert not [path for path, node in nodes.items() if "default" in node]
    parents = [node for path, node in crd.nodes() if hashed.startswith(f"{path}.") or not path]
    assert not [node for node in parents if "default" in node]


def test_every_field_has_a_meaning() -> None:
    silent = [
        path
        for path, node in crd.nodes()
        if not node.get("description") and not path.startswith("metadata") and not path.endswith(("[]", "*")) and path
    ]
    assert not silent


def test_the_columns_are_fields() -> None:
    paths = {path for path, _ in crd.nodes()} | {"metadata.creationTimestamp"}
    assert {path.removeprefix(".") for _, path, _ in crd.COLUMNS} <= paths
    (version,) = crd.definition()["spec"]["versions"]
    scale = version["subresources"]["scale"]
    assert {path.removeprefix(".") for path in scale.values()} <= paths


def test_the_fields_are_listed_once_each_and_are_leaves() -> None:
    fields = crd.field_paths()
    assert len(fields) == len(set(fields))
    assert {
        "spec.replicas",
        "spec.traffic.hostnames",
        "spec.template.metadata.labels",
        "spec.template.spec.containers[].image",
        "spec.strategy.stages[].canary.steps[].approval.when",
        "spec.analysis.checks[].margin.relative",
    } <= set(fields)
    assert not {"spec.traffic", "spec.strategy.stages", "spec.analysis.checks[]"} & set(fields)
    assert all("properties" not in crd.node(field) for field in fields)


def test_rules_hang_where_they_look() -> None:
    for rule in RULES:
        assert rule.validation() in crd.node(rule.at)["x-kubernetes-validations"]
        if rule.blame and rule.blame != ".metadata.name":
            assert crd.node(f"{rule.at}{rule.blame}".removeprefix(".")), (
                f"{rule.name} blames {rule.blame}, which is not there"
            )


def test_defaults_are_filled_in_at_every_level_and_the_input_is_left_alone() -> None:
    document = resource(strategy={"stages": [{"canary": {"steps": [{"weight": 1, "approval": {}}]}}]}, port=None)
    document["spec"]["port"] = None
    stored = crd.with_defaults(document)
    (step,) = stored["spec"]["strategy"]["stages"][0]["canary"]["steps"]
    approval = {"when": "ToLeave", "notAuthor": False}
    assert step == {"weight": 1, "minDuration": "5m", "maxDuration": "24h", "approval": approval}
    assert "port" not in stored["spec"]
    assert "replicas" not in document["spec"]
    assert document["spec"]["port"] is None


def test_what_is_not_ours_is_kept_as_it_is() -> None:
    pods = VALID["what pods may say"]
    assert crd.with_defaults(pods)["spec"]["template"] == pods["spec"]["template"]


def test_the_models_read_what_they_write() -> None:
    spec = ModelDeploymentSpec.model_validate(resource()["spec"])
    assert ModelDeploymentSpec.model_validate(spec.wire()) == spec


# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", files())
def test_the_checked_in_files_are_what_the_models_say(name: str) -> None:
    """After a change to the models: `python -m seatrial.api.generate`."""
    assert (ROOT / name).read_text(encoding="utf-8") == files()[name]


def test_the_chart_installs_the_same_definition_and_keeps_it() -> None:
    text = files()["charts/seatrial/templates/crd.yaml"]
    lines = text.splitlines()
    assert (lines[1], lines[-1]) == ("{{- if .Values.crds.install }}", "{{- end }}")
    definition = yaml.safe_load("\n".join(lines[2:-1]))
    assert definition["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    assert definition == crd.definition()
    assert definition == yaml.safe_load(files()["crds/seatrial.dev_modeldeployments.yaml"])


def test_the_reference_page_has_every_field_and_every_rule() -> None:
    page = files()["docs/reference.md"]
    for path in crd.field_paths():
        parent, _, name = path.rpartition(".")
        shared = re.escape(parent.rpartition(".")[2])  # a model that is used twice has one section
        assert re.search(
            rf"^### (?:{re.escape(parent)}|\S+\.{shared})\n.*?^\| `{name}` \|", page, re.MULTILINE | re.DOTALL
        ), path
    for rule in RULES:
        assert re.sub(r"\{(\w+)\}", r"*\1*", rule.message) in page, rule.name


def test_the_reference_page_links_to_its_own_headings() -> None:
    page = files()["docs/reference.md"]
    headings = {re.sub(r"[^a-z0-9_-]", "", heading.lower()) for heading in re.findall(r"^#+ (.*)$", page, re.MULTILINE)}
    assert set(re.findall(r"\(#([^)]*)\)", page)) <= headings
