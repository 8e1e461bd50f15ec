"""Takes copies of live requests in, keeps a bounded sample, and compares it with nobody waiting.

What is bounded: requests kept a second (`Pace`), requests kept at a time (`queue` and `concurrency`), bytes of
each, time for each. Everything beyond is answered and forgotten. With a concurrency of one, which is the default,
stable never has more than one request of ours in hand; when it does not answer one, it is left alone for a while.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import aiohttp
from aiohttp import web

from seatrial.compare.asking import Model
from seatrial.compare.meters import Meters
from seatrial.compare.sampling import Dropped, Pace, Rest, forwarded, refusal
from seatrial.compare.settings import Settings
from seatrial.compare.verdict import Answer, findings, reference
from seatrial.core.answers import UnreadableError
from seatrial.core.compared import ALL, CANDIDATE, ITSELF, Result

logger = logging.getLogger(__name__)

BODY_SECONDS = 5.0
"""How long the body of a copy may take to arrive."""
SAY_EVERY = 10.0
"""Seconds between two lines about differences: the counters have all of them."""

Turn = Literal["reference", "again", "candidate"]
TURNS: tuple[Turn, ...] = ("reference", "again", "candidate")


@dataclass(frozen=True, slots=True)
class Sample:
    """A live request that is asked again."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class Comparer:
    """The whole process but its probes and metrics."""

    def __init__(self, settings: Settings, meters: Meters) -> None:
        self._settings = settings
        self._meters = meters
        self._pace = Pace(settings.rate)
        self._rest = Rest()
        self._queue: asyncio.Queue[Sample] = asyncio.Queue()
        self._held = 0
        """Requests whose bodies are in memory: arriving, waiting, or being asked."""
        self._said = float("-inf")
        self._runner = web.ServerRunner(
            # Low-level: no routing, since everything has the same handler and most of it is dropped there.
            web.Server(self._receive, access_log=None),
            shutdown_timeout=0.2,
        )
        self._workers: list[asyncio.Task[None]] = []
        self._session: aiohttp.ClientSession | None = None
        self.port = 0
        """The port in use."""
        meters.watch_queue(self._queue.qsize)

    async def start(self) -> None:
        """Listen, and begin to work."""
        await self._runner.setup()
        await web.TCPSite(self._runner, self._settings.bind or None, self._settings.port).start()
        address = self._runner.addresses[0]
        self.port = int(address[1]) if isinstance(address, tuple) else self._settings.port
        # A connection for each request: they spread over the pods behind a Service, and none is found closed.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )
        self._workers = [
            asyncio.create_task(self._work(self._session), name=f"compare {number}")
            for number in range(self._settings.concurrency)
        ]

    async def close(self) -> None:
        """Stop. What was kept is dropped: nobody waits for it."""
        await self._runner.cleanup()
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def problems(self) -> list[str]:
        """What has broken, for /healthz."""
        return [f"{worker.get_name()} has ended" for worker in self._workers if worker.done()]

    # --- taking in --------------------------------------------------------------------------------------------------

    async def _receive(self, request: web.BaseRequest) -> web.Response:
        """Any request at all is answered with 202; the gateway throws that away."""
        self._meters.received.inc()
        if (reason := self._refusal(request)) is None:
            self._held += 1
            if (reason := await self._keep(request)) is not None:
                self._held -= 1
        if reason is not None:
            self._meters.dropped(reason)
        return web.Response(status=202)

    def _refusal(self, request: web.BaseRequest) -> Dropped | None:
        """Why a request is not kept, cheapest question first; a place at the pace is only taken by one that fits."""
        headers = request.headers
        if (reason := refusal(request.method, request.raw_path, headers)) is not None:
            return reason
        if (request.content_length or 0) > self._settings.max_body:
            return Dropped.TOO_LARGE
        now = time.monotonic()
        if self._rest.on(now):
            return Dropped.RESTING
        if self._held >= self._settings.queue + self._settings.concurrency:
            return Dropped.QUEUE
        return None if self._pace.take(now) else Dropped.RATE

    async def _keep(self, request: web.BaseRequest) -> Dropped | None:
        """Read a request and put it into the queue, or say why not."""
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for chunk in request.content.iter_any():
                    body += chunk
                    if len(body) > self._settings.max_body:
                        return Dropped.TOO_LARGE
        except (TimeoutError, OSError, aiohttp.ClientError, web.HTTPException):
            return Dropped.UNREADABLE
        self._queue.put_nowait(Sample(request.raw_path, forwarded(request.headers), bytes(body)))
        return None

    # --- asking again -----------------------------------------------------------------------------------------------

    async def _work(self, session: aiohttp.ClientSession) -> None:
        settings = self._settings
        stable = Model(session, settings.stable, settings.timeout, settings.max_body)
        candidate = Model(session, settings.candidate, settings.timeout, settings.max_body)
        while True:
            sample = await self._queue.get()
            try:
                if self._rest.on(time.monotonic()):
                    # Taken before the rest began.
                    self._meters.dropped(Dropped.RESTING)
                else:
                    await self._compare(sample, stable, candidate)
            except Exception:
                logger.exception("a request could not be compared")
                self._meters.dropped(Dropped.BROKEN)
            finally:
                self._held -= 1

    async def _compare(self, sample: Sample, stable: Model, candidate: Model) -> None:
        """Ask three times in an order drawn by lot, one after the other, and count."""
        answers: dict[Turn, Answer] = {}
        for turn in random.sample(TURNS, len(TURNS)):
            to, model = ("candidate", candidate) if turn == "candidate" else ("stable", stable)
            began = time.monotonic()
            answers[turn] = await model.ask(sample.path, sample.headers, sample.body)
            now = time.monotonic()
            self._meters.asked(to, now - began)
            if to == "stable":
                self._mind(answers[turn], now)
            if turn == "reference" and answers[turn].failed:
                self._meters.dropped(Dropped.NO_REFERENCE)
                return
        try:
            expected = reference(answers["reference"], self._settings.outputs)
        except UnreadableError as error:
            reason = Dropped.TOO_LARGE if answers["reference"].too_large else Dropped.UNCOMPARABLE
            self._meters.dropped(reason)
            self._say(f"stable's answer cannot be compared: it {error}" if reason is Dropped.UNCOMPARABLE else "")
            return
        itself = findings(expected, answers["again"], self._settings.same)
        found = findings(expected, answers["candidate"], self._settings.same)
        self._meters.found(ITSELF, itself)
        self._meters.found(CANDIDATE, found)
        if found[ALL].result is not Result.AGREE:
            self._say(f"the candidate's answer {found[ALL].result}s: {found[ALL].message}")

    def _mind(self, answer: Answer, now: float) -> None:
        """Leave a stable alone that has enough to do without us."""
        if answer.overloaded:
            seconds = self._rest.begin(now)
            logger.warning("stable gave %s: nothing is asked of it for %g s", answer.failed, seconds)
        elif not answer.failed:
            self._rest.end()

    def _say(self, sentence: str) -> None:
        now = time.monotonic()
        if sentence and now - self._said >= SAY_EVERY:
            self._said = now
            logger.info("%s", sentence[:1024])
