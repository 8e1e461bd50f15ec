"""Somebody keeps changing what we write. It ends, and says so."""

from __future__ import annotations

from typing import Any

import pytest
from kubernetes.aio.client.configuration import Configuration

from seatrial.cluster.client import Connection
from seatrial.cluster.kinds import SERVICE
from seatrial.cluster.ledger import REPAIRS, TRUCE, Page
from seatrial.core.state import Ref
from tests.cluster_io.conftest import Plane
from tests.cluster_io.objects import service
from tests.cluster_io.test_apply import Shell, edit
from tests.support.fakeapi import FakeApi

Manifest = dict[str, Any]


async def test_admission_that_answers_differently_each_time_is_given_up(fake: FakeApi) -> None:
    count = 0

    def moody(_: str, obj: Manifest) -> Manifest:
        nonlocal count
        if obj["kind"] == "Service":
            count += 1
            obj["spec"]["externalName"] = f"mood-{count}"
        return obj

    fake.admission.append(moody)
    plane = Plane(Connection(Configuration(host=fake.url)), "default", fake, [])
    async with plane.client() as client:
        shell = await Shell.start(plane, client)
        wanted = service("default")
        for number in range(6):
            await shell.apply(wanted)
            await edit(shell, SERVICE, "fraud", lambda o, n=number: o["spec"].update(selector={"n": str(n)}))
        assert (await shell.look()).observed.rewritten == (Ref("Service", "fraud"),)
        plane.calls.clear()
        await shell.apply(wanted)
        assert {call.verb for call in plane.calls} <= {"get", "list"}
        # Another intent is another try.
        outcome = await shell.apply(service("default", revision="0000000000"))
        assert outcome.changed


def test_a_person_who_edits_now_and_then_is_put_right_each_time() -> None:
    page = Page("uid")
    for minute in range(50):
        page.note("Service/a", "intent", "live", minute * 60.0, repair=True, before=None)
    assert not page.contested("Service/a", 50 * 60.0)


def test_whoever_fights_is_left_alone_for_a_while() -> None:
    page = Page("uid")
    for second in range(REPAIRS + 1):
        assert not page.contested("Service/a", float(second))
        page.note("Service/a", "intent", "live", float(second), repair=True, before=None)
    assert page.contested("Service/a", 30.0)
    assert not page.contested("Service/a", 30.0 + TRUCE)
    assert not page.contested("Service/a", 31.0 + TRUCE)


@pytest.mark.parametrize("answers", [["a", "a", "a"], ["a", "b", "b"]])
def test_one_new_default_is_no_contest(answers: list[str]) -> None:
    page = Page("uid")
    for at, live in enumerate(answers):
        page.note("Service/a", "intent", live, at * 100.0, repair=False, before=page.written.get("Service/a"))
    assert not page.contested("Service/a", 1000.0)
