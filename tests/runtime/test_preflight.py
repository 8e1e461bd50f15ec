"""Recorded requests against pods: what counts against the model, and what does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client.configuration import Configuration

from seatrial.cluster.client import Client, Connection
from seatrial.core import golden
from seatrial.core.questions import PreflightAnswer, PreflightQuestion
from seatrial.runtime import preflight as module
from seatrial.runtime.preflight import Preflight
from tests.support.fakeapi import FakeApi

KEY = ("default", "fraud")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Pod:
    """A model server on loopback."""

    def __init__(self) -> None:
        self.handler: Handler = self.right
        self.requests = 0
        self.at_once = self.most = 0
        self.port = 0

    async def right(self, request: web.Request) -> web.StreamResponse:
        value = (await request.json())["inputs"][0]["data"][0]
        return web.json_response({"outputs": [{"name": "predict", "shape": [1], "data": [value * 2]}]})

    async def handle(self, request: web.Request) -> web.StreamResponse:
        assert request.path == "/v2/models/fraud/infer"
        self.requests += 1
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            return await self.handler(request)
        finally:
            self.at_once -= 1


@pytest.fixture
async def pod() -> AsyncIterator[Pod]:
    pod = Pod()
    app = web.Application()
    app.router.add_post("/{path:.*}", pod.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    pod.port = runner.addresses[0][1]
    yield pod
    await runner.cleanup()


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    fake = FakeApi()
    async with fake.run(), Client(Connection(Configuration(host=fake.url))) as client:
        yield client


async def record(client: Client, count: int = 20, name: str = "golden") -> None:
    rows = [{"x": float(number)} for number in range(count)]
    predictions = [{"predict": [number * 2.0]} for number in range(count)]
    await client.create(golden.build(name, "default", "fraud", "7", rows, predictions))


def question(pod: Pod, *, pods: int = 1, timeout: float = 5.0, version: str = "7", port: int = 0) -> PreflightQuestion:
    return PreflightQuestion(
        revision="e04d5521aa",
        config_map="golden",
        model_name="fraud",
        model_version=version,
        tolerance=0.001,
        timeout=timeout,
        port=port or pod.port,
        pods=tuple((f"fraud-e04d5521aa-{n}", "127.0.0.1") for n in range(pods)),
    )


async def ask(client: Client, asked: PreflightQuestion) -> PreflightAnswer:
    """Ask as passes do: again whenever the key is woken."""
    woken = asyncio.Event()
    preflight = Preflight(client, lambda _: woken.set())
    try:
        first = preflight.answer(KEY, "uid", asked)
        assert first is not None
        assert first.pending
        async with asyncio.timeout(20):
            await woken.wait()
        answer = preflight.answer(KEY, "uid", asked)
        assert answer is not None
        assert not answer.pending
        return answer
    finally:
        await preflight.close()


async def test_every_pod_answers_every_request(client: Client, pod: Pod) -> None:
    await record(client)
    answer = await ask(client, question(pod, pods=2))
    assert answer == PreflightAnswer(passed=True, message="20 recorded requests answered as expected by 2 pods")
    assert pod.requests == 40
    assert pod.most <= 2 * module.PER_POD


async def test_a_wrong_answer_names_pod_row_field_expected_and_got(client: Client, pod: Pod) -> None:
    async def scaled_twice(request: web.Request) -> web.StreamResponse:
        value = (await request.json())["inputs"][0]["data"][0]
        return web.json_response({"outputs": [{"name": "predict", "shape": [1], "data": [value * 4]}]})

    await record(client)
    pod.handler = scaled_twice
    answer = await ask(client, question(pod))
    assert not answer.passed
    assert not answer.failed
    assert answer.message == "pod fraud-e04d5521aa-0, row 2, predict: expected 2, got 4"


async def test_an_error_status_counts_against_the_model(client: Client, pod: Pod) -> None:
    async def broken(_: web.Request) -> web.StreamResponse:
        return web.Response(status=500, text="no such column")

    await record(client)
    pod.handler = broken
    answer = await ask(client, question(pod))
    assert "expected an answer, got HTTP 500: no such column" in answer.message
    assert not answer.failed


async def test_no_answer_in_time_counts_against_the_model(client: Client, pod: Pod) -> None:
    async def slow(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(20)
        return web.Response()

    await record(client)
    pod.handler = slow
    answer = await ask(client, question(pod, timeout=0.3))
    assert answer.message == (
        "pod fraud-e04d5521aa-0 answered 0 of 20 recorded requests within 0.3 s (spec.preflight.timeout)"
    )


async def test_an_answer_that_is_no_json_counts_against_the_model(client: Client, pod: Pod) -> None:
    async def odd(_: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>")

    await record(client)
    pod.handler = odd
    answer = await ask(client, question(pod))
    assert "expected JSON" in answer.message


async def test_a_pod_that_cannot_be_reached_holds(client: Client, pod: Pod) -> None:
    await record(client)
    answer = await ask(client, question(pod, port=1))
    assert not answer.passed
    assert "cannot be reached" in answer.failed
    assert "NetworkPolicy" in answer.failed


async def test_a_missing_config_map_holds_and_is_looked_for_again(
    client: Client, pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.1)
    woken = asyncio.Event()
    preflight = Preflight(client, lambda _: woken.set())
    asked = question(pod)
    try:
        preflight.answer(KEY, "uid", asked)
        await asyncio.wait_for(woken.wait(), 5)
        answer = preflight.answer(KEY, "uid", asked)
        assert answer is not None
        assert "ConfigMap golden does not exist" in answer.failed
        await record(client)
        await asyncio.sleep(0.15)
        woken.clear()
        standing = preflight.answer(KEY, "uid", asked)
        assert standing == answer, "while it is tried again the last answer stands"
        await asyncio.wait_for(woken.wait(), 5)
        done = preflight.answer(KEY, "uid", asked)
        assert done is not None
        assert done.passed
        before = pod.requests
        preflight.answer(KEY, "uid", asked)
        await asyncio.sleep(0.05)
        assert pod.requests == before, "a result is kept"
    finally:
        await preflight.close()


@pytest.mark.parametrize("data", [{"format": "other"}, {}])
async def test_a_config_map_that_holds_something_else_holds(client: Client, pod: Pod, data: dict[str, Any]) -> None:
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "golden", "namespace": "default"}}
    await client.create({**manifest, "data": data})
    answer = await ask(client, question(pod))
    assert answer.failed.startswith("ConfigMap golden: ")


async def test_answers_of_another_version_are_refused(client: Client, pod: Pod) -> None:
    await record(client)
    answer = await ask(client, question(pod, version="8"))
    assert "recorded for model version '7'" in answer.failed
    assert pod.requests == 0


async def test_a_question_that_is_not_asked_any_more_is_given_up(client: Client, pod: Pod) -> None:
    ended = asyncio.Event()

    async def slow(_: web.Request) -> web.StreamResponse:
        try:
            await asyncio.sleep(20)
        finally:
            ended.set()
        return web.Response()

    await record(client)
    pod.handler = slow
    preflight = Preflight(client, lambda _: None)
    try:
        preflight.answer(KEY, "uid", question(pod))
        async with asyncio.timeout(5):
            while not pod.requests:
                await asyncio.sleep(0.01)
        assert preflight.answer(KEY, "uid", None) is None
        asked = pod.requests
        await asyncio.sleep(0.1)
        assert pod.requests == asked
    finally:
        await preflight.close()
