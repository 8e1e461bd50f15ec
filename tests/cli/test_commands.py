"""Commands against an API server: the same cases on the fake and on a real one."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from seatrial.api import base
from seatrial.build import names
from seatrial.cli import access, asking, errors, watching
from seatrial.cli.main import main
from seatrial.cli.reading import Reading
from seatrial.core.commands import Action
from tests.cli.conftest import Object, Plane, kubeconfig_of
from tests.cli.worlds import NEW, OLD, WORLDS, at


def test_the_names_are_the_resource_s_own() -> None:
    """They are written twice, since importing the models takes longer than a whole `list`."""
    assert (access.GROUP, access.VERSION, access.PLURAL, access.KIND, access.API_VERSION, access.COMMANDS) == (
        base.GROUP,
        base.VERSION,
        base.PLURAL,
        base.KIND,
        base.API_VERSION,
        names.COMMANDS,
    )


# --- looking ----------------------------------------------------------------------------------------------------------


def test_a_contested_rule_is_tried_again_by_the_same_word() -> None:
    """No revision was sent back, and yet there is something to retry."""
    stable = WORLDS["stable"]()
    stable["status"].setdefault("traffic", {})["borrowed"] = {"contested": "rule score of HTTPRoute web was reset"}
    assert asking.target(Reading(stable), Action.RETRY) == stable["status"]["stable"]


def test_get_shows_one_and_list_shows_all(plane: Plane) -> None:
    plane.put("canary")
    plane.put("stable", "iris")
    one = plane.run("get", "fraud")
    assert one.code == 0
    assert f"Revision {NEW} answers 25 % of live requests, step 2 of 3" in one.out
    for listing in (plane.run("list"), plane.run("get")):
        assert [line.split()[:2] for line in listing.out.splitlines()] == [
            ["NAME", "PHASE"],
            ["fraud", "Canary"],
            ["iris", "Stable"],
        ]
    assert plane.run("list", "-o", "name").out == "fraud\niris\n"
    assert "URL" in plane.run("list", "-o", "wide").out


def test_other_forms(plane: Plane) -> None:
    plane.put("canary")
    obj = json.loads(plane.run("get", "fraud", "-o", "json").out)
    assert obj["status"]["phase"] == "Canary"
    assert "managedFields" not in obj["metadata"]
    assert yaml.safe_load(plane.run("get", "fraud", "-o", "yaml").out)["kind"] == "ModelDeployment"
    listed = json.loads(plane.run("list", "-o", "json").out)
    assert [item["kind"] for item in listed["items"]] == ["ModelDeployment"]


def test_why_and_history(plane: Plane) -> None:
    plane.put("rolled-back")
    why = plane.run("why", "fraud")
    assert why.code == 0
    assert "Sent back because" in why.out
    assert "seatrial retry fraud -n payments" in why.out.replace(plane.namespace, "payments")
    assert "trained on s3://lake/fraud@v811" in plane.run("history", "fraud").out


def test_an_empty_namespace_says_so(plane: Plane) -> None:
    nothing = plane.run("list")
    assert (nothing.code, nothing.out) == (0, "")
    assert nothing.err == f"There is no ModelDeployment in namespace {plane.namespace}.\n"


def test_a_wrong_name_is_answered_with_the_nearest(plane: Plane) -> None:
    plane.put("canary")
    wrong = plane.run("why", "frud")
    assert wrong.code == errors.NOT_FOUND
    assert wrong.err == (
        f"seatrial: there is no ModelDeployment 'frud' in namespace {plane.namespace}; did you mean fraud?\n"
    )


def test_a_model_in_another_namespace_is_found(plane: Plane) -> None:
    plane.put("canary", "elsewhere")
    elsewhere = main(["get", "elsewhere", "-n", "default", "--kubeconfig", str(plane.kubeconfig)])
    assert elsewhere == errors.NOT_FOUND
    assert f"it is in {plane.namespace}: add -n {plane.namespace}" in plane.capsys.readouterr().err


def test_the_namespace_may_stand_before_the_command(plane: Plane) -> None:
    plane.put("canary")
    assert main(["-n", plane.namespace, "--kubeconfig", str(plane.kubeconfig), "list", "-o", "name"]) == 0
    assert plane.capsys.readouterr().out == "fraud\n"


# --- asking -----------------------------------------------------------------------------------------------------------


def test_pause_is_written_down_and_carried_out(plane: Plane) -> None:
    plane.put("canary")
    now = datetime.now(UTC).isoformat()

    def pause(status: Object, command: Any) -> Object:
        return {**status, "paused": {"by": command.by, "reason": command.reason, "since": now}}

    plane.operator(pause)
    result = plane.run("pause", "fraud", "--reason", "scores look odd")
    (command,) = plane.commands()
    assert (command.action, command.revision, command.reason) == (Action.PAUSE, NEW, "scores look odd")
    assert command.by == plane.api.whoami() != ""
    assert (result.code, result.err) == (0, "")
    assert result.out == (
        f"fraud: paused by {command.by} (scores look odd) at 25 %; failures still send the candidate back\n"
    )


def test_a_difference_is_accepted_by_the_name_of_its_check(plane: Plane) -> None:
    plane.put("canary")
    now = datetime.now(UTC).isoformat()

    def accept(status: Object, command: Any) -> Object:
        check, _, reason = command.reason.partition(" ")
        accepted = {"check": check, "definition": "d", "by": command.by, "reason": reason, "at": now}
        return {**status, "rollout": {**status["rollout"], "accepted": [accepted]}}

    plane.operator(accept)
    result = plane.run("accept", "fraud", "--check", "scores", "--reason", "recalibrated")
    (command,) = plane.commands()
    assert (command.action, command.revision, command.reason) == (Action.ACCEPT, NEW, "scores recalibrated")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(
        f"fraud: check scores is judged no more for revision {NEW} ({command.by}: recalibrated): "
    )


@pytest.mark.parametrize("words", [["--check", "a b", "--reason", "why"], ["--check", "scores", "--reason", " "]])
def test_an_acceptance_names_its_check_and_its_reason(plane: Plane, words: list[str]) -> None:
    plane.put("canary")
    result = plane.run("accept", "fraud", *words)
    assert result.code == errors.USAGE
    assert "accept needs --check NAME and --reason TEXT" in result.err
    assert plane.commands() == ()


def test_another_checks_acceptance_is_not_claimed() -> None:
    world = WORLDS["canary"]()
    accepted = {"check": "scores", "by": "ada", "reason": "meant", "at": "2026-11-22T12:00:00Z"}
    world["status"]["rollout"]["accepted"] = [accepted]
    assert asking.done(Action.ACCEPT, Reading(world), "scores meant")
    assert not asking.done(Action.ACCEPT, Reading(world), "classes meant")


@pytest.mark.parametrize("word", ["abort", "undo"])
def test_a_probation_is_undone_by_the_revision_that_serves(plane: Plane, word: str) -> None:
    plane.put("probation")
    back = at(WORLDS["undone"](), datetime.now(UTC))["status"]
    plane.operator(lambda status, _command: {**back, "observedGeneration": status["observedGeneration"]})
    result = plane.run(word, "fraud", "--reason", "orders fell")
    (command,) = plane.commands()
    assert (command.action, command.revision, command.reason) == (Action.ABORT, NEW, "orders fell")
    assert (result.code, result.err) == (0, "")
    assert result.out == (
        f"fraud: aborted: revision {NEW} is being withdrawn from its probation, it still gets 90 % of live requests; "
        f"revision {OLD} serves the rest\n"
    )


@pytest.mark.parametrize(
    ("result", "code"),
    [("Passed", errors.OK), ("Failed", errors.SENT_BACK), ("Aborted", errors.SENT_BACK), ("Undecided", errors.NOT_YET)],
)
def test_a_drill_is_waited_for(plane: Plane, result: str, code: int) -> None:
    """Only one that passed is a success; an older one that did is none."""
    plane.put("drill-passed")
    drilling = at(WORLDS["drill"](), datetime.now(UTC))["status"]

    def drill(status: Object, _command: Any) -> Object:
        before = status["drill"]
        last = {**before["last"], "result": result, "message": "so it ended", "ended": "2030-01-01T00:00:00Z"}
        after = {**status, "drill": {**before, "last": last}}
        threading.Timer(1.5, lambda: plane.status("fraud", lambda now: {**after, "commands": now["commands"]})).start()
        return {**drilling, "drill": before, "observedGeneration": status["observedGeneration"]}

    plane.operator(drill)
    found = plane.run("drill", "fraud", "--wait", "--reason", "quarterly proof")
    (command,) = plane.commands()
    assert (command.action, command.revision, command.reason) == (Action.DRILL, NEW, "quarterly proof")
    assert found.code == code
    assert found.out.splitlines()[-1] == f"fraud: drill {result.lower()}: so it ended"
    assert "Drill" in found.err, "progress"


def test_what_was_undone_is_what_the_operator_accepts() -> None:
    """The operator compares the command with its own stable revision."""
    model = WORLDS["probation"]()
    assert asking.target(Reading(model), Action.ABORT) == model["status"]["stable"]
    assert asking.target(Reading(WORLDS["shadow"]()), Action.ABORT) == NEW


def test_a_pause_says_where_the_trial_stands() -> None:
    model = WORLDS["shadow"]()
    model["status"]["paused"] = {"by": "ada"}
    assert asking.done(Action.PAUSE, Reading(model)).startswith("paused by ada at a shadow of 20 %; failures still")


def test_a_command_keeps_the_annotations_and_commands_that_are_there(plane: Plane) -> None:
    plane.put("canary")
    obj = plane.api.get("fraud")
    plane.api.annotate("fraud", "example.com/team", "risk", obj)
    for _ in range(2):
        assert plane.run("pause", "fraud", "--no-wait").code == 0
    annotations = plane.api.get("fraud")["metadata"]["annotations"]
    assert annotations["example.com/team"] == "risk"
    assert len(plane.commands()) == 2


def test_a_refusal_is_told_in_the_operator_s_words(plane: Plane) -> None:
    plane.put("canary")
    plane.operator(lambda _status, _command: "check latency fails: 12 % slower")
    result = plane.run("promote", "fraud")
    assert result.code == errors.SENT_BACK
    assert "is refused: check latency fails: 12 % slower" in result.err


def test_writes_of_others_in_between_are_no_reason_to_give_up(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    plane.put("canary")
    annotate = access.Cluster.annotate
    tries = []

    def interrupted(self: access.Cluster, *args: Any) -> Object:
        tries.append(args)
        if len(tries) < 4:
            plane.status("fraud", lambda status: {**status, "message": f"look {len(tries)}"})
        return annotate(self, *args)

    monkeypatch.setattr(access.Cluster, "annotate", interrupted)
    assert plane.run("pause", "fraud", "--no-wait").code == 0
    assert len(tries) == 4
    assert len(plane.commands()) == 1


def test_an_operator_that_does_not_react_is_said_to_be_silent(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    plane.put("canary")
    monkeypatch.setattr(asking, "PATIENCE", 0.5)
    result = plane.run("abort", "fraud")
    assert result.code == errors.NOT_YET
    assert "the operator has not picked this up after 0.5 s: is it running? kubectl get deploy -A" in result.err
    assert len(plane.commands()) == 1


ABSURD = [
    ("stable", "pause", "cannot pause fraud: no trial is under way: revision e04d5521aa serves"),
    ("canary", "drill", "cannot drill fraud: a drill begins at rest: revision e04d5521aa answers 25 % of live"),
    ("drill", "drill", "cannot drill fraud: a drill is under way already"),
    (
        "drill",
        "promote",
        "cannot promote fraud: a drill is under way, which ends by itself; seatrial abort ends it now",
    ),
    ("stable", "retry", "cannot retry fraud: no revision was sent back: revision e04d5521aa serves"),
    ("canary", "resume", "cannot resume fraud: it is not paused"),
    (
        "holding",
        "resume",
        "cannot resume fraud: it is not paused; it is waiting for something else: Prometheus does not answer",
    ),
    ("canary", "approve", "cannot approve fraud: nothing waits for an approval now: revision e04d5521aa answers 25 %"),
    ("rolling-back", "promote", "cannot promote fraud: revision e04d5521aa is going back: errors 31 %"),
    ("rolled-back", "abort", "cannot abort fraud: no trial is under way: revision e04d5521aa was sent back"),
    (
        "stable",
        "abort",
        "cannot abort fraud: no trial is under way: revision e04d5521aa serves. No revision before it is",
    ),
    (
        "stable",
        "undo",
        "cannot undo fraud: no trial is under way: revision e04d5521aa serves. No revision before it is",
    ),
    ("back-from-probation", "undo", "cannot undo fraud: no trial is under way: revision e04d5521aa was sent back from"),
    ("probation", "promote", "cannot promote fraud: no trial is under way: revision e04d5521aa answers 90 %"),
    ("probation-paused", "resume", "cannot resume fraud: no trial is under way: revision e04d5521aa answers 90 %"),
    ("pending", "pause", "cannot pause fraud: no trial is under way"),
    ("suspended", "pause", "cannot pause fraud: spec.suspend is set, and nothing is carried out while it is"),
]


@pytest.mark.parametrize(("world", "action", "sentence"), ABSURD)
def test_what_makes_no_sense_is_refused_before_it_is_written(
    fake_plane: Plane, world: str, action: str, sentence: str
) -> None:
    fake_plane.put(world)
    result = fake_plane.run(action, "fraud")
    assert result.code == errors.SENT_BACK
    assert result.err.startswith(f"seatrial: {sentence}")
    assert fake_plane.commands() == ()


@pytest.mark.parametrize("reason", [[], ["--reason", ""], ["--reason", "  "]])
def test_checks_are_not_skipped_without_a_reason(fake_plane: Plane, reason: list[str]) -> None:
    fake_plane.put("canary")
    result = fake_plane.run("promote", "fraud", "--skip-checks", *reason)
    assert (result.code, fake_plane.commands()) == (errors.USAGE, ())
    assert result.err == "seatrial: --skip-checks needs --reason TEXT: it stays in the history\n"


def test_skipping_the_checks_is_another_command_than_promoting(plane: Plane) -> None:
    """A failing check refuses a promotion, and is what a hotfix need not wait for."""
    plane.put("canary")

    def fail(status: Object) -> Object:
        first, *rest = status["checks"]
        return {**status, "checks": [{**first, "outcome": "Fail", "message": "errors 31 %"}, *rest]}

    plane.status("fraud", fail)
    assert plane.run("promote", "fraud").code == errors.SENT_BACK

    def skip(status: Object, command: Any) -> Object:
        skipped = {"by": command.by, "reason": command.reason, "at": datetime.now(UTC).isoformat()}
        return {**status, "rollout": {**status["rollout"], "promoting": True, "skippedChecks": skipped}}

    plane.operator(skip)
    result = plane.run("promote", "fraud", "--skip-checks", "--reason", "INC-7")
    (command,) = plane.commands()
    assert (command.action, command.reason) == (Action.SKIP_CHECKS, "INC-7")
    assert result.code == 0, result.err
    assert result.out.startswith(
        f"fraud: the checks are skipped, all traffic moves to revision {NEW} once its pods are ready"
    )
    again = plane.run("promote", "fraud", "--skip-checks", "--reason", "INC-7")
    assert (again.code, again.out) == (0, f"fraud: the checks of revision {NEW} are skipped already\n")


def test_a_first_revision_has_nothing_to_skip() -> None:
    model = WORLDS["canary"]()
    del model["status"]["stable"]
    with pytest.raises(errors.CliError, match="cannot skip-checks fraud: a first revision is accepted on its pods"):
        asking.target(Reading(model), Action.SKIP_CHECKS)


def test_who_is_not_told_who_they_are_signs_nothing(fake_plane: Plane) -> None:
    """The name at this machine would be a guess, and a forgery in the eyes of the policy."""
    fake_plane.put("canary")
    assert fake_plane.fake is not None
    body = {"kind": "Status", "code": 403, "reason": "Forbidden", "message": "no basic-user here"}
    fake_plane.fake.fault = lambda _method, path: (403, body) if path.endswith("selfsubjectreviews") else None
    result = fake_plane.run("pause", "fraud")
    assert (result.code, fake_plane.commands()) == (errors.CLUSTER, ())
    assert "does not tell who you are, and a command bears the name of who asks: no basic-user here" in result.err
    assert "Ask for the role system:basic-user" in result.err


def test_promote_is_refused_while_a_check_fails() -> None:
    model = WORLDS["canary"]()
    model["status"]["checks"][0] |= {"outcome": "Fail", "message": "errors 31 %"}
    with pytest.raises(errors.CliError, match="cannot promote fraud: check errors fails: errors 31 %"):
        asking.target(Reading(model), Action.PROMOTE)


def test_an_abort_on_probation_is_about_the_revision_that_was_accepted() -> None:
    model = WORLDS["probation"]()
    reading = Reading(model)
    assert asking.target(reading, Action.ABORT) == reading.stable
    with pytest.raises(errors.CliError, match="cannot pause fraud: no trial is under way"):
        asking.target(reading, Action.PAUSE)


@pytest.mark.parametrize(
    ("world", "action", "sentence"),
    [
        ("paused", "pause", "fraud is paused already: paused by ada@example.com (waiting for the fraud team)"),
        ("rolling-back", "abort", f"fraud: revision {NEW} is going back already"),
        ("promoting", "promote", f"fraud: revision {NEW} is accepted already"),
    ],
)
def test_what_is_the_case_already_is_no_failure(fake_plane: Plane, world: str, action: str, sentence: str) -> None:
    fake_plane.put(world)
    result = fake_plane.run(action, "fraud")
    assert (result.code, fake_plane.commands()) == (0, ())
    assert result.out.startswith(sentence)


@pytest.mark.parametrize(
    ("action", "world"),
    [
        ("pause", "paused"),
        ("resume", "canary"),
        ("approve", "promoting"),
        ("promote", "promoting"),
        ("promote", "probation"),
        ("approve", "probation"),
        ("abort", "undone"),
        ("abort", "rolled-back"),
        ("retry", "preparing"),
    ],
)
def test_what_was_carried_out_can_be_seen(action: str, world: str) -> None:
    assert asking.done(Action(action), Reading(WORLDS[world]()))


@pytest.mark.parametrize(
    ("action", "world"),
    [
        ("pause", "canary"),
        ("resume", "paused"),
        ("approve", "awaiting-approval"),
        ("approve", "blue-green"),
        ("promote", "canary"),
        ("promote", "shadow"),
        ("abort", "canary"),
        ("abort", "probation"),
        ("retry", "rolled-back"),
    ],
)
def test_what_was_not_carried_out_is_not_claimed(action: str, world: str) -> None:
    assert not asking.done(Action(action), Reading(WORLDS[world]()))


# --- waiting ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("world", "wanted", "code"),
    [
        ("stable", "any", 0),
        ("stable", "stable", 0),
        ("stable", "rolledback", 1),
        ("parked", "any", 0),
        ("probation", "any", 0),
        ("probation-paused", "stable", 0),
        ("probation-waiting", "any", 3),
        ("undone", "any", 3),
        ("back-from-probation", "any", 1),
        ("shadow", "any", 3),
        ("blue-green", "any", 3),
        ("rolled-back", "any", 1),
        ("rolled-back", "stable", 1),
        ("rolled-back", "rolledback", 0),
        ("failed", "any", 1),
        ("canary", "any", 3),
        ("behind", "any", 3),
        ("pending", "any", 3),
        ("invalid", "any", 1),
    ],
)
def test_status_as_an_exit_code(fake_plane: Plane, world: str, wanted: str, code: int) -> None:
    fake_plane.put(world)
    if world == "behind":
        fake_plane.status("fraud", lambda status: {**status, "observedGeneration": 0})
    assert fake_plane.run("status", "fraud", "--for", wanted).code == code


def test_status_waits_until_it_is_decided(plane: Plane) -> None:
    plane.put("canary")

    def later() -> None:
        for world in ("promoting", "stable"):
            time.sleep(2)  # the command itself takes a while to start
            plane.put(world)

    thread = threading.Thread(target=later)
    thread.start()
    result = plane.run("status", "fraud", "--wait", "--timeout", "20s")
    thread.join()
    assert result.code == 0
    assert result.out.startswith("fraud is Stable: ")
    assert [line.split()[1] for line in result.err.splitlines()] == ["Canary", "Promoting"]


def test_status_gives_up_at_the_timeout(plane: Plane) -> None:
    plane.put("canary")
    result = plane.run("status", "fraud", "--wait", "--timeout", "1s")
    assert result.code == errors.NOT_YET
    assert "fraud was not decided within 1s; it is Canary" in result.err


def test_status_does_not_wait_for_what_only_a_person_can_mend(
    fake_plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_plane.put("invalid")
    monkeypatch.setattr(watching, "STALL_GRACE", 0.5)
    result = fake_plane.run("status", "fraud", "--wait", "--timeout", "20s")
    assert result.code == errors.SENT_BACK
    assert result.out == "fraud cannot go on: spec.template: '1GiB' is no quantity: write 1Gi\n"


def test_status_of_something_that_goes_away(plane: Plane) -> None:
    plane.put("canary")
    timer = threading.Timer(0.7, plane.delete, ["fraud"])
    timer.start()
    result = plane.run("status", "fraud", "--wait", "--timeout", "20s")
    timer.join()
    assert result.code == errors.NOT_FOUND
    assert "fraud was deleted while it was waited for" in result.err


def test_watching_without_a_terminal_is_a_log(plane: Plane) -> None:
    plane.put("canary")
    with plane.start("get", "fraud", "-w") as process:
        assert process.stdout is not None
        assert "Canary  25%  1/1 ready  errors=Pass  latency=Inconclusive" in process.stdout.readline()
        plane.put("rolling-back")
        assert "RollingBack  25%→0%" in process.stdout.readline()
        plane.delete("fraud")
        assert "fraud was deleted" in process.stdout.readline()
        assert process.wait(10) == 0


def test_ctrl_c_ends_a_watch_without_a_word(fake_plane: Plane) -> None:
    fake_plane.put("canary")
    with fake_plane.start("list", "-w") as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == errors.INTERRUPTED
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_a_broken_watch_is_begun_anew(fake_plane: Plane) -> None:
    fake_plane.put("canary")
    assert fake_plane.fake is not None
    broken = [(500, "etcd is not there"), (410, {"code": 410, "message": "too old"})]

    def fault(method: str, path: str) -> tuple[int, Any] | None:
        return broken.pop() if method == "GET" and path.endswith("modeldeployments") and broken else None

    fake_plane.fake.fault = fault
    with fake_plane.start("get", "fraud", "-w") as process:
        assert process.stdout is not None
        assert "Canary" in process.stdout.readline()
        end = time.monotonic() + 15
        while broken and time.monotonic() < end:
            time.sleep(0.05)
        assert not broken
        fake_plane.put("stable")
        line = process.stdout.readline()
        assert "Stable" in line, line


# --- a cluster that does not answer as it should ----------------------------------------------------------------------


def test_a_cluster_that_does_not_know_models(fake_plane: Plane) -> None:
    assert fake_plane.fake is not None
    fake_plane.fake.fault = lambda _method, _path: (404, "404 page not found\n")
    for argv in (["get", "fraud"], ["list"], ["pause", "fraud"]):
        result = fake_plane.run(*argv)
        assert result.code == errors.CLUSTER
        assert (
            "does not know ModelDeployments: the definition modeldeployments.seatrial.dev is not installed"
            in result.err
        )


def test_a_cluster_that_forbids(fake_plane: Plane) -> None:
    fake_plane.put("canary")
    assert fake_plane.fake is not None
    message = 'modeldeployments.seatrial.dev "fraud" is forbidden: User "ada" cannot patch resource'
    body = {"kind": "Status", "code": 403, "reason": "Forbidden", "message": message}
    fake_plane.fake.fault = lambda method, _path: (403, body) if method == "PATCH" else None
    result = fake_plane.run("pause", "fraud")
    assert result.code == errors.CLUSTER
    assert result.err == (
        f"seatrial: you may not patch ModelDeployment fraud in namespace payments: {message}. Ask for the verb 'patch' "
        "on modeldeployments.seatrial.dev (the chart adds it to the role edit)\n"
    )


def test_a_policy_that_forbids_is_quoted(fake_plane: Plane) -> None:
    fake_plane.put("canary")
    assert fake_plane.fake is not None
    message = (
        "it is forbidden: ValidatingAdmissionPolicy 'freeze' with binding 'f' denied request: no changes on Friday"
    )
    body = {"kind": "Status", "code": 422, "reason": "Invalid", "message": message}
    fake_plane.fake.fault = lambda method, _path: (422, body) if method == "PATCH" else None
    result = fake_plane.run("pause", "fraud")
    assert result.code == errors.SENT_BACK
    assert result.err == (
        "seatrial: policy freeze of the cluster forbids it: no changes on Friday (you wanted to patch ModelDeployment "
        "fraud)\n"
    )


def test_credentials_that_are_not_accepted(fake_plane: Plane) -> None:
    assert fake_plane.fake is not None
    fake_plane.fake.fault = lambda _method, _path: (401, {"kind": "Status", "code": 401, "message": "Unauthorized"})
    result = fake_plane.run("list")
    assert result.code == errors.CLUSTER
    assert "(context test) does not accept your credentials: log in again" in result.err


def test_a_cluster_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        code = main(["list", "--kubeconfig", str(kubeconfig_of(url, tmp_path, "payments"))])
    assert code == errors.CLUSTER
    said = capsys.readouterr().err
    assert f"the cluster at {url} (context test) cannot be reached: " in said
    assert "Connection refused" in said
    assert "object at 0x" not in said


def test_something_else_answers(fake_plane: Plane) -> None:
    assert fake_plane.fake is not None
    fake_plane.fake.fault = lambda _method, _path: (200, "<html>log in</html>")
    result = fake_plane.run("list")
    assert result.code == errors.CLUSTER
    assert "answered with something that is not JSON: is it an API server?" in result.err


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["list"], "no usable kubeconfig (/nonexistent/.kube/config): "),
        (["list", "--kubeconfig", "/nonexistent/file"], "no usable kubeconfig (/nonexistent/file): "),
    ],
)
def test_no_kubeconfig(
    argv: list[str], sentence: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/nonexistent")
    assert main(argv) == errors.CLUSTER
    assert capsys.readouterr().err.startswith(f"seatrial: {sentence}")


def test_a_context_that_is_not_there(fake_plane: Plane) -> None:
    result = fake_plane.run("list", "--context", "tset")
    assert result.code == errors.CLUSTER
    assert "there is no context 'tset' in " in result.err
    assert result.err.endswith("; there is test\n")


def test_watching_in_a_terminal_draws_the_picture_again_and_again(fake_plane: Plane) -> None:
    fake_plane.put("canary")
    ours, theirs = os.openpty()
    line = [sys.executable, "-m", "seatrial.cli.main", "get", "fraud", "-w", "--kubeconfig", str(fake_plane.kubeconfig)]
    process = subprocess.Popen(
        line,
        stdout=theirs,
        stderr=theirs,
        stdin=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40"},
    )
    os.close(theirs)
    seen = ""

    def until(text: str) -> None:
        nonlocal seen
        end = time.monotonic() + 30
        while text not in seen and time.monotonic() < end:
            if select.select([ours], [], [], 0.2)[0]:
                seen += os.read(ours, 65536).decode(errors="replace")
        assert text in seen, seen[-2000:]
        seen = seen[seen.index(text) + len(text) :]

    try:
        until("answers 25 % of live requests")
        # The clock runs without any change in the cluster.
        until("left of at least 5m")
        until("left of at least 5m")
        fake_plane.put("rolled-back")
        until("was sent back; revision 7c9f1b20de serves")
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == errors.INTERRUPTED
    finally:
        process.kill()
        process.wait()
        os.close(ours)
