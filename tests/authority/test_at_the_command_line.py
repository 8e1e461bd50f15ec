"""The command line in the hands of people with certificates: it signs with the right name, and quotes a refusal."""

from __future__ import annotations

import pytest

from seatrial.build.revision import revision
from seatrial.cli.errors import OK, SENT_BACK
from seatrial.cli.main import main
from seatrial.core.commands import Action, parse
from tests.api.cases import resource
from tests.api.conftest import OBJECTS
from tests.authority.conftest import MERGE, Person, Place

pytestmark = [pytest.mark.contract, pytest.mark.timeout(600)]


@pytest.fixture
def waiting(place: Place, people: dict[str, Person], request: pytest.FixtureRequest) -> str:
    """A model that waits for an approval; returns its name."""
    name = f"cli-{abs(hash(request.node.name)) % 10**8}"
    assert people["ann"].create(name).status == 201
    spec = resource(name)["spec"]
    overlay = {"kind": "AwaitingApproval", "message": "step 1 wants an approval", "since": "2026-11-22T12:00:00Z"}
    rollout = {"revision": revision(spec), "started": "2026-11-22T12:00:00Z", "exposed": True, "overlay": overlay}
    status = {"phase": "Canary", "stable": "0123456789", "observedGeneration": 1, "rollout": rollout}
    answer = place.admin.request("PATCH", f"{OBJECTS}/{name}/status", {"status": status}, MERGE)
    assert answer.status == 200, answer.body
    return name


ASKED = {
    "ann": (["pause"], Action.PAUSE),
    "bob": (["approve"], Action.APPROVE),
    "fay": (["promote", "--skip-checks"], Action.SKIP_CHECKS),
    "Zoe Miller 100%": (["abort"], Action.ABORT),
}


@pytest.mark.parametrize("name", ASKED)
def test_a_command_is_signed_with_the_name_that_the_api_server_knows(
    place: Place, people: dict[str, Person], waiting: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    argv, action = ASKED[name]
    kubeconfig = str(place.kubeconfig_of(name))
    code = main([*argv, waiting, "--reason", "as agreed", "--no-wait", "-n", "default", "--kubeconfig", kubeconfig])
    said = capsys.readouterr()
    assert (code, said.err) == (OK, "")
    assert f"{waiting}: {action} asked for as {name}" in said.out
    stored = place.admin.request("GET", f"{OBJECTS}/{waiting}").body
    (command,) = parse(stored["metadata"]["annotations"]["seatrial.dev/commands"])
    assert (command.action, command.by, command.reason) == (action, name, "as agreed")


def test_a_refusal_names_the_user_the_verb_and_the_role(
    place: Place, people: dict[str, Person], waiting: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["approve", waiting, "-n", "default", "--kubeconfig", str(place.kubeconfig_of("ann"))])
    assert code == SENT_BACK
    assert capsys.readouterr().err == (
        "seatrial: policy commands.seatrial.seatrial-system of the cluster forbids it: ann may not approve "
        f"ModelDeployment default/{waiting}, which takes the verb approve on modeldeployments.seatrial.dev in namespace "
        "default: ask its administrator for the role admin, or seatrial-system:seatrial:approve (you wanted to patch "
        f"ModelDeployment {waiting})\n"
    )
