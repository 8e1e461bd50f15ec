"""The real API server says what we say: same objects accepted, same paths blamed, same sentences."""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev import tools
from seatrial.api import crd, policy_crd, rules
from seatrial.api.base import AMOUNT_PATTERN, DECIMAL_PATTERN, DURATION_PATTERN
from seatrial.api.lint import Severity, lint
from seatrial.api.spec import ModelDeploymentSpec
from seatrial.api.status import Status
from tests.api.cases import (
    BREAKING,
    CHANGING,
    MALFORMED,
    QUERY,
    UNKNOWN,
    VALID,
    Case,
    Document,
    by_pods,
    resource,
    with_steps,
)
from tests.api.conftest import CRDS, OBJECTS, Server
from tests.api.policy_cases import BREAKING as POLICIES_BREAKING
from tests.api.policy_cases import MALFORMED as POLICIES_MALFORMED
from tests.api.policy_cases import VALID as POLICIES_VALID

pytestmark = [pytest.mark.contract, pytest.mark.timeout(1800)]
"""The first test may have to build the API server, which takes minutes with an empty cache."""

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("case", BREAKING, ids=lambda case: case.rule)
def test_a_broken_rule_is_refused_with_its_sentence(server: Server, case: Case) -> None:
    answer = server.try_out(case.document)
    assert answer.status == 422
    assert answer.refusals == {(case.path, case.sentence)}


@pytest.mark.parametrize("case", CHANGING, ids=lambda case: case.rule)
def test_what_cannot_change_in_a_trial_can_at_rest(server: Server, case: Case) -> None:
    path, merge = f"{OBJECTS}/{case.rule}", "application/merge-patch+json"
    spec = {"spec": {**case.document["spec"], "traffic": {"hostnames": None, **case.document["spec"]["traffic"]}}}
    assert server.request("POST", OBJECTS, resource(case.rule)).status == 201
    assert server.request("PATCH", f"{path}?dryRun=All", spec, merge).status == 200
    rollout = {"revision": "7c9f1b20de", "started": "2026-11-20T10:00:00Z"}
    assert server.request("PATCH", f"{path}/status", {"status": {"rollout": rollout}}, merge).status == 200
    answer = server.request("PATCH", f"{path}?dryRun=All", spec, merge)
    assert (answer.status, answer.refusals) == (422, {(case.path, case.sentence)})


def test_an_autoscaler_is_not_held_up_by_steps_that_were_fine(server: Server) -> None:
    path, merge = f"{OBJECTS}/ratio", "application/merge-patch+json"
    made = by_pods(9) | {"metadata": {"name": "ratio", "namespace": "default"}}
    assert server.request("POST", OBJECTS, made).status == 201
    assert server.request("PATCH", f"{path}/scale", {"spec": {"replicas": 2}}, merge).status == 200
    stages = [{"canary": {"steps": [{"weight": 6}], "scale": "ByWeight"}}]
    answer = server.request("PATCH", path, {"spec": {"strategy": {"stages": stages}}}, merge)
    assert answer.status == 422, "steps that are written now are held against the replicas of now"
    assert "one pod beside replicas: 2 gets 33 %" in answer.body["message"]


@pytest.mark.parametrize("name", VALID)
def test_what_is_within_bounds_is_accepted(server: Server, name: str) -> None:
    answer = server.try_out(VALID[name])
    assert (answer.status, answer.body.get("message")) == (201, None)
    assert not answer.warnings


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_field_is_refused_at_its_path(server: Server, name: str) -> None:
    document, path = MALFORMED[name]
    answer = server.try_out(document)
    assert answer.status == 422
    assert path in {field for field, _ in answer.refusals}


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_field_is_refused_by_strict_validation(server: Server, name: str) -> None:
    document, path = UNKNOWN[name]
    answer = server.try_out(document)
    assert answer.status == 400
    assert f'unknown field "{path}"' in answer.body["message"]


def test_an_unknown_field_is_refused_by_kubectl_apply(server: Server) -> None:
    document, path = UNKNOWN["in a step"]
    done = kubectl(server, "apply", "--dry-run=server", "-f", "-", stdin=json.dumps(document))
    assert done.returncode == 1
    assert f'unknown field "{path}"' in done.stderr


@pytest.mark.parametrize("name", VALID)
def test_defaults_are_those_of_the_models(server: Server, name: str) -> None:
    stored = server.try_out(VALID[name]).body["spec"]
    assert stored == crd.with_defaults(VALID[name])["spec"]
    ours = ModelDeploymentSpec.model_validate_json(json.dumps(crd.without_nulls(VALID[name]["spec"])))
    assert ModelDeploymentSpec.model_validate_json(json.dumps(stored)) == ours


def test_the_shortest_form_shows_what_it_runs_with(server: Server) -> None:
    stored = server.try_out(resource()).body["spec"]
    assert stored["replicas"] == 1
    assert stored["traffic"]["drain"] == "30s"
    assert stored["progressDeadline"] == "10m"
    assert stored["analysis"] == {"interval": "15s", "minSamples": 200, "warmPeriod": "0s"}
    (stage,) = stored["strategy"]["stages"]
    assert stage["canary"]["steps"] == [
        {"weight": weight, "minDuration": "5m", "maxDuration": "24h"} for weight in (5, 25, 50)
    ]


def test_lint_and_the_api_server_agree_on_random_objects(server: Server) -> None:
    """Combinations that nobody thought of: some valid, most breaking several rules at once."""
    dice = random.Random(20261120)
    refused = 0
    for _ in range(400):
        document = _thrown(dice)
        answer = server.try_out(document)
        said = {(finding.path, finding.message) for finding in lint(document) if finding.severity is Severity.ERROR}
        assert answer.refusals == said, json.dumps(document)
        refused += answer.status == 422
    assert 100 < refused < 390


def _thrown(dice: random.Random) -> Document:
    def maybe(chance: float, **choices: list[Any]) -> Document:
        return {name.rstrip("_"): dice.choice(values) for name, values in choices.items() if dice.random() < chance}

    margins = [{}, {"points": "1"}, {"points": "0"}, {"relative": "0%"}, {"points": "1", "relative": "5%"}]
    checks = [
        {
            "name": f"c{index}",
            **maybe(
                0.3,
                preset=["Errors", "Latency"],
                from_=["Gateway", "Runtime"],
                margin=margins,
                slowerThan=["250ms", "0s"],
                query=[QUERY, "up"],
                min=["1", "5%", "-2"],
                max=["1", "5%", "-3", "101%"],
            ),
        }
        for index in range(dice.randrange(3))
    ]
    weights = dice.choice([[5, 25], [25, 5], [5, 5], [50, 100], [1]])
    steps = [{"weight": weight, **maybe(0.2, minDuration=["1m", "721h"])} for weight in weights]
    analysis = {**maybe(0.2, interval=["1s", "30s"], none=["a toy"]), **({"checks": checks} if checks else {})}
    return resource(
        dice.choice(["iris", "9iris", "i.ris", "i" * 53]) if dice.random() < 0.2 else "iris",
        runtime=dice.choice([None, "Custom", "MLServer", "MLServer"]), port=dice.choice([None, 80]),
        **maybe(0.2, model=[None], progressDeadline=["1s", "1h"], preflight=[{"requests": {"configMapRef": {"name": "g"}}}]),
        **maybe(0.5, strategy=[{"stages": [{"canary": {"steps": steps}}]}], analysis=[analysis]),
    )  # fmt: skip


def test_the_scale_subresource_reads_and_writes_replicas(server: Server) -> None:
    """Also where the resource leaves replicas out, as one does whose autoscaler owns them."""
    path = f"{OBJECTS}/scaled"
    assert server.request("POST", OBJECTS, resource("scaled")).status == 201
    scale = server.request("GET", f"{path}/scale")
    assert (scale.status, scale.body["spec"]) == (200, {"replicas": 1})
    patched = server.request("PATCH", f"{path}/scale", {"spec": {"replicas": 7}}, "application/merge-patch+json")
    assert patched.body["spec"] == {"replicas": 7}
    status = {"status": {"replicas": 5, "selector": "a=b"}}
    server.request("PATCH", f"{path}/status", status, "application/merge-patch+json")
    assert server.request("GET", path).body["spec"]["replicas"] == 7
    assert server.request("GET", f"{path}/scale").body["status"] == {"replicas": 5, "selector": "a=b"}


def test_status_and_spec_are_written_apart(server: Server) -> None:
    path = f"{OBJECTS}/apart"
    assert server.request("POST", OBJECTS, {**resource("apart"), "status": {"phase": "Stable"}}).status == 201
    assert "status" not in server.request("GET", path).body, "creating an object does not write its status"

    both = {"spec": {"replicas": 9}, "status": {"phase": "Canary", "weight": "10"}}
    written = server.request("PATCH", f"{path}/status", both, "application/merge-patch+json").body
    assert (written["spec"]["replicas"], written["status"]) == (1, {"phase": "Canary", "weight": "10"})
    assert written["metadata"]["generation"] == 1

    written = server.request("PATCH", path, both | {"status": {"phase": "Stable"}}, "application/merge-patch+json").body
    assert (written["spec"]["replicas"], written["status"]["phase"]) == (9, "Canary")


def test_a_status_with_every_field_is_stored_as_written_and_read_back(server: Server) -> None:
    path = f"{OBJECTS}/full"
    assert server.request("POST", OBJECTS, resource("full")).status == 201
    status = _example(crd.node("status"))
    answer = server.request("PATCH", f"{path}/status", {"status": status}, "application/merge-patch+json")
    assert (answer.status, answer.body.get("message")) == (200, None)
    assert answer.body["status"] == status
    assert Status.model_validate_json(json.dumps(status)).wire() == status


def _example(node: Mapping[str, Any]) -> Any:
    """A value that follows a schema, with every field there is."""
    if "properties" in node:
        return {name: _example(child) for name, child in node["properties"].items()}
    if node["type"] == "array":
        return [_example(node["items"])]
    if node["type"] == "string":
        patterns = {
            DURATION_PATTERN: "1m30s",
            DECIMAL_PATTERN: "-0.000000001",
            AMOUNT_PATTERN: "0.000000001",
            crd.node("status.stable")["pattern"]: "7c9f1b20de",
            "^(True|False|Unknown)$": "Unknown",
        }
        if node.get("format") == "date-time":
            return "2026-11-20T10:00:00.123Z"
        if "enum" in node:
            return node["enum"][-1]
        return patterns[node["pattern"]] if "pattern" in node else "é" * node["maxLength"]
    return {"integer": node.get("maximum", 2**31 - 1), "boolean": True}[node["type"]]


def test_a_status_that_makes_no_sense_is_refused(server: Server) -> None:
    path = f"{OBJECTS}/odd"
    assert server.request("POST", OBJECTS, resource("odd")).status == 201
    answer = server.request("PATCH", f"{path}/status", {"status": {"phase": "Sailing"}}, "application/merge-patch+json")
    assert answer.status == 422
    assert {field for field, _ in answer.refusals} == {"status.phase"}


@pytest.mark.parametrize("name", sorted(file.name for file in (ROOT / "crds").iterdir()))
def test_a_definition_can_be_applied_over_itself(name: str, server: Server) -> None:
    """The checked-in file installs, and what the API server made of it has no complaint."""
    definition = yaml.safe_load((ROOT / "crds" / name).read_text())
    applied = server.request(
        "PATCH",
        f"{CRDS}/{definition['metadata']['name']}?fieldManager=test&force=true&fieldValidation=Strict",
        definition,
        "application/apply-patch+yaml",
    )
    assert (applied.status, applied.warnings) == (200, ())
    stored = applied.body["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    kind = definition["spec"]["names"]["kind"]
    ours = crd.object_schema() if kind == "ModelDeployment" else policy_crd.schema_of(kind)
    assert stored == ours, "the API server changes nothing in the schema"


def test_kubectl_shows_the_columns(server: Server) -> None:
    assert server.request("POST", OBJECTS, resource("shown")).status == 201
    status = {"phase": "Canary", "weight": "10", "step": "2/3", "stable": "7c9f1b20de", "message": "errors 0.31%: pass"}
    patch = {"status": status}
    server.request("PATCH", f"{OBJECTS}/shown/status", patch, "application/merge-patch+json")
    header, row = kubectl(server, "get", "md", "shown").stdout.splitlines()
    assert header.split() == ["NAME", "PHASE", "WEIGHT", "STEP", "STABLE", "CANDIDATE", "MESSAGE", "AGE"]
    assert row.split()[:5] == ["shown", "Canary", "10", "2/3", "7c9f1b20de"]
    assert "errors 0.31%: pass" in row
    assert "modeldeployment.seatrial.dev/shown" in kubectl(server, "get", "all", "-o", "name").stdout


def test_kubectl_explains_each_field_with_its_default(server: Server) -> None:
    text = " ".join(kubectl(server, "explain", "md.spec.progressDeadline").stdout.split())
    assert "How long a revision may take to become ready" in text
    assert "Default: 10m." in text


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: path.name)
def test_the_examples_are_accepted(server: Server, path: Path) -> None:
    for document in yaml.safe_load_all(path.read_text()):
        if document["kind"] == "ModelDeployment":
            document["metadata"]["namespace"] = "default"
            answer = server.try_out(document)
            assert (answer.status, answer.body.get("message")) == (201, None)


def test_an_object_that_was_stored_before_a_rule_can_still_be_scaled_and_deleted(server: Server) -> None:
    """Rules that come later must not lock up what is there: only what changes is judged."""
    path = f"{OBJECTS}/older"
    name = f"{CRDS}/{crd.definition()['metadata']['name']}"
    original = server.request("GET", name).body["spec"]
    loose = json.loads(json.dumps(original))
    _drop_rules(loose["versions"][0]["schema"]["openAPIV3Schema"])
    replace = "application/merge-patch+json"
    try:
        assert server.request("PATCH", name, {"spec": loose}, replace).status == 200
        older = with_steps({"weight": 50}, {"weight": 5}) | {"metadata": {"name": "older"}}
        for _ in range(100):
            if server.request("POST", OBJECTS, older).status == 201:
                break
    finally:
        assert server.request("PATCH", name, {"spec": original}, replace).status == 200
    for _ in range(100):
        if server.try_out(older).status == 422:
            break
    assert server.request("PATCH", f"{path}/scale", {"spec": {"replicas": 2}}, replace).status == 200
    assert server.request("PATCH", f"{path}/status", {"status": {"phase": "Pending"}}, replace).status == 200
    assert server.request("DELETE", path).status == 200


def _drop_rules(node: Any) -> None:
    if isinstance(node, dict):
        node.pop("x-kubernetes-validations", None)
        for child in node.values():
            _drop_rules(child)


def test_every_rule_is_in_the_definition(server: Server) -> None:
    stored = server.request("GET", f"{CRDS}/{crd.definition()['metadata']['name']}").body
    text = json.dumps(stored)
    missing = [rule.name for rule in rules.RULES if json.dumps(rule.cel) not in text]
    assert not missing


def kubectl(server: Server, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [tools.path("kubectl"), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "KUBECONFIG": str(server.kubeconfig)},
    )


def try_policy(server: Server, document: Document) -> Any:
    kind = document["kind"]
    plural = policy_crd.definition_of(kind)["spec"]["names"]["plural"]
    where = "" if kind == "ClusterTrialPolicy" else "namespaces/default/"
    path = f"/apis/seatrial.dev/v1alpha1/{where}{plural}?dryRun=All&fieldValidation=Strict"
    return server.request("POST", path, document)


@pytest.mark.parametrize("case", POLICIES_BREAKING, ids=lambda case: case.rule)
def test_a_policy_that_breaks_a_rule_is_refused_with_its_sentence(server: Server, case: Case) -> None:
    answer = try_policy(server, case.document)
    assert (answer.status, answer.refusals) == (422, {(case.path, case.sentence)})


@pytest.mark.parametrize("name", POLICIES_VALID)
def test_a_valid_policy_is_stored_as_the_models_say(server: Server, name: str) -> None:
    document = POLICIES_VALID[name]
    answer = try_policy(server, document)
    assert (answer.status, answer.body.get("message")) == (201, None)
    assert answer.body["spec"] == crd.with_defaults(document, policy_crd.schema_of(document["kind"]))["spec"]


@pytest.mark.parametrize("name", POLICIES_MALFORMED)
def test_a_malformed_policy_is_refused_at_its_path(server: Server, name: str) -> None:
    document, path = POLICIES_MALFORMED[name]
    answer = try_policy(server, document)
    assert answer.status == 422
    assert path in {field for field, _ in answer.refusals}
