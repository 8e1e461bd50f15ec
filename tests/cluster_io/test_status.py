"""A status is stored whole, over the version it was decided on, and only when it differs."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.api.status import Paused, Phase, Status
from seatrial.cluster.client import Client
from seatrial.cluster.errors import Conflict
from seatrial.cluster.events import BUDGET, QUIET, Poster
from seatrial.cluster.kinds import EVENT, MODEL_DEPLOYMENT
from seatrial.cluster.parse import parse_status
from seatrial.cluster.status import difference, store
from seatrial.core.state import Event
from tests.cluster_io.conftest import Plane
from tests.cluster_io.objects import model
from tests.support.fakeapi import merge

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
PAUSED = Status(phase=Phase.CANARY, weight="5", paused=Paused(by="ann", since=NOW))


async def test_a_status_comes_back_as_it_was_stored(plane: Plane, client: Client) -> None:
    resource = await client.create(model(plane.namespace))
    assert await store(client, resource, PAUSED)
    stored = await client.get(MODEL_DEPLOYMENT, plane.namespace, "fraud")
    assert parse_status(stored["status"]) == PAUSED
    assert not await store(client, stored, PAUSED), "the same again is no write"
    assert await store(client, stored, Status(phase=Phase.STABLE))
    stored = await client.get(MODEL_DEPLOYMENT, plane.namespace, "fraud")
    assert parse_status(stored["status"]) == Status(phase=Phase.STABLE)
    assert "paused" not in stored["status"], "what is unset now is not left over"


async def test_a_decision_on_an_old_spec_is_not_stored(plane: Plane, client: Client) -> None:
    resource = await client.create(model(plane.namespace))
    await client.patch(MODEL_DEPLOYMENT, plane.namespace, "fraud", {"spec": {"replicas": 3}})
    with pytest.raises(Conflict):
        await store(client, resource, PAUSED)
    assert not (await client.get(MODEL_DEPLOYMENT, plane.namespace, "fraud")).get("status")


async def test_somebody_elses_status_is_not_overwritten(plane: Plane, client: Client) -> None:
    resource = await client.create(model(plane.namespace))
    await store(client, resource, Status(phase=Phase.STABLE))
    with pytest.raises(Conflict):
        await store(client, resource, PAUSED)


async def test_a_label_meanwhile_does_not_matter(plane: Plane, client: Client) -> None:
    resource = await client.create(model(plane.namespace))
    await client.patch(MODEL_DEPLOYMENT, plane.namespace, "fraud", {"metadata": {"labels": {"a": "b"}}})
    assert await store(client, resource, PAUSED)


async def test_another_resource_of_the_same_name_is_left_alone(plane: Plane, client: Client) -> None:
    resource = await client.create(model(plane.namespace))
    await client.delete(MODEL_DEPLOYMENT, plane.namespace, "fraud", uid=resource["metadata"]["uid"])
    await client.create(model(plane.namespace))
    with pytest.raises(Conflict):
        await store(client, resource, PAUSED)


values = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.sampled_from("abcd"), values, max_size=4)


@given(objects, objects)
def test_a_difference_leads_from_one_to_the_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert merge(before, difference(before, after)) == after
    assert (difference(before, after) == {}) == (before == after and str(before) == str(after)) or before == after


# -- events -----------------------------------------------------------------------------------------------------------


async def events(client: Client, plane: Plane) -> list[dict[str, Any]]:
    return list((await client.list(EVENT, plane.namespace)).items)


async def test_an_event_is_about_its_resource_and_told_once(plane: Plane, client: Client) -> None:
    resource = await client.create(model(plane.namespace))
    at = 0.0
    poster = Poster(client, clock=lambda: at)
    promoted = Event("Normal", "Promoted", "revision e04d5521aa is stable")
    assert await poster.post(resource, [promoted], NOW) == 1
    assert await poster.post(resource, [promoted], NOW) == 0
    (found,) = await events(client, plane)
    assert found["involvedObject"]["uid"] == resource["metadata"]["uid"]
    assert (found["type"], found["reason"], found["message"]) == ("Normal", promoted.reason, promoted.message)
    assert found["source"]["component"] == "seatrial"
    at = QUIET + 1
    assert await poster.post(resource, [promoted], NOW.replace(hour=13)) == 1


async def test_a_flood_of_events_is_dammed(plane: Plane, client: Client) -> None:
    resource = await client.create(model(plane.namespace))
    poster = Poster(client, clock=lambda: 0.0)
    flood = [Event("Warning", "Repaired", f"edit {n}") for n in range(BUDGET + 10)]
    assert await poster.post(resource, flood, NOW) == BUDGET


async def test_a_long_message_is_cut_not_lost(plane: Plane, client: Client) -> None:
    resource = await client.create(model(plane.namespace))
    assert await Poster(client).post(resource, [Event("Warning", "Long", "x" * 2000)], NOW) == 1
    assert len((await events(client, plane))[0]["message"]) == 1024


async def test_events_never_break_a_pass(plane: Plane, client: Client) -> None:
    resource = await client.create(model(plane.namespace))
    nowhere = {**resource, "metadata": {**resource["metadata"], "namespace": f"{plane.namespace}-gone"}}
    if plane.fake is not None:

        async def refuse(request: Any) -> Any:
            from aiohttp import web

            return web.json_response({"message": "no"}, status=403)

        plane.fake.faults.append(refuse)
    async with asyncio.timeout(10):
        assert await Poster(client).post(nowhere, [Event("Normal", "A", "b")], NOW) == 0
