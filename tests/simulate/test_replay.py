"""`--from-prometheus`: the past comes again with its rates, its shares and its bad hours."""

from __future__ import annotations

import json
import re
import threading
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from seatrial.cli.errors import OK, USAGE
from seatrial.cli.main import main

np = pytest.importorskip("numpy", reason="make test installs numpy")
pytestmark = pytest.mark.timeout(300)

SCRAPE = 15.0


class Past:
    """A Prometheus that has seen one Envoy: stable in slot 1, first 30 requests a second, then 60, of which 2 % fail."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.empty = False

    def answer(self, query: str, at: float) -> dict[str, Any]:
        self.asked.append(query)
        if query.startswith("count("):
            return {"resultType": "vector", "result": [] if self.empty else [{"value": [at, "1"]}]}
        seconds = float(re.findall(r"\[(\d+)s\]$", query)[0])
        if "backend/1" not in query:
            return {"resultType": "matrix", "result": []}
        first = at // SCRAPE * SCRAPE - seconds // SCRAPE * SCRAPE + SCRAPE
        times = [first + index * SCRAPE for index in range(int(seconds // SCRAPE))]
        middle = times[len(times) // 2]

        def total(t: float) -> float:
            return 30.0 * (t - first) + 30.0 * max(0.0, t - middle)

        def series(name: str, share: float, **labels: str) -> dict[str, Any]:
            metric = {"__name__": name, "instance": "envoy:19001", "job": "envoy", **labels}
            return {"metric": metric, "values": [[t, str(round(total(t) * share))] for t in times]}

        proof = series("envoy_cluster_membership_total", 0.0)
        codes = [
            series("envoy_cluster_upstream_rq_xx", share, envoy_response_code_class=code)
            for code, share in (("2", 0.98), ("5", 0.02))
        ]
        return {"resultType": "matrix", "result": [proof, *codes]}


@pytest.fixture
def past() -> Iterator[tuple[Past, str]]:
    seen = Past()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = urllib.parse.parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
            data = seen.answer(body["query"][0], float(body["time"][0]))
            text = json.dumps({"status": "success", "data": data}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def do_GET(self) -> None:
            self.send_response(404)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield seen, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def plan(tmp_path: Path) -> str:
    spec = {
        "port": 8080,
        "template": {"spec": {"containers": [{"name": "m", "image": "fraud@sha256:" + "9" * 64}]}},
        "traffic": {"hostnames": ["fraud.example.com"]},
        "strategy": {
            "stages": [{"canary": {"steps": [{"weight": 50, "minDuration": "2m"}]}}],
            "probation": {"duration": "0s"},
        },
        "analysis": {"checks": [{"name": "errors", "preset": "Errors", "margin": {"points": "2"}}]},
    }
    head = {
        "apiVersion": "seatrial.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": "fraud", "namespace": "payments"},
    }
    path = tmp_path / "fraud.yaml"
    path.write_text(yaml.safe_dump({**head, "spec": spec}), encoding="utf-8")
    return str(path)


def test_the_past_comes_again(past: tuple[Past, str], plan: str, capsys: pytest.CaptureFixture[str]) -> None:
    seen, url = past
    options = (
        "--from-prometheus",
        url,
        "--window",
        "2h",
        "--bad",
        "12%",
        "--runs",
        "30",
        "--longest",
        "30m",
        "-o",
        "json",
    )
    assert main(["simulate", plan, *options]) == OK
    said = json.loads(capsys.readouterr().out)
    assert said["traffic"]["replayed"] is True
    assert said["traffic"]["requestsPerSecond"] == pytest.approx(45.0, rel=0.03)
    assert said["traffic"]["shares"]["errors"] == pytest.approx(0.02, rel=0.03)
    good, _, bad = said["candidates"]
    assert (good["sentBack"], bad["sentBack"], bad["accepted"]) == (0, 30, 0)
    assert any('envoy_cluster_name="httproute/payments/fraud/rule/0/backend/0"' in query for query in seen.asked)


def test_rates_and_shares_are_those_of_each_window(past: tuple[Past, str], plan: str) -> None:
    from datetime import timedelta

    from seatrial.cli.simulating import _course
    from seatrial.simulate.replay import replay

    found, raw, namespace = _course(plan)
    record = replay(past[1], timedelta(hours=2), found, raw, namespace, "", 1.0).record
    assert record is not None
    assert len(record.rates) == 480
    assert record.rates[10] == pytest.approx(30.0)
    assert record.rates[-10] == pytest.approx(60.0)
    assert record.shares["errors"][10] == pytest.approx(0.02, abs=0.003)


def test_a_past_that_is_not_there_is_told(
    past: tuple[Past, str], plan: str, capsys: pytest.CaptureFixture[str]
) -> None:
    seen, url = past
    seen.empty = True
    assert main(["simulate", plan, "--from-prometheus", url]) == USAGE
    assert "--from-prometheus: check errors: stable revision" in capsys.readouterr().err
    assert main(["simulate", plan, "--from-prometheus", "http://127.0.0.1:1"]) == USAGE
    assert "refused the connection" in capsys.readouterr().err
    assert main(["simulate", plan, "--from-prometheus", url, "--rate", "20"]) == USAGE
    assert "leave --rate" in capsys.readouterr().err
    assert main(["simulate", plan, "--from-prometheus", url, "--window", "1m"]) == USAGE
    assert "--window: it is 10m to 168h" in capsys.readouterr().err
