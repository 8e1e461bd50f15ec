"""A proxy in front of an API server, the fake or a real one, to which things happen.

What passes is forwarded as it is, with the credentials of the server's own connection. `faults` are asked in
turn about each request; the first that wants it has it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web
from kubernetes.aio.client.rest import RESTClientObject
from yarl import URL

from seatrial.cluster.client import Connection

Forward = Callable[[], Awaitable[web.StreamResponse]]
HOP_BY_HOP = {"host", "connection", "transfer-encoding", "content-length", "content-encoding", "authorization"}
LONG = 3600.0
"""Longer than anybody waits."""


@dataclass(frozen=True)
class HttpFault:
    """What happens to one request. `forward` has the server carry it out."""

    name: str
    answer: Callable[[web.Request, Forward], Awaitable[web.StreamResponse]]


def refusal(code: int, reason: str, message: str, **headers: str) -> HttpFault:
    async def answer(_: web.Request, __: Forward) -> web.StreamResponse:
        body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message}
        return web.json_response({**body, "code": code}, status=code, headers=headers)

    return HttpFault(f"{code} {reason}", answer)


async def _hang(_: web.Request, __: Forward) -> web.StreamResponse:
    await asyncio.sleep(LONG)
    raise AssertionError("nobody waits that long")


async def _carried_out_then_hang(request: web.Request, forward: Forward) -> web.StreamResponse:
    await forward()
    return await _hang(request, forward)


async def _cut(request: web.Request, _: Forward) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def _carried_out_then_cut(request: web.Request, forward: Forward) -> web.StreamResponse:
    await forward()
    return await _cut(request, forward)


async def _not_json(_: web.Request, __: Forward) -> web.StreamResponse:
    return web.Response(text="<html>bad gateway</html>", status=502)


HTTP_FAULTS: tuple[HttpFault, ...] = (
    refusal(409, "Conflict", "Operation cannot be fulfilled: the object has been modified"),
    refusal(429, "TooManyRequests", "the server has received too many requests", **{"Retry-After": "1"}),
    refusal(500, "InternalError", "etcdserver: request timed out"),
    refusal(503, "ServiceUnavailable", "the server is currently unable to handle the request"),
    HttpFault("hang", _hang),
    HttpFault("carried out, and no answer", _carried_out_then_hang),
    HttpFault("cut", _cut),
    HttpFault("carried out, and cut", _carried_out_then_cut),
    HttpFault("an answer that is not JSON", _not_json),
)


@dataclass
class FaultyProxy:
    """The proxy's handles for a test."""

    upstream: Connection
    choose: Callable[[web.Request], HttpFault | None] = lambda _request: None
    """What happens to a request; nothing for most."""
    url: str = ""
    hits: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(fault, request) → how often."""

    @asynccontextmanager
    async def run(self) -> AsyncIterator[FaultyProxy]:
        rest = RESTClientObject(self.upstream.configuration)
        async with rest._create_pool_manager() as self._session:
            app = web.Application(client_max_size=8 * 1024 * 1024)
            app.router.add_route("*", "/{path:.*}", self._handle)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            host, port = runner.addresses[0][:2]
            self.url = f"http://{host}:{port}"
            try:
                yield self
            finally:
                await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()

        async def forward() -> web.StreamResponse:
            headers = {k: v for k, v in request.headers.items() if k.lower() not in HOP_BY_HOP}
            headers |= await self.upstream.headers()
            url = URL(self.upstream.server + request.raw_path, encoded=True)
            limits = aiohttp.ClientTimeout(total=None)
            async with self._session.request(
                request.method, url, data=body or None, headers=headers, timeout=limits
            ) as answer:
                kept = {k: v for k, v in answer.headers.items() if k.lower() not in HOP_BY_HOP}
                if request.query.get("watch") != "true":
                    return web.Response(status=answer.status, body=await answer.read(), headers=kept)
                stream = web.StreamResponse(status=answer.status, headers=kept)
                await stream.prepare(request)
                async for chunk in answer.content.iter_any():
                    await stream.write(chunk)
                return stream

        fault = self.choose(request)
        if fault is None:
            return await forward()
        self.hits[fault.name, kind_of(request)] += 1
        return await fault.answer(request, forward)


def kind_of(request: web.Request) -> str:
    """`PATCH modeldeployments/status`: what is asked, of which kind."""
    parts = [part for part in request.path.split("/") if part]
    rest = parts[parts.index("namespaces") + 2 :] if "namespaces" in parts else parts[-1:]
    subresource = f"/{rest[2]}" if len(rest) > 2 else ""
    return f"{request.method} {rest[0]}{subresource}"
