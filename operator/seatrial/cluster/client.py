"""A thin asynchronous client: dicts in, dicts out, short time-outs, every call counted.

The `kubernetes` package brings configuration, TLS, proxies, tokens and the session that has them. Its
request layers are left aside: the typed and dynamic APIs cost four to five times the processor time of the
request itself and turn manifests into objects that would have to be turned back, and all of them write
JSON in a way of their own, which matters (see `encode`).

A request is sent once. The exceptions are answers that say it was not carried out: 429 with a short
Retry-After, and 401 with credentials that can be renewed.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import config as kubernetes_config
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.rest import RESTClientObject
from kubernetes.aio.config.incluster_config import SERVICE_TOKEN_FILENAME
from yarl import URL

from seatrial.build.names import MANAGER
from seatrial.cluster.errors import ApiError, Gone, NotAllowed, NotFound, Unreachable, from_answer
from seatrial.cluster.kinds import BY_KIND, LEASE, Kind
from seatrial.core.state import Manifest

PAGE = 500
"""Objects in one page of a list."""
PATIENCE = 5.0
"""Seconds of Retry-After that a request waits for by itself; a longer wait is the caller's to plan."""
ATTEMPTS = 3
"""Times a request is sent while the answer is 429."""

DEFAULT_LIMITS = aiohttp.ClientTimeout(total=10)
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
METADATA_WATCH = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"


@dataclass(frozen=True, slots=True)
class Call:
    """One request and its answer, for the metrics."""

    verb: str
    """As RBAC names it: get, list, watch, create, update, patch, delete."""
    resource: str
    """Plural of the kind, with a subresource: `deployments`, `modeldeployments/status`."""
    code: int
    """HTTP status; 0 without an answer."""
    seconds: float


OnCall = Callable[[Call], None]


@dataclass(frozen=True, slots=True)
class Listing:
    """A complete list and the version to watch from."""

    items: tuple[Manifest, ...]
    resource_version: str


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One line of a watch."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: Manifest


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds."""

    connect: float = 3.0
    read: float = 10.0
    """One ordinary request, from the first byte sent to the last byte read."""
    list: float = 30.0
    """One page of a list."""
    silence: float = 90.0
    """A watch without a line: the API server sends a bookmark about once a minute."""


def _place(namespace: str | None, name: str) -> str:
    """An object for messages: what lies in no namespace has only a name."""
    return name if namespace is None else f"{namespace}/{name}"


def _picked(labels: str, fields: str) -> dict[str, str]:
    """The part of a query that picks objects."""
    return {name: value for name, value in (("labelSelector", labels), ("fieldSelector", fields)) if value}


def encode(body: object) -> bytes:
    """JSON exactly as Go writes a map: keys sorted, no spaces, `<`, `>` and `&` escaped.

    A ControllerRevision's `data` is immutable byte for byte, and every PATCH, of a label or by the garbage
    collector, passes it through Go. Written in any other way it would count as changed and be refused.
    """
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    # None of these can stand outside a string.
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode()


class Connection:
    """Where the API server is, and the credentials to talk to it."""

    def __init__(self, configuration: Configuration, *, reload: Callable[[], Any] | None = None) -> None:
        self.configuration = configuration
        self._reload = reload
        self._reloaded = 0.0

    @classmethod
    async def find(cls, kubeconfig: str = "", context: str = "") -> Connection:
        """Use the named kubeconfig, else `KUBECONFIG`, else the pod's own account, else the home directory's."""
        chosen = kubeconfig or os.environ.get("KUBECONFIG", "")
        configuration = Configuration()
        if not chosen and os.path.exists(SERVICE_TOKEN_FILENAME):  # noqa: ASYNC240, PTH110 - once, at start
            kubernetes_config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
            return cls(configuration)
        where = chosen or os.path.expanduser("~/.kube/config")  # noqa: ASYNC240, PTH111 - once, at start

        async def load() -> None:
            await kubernetes_config.load_kube_config(  # type: ignore[no-untyped-call]
                config_file=where, context=context or None, client_configuration=configuration, persist_config=False
            )

        try:
            await load()
        except kubernetes_config.ConfigException as error:
            raise NotAllowed(f"No usable kubeconfig: {error}. Set KUBECONFIG or pass --kubeconfig FILE.") from error
        return cls(configuration, reload=load)

    @property
    def server(self) -> str:
        """The address of the API server."""
        return str(self.configuration.host)

    async def headers(self) -> dict[str, str]:
        """The credentials; tokens are read anew when they are due."""
        settings = await self.configuration.auth_settings()
        token = settings.get("BearerToken")
        return {"Authorization": str(token["value"])} if token else {}

    async def renew(self) -> bool:
        """Ask for new credentials (an exec plug-in's token ran out); whether there is anything to ask."""
        if self._reload is None or time.monotonic() - self._reloaded < 5:
            return False
        self._reloaded = time.monotonic()
        await self._reload()
        return True


class Client:
    """The requests the operator makes. One instance for a process; `async with`, or `close`."""

    def __init__(
        self,
        connection: Connection,
        *,
        on_call: OnCall = lambda _call: None,
        timeouts: Timeouts = Timeouts(),
        manager: str = MANAGER,
    ) -> None:
        self.connection = connection
        self._rest = RESTClientObject(connection.configuration)
        self._session: aiohttp.ClientSession | None = None
        self._on_call = on_call
        self._timeouts = timeouts
        self._manager = manager

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End all connections."""
        if self._session is not None:
            await self._session.close()
            # Transports end one turn of the loop after they are closed.
            await asyncio.sleep(0)

    # -- reading --------------------------------------------------------------------------------------------------

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Manifest:
        """One object as it is now."""
        return await self._json("get", kind, "GET", kind.path(namespace, name), name=_place(namespace, name))

    async def find(self, kind: Kind, namespace: str | None, name: str) -> Manifest | None:
        """One object, or None where it, or its kind, does not exist."""
        try:
            return await self.get(kind, namespace, name)
        except NotFound:
            return None

    async def list(
        self, kind: Kind, namespace: str | None = None, *, selector: str = "", metadata_only: bool = False
    ) -> Listing:
        """All objects of a namespace, or of all namespaces, that a label selector picks, read in pages."""
        restarted = False
        while True:
            items: list[Manifest] = []
            version = ""
            try:
                async for page in self.pages(kind, namespace, selector=selector, metadata_only=metadata_only):
                    items += page.items
                    version = page.resource_version
                return Listing(tuple(items), version)
            except Gone:
                # The snapshot behind a page's token was compacted: begin again, once.
                if restarted or not items:
                    raise
                restarted = True

    async def pages(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        selector: str = "",
        fields: str = "",
        metadata_only: bool = False,
        size: int | None = None,
    ) -> AsyncIterator[Listing]:
        """The same, a page at a time. Raises `Gone` when reading takes longer than the server remembers."""
        query = {"limit": str(size or PAGE)} | _picked(selector, fields)
        while True:
            page = await self._json(
                "list",
                kind,
                "GET",
                kind.path(namespace),
                query=query,
                accept=METADATA_LIST if metadata_only else "",
                seconds=self._timeouts.list,
            )
            items = page.get("items") or []
            for item in items:
                # Items of a typed list carry neither; writers need both.
                item.setdefault("apiVersion", kind.api_version)
                item.setdefault("kind", kind.kind)
                # Half of an object's bytes, and nobody here reads them.
                item["metadata"].pop("managedFields", None)
            metadata = page.get("metadata") or {}
            yield Listing(tuple(items), str(metadata.get("resourceVersion", "")))
            if not metadata.get("continue"):
                return
            query["continue"] = metadata["continue"]

    async def watch(
        self,
        kind: Kind,
        namespace: str | None,
        resource_version: str,
        *,
        selector: str = "",
        fields: str = "",
        metadata_only: bool = False,
        seconds: int = 300,
    ) -> AsyncIterator[WatchEvent]:
        """Changes since a version, until the server ends the stream. Raises `Gone` when it is too old."""
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(seconds),
            **_picked(selector, fields),
        }
        what = f"WATCH {kind.plural}"
        limits = aiohttp.ClientTimeout(
            total=seconds + 30, sock_connect=self._timeouts.connect, sock_read=self._timeouts.silence
        )
        response = await self._send(
            "watch",
            kind.plural,
            "GET",
            kind.path(namespace),
            what,
            query=query,
            accept=METADATA_WATCH if metadata_only else "",
            limits=limits,
        )
        try:
            while line := await response.content.readline():
                event = json.loads(line)
                body = event.get("object") or {}
                if event.get("type") == "ERROR":
                    raise from_answer(int(body.get("code") or 500), body, what)
                yield WatchEvent(event["type"], body)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise Unreachable(f"{what}: {error!r}") from error
        finally:
            # A watch is left in the middle: no farewell of TLS, which would outlive whoever waits for our end.
            if response.connection is not None and response.connection.transport is not None:
                response.connection.transport.abort()
            response.close()

    async def serves(self, kind: Kind) -> bool:
        """Whether the API server knows a kind."""
        path = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
        try:
            found = await self._json("get", kind, "GET", path)
        except NotFound:
            return False
        return any(entry.get("name") == kind.plural for entry in found.get("resources") or ())

    # -- writing --------------------------------------------------------------------------------------------------

    async def create(self, manifest: Manifest, *, dry_run: bool = False, strict: bool = False) -> Manifest:
        """POST. `strict` has unknown and doubled fields refused instead of dropped."""
        kind = BY_KIND[manifest["kind"]]
        namespace, name = manifest["metadata"]["namespace"], manifest["metadata"].get("name", "")
        query = self._write_query(dry_run=dry_run) | ({"fieldValidation": "Strict"} if strict else {})
        return await self._json(
            "create", kind, "POST", kind.path(namespace), query=query, body=manifest, name=f"{namespace}/{name}"
        )

    async def replace(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        """PUT the whole object; its `uid` and `resourceVersion` say which one, as it was when."""
        kind = BY_KIND[manifest["kind"]]
        metadata = manifest["metadata"]
        if not metadata.get("resourceVersion"):
            raise ValueError(f"replacing {kind.kind} {metadata['name']} blindly: it has no resourceVersion")
        namespace, name = metadata["namespace"], metadata["name"]
        return await self._json(
            "update",
            kind,
            "PUT",
            kind.path(namespace, name),
            query=self._write_query(dry_run=dry_run),
            body=manifest,
            name=f"{namespace}/{name}",
        )

    async def patch(
        self, kind: Kind, namespace: str | None, name: str, body: Mapping[str, Any], *, subresource: str = ""
    ) -> Manifest:
        """A JSON merge patch. `metadata.resourceVersion` in it makes it a 409 if somebody wrote in between."""
        return await self._json(
            "patch",
            kind,
            "PATCH",
            kind.path(namespace, name, subresource),
            query=self._write_query(),
            body=body,
            content_type="application/merge-patch+json",
            name=_place(namespace, name),
            subresource=subresource,
        )

    async def patch_json(
        self, kind: Kind, namespace: str, name: str, operations: Sequence[Mapping[str, Any]]
    ) -> Manifest:
        """A JSON patch (RFC 6902): all of it or, where one of its tests fails, nothing (`Refused`, 422)."""
        return await self._json(
            "patch",
            kind,
            "PATCH",
            kind.path(namespace, name),
            query=self._write_query(),
            body=list(operations),
            content_type="application/json-patch+json",
            name=f"{namespace}/{name}",
        )

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str) -> None:
        """Delete exactly the object with this uid; its own children follow in the background."""
        await self._json(
            "delete",
            kind,
            "DELETE",
            kind.path(namespace, name),
            body={
                "apiVersion": "v1",
                "kind": "DeleteOptions",
                "preconditions": {"uid": uid},
                "propagationPolicy": "Background",
            },
            name=f"{namespace}/{name}",
        )

    # -- the wire -------------------------------------------------------------------------------------------------

    def _write_query(self, *, dry_run: bool = False) -> dict[str, str]:
        return {"fieldManager": self._manager} | ({"dryRun": "All"} if dry_run else {})

    async def _json(
        self,
        verb: str,
        kind: Kind,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        accept: str = "",
        content_type: str = "application/json",
        seconds: float | None = None,
        name: str = "",
        subresource: str = "",
    ) -> Manifest:
        resource = f"{kind.plural}/{subresource}" if subresource else kind.plural
        what = f"{method} {resource} {name}".rstrip()
        limits = aiohttp.ClientTimeout(
            # A renewal that is late is as bad as one that fails: the Lease has its own, shorter patience.
            total=seconds or (min(3.0, self._timeouts.read) if kind is LEASE else self._timeouts.read),
            sock_connect=self._timeouts.connect,
        )
        try:
            response = await self._send(verb, resource, method, path, what, query, body, accept, content_type, limits)
            found = json.loads(await response.read())
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise Unreachable(f"{what}: {error!r}") from error
        if not isinstance(found, dict):
            raise Unreachable(f"{what}: the answer is not an object")
        return found

    async def _send(
        self,
        verb: str,
        resource: str,
        method: str,
        path: str,
        what: str,
        query: Mapping[str, str] | None = None,
        body: object = None,
        accept: str = "",
        content_type: str = "application/json",
        limits: aiohttp.ClientTimeout = DEFAULT_LIMITS,
    ) -> aiohttp.ClientResponse:
        """Send a request; the answer is a success, its body unread. Anything else is an `ApiError`."""
        # The query is encoded already; it must not be encoded again.
        url = URL(self.connection.server + path + (f"?{urlencode(query)}" if query else ""), encoded=True)
        data = None if body is None else encode(body)
        attempt = 0
        while True:
            attempt += 1
            headers = {
                "Accept": accept or "application/json",
                "Content-Type": content_type,
                "User-Agent": MANAGER,
                **await self.connection.headers(),
            }
            begun = time.monotonic()
            code = 0
            try:
                response = await self._http().request(
                    method, url, headers=headers, data=data, timeout=limits, allow_redirects=False, **self._route()
                )
                code = response.status
                if code < 300:
                    return response
                error = await self._error(response, what)
            except (aiohttp.ClientError, TimeoutError) as failure:
                raise Unreachable(f"{what}: no answer from {self.connection.server}: {failure!r}") from failure
            finally:
                self._on_call(Call(verb, resource, code, time.monotonic() - begun))
            wait = error.retry_after
            if code == 429 and attempt < ATTEMPTS and wait is not None and wait <= PATIENCE:
                await asyncio.sleep(wait)
            elif code != 401 or attempt > 1 or not await self.connection.renew():
                raise error

    def _http(self) -> aiohttp.ClientSession:
        """The session; made on first use, since it belongs to the running loop."""
        if self._session is None:
            self._session = self._rest._create_pool_manager()  # noqa: SLF001 - meant to be overridden, so it stays
        return self._session

    def _route(self) -> dict[str, Any]:
        """What the configuration says of the way to the server, beside the session."""
        configuration = self.connection.configuration
        wanted = {
            "server_hostname": configuration.tls_server_name,
            "proxy": configuration.proxy,
            "proxy_headers": configuration.proxy_headers,
        }
        return {key: value for key, value in wanted.items() if value}

    @staticmethod
    async def _error(response: aiohttp.ClientResponse, what: str) -> ApiError:
        try:
            raw = await response.read()
            body = json.loads(raw)
        except ValueError:
            body = {}
        if not isinstance(body, dict):
            body = {}
        header = response.headers.get("Retry-After", "")
        wait = float(header) if header.isdigit() else None
        details = body.get("details")
        if wait is None and isinstance(details, dict) and isinstance(details.get("retryAfterSeconds"), int):
            wait = float(details["retryAfterSeconds"])
        return from_answer(response.status, body, what, wait)
