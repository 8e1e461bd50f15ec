"""`--from-prometheus` against a real Prometheus that has an hour behind it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from seatrial.build.revision import revision
from seatrial.cli.errors import OK
from seatrial.cli.main import main
from tests.metrics.conftest import Exporter, http_server, started

pytest.importorskip("numpy", reason="make test installs numpy")
pytestmark = [pytest.mark.contract, pytest.mark.timeout(300)]

from seatrial.cli.simulating import _course  # noqa: E402  it needs numpy

SCRAPE, PAST = 15, 4500
EDGES = {"0.1": 0.1, "0.2": 0.25, "0.4": 0.45, "0.6": 0.65, "0.8": 0.9, "+Inf": 1.0}
"""Of the scores: the part of them up to each edge."""


@pytest.fixture
def plan(tmp_path: Path) -> str:
    checks = [
        {"name": "errors", "preset": "Errors", "margin": {"points": "2"}},
        {"name": "latency", "preset": "Latency", "slowerThan": "250ms"},
        {"name": "scores", "drift": {"histogram": "model_score"}},
    ]
    spec = {
        "runtime": "MLServer",
        "model": {"name": "fraud"},
        "template": {"spec": {"containers": [{"name": "m", "image": "fraud@sha256:" + "9" * 64}]}},
        "traffic": {"hostnames": ["fraud.example.com"]},
        "strategy": {
            "stages": [{"canary": {"steps": [{"weight": 50, "minDuration": "2m"}]}}],
            "probation": {"duration": "0s"},
        },
        "analysis": {"checks": checks},
    }
    head = {
        "apiVersion": "seatrial.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": "fraud", "namespace": "payments"},
    }
    path = tmp_path / "fraud.yaml"
    path.write_text(yaml.safe_dump({**head, "spec": spec}), encoding="utf-8")
    return str(path)


def page(pod: str, now: int) -> str:
    """Samples of the time before: 30 requests a second, and 60 from half an hour ago on; 2 % fail, 5 % are slow."""
    cluster = 'envoy_cluster_name="httproute/payments/fraud/rule/0/backend/1"'
    out: list[str] = []

    def series(metric: str, labels: str, part: float) -> None:
        for at in range(now - PAST, now, SCRAPE):
            total = 30 * (at - now + PAST) + 30 * max(0, at - (now - 1800))
            out.append(f"{metric}{{{labels}}} {round(total * part)} {at * 1000}")

    series("envoy_cluster_membership_total", cluster, 0.0)
    for code, part in (("2", 0.98), ("5", 0.02)):
        series("envoy_cluster_upstream_rq_xx", f'{cluster},envoy_response_code_class="{code}"', part)
    for le, part in (("100", 0.8), ("250", 0.95), ("500", 0.99), ("+Inf", 1.0)):
        series("envoy_cluster_upstream_rq_time_bucket", f'{cluster},le="{le}"', part)
    for le, part in EDGES.items():
        series("model_score_bucket", f'namespace="payments",pod="{pod}",le="{le}"', part)
    return "\n".join([*out, ""])


def test_the_past_that_a_real_prometheus_has_comes_again(
    plan: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pod = f"fraud-{revision(_course(plan)[1])}-x"
    exporter = Exporter(pages={"/past": page(pod, int(time.time()))})
    options = ("--bad", "12%", "--drift", "1", "--runs", "20", "--longest", "30m", "-o", "json")
    with http_server(exporter.answer) as address:
        job: dict[str, Any] = {
            "job_name": "past",
            "metrics_path": "/past",
            "static_configs": [{"targets": [address.removeprefix("http://")]}],
        }
        old = {"tsdb": {"out_of_order_time_window": "3h"}}
        with started(tmp_path, [job], storage=old) as prometheus:
            prometheus.wait_for("count_over_time(model_score_bucket[1h]) > 200")
            assert main(["simulate", plan, "--from-prometheus", prometheus.url, "--window", "1h", *options]) == OK
            said = json.loads(capsys.readouterr().out)
    assert said["traffic"]["replayed"] is True
    assert said["traffic"]["requestsPerSecond"] == pytest.approx(45.0, rel=0.03)
    assert said["traffic"]["shares"] == {
        "errors": pytest.approx(0.02, rel=0.03),
        "latency": pytest.approx(0.05, rel=0.03),
    }
    scores = said["traffic"]["predictions"]["scores"]
    assert list(scores) == list(EDGES)
    assert scores["0.4"] == pytest.approx(0.2, abs=0.002)
    good, _, bad, drifted = said["candidates"]
    assert (good["sentBack"], good["paused"], good["accepted"]) == (0, 0, 20)
    assert (bad["sentBack"], bad["accepted"]) == (20, 0)
    assert (drifted["paused"], drifted["accepted"]) == (20, 0)
