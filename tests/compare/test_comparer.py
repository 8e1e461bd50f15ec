"""The comparer between real HTTP servers: what it counts, what it lets go, and what it never does."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import time
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from seatrial.api.mode import AgreementMode
from seatrial.core.answers import Sameness
from seatrial.core.compared import CANDIDATE
from tests.compare.models import BODY, INFER, Answering, ModelServer, ground, oip, says


def scores(*values: float) -> dict[str, Any]:
    return {"outputs": [{"name": "scores", "shape": [1, len(values)], "datatype": "FP32", "data": list(values)}]}


async def test_equal_models_agree_and_each_request_asks_stable_twice_and_the_candidate_once() -> None:
    async with ground(says(oip(p=0.5)), says(oip(p=0.50001))) as g:
        for _ in range(20):
            assert await g.send() == 202
        await g.compared(20)
        assert g.both() == ({"agree": 20}, {"agree": 20})
        assert (len(g.stable.seen), len(g.candidate.seen)) == (40, 20)


async def test_a_candidate_that_answers_otherwise_differs_in_that_output_only() -> None:
    async with ground(says(oip(p=0.5, q=1.0)), says(oip(p=0.5, q=2.0, extra=7.0))) as g:
        for _ in range(5):
            await g.send()
        await g.compared(5)
        assert g.both() == ({"differ": 5}, {"agree": 5})
        assert g.results(CANDIDATE, "p") == {"agree": 5}
        assert g.results(CANDIDATE, "q") == {"differ": 5}
        assert g.results(CANDIDATE, "extra") == {}, "callers of stable do not know it"


async def test_a_candidate_without_an_output_of_stables_differs() -> None:
    async with ground(says(oip(p=0.5, q=1.0)), says(oip(p=0.5))) as g:
        await g.send()
        await g.compared(1)
        assert (g.results(CANDIDATE, "p"), g.results(CANDIDATE, "q")) == ({"agree": 1}, {"differ": 1})


async def test_a_stable_that_is_not_of_one_mind_is_the_floor() -> None:
    """An equal candidate then differs from stable exactly as often as stable does from itself."""
    throw = random.Random(7)

    def either(_: int) -> dict[str, Any]:
        return oip(p=float(throw.random() < 0.2))

    async with ground(says(either), says(either)) as g:
        for _ in range(400):
            await g.send()
        await g.compared(400)
        candidate, itself = g.both()
        # Two throws with p = 0.2 differ with 2·0.2·0.8 = 0.32; five standard deviations of 400 are 0.117.
        assert abs(candidate["differ"] / 400 - 0.32) < 0.117
        assert abs(itself["differ"] / 400 - 0.32) < 0.117


async def test_no_place_in_the_order_is_kept_for_the_candidate() -> None:
    """A model that answers a second time from a cache, say, must not make the candidate differ more often."""
    order: list[str] = []

    def noting(who: str) -> Answering:
        async def answering(_: ModelServer, __: web.Request) -> web.StreamResponse:
            order.append(who)
            return web.json_response(oip(p=1.0))

        return answering

    async with ground(noting("stable"), noting("candidate")) as g:
        for _ in range(200):
            await g.send()
        await g.compared(200)
    places = [order[i : i + 3].index("candidate") for i in range(0, 600, 3)]
    assert all(40 < places.count(place) < 95 for place in range(3)), "each about 67 of 200"


@pytest.mark.parametrize(
    ("mode", "near", "far"),
    [
        (Sameness(AgreementMode.NUMERIC, tolerance=0.3), (0.3, 0.5, 0.4), (0.7, 0.5, 0.4)),
        (Sameness(AgreementMode.CLASS), (0.1, 0.9, 0.8), (0.6, 0.5, 0.4)),
        (Sameness(AgreementMode.TOP_K, top_k=2), (0.1, 0.4, 0.5), (0.4, 0.5, 0.1)),
    ],
)
async def test_each_mode(mode: Sameness, near: tuple[float, ...], far: tuple[float, ...]) -> None:
    def in_turn(number: int) -> dict[str, Any]:
        return scores(*(near if number % 2 else far))

    async with ground(says(scores(0.1, 0.6, 0.3)), says(in_turn), same=mode) as g:
        for _ in range(6):
            await g.send()
        await g.compared(6)
        assert g.results(CANDIDATE) == {"agree": 3, "differ": 3}


@pytest.mark.parametrize(
    ("path", "answer", "output"),
    [
        ("/v2/models/fraud/versions/3/infer", oip(p=1.0), "p"),
        ("/v2/models/fraud/infer?debug=1", oip(p=1.0), "p"),
        ("/v2/models/geo/generate", {"text_output": "Bergen"}, "text_output"),
        ("/v1/models/fraud:predict", {"predictions": [[0.1, 0.9]]}, "predictions"),
        ("/invocations", {"predictions": [{"class": "a"}]}, "class"),
    ],
)
async def test_protocols(path: str, answer: dict[str, Any], output: str) -> None:
    async with ground(says(answer), says(answer)) as g:
        await g.send(path=path)
        await g.compared(1)
        assert g.results(CANDIDATE, output) == {"agree": 1}
        assert {seen.path for seen in (*g.stable.seen, *g.candidate.seen)} == {path}


# --- what is asked ----------------------------------------------------------------------------------------------------


async def test_what_is_asked_is_the_live_request_with_a_marker() -> None:
    raw = b'{"inputs": [ {"name":"x","shape":[1,1],"datatype":"FP64","data":[1.0e0]} ]}'
    headers = {
        "Authorization": "Bearer t",
        "Content-Type": "application/json",
        "Host": "fraud.example.com-shadow",
        "X-Request-Id": "7",
        "X-Envoy-Internal": "true",
        "Accept-Encoding": "gzip",
    }
    async with ground(says(oip(p=1.0)), says(oip(p=1.0))) as g:
        await g.send(raw, headers=headers)
        await g.compared(1)
        for seen in (*g.stable.seen, *g.candidate.seen):
            got = {name.lower(): value for name, value in seen.headers.items()}
            assert seen.body == raw, "byte by byte"
            assert (got["authorization"], got["x-request-id"]) == ("Bearer t", "7")
            assert got["x-seatrial-shadow"] == "compare"
            assert got["host"].startswith("127.0.0.1:"), "not that of the gateway"
            assert got["accept-encoding"] == "identity"
            assert "x-envoy-internal" not in got


@pytest.mark.parametrize(
    ("reason", "request_"),
    [
        ("not_inference", {"method": "GET", "path": "/v2/models/fraud/ready"}),
        ("not_inference", {"path": "/v2/models/fraud/generate_stream"}),
        ("not_inference", {"path": "/v2/repository/index"}),
        ("own", {"headers": {"x-seatrial-shadow": "compare"}}),
        ("uncomparable", {"headers": {"Inference-Header-Content-Length": "12"}}),
        ("uncomparable", {"headers": {"Content-Type": "application/octet-stream"}}),
        ("uncomparable", {"body": gzip.compress(json.dumps(BODY).encode()), "headers": {"Content-Encoding": "gzip"}}),
        ("too_large", {"body": b"x" * 5000}),
    ],
)
async def test_what_is_not_compared_is_counted_and_no_model_hears_of_it(reason: str, request_: dict[str, Any]) -> None:
    async with ground(says(oip(p=1.0)), says(oip(p=1.0)), max_body=4096) as g:
        headers = {"Content-Type": "application/json", **request_.pop("headers", {})}
        assert await g.send(**request_, headers=headers) == 202
        assert g.dropped(reason) == g.dropped() == 1
        assert (g.stable.seen, g.candidate.seen) == ([], [])


async def test_a_body_without_a_length_is_cut_off_at_the_limit() -> None:
    async def endless() -> Any:
        for _ in range(100):
            yield b"x" * 1000

    async with ground(says(oip(p=1.0)), says(oip(p=1.0)), max_body=4096) as g:
        assert await g.send(endless(), headers={"Content-Type": "application/json"}) == 202
        assert g.dropped("too_large") == 1


# --- models that do not answer ----------------------------------------------------------------------------------------


async def test_a_candidate_that_fails_or_is_slow_is_unanswered_and_stable_is_not_left_alone() -> None:
    async with ground(says(oip(p=1.0)), says({"error": "no"}, status=500)) as g:
        for _ in range(3):
            await g.send()
        await g.compared(3)
        assert g.both() == ({"unanswered": 3}, {"agree": 3})
    async with ground(says(oip(p=1.0)), says(oip(p=1.0), after=0.5), timeout=0.1) as g:
        for _ in range(3):
            await g.send()
        await g.compared(3)
        assert g.both() == ({"unanswered": 3}, {"agree": 3})


async def test_a_stable_that_answers_with_an_error_is_no_reference() -> None:
    """A client's own mistake, say: 400 on both sides is no agreement of models."""
    async with ground(says({"error": "no"}, status=400), says(oip(p=1.0))) as g:
        for _ in range(3):
            await g.send()
        await g.compared(3)
        assert g.dropped("no_reference") == 3
        assert g.both() == ({}, {})


@pytest.mark.parametrize("trouble", [says(oip(p=1.0), after=0.5), says({}, status=503), says({}, status=429)])
async def test_a_stable_in_trouble_is_left_alone(trouble: Answering) -> None:
    async with ground(trouble, says(oip(p=1.0)), timeout=0.1) as g:
        for _ in range(50):
            await g.send()
        await g.compared(50)
        assert len(g.stable.seen) <= 2, "what was taken before it was known"
        assert g.dropped("resting") >= 48


async def test_an_unreachable_stable_is_left_alone_too() -> None:
    async with ground(says(oip(p=1.0)), says(oip(p=1.0)), stable="http://127.0.0.1:1") as g:
        for _ in range(10):
            await g.send()
        await g.compared(10)
        assert g.dropped("no_reference") + g.dropped("resting") == 10


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"outputs": [{"name": "p", "shape": [1], "parameters": {"binary_data_size": 8}}]}, "uncomparable"),
        ({"hello": "world"}, "uncomparable"),
        (oip(p="x" * 10_000), "too_large"),
    ],
)
async def test_an_answer_of_stables_that_cannot_be_read(answer: dict[str, Any], reason: str) -> None:
    async with ground(says(answer), says(oip(p=1.0)), max_body=4096) as g:
        await g.send()
        await g.compared(1)
        assert g.dropped(reason) == 1
        assert g.both() == ({}, {})


@pytest.mark.parametrize("answer", [{"hello": "world"}, oip(p="x" * 10_000), [1, 2], oip(p=[[1], [2, 3]])])
async def test_an_answer_of_the_candidates_that_cannot_be_read_differs(answer: Any) -> None:
    async with ground(says(oip(p=1.0)), says(answer), max_body=4096) as g:
        await g.send()
        await g.compared(1)
        assert g.both() == ({"differ": 1}, {"agree": 1})


async def test_answers_with_ever_new_outputs_make_no_more_than_a_few_series() -> None:
    def different(number: int) -> dict[str, Any]:
        return oip(**{f"output-{number}": 1.0, "x" * 500: 2.0, "bad\ud800name": 3.0})

    async with ground(says(different), says(different)) as g:
        for _ in range(60):
            await g.send()
        await g.compared(60)
        text = g.meters.render().decode()
        outputs = {line.split('output="')[1].split('"')[0] for line in text.splitlines() if 'output="' in line}
        assert len(outputs) <= 18
        assert "other" in outputs


async def test_only_named_outputs_are_compared() -> None:
    async with ground(says(oip(p=1.0, q=1.0)), says(oip(p=1.0, q=2.0)), outputs=("p",)) as g:
        await g.send()
        await g.compared(1)
        assert g.results(CANDIDATE) == {"agree": 1}
        assert g.results(CANDIDATE, "q") == {}
    async with ground(says(oip(p=1.0)), says(oip(p=1.0)), outputs=("missing",)) as g:
        await g.send()
        await g.compared(1)
        assert g.dropped("uncomparable") == 1


# --- what is bounded --------------------------------------------------------------------------------------------------


async def test_stable_never_has_more_than_one_request_of_ours_and_the_rate_holds() -> None:
    async with ground(says(oip(p=1.0), after=0.01), says(oip(p=1.0)), rate=20.0, queue=4) as g:
        began = time.monotonic()

        async def caller() -> None:
            while time.monotonic() - began < 2.0:
                assert await g.send() == 202

        await asyncio.gather(*(caller() for _ in range(20)))
        seconds = time.monotonic() - began
        assert g.stable.most_in_hand == 1
        assert len(g.candidate.seen) <= 20 * seconds + 1
        assert len(g.candidate.seen) >= 5, "and it does work"
        assert g.dropped("rate") > 10 * len(g.candidate.seen)


async def test_slow_models_fill_the_queue_and_no_more() -> None:
    async with ground(says(oip(p=1.0), after=0.2), says(oip(p=1.0)), queue=3) as g:
        for _ in range(50):
            await g.send()
        assert g.dropped("queue") == 50 - 4, "three wait, one is being asked"


async def test_a_caller_that_never_ends_its_body_holds_one_place_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seatrial.compare.server.BODY_SECONDS", 0.2)
    async with ground(says(oip(p=1.0)), says(oip(p=1.0))) as g:
        _, writer = await asyncio.open_connection("127.0.0.1", g.comparer.port)
        writer.write(f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc".encode())
        await writer.drain()
        await g.compared(1)
        assert g.dropped("unreadable") == 1
        writer.close()
        await g.send()
        await g.compared(2)
        assert g.results(CANDIDATE) == {"agree": 1}


async def test_a_path_cannot_lead_anywhere_else() -> None:
    """The address of a model is ours; only the path is the caller's."""
    async with ground(says(oip(p=1.0)), says(oip(p=1.0))) as g:
        body = json.dumps(BODY).encode()
        for target in ("@127.0.0.1:1/infer", "http://127.0.0.1:1/infer", "//127.0.0.1:1/infer"):
            reader, writer = await asyncio.open_connection("127.0.0.1", g.comparer.port)
            head = f"POST {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            await reader.read()
            writer.close()
        await g.compared(2)
        assert [seen.path for seen in g.candidate.seen] == ["//127.0.0.1:1/infer"], "a path like any other"
        assert (g.dropped("no_reference"), g.dropped("not_inference")) == (0, 1), "one is no request at all"


async def test_closing_it_in_mid_request_leaves_nothing_behind() -> None:
    async with ground(says(oip(p=1.0), after=5.0), says(oip(p=1.0))) as g:
        for _ in range(5):
            await g.send()
        began = time.monotonic()
        await g.comparer.close()
        assert time.monotonic() - began < 1.0
        with pytest.raises(aiohttp.ClientConnectorError):
            await g.send()
