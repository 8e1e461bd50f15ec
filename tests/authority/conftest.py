"""People at a real API server with the chart installed: each with a certificate and roles of their own."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from dev import tools
from dev.controlplane import control_plane
from dev.errors import DevError
from dev.pki import Authority, KeyPair
from seatrial.build.names import COMMANDS, SPEC_BY
from tests.api.cases import resource
from tests.api.conftest import OBJECTS, Answer, Server

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "seatrial"
RELEASE = "seatrial-system:seatrial"
MERGE = "application/merge-patch+json"
PATIENCE = 30.0
"""Seconds until the API server has heard of a new policy or role."""

PEOPLE = {
    "ann": (f"{RELEASE}:view", f"{RELEASE}:edit", f"{RELEASE}:operate"),
    "bob": (f"{RELEASE}:view", f"{RELEASE}:edit", f"{RELEASE}:approve"),
    "fay": (f"{RELEASE}:view", f"{RELEASE}:edit", f"{RELEASE}:skip-checks"),
    "eve": (f"{RELEASE}:view", f"{RELEASE}:edit"),
    "Zoe Miller 100%": (f"{RELEASE}:view", f"{RELEASE}:edit", f"{RELEASE}:operate"),
}
"""An operator who writes models too, an approver, who may skip checks, who may only edit, and a name with odd letters."""


@dataclass(frozen=True)
class Person:
    """Somebody with a certificate of their own."""

    name: str
    server: Server

    @property
    def word(self) -> str:
        """Their name in a command."""
        return self.name.replace("%", "%25").replace(" ", "%20")

    def create(self, name: str, /, *, annotations: dict[str, str] | None = None, **spec: Any) -> Answer:
        document = resource(name, **spec)
        document["metadata"]["annotations"] = annotations or {}
        return self.server.request("POST", OBJECTS, document)

    def patch(self, model: str, body: dict[str, Any]) -> Answer:
        return self.server.request("PATCH", f"{OBJECTS}/{model}", body, MERGE)

    def spec(self, name: str, /, **fields: Any) -> Answer:
        return self.patch(name, {"spec": fields})

    def says(self, model: str, *lines: str) -> Answer:
        """Write these lines as the whole annotation."""
        return self.patch(model, {"metadata": {"annotations": {COMMANDS: "\n".join(lines)}}})


def refusal(answer: Answer) -> str:
    """What a policy said, without the API server's words around it."""
    assert answer.status == 403, answer.body
    return str(answer.body["message"]).split(" denied request: ", 1)[1]


def authors(answer: Answer) -> str:
    """`seatrial.dev/spec-by` of an object that was stored."""
    assert answer.status in (200, 201), answer.body
    return str((answer.body["metadata"].get("annotations") or {}).get(SPEC_BY, ""))


class Place:
    """The API server, its administrator and everybody else."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        self.admin = Server(kubeconfig)
        pki = kubeconfig.parent / "pki"
        self._authority = Authority(pki, KeyPair(pki / "ca.key", pki / "ca.crt"))
        self._url = f"https://{self.admin.address}"

    def helm(self, *arguments: str) -> str:
        return self._run("helm", *arguments)

    def kubectl(self, *arguments: str) -> str:
        return self._run("kubectl", *arguments)

    def kubeconfig_of(self, name: str) -> Path:
        """A kubeconfig with this person's certificate."""
        folder = self.kubeconfig.parent / f"person-{quote(name, safe='')}"
        folder.mkdir(exist_ok=True)
        pair = self._authority.issue(folder.name, f"/CN={name}")
        return self._authority.kubeconfig(folder / "kubeconfig", self._url, pair)

    def person(self, name: str, *roles: str) -> Person:
        """Somebody new, with these roles in the namespace of the tests."""
        for number, role in enumerate(roles):
            binding = f"{quote(name, safe='').replace('%', '-').lower()}-{number}"
            self.kubectl("create", "rolebinding", binding, f"--clusterrole={role}", f"--user={name}", "-n", "default")
        return Person(name, Server(self.kubeconfig_of(name)))

    def _run(self, tool: str, *arguments: str) -> str:
        environment = {"KUBECONFIG": str(self.kubeconfig), "HOME": str(self.kubeconfig.parent), "PATH": "/usr/bin:/bin"}
        done = subprocess.run(
            [tools.path(tool), *arguments], check=False, capture_output=True, text=True, env=environment
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="session")
def place() -> Iterator[Place]:
    """An API server with the chart as it comes; skipped with the reason where none can start."""
    plane = control_plane()
    try:
        kubeconfig = plane.__enter__()
        tools.path("helm")
    except DevError as error:
        pytest.skip(f"no API server: {error}")
    try:
        place = Place(kubeconfig)
        place.helm("install", "seatrial", str(CHART), "-n", "seatrial-system", "--create-namespace")
        yield place
    finally:
        plane.__exit__(None, None, None)


@pytest.fixture(scope="session")
def people(place: Place) -> dict[str, Person]:
    """Everybody in PEOPLE, once policies and roles are in force."""
    found = {name: place.person(name, *roles) for name, roles in PEOPLE.items()}
    eventually(lambda: _probe(place, found["ann"]) == "ann")
    eventually(lambda: found["eve"].says("probe", "no command").status == 403)
    for person in found.values():
        action = next((a for role, a in ACTIONS.items() if f"{RELEASE}:{role}" in PEOPLE[person.name]), "")
        if action:
            eventually(lambda person=person, action=action: _may(person, action))  # type: ignore[misc]
    return found


ACTIONS = {"operate": "pause", "approve": "approve", "skip-checks": "skip-checks"}


def _probe(place: Place, person: Person) -> str:
    place.admin.request("DELETE", f"{OBJECTS}/probe")
    made = person.create("probe")
    return authors(made) if made.status == 201 else ""


def _may(person: Person, action: str) -> bool:
    line = f"n1 {action} 0123456789 {person.word} why"
    body = {"metadata": {"annotations": {COMMANDS: line}}}
    return person.server.request("PATCH", f"{OBJECTS}/probe?dryRun=All", body, MERGE).status == 200


def eventually(holds: Callable[[], bool]) -> None:
    """Wait for what an API server takes a moment to hear of."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "the API server does not enforce the chart's policies"
        time.sleep(0.1)
