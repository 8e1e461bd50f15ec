"""`seatrial presets`: shown, described, and tried on a real Prometheus; and what the page says of them."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
import yaml

from seatrial.api.spec import Check
from seatrial.cli.main import main
from seatrial.core.checks.preset import Preset
from seatrial.metrics import presets
from tests.metrics.conftest import Exporter, Prometheus, exporter, http_server, prometheus  # noqa: F401  fixtures
from tests.metrics.loads import page

PRESETS = presets.load()
DOCS = Path(__file__).parents[2] / "docs"


def run(*argv: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main(["presets", *argv])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_table_has_a_line_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys=capsys)
    head, *lines = out.splitlines()
    assert code == 0
    assert re.split(r" {3,}", head)[:3] == ["NAME", "KIND", "VERIFIED"]
    cells = {line.split()[0]: re.split(r" {3,}", line) for line in lines}
    assert set(cells) == set(PRESETS)
    assert cells["vllm"][1:] == ["runtime", "unverified", "yes", "yes", "buckets (s)", "yes", "yes"]
    assert cells["triton"][5] == "mean only (us)"
    assert cells["kserve-python"][2:5] == ["0.21.0", "yes", "no"]
    assert cells["knative"][1] == "gateway, by query"


def test_one_preset_is_shown_whole(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run("vllm", capsys=capsys)
    assert code == 0
    for said in (
        "unverified: names from the package vllm",
        "spec.runtime                 VLLM",
        '{namespace="$namespace",pod=~"$pods"}',
        'vllm:request_success_total{finished_reason=~"abort|error"}',
        "vllm:time_to_first_token_seconds_bucket (s)",
        "vllm:kv_cache_usage_perc",
        *PRESETS["vllm"].excludes,
        *PRESETS["vllm"].cannot_tell,
    ):
        assert said in out
    printed = [line.strip().removeprefix("- ") for line in out.splitlines() if line.startswith("  - {")]
    assert len(printed) == len(PRESETS["vllm"].templates)


@pytest.mark.parametrize("name", [name for name, preset in PRESETS.items() if preset.templates])
def test_a_printed_check_can_be_pasted(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(name, capsys=capsys)
    pasted = yaml.safe_load("\n".join(line for line in out.splitlines() if line.startswith("  - {")))
    assert [Check.model_validate(one).query for one in pasted] == [t.query for t in PRESETS[name].templates]


def test_as_data(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run("-o", "json", capsys=capsys)
    assert [one["name"] for one in json.loads(out)] == list(PRESETS)
    _, out, _ = run("triton", "--output", "json", capsys=capsys)
    triton = json.loads(out)
    assert (triton["verified"], triton["timed"], triton["mean"]["unit"]) == ("2.51.0", {}, "us")
    assert triton["errors"][0]["never"] == {"reason": "CANCELED"}


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["vlm"], "there is no preset vlm: did you mean vllm?"),
        (["zzz"], "there is no preset zzz: there are bentoml, dynamo, "),
        (["vllm", "triton"], "one preset at a time"),
        (["test"], "one preset at a time"),
        (["test", "vllm"], "presets test needs --prometheus"),
        (["test", "vllm", "--prometheus", "http://x", "--model", "chat"], "presets test needs --namespace"),
        (["test", "vllm", "--prometheus", "http://x", "-n", "models"], "presets test needs --model"),
    ],
)
def test_wrong_usage(argv: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(*argv, capsys=capsys)
    assert code == 2
    assert said in err


@pytest.mark.parametrize("window", ["0s", "2h", "soon"])
def test_a_window_that_is_none(window: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run("test", "vllm", "--window", window, capsys=capsys)
    assert code == 2
    assert "is not a time" in err


def test_a_prometheus_that_does_not_answer(capsys: pytest.CaptureFixture[str]) -> None:
    with http_server(lambda _path: (503, {}, b"")) as url:
        code, out, err = run("test", "vllm", "--prometheus", url, "-n", "m", "--model", "chat", capsys=capsys)
    assert (code, out) == (5, "")
    assert f"Prometheus at {url}" in err


@pytest.mark.contract
@pytest.mark.timeout(300)
def test_a_preset_is_tried_on_a_prometheus(
    prometheus: Prometheus,  # noqa: F811
    exporter: Exporter,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    exporter.pages["/recorded/mlserver"] = page("mlserver", "before")
    prometheus.wait_for('count_over_time(rest_server_requests_total{pod=~"mlserver-.*"}[10s]) > 2')
    exporter.pages["/recorded/mlserver"] = page("mlserver", "after")
    prometheus.wait_for('sum(rest_server_requests_total{pod=~"mlserver-.*",path=~".*infer",status_code="200"}) > 400')
    time.sleep(1.5)  # the last half second is not counted
    where = ("--prometheus", prometheus.url, "--namespace", "payments", "--model", "mlserver", "--window", "30s")
    code, out, _ = run("test", "mlserver", *where, capsys=capsys)
    assert code == 0
    assert "✔ rest_server_requests_total" in out
    assert "  444 requests\n  14 errors\n" in out, "both arms"
    assert "of 444 answers slower than" in out
    code, out, _ = run("test", "mlserver", *where, "--revision", "e04d5521aa", "-o", "json", capsys=capsys)
    found = json.loads(out)
    assert (code, found["usable"], found["requests"], found["errors"]) == (0, True, 222, 7)
    code, out, _ = run("test", "vllm", *where, capsys=capsys)
    assert code == 1
    assert "✘ http_requests_total" in out
    assert 'looked for {__name__="http_requests_total",namespace="payments",pod=~"mlserver-[0-9a-f]{10}-.*"' in out
    assert "Missing\n- no series of http_requests_total: nothing can be counted" in out


# --- the page ---------------------------------------------------------------------------------------------------------


def row(preset: Preset) -> str:
    """The line of `docs/presets.md`."""
    by = "by query" if preset.only_by_query else f"`{preset.runtimes[0]}`" if preset.runtimes else "any, at the gateway"
    mean = "mean only" if preset.mean is not None else "no"
    cells = (
        f"`{preset.name}`",
        by,
        preset.verified or "unverified",
        "yes" if preset.errors else "no",
        "yes" if preset.latency is not None else mean,
        "yes" if preset.first_token is not None else "no",
        "yes" if preset.inter_token is not None else "no",
    )
    return f"| {' | '.join(cells)} |"


def test_the_page_has_the_table_that_the_data_make() -> None:
    text = (DOCS / "presets.md").read_text()
    written = re.findall(r"^\| `[a-z0-9-]+` \| (?:`[A-Z]|by query|any).*$", text, re.MULTILINE)
    assert written == [row(PRESETS[name]) for name in PRESETS]


def test_the_page_names_every_field_of_a_file() -> None:
    text = (DOCS / "presets.md").read_text()
    used = set()
    for path in Path(presets.__file__).parent.glob("*.yaml"):
        used |= set(re.findall(r"^(\w+):", path.read_text(), re.MULTILINE))
    assert used <= set(re.findall(r"^\| `(\w+)`", text, re.MULTILINE)) | set(re.findall(r"`(\w+)`", text))


# --- lint -------------------------------------------------------------------------------------------------------------


def linted(tmp_path: Path, capsys: pytest.CaptureFixture[str], **spec: object) -> str:
    file = tmp_path / "chat.yaml"
    document = {
        "apiVersion": "seatrial.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": "chat", "namespace": "models"},
        "spec": {
            "replicas": 10,
            "model": {"name": "chat"},
            "template": {"spec": {"containers": [{"name": "model", "image": "x"}]}},
            "traffic": {"hostnames": ["chat.example.com"]},
            **spec,
        },
    }
    file.write_text(yaml.safe_dump(document))
    main(["lint", str(file)])
    return "\n".join(line for line in capsys.readouterr().out.splitlines() if ": error: " in line)


def checked(**fields: str) -> dict[str, object]:
    return {"checks": [{"name": "c", **fields}]}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (
            {"runtime": "Triton", "analysis": checked(preset="Latency", **{"from": "Runtime"})},
            (
                "spec.analysis.checks[0]: check c: p95 is unavailable for runtime Triton: its metrics have a mean only; "
                "use from: Gateway, or write a query"
            ),
        ),
        (
            {"runtime": "TorchServe", "traffic": {"replicaRatio": {}}},
            (
                "spec.analysis: check latency: p95 is unavailable for runtime TorchServe: its metrics have a mean only; "
                "no gateway counts here: write a query"
            ),
        ),
        (
            {"runtime": "MLServer", "analysis": checked(preset="FirstToken")},
            "check c: runtime MLServer has no metric of the time to the first token: remove the check, or write a query",
        ),
        (
            {"port": 80, "analysis": checked(preset="InterToken")},
            "check c: there is no metric preset for runtime Custom: remove the check, or write a query",
        ),
    ],
)
def test_lint_says_what_nobody_counts(
    spec: dict[str, object], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in linted(tmp_path, capsys, **spec)


@pytest.mark.parametrize(
    "spec",
    [
        {"runtime": "Triton", "analysis": checked(preset="Latency")},
        {"runtime": "Triton"},
        {"runtime": "VLLM", "analysis": checked(preset="FirstToken", slowerThan="500ms")},
        {"runtime": "MLServer", "traffic": {"replicaRatio": {}}},
        {"port": 80, "analysis": checked(preset="Latency")},
        {"runtime": "TorchServe", "traffic": {"replicaRatio": {}}, "analysis": {"none": "tried by hand"}},
    ],
)
def test_lint_leaves_alone_what_somebody_may_count(
    spec: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = linted(tmp_path, capsys, **spec)
    assert "check " not in said.replace("spec.analysis.checks", ""), said
