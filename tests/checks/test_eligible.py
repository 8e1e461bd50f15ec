"""Which preset a check reads, and what is said where none serves it."""

from __future__ import annotations

import pytest

from seatrial.api.spec import Check, CheckPreset, MetricSource, Runtime
from seatrial.api.status import CheckStatus, Outcome
from seatrial.core import checks
from seatrial.core.checks import Arm
from seatrial.core.counters import without_copies
from seatrial.core.questions import CounterQuestion, Counters, Found, MetricAnswer, Missing, Series
from tests.checks.builders import CANDIDATE, ERRORS, LATENCY, PRESETS, STABLE, arms, begun, situation
from tests.checks.world import EPOCH, at

FIRST, INTER = CheckPreset.FIRST_TOKEN, CheckPreset.INTER_TOKEN


def refusal(check: Check, runtime: Runtime, answer: MetricAnswer | None = None, *, gateway: bool = True) -> str:
    where = situation(runtime=runtime, gateway=gateway)
    asked = checks.opening_questions(check, where, PRESETS)
    out = checks.opening(check, where, PRESETS, {q.key: answer for q in asked if answer is not None})
    assert isinstance(out, checks.Refusal), out
    return out.message


def check(preset: CheckPreset, source: MetricSource | None = None) -> Check:
    return Check(name="c", preset=preset, source=source)


@pytest.mark.parametrize(
    ("asked", "runtime", "gateway", "said"),
    [
        (
            check(CheckPreset.LATENCY, MetricSource.RUNTIME),
            Runtime.TRITON,
            True,
            "p95 is unavailable for runtime Triton: its metrics have a mean only; use from: Gateway, or write a query",
        ),
        (
            check(CheckPreset.LATENCY),
            Runtime.TORCHSERVE,
            False,
            "p95 is unavailable for runtime TorchServe: its metrics have a mean only; no gateway counts here: write a query",
        ),
        (
            check(CheckPreset.ERRORS, MetricSource.RUNTIME),
            Runtime.KSERVE,
            True,
            "runtime KServe has no counter of errors; use from: Gateway, or write a query",
        ),
        (
            check(FIRST),
            Runtime.MLSERVER,
            True,
            "runtime MLServer has no metric of the time to the first token: remove the check, or write a query",
        ),
        (
            check(INTER),
            Runtime.TGI,
            True,
            "runtime TGI has no metric of the time between tokens: remove the check, or write a query",
        ),
        (
            check(FIRST),
            Runtime.CUSTOM,
            True,
            "there is no metric preset for runtime Custom: remove the check, or write a query",
        ),
    ],
)
def test_a_check_on_what_nobody_counts_is_refused(asked: Check, runtime: Runtime, gateway: bool, said: str) -> None:
    assert refusal(asked, runtime, gateway=gateway) == said


def test_where_no_gateway_is_found_either_both_reasons_are_said() -> None:
    said = refusal(LATENCY, Runtime.TRITON, Missing())
    assert "Looked for Envoy Gateway: " in said
    assert "p95 is unavailable for runtime Triton: its metrics have a mean only. Have Prometheus scrape it" in said


def test_latency_of_a_runtime_with_a_mean_is_read_from_the_gateway() -> None:
    where = situation(runtime=Runtime.TRITON)
    keys = [q.key for q in checks.opening_questions(LATENCY, where, PRESETS)]
    assert "latency/opening/triton" not in keys
    opened = checks.opening(LATENCY, where, PRESETS, {keys[0]: Found(1)})
    assert isinstance(opened, CheckStatus)
    assert (opened.preset, opened.unverified) == ("envoy-gateway", None)


def test_a_preset_that_only_queries_read_serves_no_check() -> None:
    every = {q.key for r in Runtime for q in checks.opening_questions(ERRORS, situation(runtime=r), PRESETS)}
    names = {key.rpartition("/")[2] for key in every}
    assert names == {n for n, p in PRESETS.items() if not p.only_by_query and p.errors}


# --- unverified -------------------------------------------------------------------------------------------------------


def vllm(arm: Arm, good: int, bad: int, metric: str = "http_requests_total", **more: str) -> list[Series]:
    """A pod that had answered nothing at T0."""
    own = {"namespace": "payments", "pod": f"fraud-{arm.revision}-x-0", "instance": arm.revision, "job": "pods"}
    up = Series({**own, "__name__": "up"}, tuple((EPOCH + t, 1.0) for t in (-5, 0, 5, 10)))
    base = {**own, "__name__": metric, "method": "POST", "handler": "/v1/completions", **more}
    out = [up]
    for status, count in (("2xx", good), ("5xx", bad)):
        out.append(Series({**base, "status": status}, tuple((EPOCH + t, float(v)) for t, v in ((0, 0), (10, count)))))
    return out


def test_the_verdict_on_unverified_numbers_says_so_at_every_look() -> None:
    where = situation(at(15), runtime=Runtime.VLLM, gateway=False)
    (asked,) = checks.opening_questions(ERRORS, where, PRESETS)
    opened = checks.opening(ERRORS, where, PRESETS, {asked.key: Found(1)})
    assert isinstance(opened, CheckStatus)
    assert (opened.preset, opened.unverified) == ("vllm", True)
    assert opened.message == "reads the numbers of vLLM (unverified)"
    aborted = Series(
        {**vllm(where.candidate, 0, 0)[0].labels, "__name__": "vllm:request_success_total", "finished_reason": "abort"},
        ((EPOCH, 0.0), (EPOCH + 10, 3.0)),
    )
    assert where.stable is not None
    answers: dict[str, MetricAnswer] = {
        "errors/candidate": Counters((*vllm(where.candidate, 40, 1), aborted)),
        "errors/stable": Counters(tuple(vllm(where.stable, 90, 0))),
    }
    stored = opened.model_copy(update={"through": at(0)})
    folded = checks.fold(ERRORS, stored, where, PRESETS, answers)
    assert folded.trial == arms((4, 41), (0, 90)), "an aborted stream is an error"
    judged = checks.judge(ERRORS, folded, where)
    assert judged.message.endswith("; reads the numbers of vllm (unverified)")
    verified = folded.model_copy(update={"unverified": None})
    assert "unverified" not in checks.judge(ERRORS, verified, where).message


# --- which gateway ----------------------------------------------------------------------------------------------------


def test_the_gateway_that_was_found_is_read_and_evidence_from_before_is_envoys() -> None:
    def metric(stored: CheckStatus) -> str:
        candidate, _ = checks.ask(ERRORS, stored, situation(at(15)), PRESETS)
        assert isinstance(candidate, CounterQuestion)
        return candidate.selector

    assert "istio_requests_total" in metric(begun(preset="istio"))
    assert "envoy_cluster" in metric(begun())
    assert not checks.ask(ERRORS, begun(preset="gone"), situation(at(15)), PRESETS)
    gone = checks.fold(ERRORS, begun(preset="gone"), situation(at(15)), PRESETS, {})
    assert (gone.outcome, gone.message) == (Outcome.ERROR, "its metric preset is gone: restart the trial")


def istio(revision: str, *rows: tuple[float, int, int], pod: str = "gateway-1") -> Counters:
    """(seconds after T0, good requests, errors); a series is born with its first request."""
    own = {
        "__name__": "istio_requests_total",
        "reporter": "source",
        "destination_service_namespace": "payments",
        "destination_service_name": f"fraud-{revision}",
        "instance": pod,
        "job": "istio",
        "pod": pod,
    }
    out = []
    for code, index in (("200", 1), ("503", 2)):
        if samples := tuple((EPOCH + row[0], float(row[index])) for row in rows if row[index]):
            out.append(Series({**own, "response_code": code}, samples))
    return Counters(tuple(out))


def test_a_proxy_that_shows_the_other_arm_shows_that_this_one_had_nothing() -> None:
    """Istio has no metric of a Service that was never asked: the first requests are counted, not taken for the past."""
    stored = begun(preset="istio")
    stable = istio(STABLE, (-5, 100, 0), (0, 200, 0), (5, 300, 1), (10, 400, 1))
    first = {"errors/candidate": istio(CANDIDATE, (10, 9, 2)), "errors/stable": stable}
    folded = checks.fold(ERRORS, stored, situation(at(15)), PRESETS, first)
    assert folded.trial == arms((2, 11), (1, 301))
    nothing = {"errors/candidate": Counters(()), "errors/stable": stable}
    folded = checks.fold(ERRORS, stored, situation(at(15)), PRESETS, nothing)
    assert folded.trial == arms((0, 0), (1, 301))


def test_copies_that_a_gateway_does_not_count_are_not_taken_for_none() -> None:
    shadow = situation(at(15), candidate=Arm(CANDIDATE, "b", copied=True))
    folded = checks.fold(ERRORS, begun(preset="istio"), shadow, PRESETS, {})
    assert folded.outcome is Outcome.NO_DATA
    assert folded.message == "Istio does not count copies of requests: in a shadow, use from: Runtime"


# --- units, and labels ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("preset", "source", "unit"),
    [("traefik", MetricSource.GATEWAY, "s"), ("istio", MetricSource.GATEWAY, "ms"), (None, MetricSource.GATEWAY, "ms")],
)
def test_the_edge_is_told_in_the_unit_of_its_metric(preset: str | None, source: MetricSource, unit: str) -> None:
    kept = None if preset is None else PRESETS[preset].latency
    stored = begun(source, "latency", preset=preset, slower_than="0.3", unit=kept and kept.unit, step=arms((1, 20)))
    assert f"slower than 0.3{unit}" in checks.judge(LATENCY, stored, situation(at(15))).message


def test_a_label_of_the_server_tells_its_counters_apart_unless_the_scrape_has_taken_its_name() -> None:
    def one(**labels: str) -> Series:
        return Series({"__name__": "bentoml_service_request_total", "pod": "fraud-1", **labels}, ((1.0, 2.0),))

    own = PRESETS["bentoml"].own_labels
    two = [one(endpoint="/predict"), one(endpoint="/embed")]
    assert without_copies(two, own) == two
    assert len(without_copies(two)) == 1
    scraped_twice = [
        one(endpoint="http", exported_endpoint="/predict"),
        one(endpoint="metrics", exported_endpoint="/predict"),
    ]
    assert len(without_copies(scraped_twice, own)) == 1
