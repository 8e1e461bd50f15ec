"""An API server for the command line: the fake in this folder, or a real one."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev.controlplane import control_plane
from dev.errors import DevError
from seatrial.api import crd
from seatrial.cli.access import COMMANDS, Cluster, HttpError, Where
from seatrial.cli.main import main
from seatrial.core.commands import Command, parse
from tests.cli.fake import Fake
from tests.cli.worlds import WORLDS, at

Object = dict[str, Any]
_numbers = itertools.count(1)


@dataclass
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str


@dataclass
class Plane:
    """An API server, whichever it is, and a namespace of this test's own."""

    kubeconfig: Path
    namespace: str
    fake: Fake | None
    capsys: pytest.CaptureFixture[str]
    threads: list[threading.Thread] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.api = Cluster(Where(self.namespace, "", str(self.kubeconfig)))
        self.path = f"/apis/seatrial.dev/v1alpha1/namespaces/{self.namespace}/modeldeployments"

    def run(self, *argv: str) -> Result:
        """One command in this process."""
        self.capsys.readouterr()
        code = main([*argv, "-n", self.namespace, "--kubeconfig", str(self.kubeconfig)])
        said = self.capsys.readouterr()
        return Result(code, said.out, said.err)

    @contextmanager
    def start(self, *argv: str) -> Iterator[subprocess.Popen[str]]:
        """One command in a process of its own."""
        line = [sys.executable, "-m", "seatrial.cli.main", *argv]
        process = subprocess.Popen(
            [*line, "-n", self.namespace, "--kubeconfig", str(self.kubeconfig)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def put(self, world: str, name: str = "fraud") -> Object:
        """Store a model as it is in one of the worlds, its times moved to now."""
        obj = at(WORLDS[world](), datetime.now(UTC))
        status = obj.pop("status", None)
        obj["metadata"] = {"name": name}
        try:
            stored = self.api._json("POST", self.path, body=obj)
        except HttpError as error:
            if error.code != 409:
                raise
            stored = self.api.get(name)
        if status is not None:
            status["observedGeneration"] = stored["metadata"]["generation"]
            self.status(name, lambda _: status)
        return self.api.get(name)

    def status(self, name: str, change: Callable[[Object], Object]) -> None:
        """Write status as the operator does: against whatever is there now."""
        while True:
            obj = self.api.get(name)
            obj["status"] = change(obj.get("status") or {})
            try:
                self.api._json("PUT", f"{self.path}/{name}/status", body=obj)
                return
            except HttpError as error:
                if error.code != 409:
                    raise

    def delete(self, name: str) -> None:
        self.api._json("DELETE", f"{self.path}/{name}")

    def commands(self, name: str = "fraud") -> tuple[Command, ...]:
        return parse((self.api.get(name)["metadata"].get("annotations") or {}).get(COMMANDS, ""))

    def event(self, name: str, reason: str, message: str) -> None:
        """An event as the operator posts it."""
        stamp = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{name}.{next(_numbers)}", "namespace": self.namespace},
            "involvedObject": {"kind": "ModelDeployment", "name": name, "namespace": self.namespace},
            "reason": reason,
            "message": message,
            "eventTime": stamp,
            "type": "Warning",
            "action": reason,
            "reportingComponent": "seatrial",
            "reportingInstance": "test",
        }
        self.api._json("POST", f"/api/v1/namespaces/{self.namespace}/events", body=body)

    def operator(self, carry_out: Callable[[Object, Command], Object | str], name: str = "fraud") -> None:
        """Play the operator for one command: a new status, or a sentence that refuses."""

        def work() -> None:
            done = set(self.api.get(name).get("status", {}).get("commands") or [])
            end = time.monotonic() + 20
            new: list[Command] = []
            while time.monotonic() < end:
                new = [command for command in self.commands(name) if command.nonce not in done]
                if new:
                    break
                time.sleep(0.05)
            else:
                return
            refusals: list[str] = []

            def change(status: Object) -> Object:
                refusals.clear()
                answer = carry_out(status, new[0])
                if isinstance(answer, str):
                    refusals.append(answer)
                    answer = status
                return {**answer, "commands": [new[0].nonce, *(status.get("commands") or [])]}

            self.status(name, change)
            for why in refusals:
                self.event(name, "CommandRefused", f"{new[0].action} by {new[0].by} is refused: {why}")

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        self.threads.append(thread)


@pytest.fixture(scope="session")
def real() -> Iterator[Path]:
    """The kubeconfig of a real API server with the definition in it; skipped with the reason where none starts."""
    plane = control_plane()
    try:
        kubeconfig = plane.__enter__()
    except (DevError, OSError) as error:
        pytest.skip(f"no API server: {error}")
    try:
        api = Cluster(Where("default", "", str(kubeconfig)))
        api._json("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", body=crd.definition())
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                api._json("GET", "/apis/seatrial.dev/v1alpha1/modeldeployments")
                break
            except HttpError:
                time.sleep(0.1)
        yield kubeconfig
    finally:
        plane.__exit__(None, None, None)


def kubeconfig_of(url: str, folder: Path, namespace: str) -> Path:
    file = folder / "kubeconfig"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": namespace}}],
        "clusters": [{"name": "test", "cluster": {"server": url}}],
        "users": [{"name": "test", "user": {"token": "t"}}],
    }
    file.write_text(yaml.safe_dump(config))
    return file


@pytest.fixture
def fake_plane(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Plane]:
    """The fake alone, for what the real one cannot be asked for."""
    fake = Fake()
    try:
        plane = Plane(kubeconfig_of(fake.url, tmp_path, "payments"), "payments", fake, capsys)
        yield plane
        for thread in plane.threads:
            thread.join(20)
    finally:
        fake.close()


@pytest.fixture(params=["fake", pytest.param("real", marks=[pytest.mark.contract, pytest.mark.timeout(1800)])])
def plane(request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Plane]:
    """The API server under test, with an empty namespace."""
    if request.param == "fake":
        yield request.getfixturevalue("fake_plane")
        return
    kubeconfig: Path = request.getfixturevalue("real")
    namespace = f"cli-{os.getpid()}-{next(_numbers)}"
    plane = Plane(kubeconfig, namespace, None, capsys)
    plane.api._json("POST", "/api/v1/namespaces", body={"metadata": {"name": namespace}})
    yield plane
    for thread in plane.threads:
        thread.join(20)


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine that runs the tests."""
    for name in ("KUBECONFIG", "NO_COLOR", "FORCE_COLOR", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
