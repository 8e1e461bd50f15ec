"""A real API server with the definition installed, for what only the real one can tell."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from dev.controlplane import control_plane
from dev.errors import DevError
from seatrial.api import crd, policy_crd
from seatrial.api.base import GROUP, PLURAL, VERSION
from seatrial.api.policies import POLICY_KINDS

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
OBJECTS = f"/apis/{GROUP}/{VERSION}/namespaces/default/{PLURAL}"


@dataclass(frozen=True)
class Answer:
    """An API server's answer."""

    status: int
    body: dict[str, Any]
    warnings: tuple[str, ...]

    @property
    def refusals(self) -> set[tuple[str, str]]:
        """(field, message) of each cause, the message without the API server's own beginning.

        Left out is the remark, about no field, that rules are not tried on malformed objects.
        """
        causes = self.body.get("details", {}).get("causes", [])
        return {
            (cause["field"], cause["message"].split(": ", 1)[-1])
            for cause in causes
            if cause.get("field", "<nil>") != "<nil>"
        }


class Server:
    """The few requests that these tests make, without a client library's opinion of them."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        self.kubeconfig = kubeconfig
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self.address = urlsplit(cluster["server"]).netloc
        self._tls = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        for name in ("certificate", "key"):
            (kubeconfig.parent / f"test.{name}").write_bytes(base64.b64decode(user[f"client-{name}-data"]))
        self._tls.load_cert_chain(kubeconfig.parent / "test.certificate", kubeconfig.parent / "test.key")

    def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, kind: str = "application/json"
    ) -> Answer:
        connection = http.client.HTTPSConnection(self.address, context=self._tls, timeout=30)
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, payload, {"Content-Type": kind, "Accept": "application/json"})
            response = connection.getresponse()
            warnings = tuple(response.headers.get_all("Warning") or ())
            return Answer(response.status, json.loads(response.read() or b"{}"), warnings)
        finally:
            connection.close()

    def try_out(self, document: Mapping[str, Any]) -> Answer:
        """What would happen to a new object; nothing is stored."""
        return self.request("POST", f"{OBJECTS}?dryRun=All&fieldValidation=Strict", document)

    def establish(self, definition: Mapping[str, Any]) -> None:
        """Install a definition and wait until its objects can be written."""
        made = self.request("POST", CRDS, definition)
        assert made.status == 201, json.dumps([c["message"][:600] for c in made.body["details"]["causes"]])
        path = f"{CRDS}/{definition['metadata']['name']}"
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            conditions = self.request("GET", path).body.get("status", {}).get("conditions") or []
            states = {condition["type"]: condition["status"] for condition in conditions}
            assert states.get("NonStructuralSchema") != "True", conditions
            if states.get("Established") == "True" and self.request("GET", OBJECTS).status == 200:
                return
            time.sleep(0.1)
        raise AssertionError(f"{path} is not established after 30 s")


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A kube-apiserver of its own, with the definition in it; skipped with the reason where none can start."""
    plane = control_plane()
    try:
        kubeconfig = plane.__enter__()
    except DevError as error:
        pytest.skip(f"no API server: {error}")
    try:
        server = Server(kubeconfig)
        server.establish(crd.definition())
        for kind in POLICY_KINDS:
            server.establish(policy_crd.definition_of(kind))
        yield server
    finally:
        plane.__exit__(None, None, None)
