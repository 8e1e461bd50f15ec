"""Live predictions against a training snapshot, with a ConfigMap that an API server holds."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client.configuration import Configuration

from seatrial.cluster.client import Client, Connection
from seatrial.cluster.kinds import CONFIG_MAP, EVENT, MODEL_DEPLOYMENT
from seatrial.core import snapshot
from seatrial.core.questions import CounterQuestion, Counters, Failure, MetricAnswer, MetricQuestion, Series
from seatrial.core.snapshot import Snapshot
from seatrial.runtime.reconcile import now_utc
from tests.cluster_io.conftest import Plane
from tests.runtime.test_reconcile import World, build, stable, started
from tests.support.fakeapi import FakeApi

Manifest = dict[str, Any]
EDGES = ("0.1", "0.2", "0.5", "0.9")
SHARES = (300, 300, 200, 150, 50)
SNAPSHOT = snapshot.build(
    "fraud", None, Snapshot(metric="model_score", edges=EDGES, counts=tuple(10 * share for share in SHARES))
)
NAME = SNAPSHOT["metadata"]["name"]
LIVE = {"name": "scores", "drift": {"histogram": "model_score"}, "snapshot": {"name": NAME}, "every": "1m"}
ANALYSIS = {"none": "a test", "checks": [], "live": [LIVE]}


class Source:
    """A Prometheus that holds an hour of scores, and nothing else."""

    def __init__(self) -> None:
        self.shares: Sequence[int] = SHARES
        self.asked = 0

    async def answer(self, questions: Sequence[MetricQuestion]) -> tuple[dict[str, MetricAnswer], float | None]:
        self.asked += len(questions)
        return {question.key: self._one(question) for question in questions}, 15.0

    def _one(self, question: MetricQuestion) -> MetricAnswer:
        if not isinstance(question, CounterQuestion):
            return Failure("nothing else is held here")
        begin, labels = question.start.timestamp(), {"namespace": "n", "pod": "fraud-1", "instance": "a"}
        out = []
        for edge, share in zip((*EDGES, "+Inf"), itertools.accumulate(self.shares), strict=True):
            samples = tuple((begin + 15.0 * step, float(share * step)) for step in range(241))
            out.append(Series({**labels, "__name__": "model_score_bucket", "le": edge}, samples))
        return Counters(tuple(out))


class Clock:
    """The time, and how far it was set ahead."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> Any:
        return now_utc() + self.ahead


def watching(world: World) -> tuple[Source, Clock]:
    source, clock = Source(), Clock()
    world.reconciler._source, world.reconciler._clock = source, clock
    return source, clock


def state(wanted: str) -> Any:
    return lambda status: stable(status) and [one.get("state") for one in status.get("live", [])] == [wanted]


async def reasons(plane: Plane, client: Client) -> list[str]:
    ours = ("TrainingDrift", "TrainingDriftEnded", "SnapshotUnusable")
    return [one["reason"] for one in (await client.list(EVENT, plane.namespace)).items if one["reason"] in ours]


async def test_from_a_missing_snapshot_to_an_alert_and_back(plane: Plane, client: Client) -> None:
    async with started(plane, client, analysis=ANALYSIS) as world:
        source, clock = watching(world)
        status = await world.until(state("NoSnapshot"))
        assert f"ConfigMap {NAME} does not exist in namespace {plane.namespace}" in status["live"][0]["message"]
        await client.create({**SNAPSHOT, "metadata": {**SNAPSHOT["metadata"], "namespace": plane.namespace}})
        clock.ahead += timedelta(minutes=2)
        await world.until(state("Within"))

        for _ in range(3):
            await world.run()
        plane.calls.clear()
        asked = source.asked
        wait = await world.run()
        assert wait is not None, "at rest the next look is what calls for a pass"
        assert 0 < wait <= 60
        assert (source.asked, len(plane.calls)) == (asked, 8), "not its time: as cheap as any model at rest"
        plane.calls.clear()
        clock.ahead += timedelta(minutes=1)
        await world.run()
        assert source.asked == asked + 1
        assert {call.verb for call in plane.calls} == {"get", "list"}, "nothing is new, so nothing is written"
        assert [call.verb for call in plane.calls if call.resource == "configmaps"] == ["get"]

        source.shares = tuple(reversed(SHARES))
        clock.ahead += timedelta(minutes=1)
        status = await world.until(state("Drifted"))
        assert "surely more than 0.25" in status["live"][0]["alert"]["message"]
        source.shares = SHARES
        clock.ahead += timedelta(minutes=1)
        status = await world.until(state("Within"))
        assert "alert" not in status["live"][0]
        assert sorted(await reasons(plane, client)) == ["SnapshotUnusable", "TrainingDrift", "TrainingDriftEnded"]

        # Another process starts: what is at rest is left until its own time.
        other = build(plane, client, source)
        asked = source.asked
        resource = await client.get(MODEL_DEPLOYMENT, *world.key)
        found = await other.reconciler.at_rest([resource])
        assert list(found) == [world.key]
        assert source.asked == asked
        await other.reconciler.preflight.close()


async def test_another_config_map_under_the_name_is_noticed(plane: Plane, client: Client) -> None:
    """`immutable` forbids an edit; nobody forbids deleting it and making another one."""
    own = {**SNAPSHOT, "metadata": {**SNAPSHOT["metadata"], "namespace": plane.namespace}}
    await client.create(own)
    async with started(plane, client, analysis=ANALYSIS) as world:
        _, clock = watching(world)
        await world.until(state("Within"))
        stored = await client.get(CONFIG_MAP, plane.namespace, NAME)
        await client.delete(CONFIG_MAP, plane.namespace, NAME, uid=stored["metadata"]["uid"])
        text = SNAPSHOT["data"]["snapshot.json"].replace("3000", "9000", 1)
        await client.create({**own, "data": {**SNAPSHOT["data"], "snapshot.json": text}})
        clock.ahead += timedelta(minutes=2)
        status = await world.until(state("BadSnapshot"))
        assert f"ConfigMap {NAME} was changed or renamed: its content has the hash " in status["live"][0]["message"]


async def test_an_api_server_that_forbids_it_is_said_and_stalls_nothing(fake: FakeApi) -> None:
    async def guard(request: web.Request) -> web.Response | None:
        if "configmaps" not in request.path:
            return None
        return web.json_response({"message": "configmaps is forbidden"}, status=403)

    fake.faults.append(guard)
    plane = Plane(Connection(Configuration(host=fake.url)), "default", fake, [])
    async with plane.client() as client, started(plane, client, analysis=ANALYSIS) as world:
        watching(world)
        status = await world.until(state("NoAnswer"))
        assert f"ConfigMap {NAME} could not be read: configmaps is forbidden" in status["live"][0]["message"]


@pytest.mark.parametrize("broken", ["none", "raises"])
async def test_without_prometheus_it_is_said_once(fake: FakeApi, broken: str) -> None:
    plane = Plane(Connection(Configuration(host=fake.url)), "default", fake, [])
    async with plane.client() as client, started(plane, client, analysis=ANALYSIS) as world:
        await client.create({**SNAPSHOT, "metadata": {**SNAPSHOT["metadata"], "namespace": "default"}})
        clock = Clock()
        world.reconciler._clock = clock
        if broken == "raises":

            class Raises:
                async def answer(self, _: Any) -> Any:
                    raise RuntimeError("a bug")

            world.reconciler._source = Raises()
        status = await world.until(state("NoAnswer"))
        said = "no Prometheus is set" if broken == "none" else "the metric source failed"
        assert said in status["live"][0]["message"]
        for _ in range(3):
            clock.ahead += timedelta(minutes=1)
            await world.run()
        plane.calls.clear()
        clock.ahead += timedelta(minutes=1)
        await world.run()
        assert {call.verb for call in plane.calls} == {"get", "list"}
