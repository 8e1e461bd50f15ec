"""`seatrial_scores`: what ends up in /metrics."""

from __future__ import annotations

import ast
import math
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from seatrial_scores import EDGES, MOST_DECISIONS, OTHER, Scores

ROOT = Path(__file__).parent.parent.parent
DIST = ROOT / "clients" / "python"
SOURCE = DIST / "seatrial_scores" / "__init__.py"


def shown(registry: CollectorRegistry) -> dict[str, float]:
    """Series and their values as a scrape finds them; the label `model` is left out where it is empty."""
    found = {}
    for line in generate_latest(registry).decode().splitlines():
        if not line.startswith("#"):
            series, value = line.rsplit(" ", 1)
            found[re.sub(r'model="",?|,model=""|\{\}', "", series).replace("{}", "")] = float(value)
    return found


def test_a_score_is_in_its_bucket_and_a_decision_is_counted() -> None:
    registry = CollectorRegistry()
    Scores(registry=registry).observe(0.97, decision="block")
    series = shown(registry)
    assert series['model_score_bucket{le="0.95"}'] == 0
    assert series['model_score_bucket{le="0.97"}'] == 1, "an edge belongs to the bucket below it"
    assert series["model_score_count"] == 1
    assert series['model_decisions_total{decision="block"}'] == 1


def test_a_model_may_have_scores_without_decisions() -> None:
    registry = CollectorRegistry()
    Scores(registry=registry).observe(0.5)
    assert shown(registry)["model_score_count"] == 1
    assert not any(series.startswith("model_decisions_total") for series in shown(registry))


def test_known_decisions_begin_at_zero() -> None:
    """Or the first event of a rare one would be taken for one that was always there."""
    registry = CollectorRegistry()
    Scores(decisions=("allow", "block"), registry=registry)
    series = shown(registry)
    assert series['model_decisions_total{decision="allow"}'] == 0
    assert series['model_decisions_total{decision="block"}'] == 0
    assert series["model_score_count"] == 0


@pytest.mark.parametrize("score", [-0.01, 1.01, 97.0, math.nan, math.inf, -math.inf])
def test_what_is_no_score_is_in_the_last_bucket(score: float) -> None:
    """A model that answers in percent, in log-odds or with NaN is seen as drift and goes on answering."""
    registry = CollectorRegistry()
    Scores(registry=registry).observe(score, decision="block")
    series = shown(registry)
    assert series['model_score_bucket{le="1.0"}'] == 0
    assert series['model_score_bucket{le="+Inf"}'] == 1
    assert math.isfinite(series["model_score_sum"]), "one NaN in a sum is there for good"
    assert series['model_decisions_total{decision="block"}'] == 1


def test_a_label_that_anybody_can_fill_does_not_grow_without_end() -> None:
    registry = CollectorRegistry()
    scores = Scores(decisions=("block",), registry=registry)
    for user in range(1000):
        scores.observe(0.5, decision=f"user-{user}")
    scores.observe(0.5, decision="block")
    series = {name: value for name, value in shown(registry).items() if name.startswith("model_decisions_total")}
    assert len(series) == MOST_DECISIONS + 1
    assert series[f'model_decisions_total{{decision="{OTHER}"}}'] == 1000 - (MOST_DECISIONS - 1)
    assert series['model_decisions_total{decision="block"}'] == 1, "known ones keep their names"


def test_a_histogram_is_forty_series_at_most() -> None:
    registry = CollectorRegistry()
    Scores(registry=registry)
    # Its edges, +Inf, the sum and the count; and when it was created, where nothing in the process has switched that off.
    told = [name for name in shown(registry) if not name.startswith("model_score_created")]
    assert len(told) == len(EDGES) + 3 <= 39


def test_two_models_of_one_server_are_told_apart() -> None:
    registry = CollectorRegistry()
    Scores(model="fraud", registry=registry).observe(0.9)
    Scores(model="churn", registry=registry)
    Scores(model="fraud", registry=registry).observe(0.9)
    series = shown(registry)
    assert series['model_score_count{model="fraud"}'] == 2, "a model that was loaded again goes on counting"
    assert series['model_score_count{model="churn"}'] == 0


def test_several_processes_count_together(tmp_path: Path) -> None:
    """As in gunicorn, and in MLServer with parallel workers."""
    count = "from seatrial_scores import Scores; Scores(decisions=['block', 'allow']).observe(0.9, decision='block')"
    show = (
        "from prometheus_client import CollectorRegistry, generate_latest, multiprocess as m;"
        "r = CollectorRegistry(); m.MultiProcessCollector(r); print(generate_latest(r).decode())"
    )
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PYTHONPATH": str(DIST)}

    def run(program: str) -> str:
        argv = [sys.executable, "-c", program]
        return subprocess.run(argv, env=environment, check=True, capture_output=True, text=True).stdout

    run(count)
    run(count)
    text = run(show)
    assert re.search(r'^model_score_bucket\{[^}]*le="0.9"[^}]*\} 2\.0$', text, re.MULTILINE)
    assert re.search(r'^model_decisions_total\{decision="block"[^}]*\} 2\.0$', text, re.MULTILINE)
    assert re.search(r'^model_decisions_total\{decision="allow"[^}]*\} 0\.0$', text, re.MULTILINE)


def test_the_edges_are_there_where_prometheus_client_is_not() -> None:
    program = (
        "import sys; sys.modules['prometheus_client'] = None\n"
        "from seatrial_scores import EDGES, Scores\n"
        "assert len(EDGES) == 36\n"
        "try: Scores()\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(DIST)}, check=True, capture_output=True, text=True
    )
    assert "add it to the model's image" in done.stdout


def test_it_runs_on_the_oldest_python_that_it_names() -> None:
    project = tomllib.loads((DIST / "pyproject.toml").read_text())["project"]
    oldest = tuple(int(part) for part in project["requires-python"].removeprefix(">=").split("."))
    ast.parse(SOURCE.read_text(), feature_version=(oldest[0], oldest[1]))


def test_it_installs_alone(tmp_path: Path) -> None:
    """Its wheel holds the module and its types, and asks for prometheus_client only."""
    argv = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*argv, "-w", str(tmp_path), str(DIST)], check=True, capture_output=True, text=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as files:
        names = files.namelist()
        (metadata,) = (name for name in names if name.endswith("METADATA"))
        wants = [line for line in files.read(metadata).decode().splitlines() if line.startswith("Requires-Dist")]
    assert {"seatrial_scores/__init__.py", "seatrial_scores/py.typed"} <= set(names)
    assert [re.split(r"[<>=]", want.split(": ")[1])[0] for want in wants] == ["prometheus-client"]
