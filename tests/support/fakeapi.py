"""A small API server in memory, for everyday tests of whatever talks to one.

It has what our client relies on, and says it in the API server's words: uid, generation, resourceVersion
and its conflicts, preconditions, dry runs, merge patches, the status subresource, label selectors, pages,
metadata-only answers, watches with bookmarks and 410. Nothing is validated and little is defaulted.
The same cases run against a real kube-apiserver (`tests/cluster_io`), so that its lies are found.

`faults` is asked before each request: return a response to send instead, or raise, or sleep.
"""

from __future__ import annotations

import asyncio
import copy
import functools
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from aiohttp import web

Manifest = dict[str, Any]
Fault = Callable[[web.Request], Awaitable[web.StreamResponse | None]]

KINDS = {
    ("", "v1", "services"): "Service",
    ("", "v1", "namespaces"): "Namespace",
    ("discovery.k8s.io", "v1", "endpointslices"): "EndpointSlice",
    ("", "v1", "pods"): "Pod",
    ("", "v1", "configmaps"): "ConfigMap",
    ("", "v1", "events"): "Event",
    ("apps", "v1", "deployments"): "Deployment",
    ("apps", "v1", "controllerrevisions"): "ControllerRevision",
    ("coordination.k8s.io", "v1", "leases"): "Lease",
    ("policy", "v1", "poddisruptionbudgets"): "PodDisruptionBudget",
    ("gateway.networking.k8s.io", "v1", "httproutes"): "HTTPRoute",
    ("gateway.networking.k8s.io", "v1", "gateways"): "Gateway",
    ("gateway.networking.k8s.io", "v1", "gatewayclasses"): "GatewayClass",
    ("seatrial.dev", "v1alpha1", "modeldeployments"): "ModelDeployment",
    ("seatrial.dev", "v1alpha1", "trialpolicies"): "TrialPolicy",
    ("seatrial.dev", "v1alpha1", "clustertrialpolicies"): "ClusterTrialPolicy",
}
Place = tuple[str, str, str]
"""Group, version, plural."""


class Refusal(Exception):  # noqa: N818 - an answer, as the API server sees it
    """An answer that is not a success."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message

    def response(self) -> web.Response:
        body = {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }
        return web.json_response(body, status=self.code)


@dataclass
class Change:
    version: int
    type: str
    place: Place
    object: Manifest
    before: Manifest | None


@dataclass
class FakeApi:
    """The server's state, and handles for tests."""

    objects: dict[tuple[Place, str, str], Manifest] = field(default_factory=dict)
    served: set[Place] = field(default_factory=lambda: set(KINDS))
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    """(verb, path) of every request, watches included."""
    admission: list[Callable[[str, Manifest], Manifest]] = field(default_factory=list)
    """Mutating webhooks: (verb, object) -> object, or a Refusal."""
    quota: str = ""
    """Refuse new Deployments with this ResourceQuota message."""
    url: str = ""
    _version: int = 1
    _changes: list[Change] = field(default_factory=list)
    _compacted: int = 0
    _moved: asyncio.Condition = field(default_factory=asyncio.Condition)
    _pages: dict[str, list[Manifest]] = field(default_factory=dict)
    _watches: set[asyncio.Task[Any]] = field(default_factory=set)
    bookmark_after: float = 1.0

    # -- handles for tests ----------------------------------------------------------------------------------------

    def compact(self) -> None:
        """Forget the history: a watch from an older version gets 410."""
        self._changes.clear()
        self._compacted = self._version

    def cut_watches(self) -> None:
        """Break every open watch in the middle."""
        for task in list(self._watches):
            task.cancel()

    def writes(self) -> list[tuple[str, str]]:
        """The requests that were not reads."""
        return [(verb, path) for verb, path in self.requests if verb not in ("GET", "WATCH")]

    def add_namespace(self, name: str) -> None:
        """A Namespace, for those who look at it; nothing else here needs one."""
        metadata = {"name": name, "uid": str(uuid4()), "generation": 1, "resourceVersion": str(self._version)}
        self.objects[("", "v1", "namespaces"), "", name] = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {**metadata, "creationTimestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")},
        }

    # -- serving --------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def run(self) -> AsyncIterator[FakeApi]:
        app = web.Application(client_max_size=8 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        try:
            yield self
        finally:
            self.cut_watches()
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        verb = "WATCH" if request.query.get("watch") == "true" else request.method
        self.requests.append((verb, request.path))
        try:
            for fault in list(self.faults):
                if (answer := await fault(request)) is not None:
                    return answer
            return await self._route(request)
        except Refusal as refusal:
            return refusal.response()

    async def _route(self, request: web.Request) -> web.StreamResponse:
        parts = [part for part in request.path.split("/") if part]
        if parts[:1] == ["apis"] and len(parts) == 3:
            return self._discover(parts[1], parts[2])
        if parts == ["api", "v1"]:
            return self._discover("", "v1")
        if parts[0] == "api":
            group, version, rest = "", parts[1], parts[2:]
        else:
            group, version, rest = parts[1], parts[2], parts[3:]
        namespace = ""
        if rest[:1] == ["namespaces"] and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        place = (group, version, rest[0])
        name = rest[1] if len(rest) > 1 else ""
        subresource = rest[2] if len(rest) > 2 else ""
        if place not in self.served:
            raise Refusal(404, "NotFound", "the server could not find the requested resource")
        if request.query.get("watch") == "true":
            return await self._watch(request, place, namespace)
        match request.method:
            case "GET" if name:
                return web.json_response(self._get(place, namespace, name))
            case "GET":
                return web.json_response(self._list(request, place, namespace))
            case "POST":
                return web.json_response(await self._create(request, place, namespace), status=201)
            case "PUT":
                return web.json_response(await self._replace(request, place, namespace, name, subresource))
            case "PATCH":
                return web.json_response(await self._patch(request, place, namespace, name, subresource))
            case "DELETE":
                return web.json_response(await self._delete(request, place, namespace, name))
        raise Refusal(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")

    def _discover(self, group: str, version: str) -> web.Response:
        names = [place[2] for place in self.served if place[:2] == (group, version)]
        if not names:
            raise Refusal(404, "NotFound", "the server could not find the requested resource")
        verbs = ["create", "delete", "get", "list", "patch", "update", "watch"]
        return web.json_response(
            {
                "kind": "APIResourceList",
                "groupVersion": f"{group}/{version}".lstrip("/"),
                "resources": [
                    {
                        "name": name,
                        "singularName": name[:-1],
                        "namespaced": name not in ("namespaces", "gatewayclasses", "clustertrialpolicies"),
                        "kind": KINDS[group, version, name],
                        "verbs": verbs,
                    }
                    for name in names
                ],
            }
        )

    # -- reading --------------------------------------------------------------------------------------------------

    def _get(self, place: Place, namespace: str, name: str) -> Manifest:
        found = self.objects.get((place, namespace, name))
        if found is None:
            raise Refusal(404, "NotFound", f'{_qualified(place)} "{name}" not found')
        return found

    def _list(self, request: web.Request, place: Place, namespace: str) -> Manifest:
        limit, token = int(request.query.get("limit", 0)), request.query.get("continue", "")
        if token:
            if token not in self._pages:
                raise Refusal(410, "Expired", "The provided continue parameter is too old")
            items = self._pages.pop(token)
        else:
            items = [
                obj
                for (where, space, _), obj in sorted(self.objects.items(), key=lambda entry: entry[0][1:])
                if where == place and (not namespace or space == namespace) and _selected(request, obj)
            ]
        more = ""
        if limit and len(items) > limit:
            more = uuid4().hex
            self._pages[more] = items[limit:]
            items = items[:limit]
        partial = "as=PartialObjectMetadataList" in request.headers.get("Accept", "")
        metadata = {"resourceVersion": str(self._version)} | ({"continue": more} if more else {})
        bare = [{k: v for k, v in obj.items() if k not in ("apiVersion", "kind")} for obj in items]
        return {
            "kind": "PartialObjectMetadataList" if partial else f"{KINDS[place]}List",
            "apiVersion": "meta.k8s.io/v1" if partial else f"{place[0]}/{place[1]}".lstrip("/"),
            "metadata": metadata,
            "items": [_partial(obj) for obj in items] if partial else bare,
        }

    async def _watch(self, request: web.Request, place: Place, namespace: str) -> web.StreamResponse:
        version = int(request.query.get("resourceVersion") or self._version)
        partial = "as=PartialObjectMetadata" in request.headers.get("Accept", "")
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)

        async def send(kind: str, obj: Manifest) -> None:
            await response.write(json.dumps({"type": kind, "object": obj}).encode() + b"\n")

        if version < self._compacted:
            status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
            await send("ERROR", status)
            return response
        task = asyncio.current_task()
        assert task is not None
        self._watches.add(task)
        ends = asyncio.get_running_loop().time() + float(request.query.get("timeoutSeconds", 3600))
        try:
            while asyncio.get_running_loop().time() < ends:
                for change in [change for change in self._changes if change.version > version]:
                    version = change.version
                    if change.place != place or (namespace and change.object["metadata"]["namespace"] != namespace):
                        continue
                    kind = _as_seen(request, change)
                    if kind:
                        await send(kind, _partial(change.object) if partial else change.object)
                try:
                    async with asyncio.timeout(self.bookmark_after), self._moved:
                        await self._moved.wait_for(functools.partial(self._after, version))
                except TimeoutError:
                    mark = {"metadata": {"resourceVersion": str(self._version)}}
                    version = self._version
                    await send("BOOKMARK", {"kind": KINDS[place], **mark})
        except (asyncio.CancelledError, ConnectionError):
            if request.transport is not None:
                request.transport.close()
        finally:
            self._watches.discard(task)
        return response

    # -- writing --------------------------------------------------------------------------------------------------

    async def _create(self, request: web.Request, place: Place, namespace: str) -> Manifest:
        obj = await request.json()
        metadata = obj["metadata"]
        name = metadata["name"]
        if (place, namespace, name) in self.objects:
            raise Refusal(409, "AlreadyExists", f'{_qualified(place)} "{name}" already exists')
        if self.quota and KINDS[place] == "Deployment":
            raise Refusal(403, "Forbidden", f'{_qualified(place)} "{name}" is forbidden: {self.quota}')
        obj = self._admit("CREATE", obj)
        metadata = obj["metadata"]
        metadata.setdefault("namespace", namespace)
        metadata |= {
            "uid": str(uuid4()),
            "generation": 1,
            "creationTimestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        if KINDS[place] == "ModelDeployment":
            obj.pop("status", None)
        _default(obj)
        return await self._store(request, place, obj, None)

    async def _replace(
        self, request: web.Request, place: Place, namespace: str, name: str, subresource: str
    ) -> Manifest:
        return await self._update(request, place, namespace, name, subresource, await request.json())

    async def _patch(self, request: web.Request, place: Place, namespace: str, name: str, subresource: str) -> Manifest:
        before = self._get(place, namespace, name)
        patch = await request.json()
        match request.content_type:
            case "application/merge-patch+json":
                wanted = merge(before, patch)
            case "application/json-patch+json":
                wanted = json_patch(before, patch)
            case "application/apply-patch+yaml" if request.query.get("force") == "true":
                wanted = merge(before, patch)  # as far as lists are atomic, and nothing is left out that was applied
            case other:
                raise Refusal(415, "UnsupportedMediaType", f"{other} is not supported here")
        return await self._update(request, place, namespace, name, subresource, wanted)

    async def _update(
        self, request: web.Request, place: Place, namespace: str, name: str, subresource: str, wanted: Manifest
    ) -> Manifest:
        before = self._get(place, namespace, name)
        there, here = before["metadata"], wanted["metadata"]
        if here.get("resourceVersion", there["resourceVersion"]) != there["resourceVersion"]:
            raise Refusal(
                409,
                "Conflict",
                f'Operation cannot be fulfilled on {_qualified(place)} "{name}": the object has been modified; '
                "please apply your changes to the latest version and try again",
            )
        if here.get("uid", there["uid"]) != there["uid"]:
            if request.method == "PATCH":
                message = f'metadata.uid: Invalid value: "{here["uid"]}": field is immutable'
                raise Refusal(422, "Invalid", f'{_qualified(place)} "{name}" is invalid: {message}')
            message = f"Precondition failed: UID in precondition: {here['uid']}, UID in object meta: {there['uid']}"
            raise Refusal(409, "Conflict", f'Operation cannot be fulfilled on {_qualified(place)} "{name}": {message}')
        if subresource == "status":
            wanted = {**before, "status": wanted.get("status")}
        else:
            wanted = self._admit("UPDATE", copy.deepcopy(wanted))
            wanted.setdefault("status", before.get("status"))
            if wanted["status"] is None:
                del wanted["status"]
            fixed = ("uid", "creationTimestamp", "generation", "namespace", "name")
            kept = {key: there[key] for key in fixed if key in there}
            wanted["metadata"] = {**wanted["metadata"], **kept, "resourceVersion": there["resourceVersion"]}
            if KINDS[place] == "ControllerRevision" and wanted.get("data") != before.get("data"):
                raise Refusal(422, "Invalid", "data: Invalid value: field is immutable")
            _default(wanted, before)
            if wanted.get("spec") != before.get("spec"):
                wanted["metadata"]["generation"] = there["generation"] + 1
        if wanted == before:
            return before
        stored = await self._store(request, place, copy.deepcopy(wanted), before)
        if "deletionTimestamp" in stored["metadata"] and not stored["metadata"].get("finalizers"):
            await self._remove(place, namespace, name)
        return stored

    async def _delete(self, request: web.Request, place: Place, namespace: str, name: str) -> Manifest:
        before = self._get(place, namespace, name)
        options = json.loads(await request.read() or b"{}")
        wanted = (options.get("preconditions") or {}).get("uid", before["metadata"]["uid"])
        if wanted != before["metadata"]["uid"]:
            raise Refusal(409, "Conflict", f"Precondition failed: UID in precondition: {wanted}")
        if before["metadata"].get("finalizers"):
            leaving = copy.deepcopy(before)
            leaving["metadata"].setdefault("deletionTimestamp", datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
            return await self._store(request, place, leaving, before)
        return await self._remove(place, namespace, name)

    async def _remove(self, place: Place, namespace: str, name: str) -> Manifest:
        before = self.objects.pop((place, namespace, name))
        self._version += 1
        gone = copy.deepcopy(before)
        gone["metadata"]["resourceVersion"] = str(self._version)
        await self._tell(Change(self._version, "DELETED", place, gone, before))
        for (where, space, child), obj in list(self.objects.items()):
            owners = obj["metadata"].get("ownerReferences") or ()
            if space == namespace and any(o.get("uid") == before["metadata"]["uid"] for o in owners):
                await self._delete_silently(where, space, child)
        return {"kind": "Status", "status": "Success"}

    def _after(self, version: int) -> bool:
        return self._version > version

    async def _delete_silently(self, place: Place, namespace: str, name: str) -> None:
        """What the garbage collector would do."""
        before = self.objects.pop((place, namespace, name))
        self._version += 1
        await self._tell(Change(self._version, "DELETED", place, before, before))

    async def _store(self, request: web.Request, place: Place, obj: Manifest, before: Manifest | None) -> Manifest:
        if request.query.get("dryRun") == "All":
            return obj
        if KINDS[place] == "HTTPRoute" and obj.get("spec") != (before or {}).get("spec"):
            obj["metadata"]["managedFields"] = _managed(request, obj["metadata"].get("managedFields") or [])
        self._version += 1
        obj["metadata"]["resourceVersion"] = str(self._version)
        self.objects[place, obj["metadata"].get("namespace", ""), obj["metadata"]["name"]] = obj
        await self._tell(Change(self._version, "ADDED" if before is None else "MODIFIED", place, obj, before))
        return obj

    async def _tell(self, change: Change) -> None:
        change.object = copy.deepcopy(change.object)
        self._changes.append(change)
        async with self._moved:
            self._moved.notify_all()

    def _admit(self, verb: str, obj: Manifest) -> Manifest:
        for webhook in self.admission:
            obj = webhook(verb, obj)
        return obj


_addresses = itertools.count(10)


def _default(obj: Manifest, before: Manifest | None = None) -> None:
    """A little of what the API server adds."""
    spec = obj.get("spec")
    if obj["kind"] == "Service" and spec is not None:
        was = (before or {}).get("spec") or {}
        spec.setdefault("clusterIP", was.get("clusterIP") or f"10.96.0.{next(_addresses)}")
        spec.setdefault("sessionAffinity", "None")
    if obj["kind"] == "Deployment" and spec is not None:
        spec.setdefault("replicas", 1)
        pod = spec["template"]["spec"]
        pod.setdefault("restartPolicy", "Always")
        pod.setdefault("dnsPolicy", "ClusterFirst")


def merge(target: Any, patch: Any) -> Any:
    """A JSON merge patch, RFC 7386."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    out = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = merge(out.get(key), value)
    return out


def json_patch(target: Manifest, operations: list[Manifest]) -> Manifest:
    """A JSON patch, RFC 6902, with the operations that are needed here."""
    out = copy.deepcopy(target)
    for operation in operations:
        *way, last = operation["path"].strip("/").split("/")
        try:
            parent = functools.reduce(_step, way, out)
            if operation["op"] == "add":
                parent[last] = operation["value"]
            elif operation["op"] == "remove":
                del parent[last]
            elif operation["op"] != "test" or parent[last] != operation["value"]:
                raise KeyError(last)
        except (KeyError, IndexError):
            message = "the server rejected our request due to an error in our request"
            raise Refusal(422, "Invalid", message) from None
    return out


def _step(place: Any, part: str) -> Any:
    return place[int(part)] if isinstance(place, list) else place[part]


def _managed(request: web.Request, before: list[Manifest]) -> list[Manifest]:
    """Who wrote the rules of a route last: one atomic list has one owner."""
    entry: Manifest = {
        "manager": request.query.get("fieldManager", request.headers.get("User-Agent", "")),
        "operation": "Apply" if request.content_type == "application/apply-patch+yaml" else "Update",
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "fieldsV1": {"f:spec": {"f:rules": {}}},
    }
    return [*({**one, "fieldsV1": {}} for one in before), entry]


def _qualified(place: Place) -> str:
    return f"{place[2]}.{place[0]}" if place[0] else place[2]


def _partial(obj: Manifest) -> Manifest:
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


def _selected(request: web.Request, obj: Manifest) -> bool:
    fields = request.query.get("fieldSelector", "")
    if fields and fields != f"metadata.name={obj['metadata']['name']}":
        return False
    labels = obj["metadata"].get("labels") or {}
    selector = request.query.get("labelSelector", "")
    if " in (" in selector:
        key, _, values = selector.removesuffix(")").partition(" in (")
        return labels.get(key) in values.split(",")
    for term in filter(None, selector.split(",")):
        key, equals, value = term.partition("=")
        if key not in labels or (equals and labels[key] != value):
            return False
    return True


def _as_seen(request: web.Request, change: Change) -> str:
    """The type of a change for a watcher with a selector: a label taken off is a deletion to him."""
    now = change.type != "DELETED" and _selected(request, change.object)
    before = change.before is not None and _selected(request, change.before)
    if now:
        return "MODIFIED" if before else "ADDED"
    return "DELETED" if before else ""
