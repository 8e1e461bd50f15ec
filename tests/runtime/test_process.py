"""The whole process against a real API server: it leads, works, is killed, is followed, stops in order."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dev.controlplane import free_port
from seatrial.cluster.client import Client
from seatrial.cluster.kinds import DEPLOYMENT, HTTP_ROUTE, LEASE, MODEL_DEPLOYMENT, SERVICE
from tests.cluster_io.conftest import Plane, RealServer
from tests.cluster_io.objects import gateway, model
from tests.support.cluster import SmallCluster

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(300),
    # A whole process is tried against the real API server only.
    pytest.mark.parametrize("plane", ["real"], indirect=True),
]

RUN = """
import argparse, sys
from seatrial.runtime.main import run
from seatrial.runtime.settings import add_arguments
parser = argparse.ArgumentParser()
add_arguments(parser)
sys.exit(run(parser.parse_args()))
"""


@dataclass
class Process:
    """One operator."""

    popen: subprocess.Popen[bytes]
    probes: int
    metrics: int
    log: Path

    async def get(self, path: str, port: int | None = None) -> tuple[int, str]:
        def ask() -> tuple[int, str]:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port or self.probes}{path}", timeout=2) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode()
            except OSError as error:
                return 0, str(error)

        return await asyncio.to_thread(ask)

    async def ready(self, seconds: float = 20.0) -> None:
        async with asyncio.timeout(seconds):
            while await self.get("/readyz") != (200, "ok\n"):
                await asyncio.sleep(0.1)

    async def leads(self) -> bool:
        _, text = await self.get("/metrics", self.metrics)
        return "seatrial_leader 1.0" in text

    def kill(self, number: signal.Signals) -> None:
        self.popen.send_signal(number)

    async def ended(self, seconds: float = 10.0) -> int:
        return await asyncio.to_thread(self.popen.wait, seconds)


@dataclass
class Setting:
    plane: Plane
    client: Client
    kubeconfig: Path
    folder: Path
    processes: list[Process] = field(default_factory=list)

    def start(self, **more: object) -> Process:
        log = self.folder / f"operator-{len(self.processes)}.log"
        probes, metrics = free_port(), free_port()
        flags = {
            "--kubeconfig": self.kubeconfig,
            "--namespace": self.plane.namespace,
            "--lease-namespace": self.plane.namespace,
            "--gateway": f"{self.plane.namespace}/public",
            "--probe-port": probes,
            "--metrics-port": metrics,
            "--dwell": "50ms",
            "--log-level": "debug",
            **{f"--{name.replace('_', '-')}": value for name, value in more.items()},
        }
        argv = [sys.executable, "-W", "error", "-c", RUN, *(str(part) for pair in flags.items() for part in pair)]
        with log.open("wb") as out:
            popen = subprocess.Popen(argv, stderr=out, stdout=out, env={**os.environ, "PYTHONUNBUFFERED": "1"})
        process = Process(popen, probes, metrics, log)
        self.processes.append(process)
        return process

    async def model(self, name: str = "fraud") -> None:
        steps = [{"weight": 50, "minDuration": "1s"}]
        manifest = model(
            self.plane.namespace,
            name,
            strategy={"stages": [{"canary": {"steps": steps}}], "probation": {"duration": "0s"}},
            analysis={"none": "a test", "checks": []},
        )
        manifest["spec"]["traffic"] = {"hostnames": [f"{name}.example.com"], "drain": "1s"}
        await self.client.create(manifest)

    async def status(self, name: str = "fraud") -> dict[str, Any]:
        return (await self.client.get(MODEL_DEPLOYMENT, self.plane.namespace, name)).get("status") or {}

    async def until(
        self, condition: Callable[[dict[str, Any]], object], seconds: float = 40.0, *, name: str = "fraud"
    ) -> dict[str, Any]:
        try:
            async with asyncio.timeout(seconds):
                while not condition(status := await self.status(name)):
                    await asyncio.sleep(0.05)
                return status
        except TimeoutError:
            logs = "\n".join(process.log.read_text() for process in self.processes)
            raise AssertionError(f"not so after {seconds} s: {await self.status(name)}\n{logs}") from None

    async def leader(self, seconds: float = 30.0) -> Process:
        try:
            async with asyncio.timeout(seconds):
                while True:
                    for process in self.processes:
                        if process.popen.poll() is None and await process.leads():
                            return process
                    await asyncio.sleep(0.05)
        except TimeoutError:
            logs = "\n".join(process.log.read_text() for process in self.processes)
            raise AssertionError(f"nobody leads after {seconds} s\n{logs}") from None


@asynccontextmanager
async def _ticking(cluster: SmallCluster) -> AsyncIterator[None]:
    task = asyncio.create_task(cluster.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def setting(plane: Plane, client: Client, request: Any, tmp_path: Path) -> AsyncIterator[Setting]:
    real: RealServer = request.getfixturevalue("real")
    await client.create(gateway(plane.namespace))
    setting = Setting(plane, client, real.kubeconfig, tmp_path)
    async with _ticking(SmallCluster(client, plane.namespace)):
        yield setting
    for process in setting.processes:
        if process.popen.poll() is None:
            process.popen.kill()
        process.popen.wait()


def stable(status: dict[str, Any]) -> bool:
    return status.get("phase") == "Stable"


async def test_a_process_leads_works_and_stops_in_order(setting: Setting) -> None:
    process = setting.start()
    await setting.leader()
    await setting.model()
    await setting.until(stable)
    assert await process.get("/healthz") == (200, "ok\n")
    assert await process.get("/readyz") == (200, "ok\n")
    _, text = await process.get("/metrics", process.metrics)
    assert f'seatrial_phase{{name="fraud",namespace="{setting.plane.namespace}",phase="Stable"}} 1.0' in text
    begun = time.monotonic()
    process.kill(signal.SIGTERM)
    assert await process.ended() == 0
    assert time.monotonic() - begun < 5
    lease = await setting.client.get(LEASE, setting.plane.namespace, "seatrial")
    assert not lease["spec"].get("holderIdentity")
    log = process.log.read_text()
    assert "Traceback" not in log
    assert "Warning" not in log


async def test_at_rest_nothing_is_asked_but_the_lease(setting: Setting) -> None:
    process = setting.start()
    await setting.leader()
    await setting.model()
    await setting.until(stable)
    await asyncio.sleep(3)

    async def calls() -> dict[str, float]:
        _, text = await process.get("/metrics", process.metrics)
        lines = (line.rpartition(" ") for line in text.splitlines() if line.startswith("seatrial_api_requests_total"))
        return {name: float(count) for name, _, count in lines}

    before = await calls()
    await asyncio.sleep(6)
    after = await calls()
    moved = {name for name in after if after[name] != before.get(name)}
    assert all("leases" in name for name in moved), moved
    assert not any('verb="get"' in name for name in moved)


async def test_hand_edits_are_put_back_within_two_seconds(setting: Setting) -> None:
    setting.start()
    await setting.leader()
    await setting.model()
    revision = (await setting.until(stable))["stable"]
    await asyncio.sleep(2)
    space = setting.plane.namespace
    edits: list[tuple[Any, str, dict[str, Any], Callable[[dict[str, Any]], bool]]] = [
        (DEPLOYMENT, f"fraud-{revision}", {"spec": {"replicas": 0}}, lambda o: o["spec"]["replicas"] == 2),
        (
            HTTP_ROUTE,
            "fraud",
            {"spec": {"hostnames": ["evil.example.com"]}},
            lambda o: o["spec"]["hostnames"] == ["fraud.example.com"],
        ),
        (
            SERVICE,
            "fraud",
            {"metadata": {"labels": {"seatrial.dev/model": None, "app.kubernetes.io/managed-by": None}}},
            lambda o: "seatrial.dev/model" in o["metadata"].get("labels", {}),
        ),
    ]
    for kind, name, edit, right in edits:
        async with setting.plane.client(manager="kubectl-edit") as person:
            edited = await person.patch(kind, space, name, edit)
        assert not right(edited)
        begun = time.monotonic()
        async with asyncio.timeout(10):
            while not right(await setting.client.get(kind, space, name)):
                await asyncio.sleep(0.02)
        assert time.monotonic() - begun < 2, f"{kind.kind} {edit}"


async def test_trials_wait_for_one_another(setting: Setting) -> None:
    """Three models change at the same moment where one trial may run: they go one by one, and all arrive."""
    setting.start(max_trials=1)
    await setting.leader()
    names = ("fraud", "churn", "iris")
    for name in names:
        await setting.model(name)
    for name in names:
        await setting.until(stable, name=name)
    containers = [{"name": "model", "image": "registry.example.com/fraud:2"}]
    before = {name: (await setting.status(name))["stable"] for name in names}
    for name in names:
        spec = {"spec": {"template": {"spec": {"containers": containers}}}}
        await setting.client.patch(MODEL_DEPLOYMENT, setting.plane.namespace, name, spec)
    most = 0
    async with asyncio.timeout(120):
        while True:
            found = {name: await setting.status(name) for name in names}
            most = max(most, sum("rollout" in status for status in found.values()))
            if all(stable(status) and status["stable"] != before[name] for name, status in found.items()):
                break
            await asyncio.sleep(0.05)
    assert most == 1
    began = sorted(status["history"][0]["started"] for status in found.values())
    ended = sorted(status["history"][0]["ended"] for status in found.values())
    assert all(end <= start for end, start in zip(ended, began[1:], strict=False)), (began, ended)


async def test_a_killed_leader_is_followed_and_its_trial_goes_on(setting: Setting) -> None:
    setting.start()
    first = await setting.leader()
    second = setting.start()
    await setting.model()
    old = (await setting.until(stable))["stable"]
    await second.ready()
    assert not await second.leads()
    containers = [{"name": "model", "image": "registry.example.com/fraud:2"}]
    await setting.client.patch(
        MODEL_DEPLOYMENT, setting.plane.namespace, "fraud", {"spec": {"template": {"spec": {"containers": containers}}}}
    )
    await setting.until(lambda s: s.get("phase") == "Canary")
    before = await setting.status()
    first.kill(signal.SIGKILL)
    await first.ended()
    assert await setting.leader(40) is second
    status = await setting.until(lambda s: stable(s) and s["stable"] != old)
    assert status["history"][0]["started"] == before["rollout"]["started"], "the trial is the same one"
    reasons = [entry["outcome"] for entry in status["history"]]
    assert reasons.count("Promoted") == 2


async def test_a_frozen_leader_does_nothing_when_it_wakes_up(setting: Setting) -> None:
    """As after a laptop's lid or a stopped virtual machine: by then somebody else leads."""
    setting.start()
    first = await setting.leader()
    second = setting.start()
    await setting.model()
    await setting.until(stable)
    await asyncio.sleep(1)
    first.kill(signal.SIGSTOP)
    async with asyncio.timeout(40):
        while not await second.leads():
            await asyncio.sleep(0.1)
    first.kill(signal.SIGCONT)
    assert await first.ended(15) == 1
    assert "was not renewed" in first.log.read_text()
    assert await second.leads()


async def test_an_orderly_handover_takes_a_moment(setting: Setting) -> None:
    setting.start()
    first = await setting.leader()
    second = setting.start()
    await second.ready()
    begun = time.monotonic()
    first.kill(signal.SIGTERM)
    assert await first.ended() == 0
    assert await setting.leader() is second
    assert time.monotonic() - begun < 5


async def test_standing_by_ends_at_once(setting: Setting) -> None:
    setting.start()
    await setting.leader()
    second = setting.start()
    await second.ready()
    second.kill(signal.SIGTERM)
    assert await second.ended(3) == 0


async def test_a_resource_that_is_gone_leaves_no_series(setting: Setting) -> None:
    process = setting.start()
    await setting.leader()
    await setting.model()
    await setting.until(stable)
    resource = await setting.client.get(MODEL_DEPLOYMENT, setting.plane.namespace, "fraud")
    await setting.client.delete(MODEL_DEPLOYMENT, setting.plane.namespace, "fraud", uid=resource["metadata"]["uid"])
    async with asyncio.timeout(10):
        while 'name="fraud"' in (await process.get("/metrics", process.metrics))[1]:
            await asyncio.sleep(0.1)


async def test_settings_that_cannot_be_used_end_with_a_sentence(setting: Setting) -> None:
    def start(*flags: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-c", RUN, *flags]
        return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)

    bad = await asyncio.to_thread(start, "--gateway", "public")
    assert bad.returncode == 2
    assert "--gateway" in bad.stderr
    absent = await asyncio.to_thread(start, "--kubeconfig", str(setting.folder / "none"))
    assert absent.returncode == 2
    assert "kubeconfig" in absent.stderr
    assert "Traceback" not in absent.stderr
