"""The client counts every request once, whatever the server does to it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dev.controlplane import free_port
from dev.errors import DevError
from dev.traffic import Report, Request, TrafficClient
from dev.traffic.addresses import resolve
from tests.traffic.server import EVENTS, Server, running

ROW = Request('{"inputs": []}', [1])
STREAM = Request('{"inputs": []}', [1], EVENTS)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as found:
        yield found


def run(
    port: int,
    path: str,
    row: Request = ROW,
    *,
    rate: float = 100,
    seconds: float = 0.5,
    deadline: float = 2,
    fresh_every: int = 4,
    stall: float | None = None,
) -> Report:
    client = TrafficClient(
        ("127.0.0.1", port),
        "m.example.com",
        path,
        [row],
        rate,
        deadline=deadline,
        fresh_every=fresh_every,
        stall=stall,
        seconds=seconds,
    )
    return client.start().wait()


def adds_up(report: Report) -> None:
    assert report.sent == report.answered + report.lost_total
    assert report.sent == sum(s.sent for s in report.seconds)
    assert report.answered == sum(s.answered for s in report.seconds)
    assert report.lost_total == sum(s.lost for s in report.seconds)


@pytest.mark.parametrize("path", ["/good", "/chunked", "/tillclose", "/slow"])
def test_answers_in_every_shape_are_answers(server: Server, path: str) -> None:
    report = run(server.port, path)
    adds_up(report)
    assert report.sent == 50
    assert report.lost == {}
    assert report.revisions == {"0123456789": 50}
    assert server.requests == 50


@pytest.mark.parametrize(
    ("path", "kind", "words"),
    [
        ("/10/reset", "reset", "bytes of the answer"),
        ("/10/half", "reset", "bytes of the answer"),
        ("/10/hang", "timeout", "within 0.4 s"),
        ("/10/status", "status", "503 no stable"),
        ("/10/wrong", "body", "expected [1], got [0]"),
    ],
)
def test_every_tenth_request_lost_is_counted_by_kind_and_not_tried_again(
    server: Server, path: str, kind: str, words: str
) -> None:
    report = run(server.port, path, deadline=0.4)
    adds_up(report)
    assert report.sent == 50
    assert report.lost == {kind: 5}
    assert server.requests == 50, "a retry would have been a request more"
    answerer = "0123456789" if kind in {"status", "body"} else ""
    assert report.lost_by == {answerer: 5}
    assert report.lost_beside("0123456789") == (0 if answerer else 5)
    assert report.lost_beside("") == 5, "what nobody answered is nobody's own"
    assert all(words in loss.detail for loss in report.losses)


def test_whole_streams_are_answers(server: Server) -> None:
    report = run(server.port, "/stream", STREAM)
    adds_up(report)
    assert report.lost == {}
    assert report.answered == 50
    assert report.latency["p50"] >= 0.02 * EVENTS


@pytest.mark.parametrize(
    ("path", "kind", "words"),
    [
        ("/stream-gap", "body", "expected event 2 of 5, got 'id: 3'"),
        ("/stream-wrong", "body", "event 2 of 5: expected [1], got [0]"),
        ("/stream-early", "body", "ended after 2 of 5 events"),
        ("/stream-cut", "reset", "bytes of the answer"),
        ("/stream-stall", "stall", "nothing came for 0.3 s"),
    ],
)
def test_a_stream_with_anything_missing_is_lost(server: Server, path: str, kind: str, words: str) -> None:
    report = run(server.port, path, STREAM, seconds=0.1, stall=0.3)
    adds_up(report)
    assert report.lost == {kind: 10}
    assert all(words in loss.detail for loss in report.losses), report.text()


def test_the_light_model_streams_and_is_slow_when_asked_and_finishes_what_it_began() -> None:
    """A stream may take longer than it may be silent. At SIGTERM nothing is cut, which is what lets a pod leave
    without a loss; new connections are refused."""
    requests, metrics = free_port(), free_port()
    takes, stall = 3, 2
    body = json.dumps({"parameters": {"seconds": takes, "events": EVENTS}, "inputs": []})
    with _light_model(requests, metrics) as model:
        clients = [
            TrafficClient(
                ("127.0.0.1", requests),
                "m",
                f"/v2/models/m/{path}",
                [Request(body, [1], events)],
                20,
                deadline=10 * takes,
                stall=silent,
            ).start()
            for path, events, silent in (("infer", None, None), ("infer_stream", EVENTS, stall))
        ]
        time.sleep(2)
        model.terminate()
        for report in [client.stop() for client in clients]:
            adds_up(report)
            begun = [loss for loss in report.losses if loss.kind != "refused" and "after 0 bytes" not in loss.detail]
            assert begun == [], report.text()
            assert report.answered > 20
            assert report.latency["p50"] >= takes > stall
        assert model.wait(5) == 0


@contextmanager
def _light_model(requests: int, metrics: int) -> Iterator[subprocess.Popen[str]]:
    """A light model that listens; whatever comes of the test, it leaves."""
    with subprocess.Popen(
        [sys.executable, ROOT / "dev" / "models" / "light" / "server.py"],
        env={**os.environ, "PORTS": f"{requests},{metrics}"},
        stderr=subprocess.PIPE,
        text=True,
    ) as model:
        try:
            assert model.stderr is not None
            assert "listens" in model.stderr.readline()
            yield model
        finally:
            model.kill()


def test_nobody_listens() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    report = run(port, "/good", seconds=0.2)
    assert report.lost == {"refused": 20}
    adds_up(report)


def test_a_server_that_stalls_does_not_slow_the_sender(server: Server) -> None:
    """A closed loop would send a request every 0.2 s over each connection and hide the stall."""
    report = run(server.port, "/slow", rate=100, seconds=1, fresh_every=0)
    assert report.sent == 100
    assert report.seconds[-1].at - report.seconds[0].at <= 2
    assert report.latency["p50"] >= 0.2


def test_connections_are_kept_and_fresh_ones_are_mixed_in(server: Server) -> None:
    report = run(server.port, "/good", fresh_every=5, rate=100, seconds=1)
    assert report.sent == 100
    assert 20 <= server.connections <= 30, "20 of their own, and a few that are kept"


def test_stopping_early_waits_for_what_is_under_way(server: Server) -> None:
    client = TrafficClient(("127.0.0.1", server.port), "m", "/slow", [ROW], 50, seconds=60).start()
    time.sleep(1.0)
    report = client.stop()
    adds_up(report)
    assert 25 <= report.sent < 200
    assert report.lost == {}
    assert sum(client.answers(10).values()) > 0
    assert client.totals()[0] == report.sent


def test_the_client_ends_when_its_owner_dies(server: Server) -> None:
    client = TrafficClient(("127.0.0.1", server.port), "m", "/good", [ROW], 50, seconds=60).start()
    process = client._process
    assert process is not None
    assert process.stdin is not None
    process.stdin.close()  # what the kernel does for a dead owner
    state = ""
    for _ in range(50):
        if (state := Path(f"/proc/{process.pid}/stat").read_text().split()[2]) == "Z":
            break
        time.sleep(0.1)
    assert state == "Z", "it has ended, and waits to be collected"
    adds_up(client.stop())


def test_two_hundred_a_second_are_cheap(server: Server) -> None:
    report = run(server.port, "/good", rate=200, seconds=2)
    assert report.sent == 400
    assert report.lost == {}
    assert report.cpu < 1.0, "half a core for 200 requests a second would disturb what it measures"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "198.18.0.7", "198.19.255.255"])
def test_local_addresses_are_allowed(host: str) -> None:
    assert resolve(host, 80) == (host, 80)


@pytest.mark.parametrize("host", ["192.0.2.1", "198.20.0.1", "10.0.0.1"])
def test_other_addresses_need_a_flag(host: str) -> None:
    with pytest.raises(DevError, match=r"add --anywhere if that is yours"):
        resolve(host, 80)
    assert resolve(host, 80, anywhere=True) == (host, 80)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--rate", "1001"], "--rate is above 0 and at most 1000"),
        (["--seconds", "3601"], "--seconds is above 0 and at most 3600"),
        (["--rate", "1000", "--seconds", "3600"], "more than the 500000"),
        (["--address", "nowhere"], "--address is IP:PORT"),
        (["--address", "192.0.2.1:80"], "--anywhere"),
    ],
)
def test_misuse_is_refused_with_a_sentence(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(ROW.line() + "\n")
    usual = ["--address", "127.0.0.1:1", "--host", "m", "--path", "/", "--requests", str(file)]
    done = subprocess.run(
        [sys.executable, "-m", "dev.traffic", *usual, *arguments], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 2
    assert sentence in done.stderr


def test_the_command_reports_for_people_and_for_programs(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(ROW.line() + "\n")
    usual = [
        sys.executable,
        "-m",
        "dev.traffic",
        "--address",
        f"127.0.0.1:{server.port}",
        "--host",
        "m",
        "--seconds",
        "0.3",
    ]
    text = subprocess.run(
        [*usual, "--path", "/5/wrong", "--requests", str(file)], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert text.returncode == 1
    assert "lost      6 (6 body)" in text.stdout
    lines = subprocess.run(
        [*usual, "--path", "/good", "--requests", str(file), "--json"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert lines.returncode == 0
    report = Report.from_json(json.loads(lines.stdout.splitlines()[-1])["report"])
    assert report.answered == 30
