"""A real Prometheus on loopback, and a page for it to scrape."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from dev import tools
from dev.controlplane import free_port
from dev.errors import DevError
from tests.metrics.loads import LOADS, targets

Answer = tuple[int, dict[str, str], bytes]


@contextmanager
def http_server(answer: Callable[[str], Answer]) -> Iterator[str]:
    """A server that answers each path as it is told; its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            self.rfile.read(length)
            status, headers, body = answer(self.path)
            self.send_response(status)
            for name, value in {"content-length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815  the name that http.server calls

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass  # a client that goes away is part of the test

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class Exporter:
    """What the targets show, by path; no entry means that the scrape fails."""

    pages: dict[str, str] = field(default_factory=dict)
    address: str = ""

    def answer(self, path: str) -> Answer:
        page = self.pages.get(path)
        if page is None:
            return 503, {}, b""
        return 200, {"content-type": "text/plain; version=0.0.4"}, page.encode()


@dataclass
class Prometheus:
    url: str
    process: subprocess.Popen[bytes]

    def query(self, text: str) -> list[object]:
        address = f"{self.url}/api/v1/query?query={urllib.request.quote(text)}"  # type: ignore[attr-defined]
        with urllib.request.urlopen(address, timeout=5) as answer:
            found: list[object] = json.load(answer)["data"]["result"]
            return found

    def wait_for(self, text: str, seconds: float = 20.0) -> None:
        """Until a query finds something."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.query(text):
                return
            time.sleep(0.1)
        raise AssertionError(f"after {seconds:g} s nothing was found by {text}")

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """It hangs: connections are taken, and nobody answers."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


@pytest.fixture(scope="session")
def exporter() -> Iterator[Exporter]:
    out = Exporter()
    with http_server(out.answer) as address:
        out.address = address
        yield out


@contextmanager
def started(folder: Path, scrape: Sequence[object], **more: object) -> Iterator[Prometheus]:
    """A Prometheus that scrapes so every second; `SEATRIAL_TEST_PROMETHEUS` names another binary, `more` of its configuration."""
    try:
        binary = os.environ.get("SEATRIAL_TEST_PROMETHEUS") or str(tools.path("prometheus"))
    except DevError as error:
        pytest.skip(f"no Prometheus: {error}")
    config = folder / "prometheus.yml"
    config.write_text(
        json.dumps({"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": scrape, **more})
    )
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                binary,
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    out = Prometheus(f"http://127.0.0.1:{port}", process)
    try:
        for _ in range(200):
            try:
                with urllib.request.urlopen(f"{out.url}/-/ready", timeout=1):
                    break
            except OSError:
                time.sleep(0.1)
        else:
            raise AssertionError(f"Prometheus is not ready: {(folder / 'log').read_text()}")
        yield out
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def prometheus(exporter: Exporter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """One Prometheus for these tests, which scrapes every second."""
    folder: Path = tmp_path_factory.mktemp("prometheus")
    target = exporter.address.removeprefix("http://")
    jobs = {
        "plain": ("/plain", {}),
        **{job: (f"/recorded/{name}", labels) for name in LOADS for job, labels in targets(name).items()},
    }
    scrape = [
        {"job_name": job, "metrics_path": path, "static_configs": [{"targets": [target], "labels": labels}]}
        for job, (path, labels) in jobs.items()
    ]
    with started(folder, scrape) as out:
        yield out
