"""The connection to Prometheus: every way to fail is a sentence, and nothing is thrown."""

from __future__ import annotations

import asyncio
import json
import math
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from dev.controlplane import free_port
from seatrial.core.questions import (
    CounterQuestion,
    Counters,
    ExistsQuestion,
    Failure,
    Found,
    InstantQuestion,
    MetricAnswer,
    MetricQuestion,
    Missing,
    NoData,
    Value,
)
from seatrial.metrics import source as module
from seatrial.metrics.source import NO_PROMETHEUS, PrometheusSource, nearest
from tests.metrics.conftest import Answer, Exporter, Prometheus, http_server

pytestmark = pytest.mark.timeout(300)


def now() -> datetime:
    return datetime.now(UTC)


async def one(url: str, question: MetricQuestion, **options: Any) -> MetricAnswer:
    source = PrometheusSource(url, **{"timeout": 1.0, **options})
    try:
        answers, _ = await source.answer([question])
        return answers[question.key]
    finally:
        source.close()


async def ask(url: str, query: str = "up", **options: Any) -> MetricAnswer:
    return await one(url, InstantQuestion("k", query, now()), **options)


# --- against a real one -------------------------------------------------------------------------------

PAGE = """\
# TYPE tokens_total counter
tokens_total{namespace="payments",kind="in"} 7
tokens_total{namespace="payments",kind="out"} 5
# TYPE broken gauge
broken{namespace="payments"} NaN
"""


@pytest.fixture
def scraped(prometheus: Prometheus, exporter: Exporter) -> Prometheus:
    exporter.pages["/plain"] = PAGE
    prometheus.wait_for("tokens_total")
    return prometheus


@pytest.mark.contract
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sum(tokens_total)", Value(12.0)),
        ("1+1", Value(2.0)),
        ("1/0", Value(math.inf)),
        ("-1/0", Value(-math.inf)),
        ("sum(absent_metric) or vector(0)", Value(0.0)),
        ("broken", NoData("the value is NaN, which is what 0/0 gives: was there any traffic?")),
        ("vector(0)/vector(0)", NoData("the value is NaN, which is what 0/0 gives: was there any traffic?")),
        (
            "sum(absent_metric)",
            NoData(
                "the query found nothing (an empty vector). If no series means 0, write (sum(…) or vector(0)) around that part"
            ),
        ),
        ("tokens_total", Failure("the query gives 2 series, and a check needs one: aggregate, as with sum(…)")),
        ("tokens_total[1m]", Failure("the query gives a matrix, and a check needs one number")),
        ('"x"', Failure("the query gives a string, and a check needs one number")),
    ],
)  # fmt: skip
async def test_instant_questions(scraped: Prometheus, query: str, expected: MetricAnswer) -> None:
    assert await ask(scraped.url, query) == expected


@pytest.mark.contract
async def test_a_query_that_does_not_parse_is_told_by_prometheus(scraped: Prometheus) -> None:
    answer = await ask(scraped.url, "sum(")
    assert isinstance(answer, Failure)
    assert answer.message.startswith(f"Prometheus at {scraped.url} refused the query (bad_data): ")


@pytest.mark.contract
async def test_a_long_query_travels_in_the_body(scraped: Prometheus) -> None:
    assert await ask(scraped.url, " + ".join(["1"] * 4_000), timeout=10.0) == Value(4_000.0)


@pytest.mark.contract
async def test_counters_are_raw_samples_up_to_the_instant(scraped: Prometheus) -> None:
    scraped.wait_for("count_over_time(tokens_total[10s]) > 3")
    end = now()
    source = PrometheusSource(scraped.url)
    question = CounterQuestion("k", '{__name__=~"tokens_total|up",job="plain"}', end - timedelta(seconds=2), end)
    answers, interval = await source.answer([question])
    source.close()
    answer = answers["k"]
    assert isinstance(answer, Counters)
    assert sorted(s.labels["__name__"] for s in answer.series) == ["tokens_total", "tokens_total", "up"]
    for series in answer.series:
        times = [t for t, _ in series.samples]
        assert times == sorted(times)
        assert times[-1] <= end.timestamp()
        assert len(times) > 3, "the lookback holds scrapes before the start"
    assert interval == pytest.approx(1.0, abs=0.2)


@pytest.mark.contract
async def test_existence_and_the_nearest_names(scraped: Prometheus) -> None:
    end = now()

    def exists(selector: str) -> ExistsQuestion:
        return ExistsQuestion("k", selector, end - timedelta(hours=1), end)

    assert await one(scraped.url, exists('{__name__="tokens_total",namespace="payments"}')) == Found(2)
    # Other tests have recordings of model servers scraped into this namespace; the closest name still comes first.
    missing = await one(scraped.url, exists('{__name__="token_total",namespace="payments"}'))
    assert isinstance(missing, Missing)
    assert missing.nearest[0] == "tokens_total"
    assert await one(scraped.url, exists('{__name__="tokens_total",namespace="elsewhere"}')) == Missing(())
    assert await one(scraped.url, exists('{__name__="tokens_total",kind="other"}')) == Missing(
        ("tokens_total (with other labels)",)
    )


@pytest.mark.contract
async def test_one_that_hangs_costs_its_time_limit_however_many_ask(scraped: Prometheus) -> None:
    source = PrometheusSource(scraped.url, timeout=1.0, workers=2)
    questions = [InstantQuestion(f"k{i}", "up", now()) for i in range(20)]
    with scraped.stopped():
        begun = time.monotonic()
        answers, interval = await source.answer(questions)
        took = time.monotonic() - begun
    assert set(answers.values()) == {Failure(f"Prometheus at {scraped.url} did not answer within 1 s")}
    assert interval is None
    assert took < 5
    back: MetricAnswer | None = None
    deadline = time.monotonic() + 10
    while back != Value(1.0) and time.monotonic() < deadline:
        answers, _ = await source.answer([InstantQuestion("k", "1", now())])
        back = answers["k"]
    source.close()
    assert back == Value(1.0), "it recovers by itself"


@pytest.mark.contract
async def test_many_questions_at_once(scraped: Prometheus) -> None:
    source = PrometheusSource(scraped.url, timeout=10.0)
    questions = [InstantQuestion(f"k{i}", f"vector({i})", now()) for i in range(200)]
    answers, _ = await source.answer(questions)
    source.close()
    assert answers == {f"k{i}": Value(float(i)) for i in range(200)}


# --- what only a server that misbehaves does ----------------------------------------------------------


async def test_no_prometheus_is_said_for_each_question() -> None:
    source = PrometheusSource("")
    answers, interval = await source.answer([InstantQuestion("a", "1", now()), InstantQuestion("b", "1", now())])
    source.close()
    assert answers == {"a": Failure(NO_PROMETHEUS), "b": Failure(NO_PROMETHEUS)}
    assert interval is None
    assert await PrometheusSource("").answer([]) == ({}, None)


async def test_nobody_listens() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert await ask(url) == Failure(f"Prometheus at {url} refused the connection: is it running?")


async def test_a_name_that_does_not_resolve() -> None:
    answer = await ask("http://prometheus.invalid:9090", timeout=5.0)
    assert answer == Failure("the address http://prometheus.invalid:9090 of Prometheus cannot be resolved")


def body(**changes: Any) -> bytes:
    data = {"resultType": "vector", "result": [{"metric": {}, "value": [1, "3"]}]}
    return json.dumps({"status": "success", "data": data, **changes}).encode()


JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((500, {}, b"<b>oops</b>\n at x"), "answered HTTP 500 (<b>oops</b> at x)"),
        ((503, {}, b""), "answered HTTP 503"),
        ((401, {}, b"who?"), "answered HTTP 401: check the credentials (who?)"),
        ((403, {}, b""), "answered HTTP 403: check the credentials"),
        ((404, {}, b"404 page not found"), "answered HTTP 404 (404 page not found)"),
        ((302, {"location": "https://u:secret@sso.example.com/login?token=1"}, b""), "redirects to https://sso.example.com/login, which is not followed"),
        ((307, {}, b""), "redirects to nowhere, which is not followed"),
        ((200, {"content-type": "text/html"}, b"<html>hello"), "answered something that is not JSON: is the address that of a Prometheus?"),
        ((200, JSON, b'{"status":"success"}'), "gave an answer that Prometheus does not give"),
        ((200, JSON, b"[]"), "gave an answer that Prometheus does not give"),
        ((200, JSON, b'{"status":"success","data":{"resultType":"vector","result":7}}'), "the query gives a vector, and a check needs one number"),
        ((200, JSON, body(data={"resultType": "vector", "result": [{"metric": {}, "value": [1, "x"]}]})), "the query gives 'x', which is not a number"),
        ((200, JSON, body(data={"resultType": "vector", "result": [{"metric": {}, "histogram": [1, {}]}]})), "the query gives a histogram"),
        ((422, JSON, b'{"status":"error","errorType":"execution","error":"too many samples"}'), "refused the query (execution): too many samples"),
        ((503, JSON, b'{"status":"error","errorType":"timeout","error":"query timed out"}'), "gave up on the query: query timed out"),
        ((200, JSON, b"\xff\xfe\x00"), "is not JSON"),
    ],
)  # fmt: skip
async def test_answers_that_cannot_be_used(answer: Answer, said: str) -> None:
    with http_server(lambda _path: answer) as url:
        got = await ask(url)
        assert isinstance(got, Failure)
        assert said in got.message
        assert "secret" not in got.message


async def test_a_partial_answer_keeps_its_warnings() -> None:
    warned = body(warnings=["store a is away"], infos=["metric might not be a counter"])
    with http_server(lambda _path: (200, JSON, warned)) as url:
        assert await ask(url) == Value(3.0, ("store a is away",))
    matrix = {"resultType": "matrix", "result": [{"metric": {"a": "b"}, "values": [[1, "1"], [2, "NaN"], [3.5, "4"]]}]}
    with http_server(lambda _path: (200, JSON, body(data=matrix, warnings=["w"]))) as url:
        got = await one(url, CounterQuestion("k", "x", now() - timedelta(seconds=9), now()))
        assert isinstance(got, Counters)
        assert got.series[0].samples == ((1.0, 1.0), (3.5, 4.0))
        assert got.warnings == ("w",)


def dated(at: datetime) -> bytes:
    said = body()
    head = f"HTTP/1.1 200 OK\r\ndate: {format_datetime(at, usegmt=True)}\r\ncontent-length: {len(said)}\r\n\r\n"
    return head.encode() + said


@pytest.mark.parametrize(("minutes", "said"), [(10, "ahead of"), (-10, "behind")])
async def test_a_clock_that_is_wrong_is_told_and_nothing_is_counted(minutes: int, said: str) -> None:
    """Samples bear the time of Prometheus: asked for our time, they would be those of another weight or revision."""
    with raw_server(dated(now() + timedelta(minutes=minutes))) as port:
        got = await ask(f"http://127.0.0.1:{port}")
        assert isinstance(got, Failure)
        assert f"s {said} this operator's" in got.message


async def test_clocks_that_are_seconds_apart_are_right() -> None:
    for seconds in (-20, 20):
        with raw_server(dated(now() + timedelta(seconds=seconds))) as port:
            assert await ask(f"http://127.0.0.1:{port}") == Value(3.0)


@pytest.mark.parametrize("date", [b"", b"date: yesterday\r\n"])
async def test_a_server_that_does_not_tell_the_time_is_believed(date: bytes) -> None:
    said = body()
    with raw_server(b"HTTP/1.1 200 OK\r\n" + date + f"content-length: {len(said)}\r\n\r\n".encode() + said) as port:
        assert await ask(f"http://127.0.0.1:{port}") == Value(3.0)


async def test_a_failure_is_not_retried() -> None:
    seen: list[str] = []

    def answer(path: str) -> Answer:
        seen.append(path)
        return 503, {}, b""

    with http_server(answer) as url:
        begun = time.monotonic()
        await ask(url)
        assert time.monotonic() - begun < 3
    assert seen == ["/api/v1/query"], "one request, and the query is not in the address"


async def test_credentials_are_sent_and_never_said() -> None:
    seen: list[dict[str, str]] = []
    with raw_server(b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n", seen) as port:
        got = await ask(f"http://user:hunter2@127.0.0.1:{port}", headers=lambda: {"X-Scope-OrgID": "team"})
        assert got == Failure(f"Prometheus at http://127.0.0.1:{port} answered HTTP 500")
        assert seen[0]["x-scope-orgid"] == "team"
        assert seen[0]["authorization"].startswith("Basic ")
    port = free_port()
    refused = await ask(f"http://user:hunter2@127.0.0.1:{port}")
    assert isinstance(refused, Failure)
    assert "hunter2" not in refused.message


async def test_a_token_that_cannot_be_read_is_a_failure() -> None:
    def broken() -> dict[str, str]:
        raise LookupError("no token")

    assert await ask("http://127.0.0.1:9", headers=broken) == Failure(
        "Prometheus at http://127.0.0.1:9 could not be asked: LookupError"
    )


async def test_a_server_that_hangs_up() -> None:
    with raw_server(b"") as port:
        got = await ask(f"http://127.0.0.1:{port}")
        assert isinstance(got, Failure)
        assert got.message.startswith(f"the connection to Prometheus at http://127.0.0.1:{port} broke (")


async def test_an_answer_that_breaks_off() -> None:
    with raw_server(b'HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{"status":') as port:
        got = await ask(f"http://127.0.0.1:{port}")
        assert isinstance(got, Failure)
        assert "broke" in got.message


async def test_a_server_that_trickles_is_cut_off() -> None:
    """Each byte comes within the time limit of a read; the whole never would."""
    with raw_server(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n" + b" " * 900, trickle=0.05) as port:
        begun = time.monotonic()
        got = await ask(f"http://127.0.0.1:{port}")
        assert got == Failure(f"Prometheus at http://127.0.0.1:{port} did not answer within 1 s")
        assert time.monotonic() - begun < 4


async def test_an_answer_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_ANSWER", 1024 * 1024)
    with http_server(lambda _path: (200, JSON, b" " * (2 * 1024 * 1024))) as url:
        got = await ask(url)
        assert isinstance(got, Failure)
        assert "larger than 1 MiB" in got.message


async def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    with http_server(lambda _path: (200, JSON, body())) as url:
        assert await ask(url) == Value(3.0)


async def test_each_request_is_reported_with_its_outcome() -> None:
    heard: list[tuple[str, float]] = []
    with http_server(lambda _path: (200, JSON, body())) as url:
        await ask(url, on_request=lambda outcome, seconds: heard.append((outcome, seconds)))
    await ask(f"http://127.0.0.1:{free_port()}", on_request=lambda outcome, seconds: heard.append((outcome, seconds)))
    with http_server(lambda _path: (200, JSON, body(data={"resultType": "vector", "result": []}))) as url:
        await ask(url, on_request=lambda outcome, seconds: heard.append((outcome, seconds)))
    with http_server(lambda _path: (500, JSON, b"")) as url:
        await ask(url, on_request=lambda outcome, seconds: heard.append((outcome, seconds)))
    assert [outcome for outcome, _ in heard] == ["success", "refused", "empty", "error"]
    assert all(0 <= seconds < 2 for _, seconds in heard)


async def test_the_event_loop_stays_free_while_prometheus_hangs() -> None:
    with raw_server(None) as port:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticking = asyncio.create_task(tick())
        await ask(f"http://127.0.0.1:{port}")
        ticking.cancel()
    assert ticks > 20


def test_nearest_names() -> None:
    names = ["rest_server_requests_total", "rest_server_requests_created", "go_goroutines", "process_cpu_seconds_total"]
    assert nearest("rest_server_request_total", names)[0] == "rest_server_requests_total"
    assert nearest("go_goroutines", names) == ("go_goroutines (with other labels)",)
    assert nearest("nothing_like_it", names) == ()
    assert nearest("x", []) == ()


class raw_server:  # noqa: N801  reads as a function
    """A socket that reads a request, writes these bytes (None: nothing, ever) and closes."""

    def __init__(self, data: bytes | None, seen: list[dict[str, str]] | None = None, trickle: float = 0.0) -> None:
        self.data, self.seen, self.trickle = data, seen, trickle
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.ended = threading.Event()

    def __enter__(self) -> int:
        threading.Thread(target=self._serve, daemon=True).start()
        port: int = self.socket.getsockname()[1]
        return port

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.socket.close()

    def _serve(self) -> None:
        while not self.ended.is_set():
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            with peer:
                self._answer(peer)

    def _answer(self, peer: socket.socket) -> None:
        head = peer.recv(65536).decode("latin-1").split("\r\n\r\n")[0].splitlines()[1:]
        if self.seen is not None:
            self.seen.append({k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head)})
        if self.data is None:
            self.ended.wait(10)
            return
        try:
            for chunk in self._chunks(self.data):
                peer.sendall(chunk)
                if self.ended.wait(self.trickle):
                    return
        except OSError:
            pass

    def _chunks(self, data: bytes) -> Iterator[bytes]:
        if not self.trickle:
            yield data
            return
        for i in range(len(data)):
            yield data[i : i + 1]
