"""Presets count what real servers counted, read by a real Prometheus from recorded pages."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from seatrial.api.spec import Check, CheckPreset, MetricSource, Runtime
from seatrial.api.status import Arms, CheckStatus
from seatrial.core import checks, promql
from seatrial.core.checks import Arm, Situation
from seatrial.core.checks.probe import Aim, questions, report
from seatrial.core.questions import Failure, MetricAnswer, MetricQuestion
from seatrial.metrics import presets
from seatrial.metrics.source import PrometheusSource
from tests.checks.builders import CANDIDATE, STABLE, arms, situation
from tests.metrics.conftest import Exporter, Prometheus
from tests.metrics.loads import LOADS, PRESETS, Counts, deployment, page, samples, targets
from tests.sim.prometheus import SimPrometheus

Ask = Callable[[Sequence[MetricQuestion]], Awaitable[dict[str, MetricAnswer]]]
BY_CHECKS = [name for name, preset in PRESETS.items() if not preset.only_by_query]


def here(name: str, now: datetime, start: datetime) -> Situation:
    preset, model = PRESETS[name], deployment(name)
    return situation(
        now,
        name=model,
        runtime=preset.runtimes[0] if preset.runtimes else Runtime.CUSTOM,
        model_name="fraud",
        start=start,
        confirmed_at=start,
        gateway=preset.source is MetricSource.GATEWAY,
        stable=Arm(STABLE, "a", {f"{model}-{STABLE}-6c5d-x2x4z": start}),
        candidate=Arm(CANDIDATE, "b", {f"{model}-{CANDIDATE}-8f7b-k9d2q": start}),
    )


def asked(name: str) -> list[tuple[Check, Arms]]:
    """Checks on a preset, and what they have to count."""
    load, source = LOADS[name], PRESETS[name].source
    out: list[tuple[Check, Counts, Counts | None]] = []
    if PRESETS[name].errors:
        errors = Check(name="errors", preset=CheckPreset.ERRORS, source=source)
        out.append((errors, load.errors, load.stable))
    for kind, timed in load.timed.items():
        check = Check(name=kind.lower(), preset=kind, source=source, slower_than=timedelta(seconds=timed.limit))
        out.append((check, timed.candidate, timed.stable))
    return [(check, arms(candidate, stable or candidate)) for check, candidate, stable in out]


async def opened(name: str, check: Check, seen: Situation, ask: Ask) -> CheckStatus:
    """The check as a trial begins with it; the preset alone is there, as on an installation with this one gateway."""
    only = {name: PRESETS[name]}
    answers = await ask(checks.opening_questions(check, seen, only))
    status = checks.opening(check, seen, only, answers)
    assert isinstance(status, CheckStatus), status
    assert (status.preset, status.source) == (name, PRESETS[name].source)
    assert status.message == f"reads the numbers of {PRESETS[name].called}"
    return status


async def look(check: Check, stored: CheckStatus, seen: Situation, ask: Ask) -> CheckStatus:
    return checks.fold(check, stored, seen, PRESETS, await ask(checks.ask(check, stored, seen, PRESETS)))


def held(name: str, when: str) -> dict[tuple[tuple[str, str], ...], float]:
    """What a scrape of a preset's targets holds."""
    out: dict[tuple[tuple[str, str], ...], float] = {}
    for job, added in targets(name).items():
        target = {**added, "job": job, "instance": f"{job}:80"}
        shown = [({"__name__": "up"}, 1.0), *samples(page(name, when))]
        out |= {tuple(sorted({**labels, **target}.items())): value for labels, value in shown}
    return out


@pytest.mark.parametrize("name", BY_CHECKS)
async def test_a_preset_counts_the_load_between_two_pages(name: str) -> None:
    """As below, without a Prometheus."""
    sim, start = SimPrometheus(interval=1.0), datetime(2026, 11, 22, 10, tzinfo=UTC)

    async def ask(asked: Sequence[MetricQuestion]) -> dict[str, MetricAnswer]:
        return sim.answer(asked)[0]

    for second in range(-5, 1):
        sim.scrape(start + timedelta(seconds=second), held(name, "before"))
    begun = [(check, await opened(name, check, here(name, start, start), ask)) for check, _ in asked(name)]
    for second in range(1, 5):
        sim.scrape(start + timedelta(seconds=second), held(name, "after"))
    seen = here(name, start + timedelta(seconds=5), start)
    for (check, status), (_, expected) in zip(begun, asked(name), strict=True):
        folded = await look(check, status, seen, ask)
        assert (check.preset, folded.trial) == (check.preset, expected), folded.message
        if check.preset is not None and (timed := LOADS[name].timed.get(check.preset)) is not None:
            assert folded.slower_than is not None
            assert float(folded.slower_than) == float(timed.edge)


@pytest.mark.parametrize("name", LOADS)
def test_trying_a_preset_counts_the_same(name: str) -> None:
    """All revisions together; for a preset that no check reads, this is the whole test of its file."""
    sim, now, load = SimPrometheus(interval=1.0), datetime(2026, 11, 22, 10, tzinfo=UTC), LOADS[name]
    for second in range(-20, -4):
        sim.scrape(now + timedelta(seconds=second), held(name, "before" if second < -10 else "after"))
    aim, window = Aim("payments", deployment(name), model="fraud"), timedelta(seconds=15)
    answers, _ = sim.answer(questions(PRESETS[name], aim, now, window))
    found = report(PRESETS[name], aim, now, window, answers)
    assert found.usable, found.missing
    both = load.stable or (load.errors if len(targets(name)) == 2 else (0, 0))
    assert found.errors is not None
    assert (found.errors.events, found.errors.total) == (load.errors[0] + both[0], load.errors[1] + both[1])
    assert {slow.kind for slow in found.slow} == set(load.timed)
    for slow in found.slow:
        timed = load.timed[slow.kind]
        other = timed.stable or (timed.candidate if len(targets(name)) == 2 else (0, 0))
        assert slow.tally.total == timed.candidate[1] + other[1]


def test_trying_a_preset_says_what_is_missing() -> None:
    sim, now = SimPrometheus(interval=1.0), datetime(2026, 11, 22, 10, tzinfo=UTC)
    preset, aim, window = PRESETS["vllm"], Aim("payments", "chat"), timedelta(minutes=5)
    answers, _ = sim.answer(questions(preset, aim, now, window))
    found = report(preset, aim, now, window, answers)
    assert not found.usable
    assert found.errors is None
    assert found.missing[0] == "no series of http_requests_total: nothing can be counted"
    assert (
        found.missing[2]
        == "no series of vllm:time_to_first_token_seconds_bucket: the time to the first token is not known"
    )
    assert found.seen[0].nearest == ("nearest_name",)
    failed = report(preset, aim, now, window, {"exists/x": Failure("Prometheus did not answer")})
    assert (failed.failed, failed.usable) == ("Prometheus did not answer", False)


@pytest.mark.contract
@pytest.mark.timeout(300)
async def test_recorded_pages_read_as_the_requests_that_were_sent(prometheus: Prometheus, exporter: Exporter) -> None:
    """MLServer between its two pages: 222 inference requests on both arms, 7 errors, 11 slower than 250 ms; probes,
    metadata and unknown paths beside them. Envoy: 309 and 53 requests, 3 and 8 errors (time-outs and 500s), 6 and 5
    slower than 100 ms, of the 308 and 49 that were timed. The others as `LOADS` says.
    """
    exporter.pages |= {f"/recorded/{name}": page(name, "before") for name in LOADS}
    for name in LOADS:
        for job in targets(name):
            prometheus.wait_for(f'count_over_time(up{{job="{job}"}}[10s]) > 2 and up{{job="{job}"}} == 1')
    start = datetime.now(UTC)
    source = PrometheusSource(prometheus.url)

    async def ask(asked: Sequence[MetricQuestion]) -> dict[str, MetricAnswer]:
        return (await source.answer(asked))[0]

    begun = [
        (name, check, expected, await opened(name, check, here(name, start, start), ask))
        for name in BY_CHECKS
        for check, expected in asked(name)
    ]
    # The first look falls into the old pages: nothing is counted twice, nothing is missed in between.
    time.sleep(1.2)
    middle = datetime.now(UTC)
    begun = [
        (name, check, expected, await look(check, status, here(name, middle, start), ask))
        for name, check, expected, status in begun
    ]
    assert {status.trial for _, _, _, status in begun} == {Arms()}
    exporter.pages |= {f"/recorded/{name}": page(name, "after") for name in LOADS}
    time.sleep(2.5)
    now = datetime.now(UTC)
    for name, check, expected, status in begun:
        folded = await look(check, status, here(name, now, start), ask)
        assert (name, check.preset, folded.trial) == (name, check.preset, expected), folded.message
    source.close()


@pytest.mark.contract
@pytest.mark.timeout(300)
async def test_without_slower_than_the_edge_comes_from_stable(prometheus: Prometheus, exporter: Exporter) -> None:
    exporter.pages["/recorded/envoy-gateway"] = page("envoy-gateway", "after")
    prometheus.wait_for('envoy_cluster_upstream_rq_time_bucket{le="+Inf"} > 300')
    source = PrometheusSource(prometheus.url)
    check = Check(name="latency", preset=CheckPreset.LATENCY)
    status = CheckStatus(name="latency", source=MetricSource.GATEWAY)
    now = datetime.now(UTC)
    where = here("envoy-gateway", now, now)
    answers, _ = await source.answer(checks.ask(check, status, where, PRESETS))
    folded = checks.fold(check, status, where, PRESETS, answers)
    source.close()
    assert folded.slower_than is not None
    assert 0.5 <= float(folded.slower_than) <= 10, "nearly all answers took a millisecond or less"


def test_all_presets_load_and_say_what_they_cannot_tell() -> None:
    assert set(PRESETS) == set(LOADS), "each has a recording"
    for name, preset in PRESETS.items():
        assert preset.name == name
        assert preset.cannot_tell
        assert preset.known_from
        assert preset.scrape
        assert preset.latency is None or preset.mean is None


def test_what_was_not_recorded_is_unverified() -> None:
    """A page that was written says so, and so does its preset."""
    written = {name for name in LOADS if page(name, "after").startswith("# Not recorded")}
    assert written == {name for name, preset in PRESETS.items() if not preset.verified}
    assert written == {name for name, preset in PRESETS.items() if preset.called.endswith("(unverified)")}


def test_each_runtime_has_one_preset() -> None:
    served = [runtime for preset in PRESETS.values() for runtime in preset.runtimes]
    assert sorted(served) == sorted(runtime for runtime in Runtime if runtime is not Runtime.CUSTOM)


@pytest.mark.parametrize("name", [name for name, preset in PRESETS.items() if preset.templates])
def test_the_queries_of_a_preset_are_taken_as_checks(name: str) -> None:
    for template in PRESETS[name].templates:
        check = Check.model_validate(
            {"name": template.name, "query": template.query, "max": template.max or None, "min": template.min or None}
        )
        assert promql.problems(check, "payments") == []
        assert check.max or check.min


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("title: MLServer\n", ""), "preset x.yaml is not complete: 'title'"),
        (("source: Runtime", "source: Nobody"), "preset x.yaml: 'Nobody' is not a valid MetricSource"),
        (("title: MLServer", "title: MLServer\nmargin: 3"), "preset x.yaml: fields that nothing reads: margin"),
        (("unit: s", "unit: s\n  quantile: 3"), "rest_server_request_duration_seconds_bucket: fields that nothing"),
        (("values: 5..", "values: 5.., other: 1"), "preset x.yaml: errors: fields that nothing reads: other"),
        (("verified:", "known:"), "preset x.yaml is not complete: 'unverified'"),
        (("{version: 1.7.1,", "{version: 1.7.1, by: me,"), "preset x.yaml: verified: fields that nothing reads: by"),
    ],
)
def test_a_preset_with_a_mistake_is_refused(change: tuple[str, str], said: str) -> None:
    text = (Path(presets.__file__).parent / "mlserver.yaml").read_text()
    assert change[0] in text
    with pytest.raises(ValueError, match=said):
        presets.parse(text.replace(*change), "x.yaml")
