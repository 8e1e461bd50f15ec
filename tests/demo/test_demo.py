"""The parts of the demo that can be wrong without a cluster."""

from __future__ import annotations

import difflib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml

from dev.demo import table
from dev.demo.breach import first_breach
from dev.demo.script import ACTS
from dev.demo.table import Ending
from dev.traffic import Report

ROOT = Path(__file__).resolve().parents[2]


def test_it_starts_with_nothing_installed() -> None:
    """`-S` hides every package; an import of one would be the first thing a newcomer sees fail."""
    began = time.monotonic()
    code = "import dev.demo.__main__ as demo, dev.demo.ground as ground; print(ground.expectations())"
    done = subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "min" in done.stdout
    assert time.monotonic() - began < 2, "the first words come within two seconds"


@pytest.mark.parametrize("version", ["v2", "v3", "v4"])
def test_the_versions_differ_only_in_what_the_story_says(version: str) -> None:
    first, other = ((ROOT / "examples" / "demo" / f"{name}.yaml").read_text().splitlines() for name in ("v1", version))
    changed = [
        line[1:].strip() for line in difflib.unified_diff(first, other, n=0) if line[:2] not in {"++", "--", "@@"}
    ]
    fields = {line.split(":")[0] for line in changed if not line.startswith("#")}
    assert fields == {"version", "image", "configMapRef"}


def test_the_last_version_differs_in_a_shadow_and_in_what_is_judged_too() -> None:
    first, last = (yaml.safe_load((ROOT / "examples" / "demo" / f"{name}.yaml").read_text()) for name in ("v2", "v5"))
    shadow = last["spec"]["strategy"]["stages"].pop(0)
    assert list(shadow) == ["shadow"]
    judged = last["spec"]["analysis"]["checks"]
    own = {check["name"] for check in judged} - {check["name"] for check in first["spec"]["analysis"]["checks"]}
    last["spec"]["analysis"]["checks"] = [check for check in judged if check["name"] not in own]
    assert json.loads(json.dumps(last).replace("v5", "v2")) == first


def report(lost_by: dict[str, int]) -> Report:
    lost = sum(lost_by.values())
    return Report(
        sent=1000 + lost,
        answered=1000,
        lost={"status": lost} if lost else {},
        late=0,
        worst_late=0.0,
        latency={"p50": 0.004, "p99": 0.02},
        revisions={"good": 900, "bad": 100},
        lost_by=lost_by,
        seconds=[],
        losses=[],
    )


ENDINGS = (
    Ending(ACTS[1], "good", 90.4, "Promoted", "Promoted", "accepted"),
    Ending(ACTS[3], "bad", 55.0, "RolledBack", "CheckFailed", "errors 28 % vs 0 %", 7.2),
)


@pytest.mark.parametrize(
    ("lost_by", "lost"),
    [
        ({}, 0),
        ({"bad": 60}, 0),  # it was on trial for exactly that
        ({"good": 1}, 1),
        ({"": 2}, 2),  # nobody is known to have answered
        ({"good": 1, "bad": 60, "": 2}, 3),
    ],
)
def test_only_the_answers_of_a_version_that_was_sent_back_are_its_own_fault(lost_by: dict[str, int], lost: int) -> None:
    assert table.lost(report(lost_by), ENDINGS) == lost
    assert f"requests lost       {lost}\n" in table.text(report(lost_by), ENDINGS)


def test_the_table_says_who_decided_and_how_fast() -> None:
    text = table.text(report({"bad": 60}), ENDINGS)
    assert "v4       bad       RolledBack   55 s  the operator, on its checks       160     60" in text
    assert "v4 went back in   7.2 s" in text


@pytest.mark.parametrize("lost_by", [{"good": 1}, {}])
def test_a_version_that_nobody_should_meet_must_not_answer_anybody(lost_by: dict[str, int]) -> None:
    fifth = Ending(ACTS[4], "fifth", 40.0, "RolledBack", "CheckFailed", "cleared 80 % vs 65 %")
    assert table.met(report(lost_by), [*ENDINGS, fifth]) == []
    assert "v5       fifth     RolledBack   40 s  the operator, on copies             0      0" in table.text(
        report(lost_by), [*ENDINGS, fifth]
    )
    (sentence,) = table.met(report({"fifth": 3}), [*ENDINGS, fifth])
    assert sentence == "v5 answered 3 requests of users, and none was to reach it"


class Prometheus(BaseHTTPRequestHandler):
    """Answers every range query with the series of the test."""

    series: tuple[list[list[object]], ...] = ()

    def do_GET(self) -> None:
        body = json.dumps({"data": {"result": [{"values": values} for values in self.series]}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def prometheus() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Prometheus)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("series", "at"),
    [
        ([[[95, "0"], [100, "0"], [105, "3"], [110, "9"]]], 105),  # it was 0 before
        ([[[105, "3"], [110, "9"]]], 105),  # born with its first error
        ([[[90, "7"], [95, "7"], [105, "7"], [110, "8"]]], 110),  # errors of somebody before it in this slot
        ([[[105, "0"], [115, "1"]], [[100.5, "0"], [110.5, "2"]]], 110.5),  # two proxies: the first to tell
        ([[[105, "0"], [110, "0"]]], None),
        ([], None),
    ],
)
def test_the_first_scrape_that_shows_a_breach(
    prometheus: str, series: list[list[list[object]]], at: float | None
) -> None:
    Prometheus.series = tuple(series)
    since = datetime.fromtimestamp(98, UTC)
    found = first_breach(prometheus, "Gateway", namespace="demo", model="m", revision="r", slot=1, since=since)
    assert found == (None if at is None else datetime.fromtimestamp(at, UTC))
