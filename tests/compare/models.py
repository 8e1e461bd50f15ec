"""Model servers to compare, over real HTTP, and a comparer in front of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
from aiohttp import web

from seatrial.compare.meters import Meters
from seatrial.compare.server import Comparer
from seatrial.compare.settings import Settings
from seatrial.core.compared import CANDIDATE, ITSELF

INFER = "/v2/models/fraud/infer"
BODY = {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP64", "data": [1.0]}]}

Answering = Callable[["ModelServer", web.Request], Awaitable[web.StreamResponse]]


def oip(**outputs: Any) -> dict[str, Any]:
    """An answer of the Open Inference Protocol with one value for each output."""
    return {
        "model_name": "fraud",
        "outputs": [
            {"name": name, "shape": [1, 1], "datatype": "FP64", "data": [value]} for name, value in outputs.items()
        ],
    }


def says(answer: Any, *, after: float = 0.0, status: int = 200) -> Answering:
    """Always the same answer, or what a function of the number of the request gives."""

    async def answering(server: ModelServer, _: web.Request) -> web.StreamResponse:
        body = answer(len(server.seen)) if callable(answer) else answer
        await asyncio.sleep(after)
        return web.json_response(body, status=status)

    return answering


@dataclass
class Seen:
    """A request as the model got it."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float


@dataclass
class ModelServer:
    """One model, and what it was asked."""

    answering: Answering
    seen: list[Seen] = field(default_factory=list)
    in_hand: int = 0
    most_in_hand: int = 0
    url: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(Seen(request.raw_path, dict(request.headers), await request.read(), time.monotonic()))
        self.in_hand += 1
        self.most_in_hand = max(self.most_in_hand, self.in_hand)
        try:
            return await self.answering(self, request)
        finally:
            self.in_hand -= 1


@asynccontextmanager
async def serving(answering: Answering) -> AsyncIterator[ModelServer]:
    server = ModelServer(answering)
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


@dataclass
class Ground:
    """Two models, a comparer, and somebody who sends copies."""

    stable: ModelServer
    candidate: ModelServer
    comparer: Comparer
    meters: Meters
    client: aiohttp.ClientSession

    async def send(self, body: Any = BODY, path: str = INFER, method: str = "POST", **more: Any) -> int:
        """Send a copy as the gateway does; the status it is answered with."""
        payload = {"json": body} if isinstance(body, dict) else {"data": body}
        url = f"http://127.0.0.1:{self.comparer.port}{path}"
        async with self.client.request(method, url, **payload, **more) as response:
            return response.status

    async def compared(self, count: int) -> None:
        """Wait until so many requests have been compared or dropped."""
        async with asyncio.timeout(20):
            while self.count(CANDIDATE) + self.dropped() < count:
                await asyncio.sleep(0.01)

    def count(self, pair: str, result: str | None = None, output: str = "*") -> int:
        """Compared answers of a pair."""
        return sum(
            int(sample.value)
            for metric in self.meters.registry.collect()
            for sample in metric.samples
            if sample.name == "seatrial_compare_answers_total"
            and (sample.labels["pair"], sample.labels["output"]) == (pair, output)
            and result in (None, sample.labels["result"])
        )

    def results(self, pair: str, output: str = "*") -> dict[str, int]:
        found = {result: self.count(pair, result, output) for result in ("agree", "differ", "unanswered")}
        return {result: count for result, count in found.items() if count}

    def dropped(self, reason: str | None = None) -> int:
        return sum(
            int(sample.value)
            for metric in self.meters.registry.collect()
            for sample in metric.samples
            if sample.name == "seatrial_compare_dropped_total" and reason in (None, sample.labels["reason"])
        )

    def both(self) -> tuple[dict[str, int], dict[str, int]]:
        """Results of (the candidate beside stable, stable beside itself)."""
        return self.results(CANDIDATE), self.results(ITSELF)


@asynccontextmanager
async def ground(stable: Answering, candidate: Answering, /, **settings: Any) -> AsyncIterator[Ground]:
    """A comparer that takes everything, unless told otherwise."""
    meters = Meters()
    async with serving(stable) as one, serving(candidate) as two, aiohttp.ClientSession() as client:
        told = Settings(one.url, two.url, rate=1e6, queue=1000, bind="127.0.0.1", port=0, timeout=2.0)
        comparer = Comparer(replace(told, **settings), meters)
        await comparer.start()
        try:
            yield Ground(one, two, comparer, meters, client)
        finally:
            await comparer.close()
