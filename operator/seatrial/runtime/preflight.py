"""Send the recorded requests to the candidate's pods and compare, in the background of the passes.

A pass never waits for it: it asks, gets `pending`, and is woken when the result is there. A question
that is not asked any more (another revision, other pods) is given up.

What counts against the model: a wrong answer, an error status, an answer that does not come in time.
What does not: a ConfigMap that is missing or does not fit, a pod that cannot be reached from here.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp

from seatrial.cluster.client import Client
from seatrial.cluster.errors import ApiError, NotFound
from seatrial.cluster.index import Key
from seatrial.cluster.kinds import CONFIG_MAP
from seatrial.core import golden
from seatrial.core.questions import PreflightAnswer, PreflightQuestion

logger = logging.getLogger(__name__)

PER_POD = 4
"""Requests in flight to one pod."""
CONNECT = 5.0
"""Seconds to reach a pod."""
PAUSE = 10.0
"""Seconds before something that could not be done is tried again."""
LARGEST = 16 * 1024 * 1024
"""Bytes of an answer that are read."""


class _UnreachableError(Exception):
    """The pod cannot be reached: says nothing about the model."""


@dataclass(slots=True)
class _Run:
    question: PreflightQuestion
    task: asyncio.Task[PreflightAnswer] | None = None
    answer: PreflightAnswer = field(default_factory=lambda: PreflightAnswer(pending=True))
    ended: float = 0.0


class Preflight:
    """Runs of recorded requests, at most one for each resource."""

    def __init__(self, client: Client, wake: Callable[[Key], None]) -> None:
        self._client = client
        self._wake = wake
        self._runs: dict[tuple[Key, str], _Run] = {}
        self._session: aiohttp.ClientSession | None = None

    def answer(self, key: Key, uid: str, question: PreflightQuestion | None) -> PreflightAnswer | None:
        """The answer as far as it is known; starts, or gives up, what is needed for it."""
        here = (key, uid)
        run = self._runs.get(here)
        if run is not None and run.question != question:
            self._end(here)
            run = None
        if question is None:
            return None
        if run is None:
            run = self._runs[here] = _Run(question)
        retry = bool(run.answer.failed) and time.monotonic() - run.ended >= PAUSE
        if run.task is None and (run.answer.pending or retry):
            # While it is tried again the last answer stands, so that status does not flicker.
            run.task = asyncio.create_task(self._run(here, run), name=f"preflight {key[0]}/{key[1]}")
        return run.answer

    def forget(self, key: Key) -> None:
        """The resource is gone."""
        for here in [here for here in self._runs if here[0] == key]:
            self._end(here)

    async def close(self) -> None:
        """Give up everything."""
        tasks = [run.task for run in self._runs.values() if run.task is not None]
        for here in list(self._runs):
            self._end(here)
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def _end(self, here: tuple[Key, str]) -> None:
        run = self._runs.pop(here)
        if run.task is not None:
            run.task.cancel()

    async def _run(self, here: tuple[Key, str], run: _Run) -> PreflightAnswer:
        key = here[0]
        try:
            run.answer = await self._ask(key, run.question)
        except Exception as error:
            logger.exception("preflight broke", extra={"namespace": key[0], "model": key[1]})
            run.answer = PreflightAnswer(failed=f"the operator failed: {error!r}")
        run.ended = time.monotonic()
        run.task = None
        self._wake(key)
        return run.answer

    async def _ask(self, key: Key, question: PreflightQuestion) -> PreflightAnswer:
        try:
            found = await self._client.get(CONFIG_MAP, key[0], question.config_map)
            recording = golden.load(found.get("data") or {})
        except NotFound:
            return PreflightAnswer(
                failed=f"ConfigMap {question.config_map} does not exist: make it with `seatrial golden record`"
            )
        except ApiError as error:
            return PreflightAnswer(failed=f"ConfigMap {question.config_map} could not be read: {error.said}")
        except golden.RecordingError as error:
            return PreflightAnswer(failed=f"ConfigMap {question.config_map}: {error}")
        if refused := golden.refusal(recording, question.model_name, question.model_version):
            return PreflightAnswer(failed=f"ConfigMap {question.config_map}: {refused}")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT), trust_env=False
            )
        results = await asyncio.gather(
            *(self._pod(name, ip, question, recording) for name, ip in question.pods), return_exceptions=True
        )
        for result in results:
            # A wrong answer anywhere says more than a pod that could not be reached.
            if isinstance(result, str) and result:
                return PreflightAnswer(message=result)
        for result in results:
            if isinstance(result, _UnreachableError):
                return PreflightAnswer(failed=str(result))
            if isinstance(result, BaseException):
                raise result
        count, pods = len(recording.requests), len(question.pods)
        return PreflightAnswer(
            passed=True,
            message=f"{count:,} recorded request{'s' * (count != 1)} answered as expected by "
            f"{pods} pod{'s' * (pods != 1)}",
        )

    async def _pod(self, pod: str, ip: str, question: PreflightQuestion, recording: golden.Recording) -> str:
        """Ask one pod everything; the first thing that is wrong as a sentence, or empty."""
        host = f"[{ip}]" if ":" in ip else ip
        url = f"http://{host}:{question.port}/v2/models/{question.model_name}/infer"
        waiting = list(enumerate(recording.requests))
        waiting.reverse()
        answered = 0
        wrong: dict[int, str] = {}

        async def worker() -> None:
            nonlocal answered
            while waiting and not wrong:
                number, request = waiting.pop()
                difference = await self._request(url, pod, request, question.tolerance)
                answered += 1
                if difference:
                    wrong[number] = difference

        try:
            async with asyncio.timeout(question.timeout), asyncio.TaskGroup() as group:
                for _ in range(min(PER_POD, len(waiting))):
                    group.create_task(worker())
        except TimeoutError:
            total = len(recording.requests)
            return (
                f"pod {pod} answered {answered:,} of {total:,} recorded requests within {question.timeout:g} s "
                "(spec.preflight.timeout)"
            )
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return f"pod {pod}, {wrong[min(wrong)]}" if wrong else ""

    async def _request(self, url: str, pod: str, request: golden.Recorded, tolerance: float) -> str:
        assert self._session is not None
        try:
            async with self._session.post(url, json=request.body, allow_redirects=False) as response:
                raw = await response.content.read(LARGEST)
                status = response.status
        except aiohttp.ClientConnectorError as error:
            raise _UnreachableError(
                f"pod {pod} cannot be reached at {url} from the operator: {error.os_error}; "
                "a NetworkPolicy may forbid it, or the operator runs outside the cluster"
            ) from error
        except aiohttp.ConnectionTimeoutError as error:
            raise _UnreachableError(
                f"pod {pod} cannot be reached at {url} from the operator within {CONNECT:g} s; "
                "a NetworkPolicy may forbid it, or the operator runs outside the cluster"
            ) from error
        except aiohttp.ClientError as error:
            return f"row {request.row}: the connection broke before the answer: {error!r}"
        if status != 200:
            said = raw[:300].decode(errors="replace").strip()
            return f"row {request.row}: expected an answer, got HTTP {status}: {said}"
        try:
            body = json.loads(raw)
        except (ValueError, RecursionError):
            return f"row {request.row}: expected JSON, got {raw[:100]!r}"
        difference = golden.compare(request, body, tolerance)
        return "" if difference is None else str(difference)
