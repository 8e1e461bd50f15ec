"""What we believe of the API server, and how the client behaves when it does not answer well."""

from __future__ import annotations

import asyncio
import time

import pytest
from aiohttp import web
from kubernetes.aio.client.configuration import Configuration

from seatrial.cluster import client as module
from seatrial.cluster.client import Client, Connection, Timeouts, WatchEvent
from seatrial.cluster.errors import (
    AlreadyExists,
    ApiError,
    Busy,
    Conflict,
    Forbidden,
    Gone,
    NotAllowed,
    NotFound,
    QuotaExceeded,
    Refused,
    ServerFailed,
    Unreachable,
    from_answer,
)
from seatrial.cluster.kinds import CONTROLLER_REVISION, DEPLOYMENT, HTTP_ROUTE, MODEL_DEPLOYMENT, SERVICE, Kind
from tests.cluster_io.conftest import Plane
from tests.cluster_io.objects import deployment, model, record, service
from tests.support.fakeapi import FakeApi

UNKNOWN = Kind("nobody.example.com", "v1", "things", "Thing")


async def test_what_is_created_can_be_read(plane: Plane, client: Client) -> None:
    made = await client.create(service(plane.namespace))
    assert made["metadata"]["uid"] and made["metadata"]["resourceVersion"]
    assert await client.get(SERVICE, plane.namespace, "fraud") == made


async def test_what_is_not_there_is_not_found(plane: Plane, client: Client) -> None:
    assert await client.find(SERVICE, plane.namespace, "nobody") is None
    with pytest.raises(NotFound) as error:
        await client.get(SERVICE, plane.namespace, "nobody")
    assert not error.value.again
    assert "nobody" in error.value.said


async def test_a_kind_that_is_not_served_is_not_found(plane: Plane, client: Client) -> None:
    with pytest.raises(NotFound):
        await client.list(UNKNOWN, plane.namespace)
    assert not await client.serves(UNKNOWN)
    assert await client.serves(MODEL_DEPLOYMENT)
    assert await client.serves(SERVICE)


async def test_a_name_that_is_taken(plane: Plane, client: Client) -> None:
    await client.create(service(plane.namespace))
    with pytest.raises(AlreadyExists):
        await client.create(service(plane.namespace))


async def test_a_dry_run_stores_nothing(plane: Plane, client: Client) -> None:
    answer = await client.create(deployment(plane.namespace), dry_run=True)
    assert answer["spec"]["template"]["spec"]["restartPolicy"] == "Always"
    assert await client.find(DEPLOYMENT, plane.namespace, answer["metadata"]["name"]) is None


async def test_a_replacement_needs_the_version_that_was_read(plane: Plane, client: Client) -> None:
    made = await client.create(service(plane.namespace))
    made["spec"]["selector"] = {"a": "b"}
    changed = await client.replace(made)
    assert changed["spec"]["selector"] == {"a": "b"}
    assert changed["spec"]["clusterIP"] == made["spec"]["clusterIP"]
    with pytest.raises(Conflict) as error:
        await client.replace(made)
    assert error.value.again
    del made["metadata"]["resourceVersion"]
    with pytest.raises(ValueError, match="blindly"):
        await client.replace(made)


async def test_a_replacement_that_changes_nothing_is_no_write(plane: Plane, client: Client) -> None:
    """What makes it safe to put an object again after a server's new default."""
    made = await client.create(deployment(plane.namespace))
    assert (await client.replace(made))["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_a_dry_run_replacement_shows_what_would_be(plane: Plane, client: Client) -> None:
    made = await client.create(deployment(plane.namespace))
    made["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.example.com/other:1"
    answer = await client.replace(made, dry_run=True)
    assert answer["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example.com/other:1"
    stored = await client.get(DEPLOYMENT, plane.namespace, made["metadata"]["name"])
    assert stored["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example.com/fraud:1"


async def test_a_records_data_cannot_be_changed(plane: Plane, client: Client) -> None:
    made = await client.create(record(plane.namespace, deployment(plane.namespace)))
    made["data"]["algorithm"] = "v2"
    with pytest.raises(Refused):
        await client.replace(made)
    made["data"]["algorithm"] = "v1"
    made["metadata"]["labels"]["a"] = "b"
    assert (await client.replace(made))["metadata"]["labels"]["a"] == "b"


async def test_others_can_patch_a_records_metadata(plane: Plane, client: Client) -> None:
    """The garbage collector must be able to, or `--cascade=orphan` would hang. Its data is compared by bytes."""
    wanted = deployment(plane.namespace)
    container = wanted["spec"]["template"]["spec"]["containers"][0]
    container["command"] = ["sh", "-c", "a && b < c > d; echo 'é\u2028\"\\'"]
    wanted["spec"]["template"]["spec"]["zz"] = None
    made = await client.create(record(plane.namespace, wanted))
    name = made["metadata"]["name"]
    patched = await client.patch(CONTROLLER_REVISION, plane.namespace, name, {"metadata": {"labels": {"a": "b"}}})
    assert patched["metadata"]["labels"]["a"] == "b"
    again = await client.get(CONTROLLER_REVISION, plane.namespace, name)
    again["metadata"]["labels"]["a"] = "c"
    assert (await client.replace(again))["data"] == made["data"]


async def test_a_patch_with_a_uid_is_for_that_object_only(plane: Plane, client: Client) -> None:
    made = await client.create(deployment(plane.namespace))
    name, uid = made["metadata"]["name"], made["metadata"]["uid"]
    scaled = await client.patch(DEPLOYMENT, plane.namespace, name, {"metadata": {"uid": uid}, "spec": {"replicas": 5}})
    assert scaled["spec"]["replicas"] == 5
    assert scaled["spec"]["template"] == made["spec"]["template"]
    body = {"metadata": {"uid": "00000000-0000-0000-0000-000000000000"}, "spec": {"replicas": 6}}
    with pytest.raises(Refused, match="uid"):
        await client.patch(DEPLOYMENT, plane.namespace, name, body)


async def test_a_status_patch_leaves_the_spec_and_its_generation(plane: Plane, client: Client) -> None:
    made = await client.create(model(plane.namespace))
    assert made["metadata"]["generation"] == 1
    version = made["metadata"]["resourceVersion"]
    body = {
        "metadata": {"resourceVersion": version},
        "spec": {"replicas": 7},
        "status": {"phase": "Preparing", "weight": "5"},
    }
    patched = await client.patch(MODEL_DEPLOYMENT, plane.namespace, "fraud", body, subresource="status")
    assert patched["status"]["phase"] == "Preparing"
    assert patched["spec"]["replicas"] == 2
    assert patched["metadata"]["generation"] == 1
    with pytest.raises(Conflict):
        await client.patch(MODEL_DEPLOYMENT, plane.namespace, "fraud", body, subresource="status")
    gone = await client.patch(
        MODEL_DEPLOYMENT, plane.namespace, "fraud", {"status": {"weight": None}}, subresource="status"
    )
    assert "weight" not in gone["status"] or gone["status"]["weight"] == ""


async def test_only_the_object_with_the_uid_is_deleted(plane: Plane, client: Client) -> None:
    made = await client.create(service(plane.namespace))
    with pytest.raises(Conflict):
        await client.delete(SERVICE, plane.namespace, "fraud", uid="00000000-0000-0000-0000-000000000000")
    await client.delete(SERVICE, plane.namespace, "fraud", uid=made["metadata"]["uid"])
    assert await client.find(SERVICE, plane.namespace, "fraud") is None


async def test_lists_come_in_pages_with_kinds(plane: Plane, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 2)
    for number in range(5):
        await client.create(service(plane.namespace, f"s{number}"))
    unlabelled = service(plane.namespace, "other")
    del unlabelled["metadata"]["labels"]
    await client.create(unlabelled)
    before = len(plane.calls)
    found = await client.list(SERVICE, plane.namespace, selector="seatrial.dev/model=fraud")
    assert [item["metadata"]["name"] for item in found.items] == [f"s{n}" for n in range(5)]
    assert all((item["apiVersion"], item["kind"]) == ("v1", "Service") for item in found.items)
    assert len(plane.calls) - before == 3
    assert int(found.resource_version) > 0


async def test_a_metadata_list_has_no_content(plane: Plane, client: Client) -> None:
    await client.create(service(plane.namespace))
    (item,) = (await client.list(SERVICE, plane.namespace, metadata_only=True)).items
    assert item["metadata"]["name"] == "fraud"
    assert "spec" not in item


async def watched(client: Client, plane: Plane, version: str, count: int) -> list[WatchEvent]:
    seen = []
    stream = client.watch(
        SERVICE, plane.namespace, version, selector="seatrial.dev/model", metadata_only=True, seconds=30
    )
    async for event in stream:
        if event.type != "BOOKMARK":
            seen.append(event)
        if len(seen) == count:
            break
    await stream.aclose()  # type: ignore[attr-defined] # it is a generator
    return seen


async def test_a_watch_brings_what_happens_after_a_version(plane: Plane, client: Client) -> None:
    listing = await client.list(SERVICE, plane.namespace)
    made = await client.create(service(plane.namespace))
    made["metadata"]["labels"].pop("seatrial.dev/model")
    await client.replace(made)
    events = await asyncio.wait_for(watched(client, plane, listing.resource_version, 2), 20)
    # A label that a selector asks for, taken off, is a deletion to whoever watches with it.
    assert [event.type for event in events] == ["ADDED", "DELETED"]
    assert all(event.object["kind"] == "PartialObjectMetadata" for event in events)
    assert all("spec" not in event.object for event in events)


async def test_the_route_has_no_generation_of_its_status(plane: Plane, client: Client) -> None:
    """A status does not count as a change of the spec, on which `Confirmed` stands."""
    from tests.cluster_io.objects import route

    made = await client.create(route(plane.namespace))
    assert made["metadata"]["generation"] == 1
    made["spec"]["rules"][0]["backendRefs"][0]["weight"] = 1
    changed = await client.replace(made)
    assert changed["metadata"]["generation"] == 2
    assert await client.find(HTTP_ROUTE, plane.namespace, "fraud") == changed


async def test_every_call_is_counted(plane: Plane, client: Client) -> None:
    await client.find(CONTROLLER_REVISION, plane.namespace, "nobody")
    call = plane.calls[-1]
    assert (call.verb, call.resource, call.code) == ("get", "controllerrevisions", 404)
    assert call.seconds >= 0


# -- bad days ---------------------------------------------------------------------------------------------------------


async def test_a_short_retry_after_is_waited_for(fake: FakeApi, faulty: Client) -> None:
    asked = 0

    async def busy(_: web.Request) -> web.Response | None:
        nonlocal asked
        asked += 1
        return web.json_response({}, status=429, headers={"Retry-After": "1"}) if asked == 1 else None

    fake.faults.append(busy)
    begun = time.monotonic()
    await faulty.create(service("default"))
    assert asked == 2
    assert time.monotonic() - begun >= 1


async def test_a_long_retry_after_is_the_callers_to_plan(fake: FakeApi, faulty: Client) -> None:
    async def busy(_: web.Request) -> web.Response:
        return web.json_response({"message": "later"}, status=429, headers={"Retry-After": "60"})

    fake.faults.append(busy)
    with pytest.raises(Busy) as error:
        await faulty.list(SERVICE, "default")
    assert error.value.retry_after == 60
    assert error.value.again
    assert len(fake.requests) == 1


async def test_a_failing_server_is_asked_once(fake: FakeApi, faulty: Client) -> None:
    async def broken(_: web.Request) -> web.Response:
        return web.Response(status=500, text="etcd is on fire")

    fake.faults.append(broken)
    with pytest.raises(ServerFailed):
        await faulty.create(service("default"))
    assert len(fake.requests) == 1


async def test_a_server_that_hangs_is_left(fake: FakeApi, faulty: Client) -> None:
    async def hang(_: web.Request) -> None:
        await asyncio.sleep(30)

    fake.faults.append(hang)
    begun = time.monotonic()
    with pytest.raises(Unreachable):
        await faulty.get(SERVICE, "default", "fraud")
    assert time.monotonic() - begun < 2


async def test_nobody_there() -> None:
    async with Client(Connection(Configuration(host="http://127.0.0.1:1"))) as client:
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1:1"):
            await client.get(SERVICE, "default", "fraud")


async def test_an_answer_that_is_no_json(fake: FakeApi, faulty: Client) -> None:
    async def odd(_: web.Request) -> web.Response:
        return web.Response(text="<html>proxy</html>")

    fake.faults.append(odd)
    with pytest.raises(Unreachable):
        await faulty.get(SERVICE, "default", "fraud")


async def test_a_watch_from_too_long_ago_is_gone(fake: FakeApi, faulty: Client) -> None:
    await faulty.create(service("default"))
    fake.compact()
    with pytest.raises(Gone):
        async for _ in faulty.watch(SERVICE, "default", "1"):
            pass


async def test_a_silent_watch_is_given_up(fake: FakeApi) -> None:
    fake.bookmark_after = 60
    timeouts = Timeouts(silence=0.3)
    async with Client(Connection(Configuration(host=fake.url)), timeouts=timeouts) as client:
        listing = await client.list(SERVICE, "default")
        with pytest.raises(Unreachable):
            async for _ in client.watch(SERVICE, "default", listing.resource_version):
                pass


async def test_new_credentials_are_asked_for_once(fake: FakeApi) -> None:
    renewed = 0

    async def renew() -> None:
        nonlocal renewed
        renewed += 1
        configuration.api_key["BearerToken"] = "Bearer new"

    async def guard(request: web.Request) -> web.Response | None:
        good = request.headers.get("Authorization") == "Bearer new"
        return None if good else web.json_response({"message": "who are you"}, status=401)

    fake.faults.append(guard)
    configuration = Configuration(host=fake.url)
    configuration.api_key["BearerToken"] = "Bearer old"
    async with Client(Connection(configuration, reload=renew)) as client:
        await client.list(SERVICE, "default")
        assert renewed == 1
        configuration.api_key["BearerToken"] = "Bearer stale"
        with pytest.raises(NotAllowed):
            await client.list(SERVICE, "default")
    assert renewed == 1


@pytest.mark.parametrize(
    ("code", "reason", "message", "kind", "again"),
    [
        (400, "BadRequest", 'strict decoding error: unknown field "spec.x"', Refused, False),
        (422, "Invalid", "spec.replicas: Invalid value", Refused, False),
        (403, "Forbidden", 'pods "a" is forbidden: exceeded quota: q, requested: pods=1', QuotaExceeded, True),
        (403, "Forbidden", 'services is forbidden: User "u" cannot list resource "services"', NotAllowed, True),
        (403, "Forbidden", "admission webhook denied the request: no", Forbidden, False),
        (404, "NotFound", "not found", NotFound, False),
        (409, "AlreadyExists", "exists", AlreadyExists, True),
        (409, "Conflict", "modified", Conflict, True),
        (410, "Expired", "too old", Gone, False),
        (429, "TooManyRequests", "later", Busy, True),
        (503, "ServiceUnavailable", "no", ServerFailed, True),
        (401, "Unauthorized", "who", NotAllowed, True),
    ],
)
def test_whether_asking_again_helps(code: int, reason: str, message: str, kind: type[ApiError], again: bool) -> None:
    error = from_answer(code, {"reason": reason, "message": message}, "PUT services a/b")
    assert type(error) is kind
    assert error.again is again
    assert error.said == message


async def test_no_kubeconfig_says_what_to_do(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(NotAllowed, match="KUBECONFIG"):
        await Connection.find()
