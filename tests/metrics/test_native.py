"""Native histograms: as Prometheus gives them, and as they are counted by bin."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from seatrial.core import counters, histograms
from seatrial.core.promql import Named
from seatrial.core.questions import Bucket, CounterQuestion, Counters, Failure, MetricAnswer, NoData, Series
from seatrial.metrics.source import PrometheusSource
from tests.metrics.conftest import Exporter, http_server, started

EDGES = (0.1, 0.5, 0.9)


async def asked(url: str, end: datetime) -> MetricAnswer:
    source = PrometheusSource(url)
    try:
        question = CounterQuestion("q", "model_score", end - timedelta(seconds=30), end)
        answers, _ = await source.answer([question])
    finally:
        source.close()
    return answers["q"]


def matrix(*histograms_: object, **more: object) -> bytes:
    series = {
        "metric": {"__name__": "model_score", "pod": "p"},
        "histograms": [[1.0, one] for one in histograms_],
        **more,
    }
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": [series]}}).encode()


async def answered(body: bytes) -> MetricAnswer:
    with http_server(lambda _: (200, {"content-type": "application/json"}, body)) as url:
        return await asked(url, datetime.now(UTC))


async def test_buckets_come_with_their_bounds_and_counts() -> None:
    one = {"count": "6", "sum": "3.1", "buckets": [[3, "-0.001", "0.001", "1"], [0, "0.5", "0.7", "5"]]}
    answer = await answered(matrix(one, {"count": "0", "sum": "0"}))
    assert isinstance(answer, Counters)
    assert answer.series == (
        Series(
            {"__name__": "model_score", "pod": "p"},
            ((1.0, 6.0), (1.0, 0.0)),
            ((Bucket(-0.001, 0.001, 1.0), Bucket(0.5, 0.7, 5.0)), ()),
        ),
    )


async def test_a_series_that_became_native_has_both_kinds_of_samples() -> None:
    answer = await answered(matrix({"count": "6", "sum": "3"}, values=[[0.5, "3"]]))
    assert isinstance(answer, Counters)
    assert [one.samples for one in answer.series] == [((0.5, 3.0),), ((1.0, 6.0),)]


@pytest.mark.parametrize("broken", [{"sum": "3"}, {"count": "6", "buckets": [["0.5", "0.7"]]}, "x"])
async def test_another_form_is_an_error(broken: object) -> None:
    answer = await answered(matrix(broken))
    assert isinstance(answer, Failure)
    assert "came in a form that Prometheus does not give" in answer.message


def page(counts: Sequence[int]) -> str:
    """A classic histogram, which this Prometheus stores as a native one with the same bounds."""
    lines, total = ["# TYPE model_score histogram"], 0
    for edge, count in zip((*map(str, EDGES), "+Inf"), counts, strict=True):
        total += count
        lines.append(f'model_score_bucket{{le="{edge}"}} {total}')
    return "\n".join([*lines, f"model_score_count {total}", f"model_score_sum {total / 2}", ""])


async def test_what_a_real_prometheus_stored_is_counted_by_bin(tmp_path: Path) -> None:
    """Two scrapes of a pod: 4, 3, 2 and 1 predictions between them."""
    exporter = Exporter(pages={"/m": page([10, 20, 30, 40])})
    with http_server(exporter.answer) as address:
        job = {
            "job_name": "m",
            "metrics_path": "/m",
            "convert_classic_histograms_to_nhcb": True,
            "static_configs": [
                {"targets": [address.removeprefix("http://")], "labels": {"namespace": "payments", "pod": "p"}}
            ],
        }
        with started(tmp_path, [job]) as prometheus:
            prometheus.wait_for("histogram_count(model_score) == 100")
            begun = datetime.now(UTC).timestamp()
            exporter.pages["/m"] = page([14, 23, 32, 41])
            prometheus.wait_for("histogram_count(model_score) == 110")
            answer = await asked(prometheus.url, datetime.now(UTC))
    assert isinstance(answer, Counters)
    named = Named("model_score")
    assert sorted(histograms.edges(answer.series, named)) == list(EDGES)
    rows = histograms.rows(answer.series, named, EDGES)
    assert not isinstance(rows, NoData)
    seen = counters.scrapes(answer.series)
    assert histograms.count(rows, 4, begun, begun + 3600, seen, {}) == [4, 3, 2, 1]
    assert histograms.count(rows, 4, begun - 3600, begun + 3600, seen, {"p": begun}) == [14, 23, 32, 41]
