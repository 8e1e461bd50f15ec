"""`seatrial lint`: what it finds, where it says it is, and how it ends."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from seatrial.api.lint import Severity, is_ours, lint
from seatrial.cli.lint import FOUND, OK, UNREADABLE
from seatrial.cli.lint import lint as lint_files
from tests.api.cases import BREAKING, MALFORMED, UNKNOWN, VALID, Case, resource, with_check, with_steps

ROOT = Path(__file__).resolve().parents[2]


def errors(document: dict[str, Any]) -> list[tuple[str, str]]:
    return [(found.path, found.message) for found in lint(document) if found.severity is Severity.ERROR]


@pytest.mark.parametrize("name", VALID)
def test_what_is_within_bounds_has_no_error(name: str) -> None:
    assert errors(VALID[name]) == []


@pytest.mark.parametrize("case", BREAKING, ids=lambda case: case.rule)
def test_a_broken_rule_is_an_error(case: Case) -> None:
    assert errors(case.document) == [(case.path, case.sentence)]


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_field_is_an_error_at_its_path(name: str) -> None:
    document, path = MALFORMED[name]
    assert path in [found for found, _ in errors(document)]


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_field_is_an_error_at_its_path(name: str) -> None:
    document, path = UNKNOWN[name]
    ((found, message),) = errors(document)
    assert found == path
    assert message.startswith("there is no field ")


def test_a_typo_is_told_from_a_stranger() -> None:
    assert errors(resource(replica=3)) == [("spec.replica", "there is no field replica; did you mean replicas?")]
    ((_, message),) = errors(
        resource(traffic={"hostnames": ["a"], "gatewayAPI": {"parentRefs": [{"name": "g", "x": 1}]}})
    )
    assert message == "there is no field x; known here are name, namespace, sectionName"


def test_messages_are_in_our_own_words() -> None:
    assert errors(resource(replicas="3")) == [("spec.replicas", '"3" cannot be: input should be a valid integer')]
    assert ("spec.traffic.drain", "30 is not a duration such as 90s, 10m or 1h30m") in errors(
        resource(traffic={"hostnames": ["a"], "drain": 30})
    )
    assert errors(resource(template=None)) == [("spec.template", "this field is required: the pods.")]


def test_all_problems_are_found_at_once() -> None:
    document = with_steps({"weight": 50}, {"weight": 5}) | {"metadata": {"name": "1"}}
    document["spec"] |= {"replicas": "3", "progressDeadline": "1s"}
    assert [path for path, _ in errors(document)] == [
        "spec.replicas",
        "metadata.name",
        "spec.progressDeadline",
        "spec.strategy.stages[0].canary.steps",
    ]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"apiVersion": "seatrial.dev/v2"}, "apiVersion"),
        ({"metadata": {}}, "metadata.name"),
        ({"metadata": None}, "metadata.name"),
        ({"spec": None}, "spec"),
        ({"spec": []}, "spec"),
        ({"sepc": {}}, "sepc"),
    ],
)
def test_the_outermost_level_is_looked_at_too(change: dict[str, Any], path: str) -> None:
    assert [found for found, _ in errors(resource() | change)] == [path]


def test_an_image_that_can_move_is_a_warning() -> None:
    document = resource(template={"spec": {"containers": [{"name": "m", "image": "iris:v1"}]}})
    (found,) = lint(document)
    assert (found.path, found.severity) == ("spec.template.spec.containers[0].image", Severity.WARNING)
    assert "iris:v1 can be moved" in found.message


def test_recorded_requests_for_no_version_are_a_warning() -> None:
    preflight = {"requests": {"configMapRef": {"name": "golden"}}}
    (found,) = lint(resource(preflight=preflight))
    assert (found.path, found.severity) == ("spec.model.version", Severity.WARNING)
    assert lint(resource(preflight=preflight, model={"name": "iris", "version": "1"})) == []


SHADOW: dict[str, Any] = {"shadow": {"percent": 20}}
FLIP: dict[str, Any] = {"blueGreen": {"approval": {}}}
SHARED: dict[str, Any] = {"canary": {"steps": [{"weight": 5}], "capacity": "Shared"}}
QUARTER: dict[str, Any] = {"canary": {"steps": [{"weight": 11}, {"weight": 25}]}}
PREVIEW: dict[str, Any] = {"traffic": {"hostnames": ["a.example.com"], "preview": {}}}


def leaving(seconds: int) -> dict[str, Any]:
    """A spec whose pods are killed so many seconds after they were told to leave; the drain is 30s."""
    pod = resource()["spec"]["template"]["spec"]
    return {"template": {"spec": {**pod, "terminationGracePeriodSeconds": seconds}}}


@pytest.mark.parametrize(
    ("spec", "path", "sentence"),
    [
        ({"strategy": {"stages": [SHADOW]}}, "spec.strategy.stages", "all traffic moves at once"),
        ({"strategy": {"stages": [FLIP]}}, "spec.traffic.preview", "there is no address to look at"),
        ({"strategy": {"stages": [SHARED]}}, "spec.strategy.stages", "cannot be sent back at once"),
        (
            {"replicas": 4, "traffic": {"replicaRatio": {}}, "strategy": {"stages": [QUARTER]}},
            "spec.strategy.stages",
            "steps give something else than they ask: 11 % is 1 of 5 pods, 20 %; 25 % is 1 of 5 pods, 20 %. Choose",
        ),
        (leaving(37), "spec.template.spec.terminationGracePeriodSeconds", "killed after 37s, the first 8s of which"),
        ({"strategy": {"probation": {"keep": "None"}}}, "spec.strategy.probation.keep", "as long as its pods need"),
        (
            {"traffic": {"hostnames": ["a.example.com"], "stickiness": {"cookie": {"maxAge": "14m"}}}},
            "spec.traffic.stickiness.cookie.maxAge",
            "clients drop the cookie",
        ),
    ],
)
def test_what_is_regretted_later_is_a_warning(spec: dict[str, Any], path: str, sentence: str) -> None:
    (found,) = lint(resource(**spec))
    assert (found.path, found.severity) == (path, Severity.WARNING)
    assert sentence in found.message


def test_sharing_and_keeping_all_of_it_is_a_contradiction() -> None:
    keeping = {"stages": [SHARED], "probation": {"keep": "Full"}}
    assert [found.path for found in lint(resource(strategy=keeping))] == [
        "spec.strategy.stages",
        "spec.strategy.probation.keep",
    ]
    assert len(lint(resource(strategy={**keeping, "probation": {"keep": "Full", "duration": "0s"}}))) == 1


@pytest.mark.parametrize(
    "spec",
    [
        {"strategy": {"stages": [{"canary": {"steps": [{"weight": 5}]}}]}},
        {"strategy": {"stages": [SHADOW, {"canary": {"steps": [{"weight": 5}]}}]}},
        {"strategy": {"stages": [SHADOW, FLIP]}} | PREVIEW,
        {"strategy": {"probation": {"keep": "None", "duration": "0s"}}},
        {"strategy": {"probation": {"keep": "Warm"}}},
        {"traffic": {"hostnames": ["a.example.com"], "stickiness": {"cookie": {"maxAge": "15m"}}}},
        {"traffic": {"hostnames": ["a.example.com"], "stickiness": {"header": {}}}},
        {"replicas": 20, "traffic": {"replicaRatio": {}}},
        leaving(38),
    ],
)
def test_what_is_a_matter_of_taste_is_not(spec: dict[str, Any]) -> None:
    assert lint(resource(**spec)) == []


def test_only_our_kind_of_our_group_is_ours() -> None:
    assert is_ours(resource())
    assert is_ours(resource() | {"apiVersion": "seatrial.dev/v9"})
    assert not is_ours(resource() | {"apiVersion": "example.com/v1alpha1"})
    assert not is_ours({"kind": "Service"})
    assert not is_ours(["a list"])


# ---------------------------------------------------------------------------------------------------------------------


def run(*paths: Path | str, policy: tuple[Path, ...] = (), as_json: bool = False) -> tuple[int, str]:
    out = io.StringIO()
    rules = [str(path) for path in policy]
    return lint_files([str(path) for path in paths], rules, as_json=as_json, out=out), out.getvalue()


def written(folder: Path, *documents: object) -> Path:
    path = folder / "models.yaml"
    path.write_text(yaml.safe_dump_all(documents, sort_keys=False))
    return path


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: path.name)
def test_the_examples_have_no_error(path: Path) -> None:
    code, text = run(path)
    assert (code, "0 errors" in text) == (OK, True), text


STRATEGIES = ("shadow-then-canary", "blue-green", "canary-with-probation", "fraud")


@pytest.mark.parametrize("name", STRATEGIES)
def test_an_example_of_a_strategy_has_no_finding(name: str) -> None:
    code, text = run(ROOT / "examples" / f"{name}.yaml")
    assert (code, text) == (OK, "1 ModelDeployment checked: 0 errors, 0 warnings\n")


def test_a_clean_file(tmp_path: Path) -> None:
    assert run(written(tmp_path, resource())) == (OK, "1 ModelDeployment checked: 0 errors, 0 warnings\n")


def test_a_finding_names_file_line_and_field(tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    path.write_text(
        "# ours\n"
        "apiVersion: seatrial.dev/v1alpha1\n"
        "kind: ModelDeployment\n"
        "metadata: {name: iris}\n"
        "spec:\n"
        "  port: 80\n"
        "  template: {spec: {containers: [{name: m, image: 'i@sha256:1'}]}}\n"
        "  traffic: {hostnames: [a.example.com]}\n"
        "  strategy:\n"
        "    stages:\n"
        "    - canary:\n"
        "        steps:\n"
        "        - weight: 5\n"
        "        - weight: 50\n"
        "          minDuratoin: 5m\n"
        "  progressDeadline: 1s\n"
    )
    code, text = run(path)
    step = "spec.strategy.stages[0].canary.steps[1]"
    assert code == FOUND
    assert text.splitlines() == [
        f"{path}:15: error: {step}.minDuratoin: there is no field minDuratoin; did you mean minDuration?",
        f"{path}:16: error: spec.progressDeadline: progressDeadline is 1s and no pod is ready that fast: set 10s or more",
        "1 ModelDeployment checked: 2 errors, 0 warnings",
    ]


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("sum(rate(a{$selector}[$window])", "does not parse"),
        ("sum(rate(a{$selector}[5m])) / sum(rate(b[5m]))", "b would read every namespace"),
        ('sum(a{namespace="$namespace"}) or sum(b{namespace="other"})', "b reads another namespace"),
        ("sum(a{$selector}[5m])", "does not parse"),
    ],
)
def test_a_query_that_the_operator_would_refuse_is_an_error(tmp_path: Path, query: str, problem: str) -> None:
    code, text = run(written(tmp_path, with_check(query=query, max="1")))
    assert code == FOUND
    (line,) = [line for line in text.splitlines() if ": error: " in line]
    assert ": error: spec.analysis.checks[0].query: check c: " in line
    assert problem in line


def test_a_query_without_any_place_holder_is_said_once(tmp_path: Path) -> None:
    _, text = run(written(tmp_path, with_check(query="sum(up)", max="1")))
    assert text.count(": error: ") == 1


def test_warnings_do_not_fail(tmp_path: Path) -> None:
    code, text = run(written(tmp_path, resource(template={"spec": {"containers": [{"name": "m", "image": "i"}]}})))
    assert code == OK
    assert "warning: spec.template.spec.containers[0].image: i can be moved" in text
    assert text.endswith("1 ModelDeployment checked: 0 errors, 1 warning\n")


@pytest.mark.parametrize("name", ["seatrial.dev/commands", "seatrial.dev/spec-by"])
def test_a_file_that_speaks_for_others_is_warned_of(tmp_path: Path, name: str) -> None:
    """Exported with `kubectl get -o yaml` and committed, most likely."""
    document = resource()
    document["metadata"]["annotations"] = {name: "n1 abort e04d5521aa bob", "example.com/team": "risk"}
    code, text = run(written(tmp_path, document))
    assert code == OK
    assert f"warning: metadata.annotations.{name}: {name} is about the object in the cluster" in text
    assert text.endswith("0 errors, 1 warning\n")


def test_other_kinds_are_skipped_and_said(tmp_path: Path) -> None:
    service = {"kind": "Service", "metadata": {"name": "s", "namespace": "n"}}
    code, text = run(written(tmp_path, resource(), service, None, ["odd"]))
    assert code == OK
    assert ": skipped Service n/s\n" in text
    assert ": skipped something that is no object\n" in text


def test_a_file_without_a_model_is_no_success(tmp_path: Path) -> None:
    code, text = run(written(tmp_path, {"kind": "Service", "metadata": {"name": "s"}}))
    assert code == UNREADABLE
    assert "holds no ModelDeployment" in text


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a: [", "expected the node content"),
        (b"a: 1\na: 2\n", "the key a is given twice"),
        (b"\xff\xfe\x00", "decode"),
    ],
)
def test_a_file_that_cannot_be_read_is_said_and_the_others_are_checked(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_bytes(content)
    code, text = run(bad, tmp_path / "none.yaml", written(tmp_path, resource("1iris")))
    assert code == UNREADABLE
    assert f"{bad}: cannot be read: " in text
    assert reason in text
    assert f"{tmp_path / 'none.yaml'}: cannot be read: No such file or directory" in text
    assert "1iris names Services too" in text


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(resource(replicas=-1))))
    code, text = run("-")
    assert code == FOUND
    assert text.startswith("standard input:1: error: spec.replicas: -1 cannot be: ")


def test_a_date_without_quotes_is_text_as_it_is_for_kubectl(tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    path.write_text(
        yaml.safe_dump(resource(model={"name": "iris", "version": "V"})).replace("version: V", "version: 2026-11-20")
    )
    assert run(path)[0] == OK


def test_findings_for_programs(tmp_path: Path) -> None:
    path = written(tmp_path, resource(replicas=-1), {"kind": "Service"})
    code, text = run(path, as_json=True)
    said = json.loads(text)
    assert code == FOUND
    assert said["findings"] == [
        {
            "file": str(path),
            "line": said["findings"][0]["line"],
            "object": "ModelDeployment default/iris",
            "path": "spec.replicas",
            "severity": "error",
            "message": "-1 cannot be: input should be greater than or equal to 0",
        }
    ]
    assert said["summary"] == "1 ModelDeployment checked: 1 error, 0 warnings"
    assert len(said["notes"]) == 1
