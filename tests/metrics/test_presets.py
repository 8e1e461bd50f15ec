"""Presets count what real servers counted, read by a real Prometheus from recorded pages."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from seatrial.api.spec import Check, CheckPreset, MetricSource
from seatrial.api.status import Arms, CheckStatus
from seatrial.core import checks
from seatrial.core.checks import Arm, Situation
from seatrial.metrics import presets
from seatrial.metrics.source import PrometheusSource
from tests.checks.builders import CANDIDATE, STABLE, arms, situation
from tests.metrics.conftest import Exporter, Prometheus

RECORDINGS = Path(__file__).parent / "recordings"
PRESETS = presets.load()


def recorded(name: str) -> str:
    return (RECORDINGS / name).read_text()


def here(now: datetime, start: datetime) -> Situation:
    return situation(
        now,
        start=start,
        confirmed_at=start,
        stable=Arm(STABLE, "a", {f"fraud-{STABLE}-6c5d-x2x4z": start}),
        candidate=Arm(CANDIDATE, "b", {f"fraud-{CANDIDATE}-8f7b-k9d2q": start}),
    )


async def look(source: PrometheusSource, check: Check, stored: CheckStatus, seen: Situation) -> CheckStatus:
    answers, interval = await source.answer(checks.ask(check, stored, seen, PRESETS))
    assert interval == pytest.approx(1.0, abs=0.2)
    return checks.fold(check, stored, seen, PRESETS, answers)


@pytest.mark.contract
@pytest.mark.timeout(300)
async def test_recorded_pages_read_as_the_requests_that_were_sent(prometheus: Prometheus, exporter: Exporter) -> None:
    """MLServer between its two pages: 222 inference requests on both arms, 7 errors, 11 slower than 250 ms; probes,
    metadata and unknown paths beside them. Envoy: 309 and 53 requests, 3 and 8 errors (time-outs and 500s), 6 and 5
    slower than 100 ms, of the 308 and 49 that were timed.
    """
    exporter.pages |= {
        "/gateway": recorded("envoy-1.40.0-before.prom"),
        "/stable": recorded("mlserver-1.7.1-before.prom"),
        "/candidate": recorded("mlserver-1.7.1-before.prom"),
    }
    for metric in ("envoy_cluster_upstream_rq_xx", 'rest_server_requests_total{pod=~"fraud-.*"}'):
        prometheus.wait_for(f"count(count_over_time({metric}[10s]) > 2)")
    start = datetime.now(UTC)
    source = PrometheusSource(prometheus.url)
    sources = {"gateway": MetricSource.GATEWAY, "runtime": MetricSource.RUNTIME}
    both: list[tuple[Check, Arms]] = [
        (Check(name="gateway", preset=CheckPreset.ERRORS, source=sources["gateway"]), arms((8, 53), (3, 309))),
        (Check(name="runtime", preset=CheckPreset.ERRORS, source=sources["runtime"]), arms((7, 222), (7, 222))),
        (
            Check(
                name="gateway",
                preset=CheckPreset.LATENCY,
                source=sources["gateway"],
                slower_than=timedelta(milliseconds=100),
            ),
            arms((5, 49), (6, 308)),
        ),
        (
            Check(
                name="runtime",
                preset=CheckPreset.LATENCY,
                source=sources["runtime"],
                slower_than=timedelta(milliseconds=250),
            ),
            arms((11, 222), (11, 222)),
        ),
    ]
    opened = []
    for check, _ in both:
        at_start = here(start, start)
        answers, _ = await source.answer(checks.opening_questions(check, at_start, PRESETS))
        status = checks.opening(check, at_start, PRESETS, answers)
        assert isinstance(status, CheckStatus), status
        opened.append(status)
    # The first look falls into the old pages: nothing is counted twice, nothing is missed in between.
    time.sleep(1.2)
    middle = datetime.now(UTC)
    opened = [await look(source, check, s, here(middle, start)) for (check, _), s in zip(both, opened, strict=True)]
    assert [status.trial for status in opened] == [Arms()] * 4
    exporter.pages |= {
        "/gateway": recorded("envoy-1.40.0-after.prom"),
        "/stable": recorded("mlserver-1.7.1-after.prom"),
        "/candidate": recorded("mlserver-1.7.1-after.prom"),
    }
    time.sleep(2.5)
    now = datetime.now(UTC)
    for (check, expected), status in zip(both, opened, strict=True):
        folded = await look(source, check, status, here(now, start))
        assert (check.name, check.preset, folded.trial) == (check.name, check.preset, expected), folded.message
    source.close()


@pytest.mark.contract
@pytest.mark.timeout(300)
async def test_without_slower_than_the_edge_comes_from_stable(prometheus: Prometheus, exporter: Exporter) -> None:
    exporter.pages["/gateway"] = recorded("envoy-1.40.0-after.prom")
    prometheus.wait_for('envoy_cluster_upstream_rq_time_bucket{le="+Inf"} > 300')
    source = PrometheusSource(prometheus.url)
    check = Check(name="latency", preset=CheckPreset.LATENCY)
    status = CheckStatus(name="latency", source=MetricSource.GATEWAY)
    now = datetime.now(UTC)
    folded = await look(source, check, status, here(now, now))
    source.close()
    assert folded.slower_than is not None
    assert 0.5 <= float(folded.slower_than) <= 10, "nearly all answers took a millisecond or less"


def test_all_presets_load_and_say_what_they_cannot_tell() -> None:
    assert set(PRESETS) == {"mlserver", "envoy-gateway"}
    for name, preset in PRESETS.items():
        assert preset.name == name
        assert preset.cannot_tell
        assert preset.latency is not None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("title: MLServer\n", ""), "preset x.yaml is not complete: 'title'"),
        (("source: Runtime", "source: Nobody"), "preset x.yaml is not complete: 'Nobody' is not a valid MetricSource"),
        (("title: MLServer", "title: MLServer\nmargin: 3"), "preset x.yaml has fields that nothing reads: margin"),
    ],
)
def test_a_preset_with_a_mistake_is_refused(change: tuple[str, str], said: str) -> None:
    text = (Path(presets.__file__).parent / "mlserver.yaml").read_text()
    with pytest.raises(ValueError, match=said):
        presets.parse(text.replace(*change), "x.yaml")
