"""Each case runs against the fake API server and against a real one."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.aio.client.configuration import Configuration

from dev import tools
from dev.controlplane import control_plane
from dev.errors import DevError
from seatrial.api import crd, policy_crd
from seatrial.api.base import VERSION
from seatrial.api.policies import POLICY_KINDS
from seatrial.cluster.client import Call, Client, Connection, Timeouts
from tests.api.conftest import CRDS, Server
from tests.support.fakeapi import FakeApi

CLASSES = ("gateway.networking.k8s.io", "v1", "gatewayclasses")
GATEWAY_CRDS = Path("share/charts/gateway-helm/charts/crds/crds/gatewayapi-crds.yaml")

Manifest = dict[str, Any]


@dataclass
class Plane:
    """An API server, whichever it is, with a namespace of this test's own."""

    connection: Connection
    namespace: str
    fake: FakeApi | None
    calls: list[Call]

    admin: Server | None = None

    def client(self, **more: Any) -> Client:
        return Client(self.connection, on_call=self.calls.append, **more)

    def make_class(self, name: str, *features: str) -> None:
        """A GatewayClass whose controller says of it what it can do."""
        manifest: Manifest = {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "GatewayClass",
            "metadata": {"name": name},
            "spec": {"controllerName": "example.com/controller"},
        }
        status = {"supportedFeatures": [{"name": feature} for feature in sorted(features)]}
        if self.fake is not None:
            self.fake.objects[CLASSES, "", name] = {**manifest, "status": status}
            return
        assert self.admin is not None
        path = f"/apis/{'/'.join(CLASSES)}"
        answer = self.admin.request("POST", path, manifest)
        assert answer.status == 201, answer.body
        patch = {"status": status}
        answer = self.admin.request("PATCH", f"{path}/{name}/status", patch, "application/merge-patch+json")
        assert answer.status == 200, answer.body


@dataclass
class RealServer:
    kubeconfig: Path
    admin: Server


def install(server: Server) -> None:
    """The Gateway API's definitions and ours."""
    server.establish(crd.definition())
    for kind in POLICY_KINDS:
        definition = policy_crd.definition_of(kind)
        server.establish(definition)
        _established(server, definition["metadata"]["name"], VERSION)
    path = tools.entry("envoy-gateway") / GATEWAY_CRDS
    wanted = {f"{plural}.gateway.networking.k8s.io" for plural in ("httproutes", "gateways", "gatewayclasses")}
    for document in yaml.safe_load_all(path.read_text()):
        if document and document["metadata"]["name"] in wanted:
            answer = server.request("POST", CRDS, document)
            assert answer.status == 201, answer.body
    for name in wanted:
        _established(server, name)


def _established(server: Server, name: str, version: str = "v1") -> None:
    import time

    until = time.monotonic() + 30
    while time.monotonic() < until:
        conditions = server.request("GET", f"{CRDS}/{name}").body.get("status", {}).get("conditions") or []
        if any(c["type"] == "Established" and c["status"] == "True" for c in conditions):
            plural, _, group = name.partition(".")
            if server.request("GET", f"/apis/{group}/{version}/{plural}").status == 200:
                return
        time.sleep(0.1)
    raise AssertionError(f"{name} is not established")


@pytest.fixture(scope="session")
def real() -> Iterator[RealServer]:
    """One kube-apiserver for all tests of this folder; skipped with the reason where none can start."""
    plane = control_plane()
    try:
        kubeconfig = plane.__enter__()
    except (DevError, OSError) as error:
        pytest.skip(f"no API server: {error}")
    try:
        admin = Server(kubeconfig)
        install(admin)
        yield RealServer(kubeconfig, admin)
    finally:
        plane.__exit__(None, None, None)


_numbers = itertools.count(1)


@pytest.fixture(params=["fake", pytest.param("real", marks=[pytest.mark.contract, pytest.mark.timeout(1800)])])
async def plane(request: pytest.FixtureRequest) -> AsyncIterator[Plane]:
    """The API server under test, with an empty namespace."""
    namespace = f"t{os.getpid()}-{next(_numbers)}"
    if request.param == "real":
        server: RealServer = request.getfixturevalue("real")
        answer = server.admin.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        assert answer.status == 201, answer.body
        yield Plane(await Connection.find(str(server.kubeconfig)), namespace, None, [], server.admin)
        return
    fake = FakeApi()
    fake.add_namespace(namespace)
    async with fake.run():
        yield Plane(Connection(Configuration(host=fake.url)), namespace, fake, [])


@pytest.fixture
async def client(plane: Plane) -> AsyncIterator[Client]:
    async with plane.client() as client:
        yield client


@pytest.fixture
async def fake() -> AsyncIterator[FakeApi]:
    """The fake alone, for faults that the real one cannot be asked for."""
    fake = FakeApi()
    async with fake.run():
        yield fake


@pytest.fixture
async def faulty(fake: FakeApi) -> AsyncIterator[Client]:
    """A client of the fake with little patience."""
    timeouts = Timeouts(connect=0.5, read=0.5, list=0.5, silence=0.5)
    async with Client(Connection(Configuration(host=fake.url)), timeouts=timeouts) as client:
        yield client
