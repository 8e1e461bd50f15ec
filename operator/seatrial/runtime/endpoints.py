"""/healthz, /readyz and /metrics.

Alive means that this process does its work: the event loop answers, watches are heard of, no pass hangs.
It says nothing about Prometheus, the API server or any one resource, since ending the process would mend
none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_LATEST

Check = Callable[[], Sequence[str]]
"""What is wrong, as sentences; nothing when all is well."""


class Endpoints:
    """The HTTP servers of the process."""

    def __init__(self, *, alive: Check, ready: Check, metrics: Callable[[], bytes]) -> None:
        self._alive, self._ready, self._metrics = alive, ready, metrics
        self._runners: list[web.AppRunner] = []
        self.ports: dict[str, int] = {}
        """Ports in use, by `probes` and `metrics`."""

    async def start(self, bind: str, probe_port: int | None, metrics_port: int | None) -> None:
        """Listen; None turns a port off, 0 takes a free one. Both may be the same."""
        if probe_port is not None and probe_port == metrics_port and probe_port:
            port = await self._serve(bind, probe_port, [*self._probes(), *self._scrapes()])
            self.ports = {"probes": port, "metrics": port}
            return
        if probe_port is not None:
            self.ports["probes"] = await self._serve(bind, probe_port, self._probes())
        if metrics_port is not None:
            self.ports["metrics"] = await self._serve(bind, metrics_port, self._scrapes())

    async def close(self) -> None:
        """Stop listening."""
        for runner in self._runners:
            await runner.cleanup()
        self._runners.clear()

    async def _serve(self, bind: str, port: int, routes: list[web.RouteDef]) -> int:
        app = web.Application()
        app.add_routes(routes)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, bind or None, port).start()
        address = runner.addresses[0]
        return int(address[1]) if isinstance(address, tuple) else port

    def _probes(self) -> list[web.RouteDef]:
        async def healthz(_: web.Request) -> web.Response:
            return _answer(self._alive())

        async def readyz(_: web.Request) -> web.Response:
            return _answer(self._ready())

        return [web.get("/healthz", healthz), web.get("/readyz", readyz)]

    def _scrapes(self) -> list[web.RouteDef]:
        async def metrics(_: web.Request) -> web.Response:
            return web.Response(body=self._metrics(), headers={"Content-Type": CONTENT_TYPE_LATEST})

        return [web.get("/metrics", metrics)]


def _answer(problems: Sequence[str]) -> web.Response:
    if problems:
        return web.Response(status=503, text="".join(f"{problem}\n" for problem in problems))
    return web.Response(text="ok\n")
