"""Answers become evidence: both arms or neither, each request once, whatever fails in between."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.api.spec import Check, CheckPreset, MetricSource, Runtime
from seatrial.api.status import Arms, CheckStatus, Outcome
from seatrial.core import checks
from seatrial.core.checks import Arm
from seatrial.core.checks.base import INGESTION
from seatrial.core.questions import (
    CounterQuestion,
    Counters,
    ExistsQuestion,
    Failure,
    Found,
    MetricAnswer,
    Missing,
    NoData,
    Series,
)
from tests.checks.builders import CANDIDATE, ERRORS, LATENCY, PRESETS, STABLE, arms, begun, envoy, situation
from tests.checks.world import EPOCH, LOOKBACK, T0, Pod, at, looks, series, some_pods, truth

LAG = INGESTION.total_seconds()


def fold(stored: CheckStatus, answers: dict[str, MetricAnswer], seconds: float = 15, **where: Any) -> CheckStatus:
    return checks.fold(ERRORS, stored, situation(at(seconds), **where), PRESETS, answers)


def both(candidate: MetricAnswer, stable: MetricAnswer) -> dict[str, MetricAnswer]:
    return {"errors/candidate": candidate, "errors/stable": stable}


FINE = both(envoy(1, [(-6, 100, 1), (-1, 100, 1), (10, 150, 4)]), envoy(0, [(-6, 0, 0), (-1, 1000, 0), (10, 1900, 3)]))
LATER = both(envoy(1, [(10, 150, 4), (25, 151, 4)]), envoy(0, [(10, 1900, 3), (25, 1900, 3)]))


# --- opening ------------------------------------------------------------------------------------------


def test_the_gateways_are_asked_first_and_then_the_runtime() -> None:
    asked = checks.opening_questions(ERRORS, situation(), PRESETS)
    assert [q.selector for q in asked if isinstance(q, ExistsQuestion)] == [
        '{__name__="envoy_cluster_membership_total",envoy_cluster_name="httproute/payments/fraud/rule/0/backend/0"}',
        (
            '{__name__="istio_requests_total",reporter="source",destination_service_namespace="payments",'
            f'destination_service_name="fraud-{STABLE}"}}'
        ),
        f'{{__name__="response_total",direction="outbound",dst_namespace="payments",dst_deployment="fraud-{STABLE}"}}',
        (
            '{__name__="traefik_service_requests_total",service=~"httproute-payments-fraud-gw-.+-ep-.+-0-[0-9a-f]{20}-svc-'
            f'payments-fraud-{STABLE}-[01]@kubernetesgateway"}}'
        ),
        f'{{__name__="rest_server_requests_total",namespace="payments",pod=~"fraud-{STABLE}-.*"}}',
    ]
    gateway, *others, runtime = (q.key for q in asked)
    elsewhere: dict[str, MetricAnswer] = dict.fromkeys(others, Missing())

    def opened(answers: dict[str, MetricAnswer]) -> Any:
        return checks.opening(ERRORS, situation(), PRESETS, elsewhere | answers)

    assert opened({gateway: Missing(), others[0]: Found(1)}).preset == "istio"
    assert opened({gateway: Found(1), runtime: Found(3)}).source is MetricSource.GATEWAY
    assert opened({gateway: Found(1)}).message == "reads the numbers of Envoy Gateway"
    assert opened({gateway: Missing(), runtime: Found(3)}).source is MetricSource.RUNTIME
    assert isinstance(opened({gateway: Failure("down")}), checks.Hold)
    assert isinstance(opened({}), checks.Hold)
    refused = opened({gateway: Missing(), runtime: Missing(("rest_server_request_total",))})
    assert isinstance(refused, checks.Refusal)
    assert f'pod=~"fraud-{STABLE}-.*"' in refused.message
    assert "nearest names: rest_server_request_total" in refused.message
    assert "and for Istio, Linkerd, Traefik. " in refused.message


def test_from_restricts_the_source_and_custom_has_no_preset() -> None:
    runtime = Check(name="errors", preset=CheckPreset.ERRORS, source=MetricSource.RUNTIME)
    assert [q.key for q in checks.opening_questions(runtime, situation(), PRESETS)] == ["errors/opening/mlserver"]
    custom = situation(runtime=Runtime.CUSTOM)
    assert [q.key for q in checks.opening_questions(ERRORS, custom, PRESETS)] == [
        f"errors/opening/{name}" for name in ("envoy-gateway", "istio", "linkerd", "traefik")
    ]
    refused = checks.opening(runtime, custom, PRESETS, {})
    assert isinstance(refused, checks.Refusal)
    assert "no metric preset" in refused.message


# --- asking -------------------------------------------------------------------------------------------


def test_one_question_for_each_arm_holds_all_its_numbers_and_the_proof_of_scraping() -> None:
    candidate, stable = checks.ask(ERRORS, begun(), situation(at(15)), PRESETS)
    assert isinstance(candidate, CounterQuestion)
    assert isinstance(stable, CounterQuestion)
    assert candidate.selector == (
        '{__name__=~"envoy_cluster_membership_total|envoy_cluster_upstream_rq_xx",'
        'envoy_cluster_name="httproute/payments/fraud/rule/0/backend/1"}'
    )
    assert "backend/0" in stable.selector
    assert (candidate.start, candidate.end) == (at(-LAG), at(15 - LAG))


def test_slots_may_change_hands() -> None:
    where = situation(at(15), stable=Arm(STABLE, "b"), candidate=Arm(CANDIDATE, "a"))
    candidate, _ = checks.ask(ERRORS, begun(), where, PRESETS)
    assert isinstance(candidate, CounterQuestion)
    assert "backend/0" in candidate.selector


def test_the_runtime_counts_inference_and_its_selector_leaves_up_alone() -> None:
    candidate, _ = checks.ask(ERRORS, begun(MetricSource.RUNTIME), situation(at(15)), PRESETS)
    assert isinstance(candidate, CounterQuestion)
    assert candidate.selector == (
        f'{{__name__=~"rest_server_requests_total|up",namespace="payments",pod=~"fraud-{CANDIDATE}-.*",method=~"|POST",'
        'path=~"|/v2/models/[^/]+(/versions/[^/]+)?/(infer|infer_stream|generate|generate_stream)"}'
    )


def test_stable_is_not_asked_when_it_answers_nothing() -> None:
    alone = checks.ask(ERRORS, begun(), situation(at(15), concurrent=False), PRESETS)
    assert [q.key for q in alone] == ["errors/candidate"]


def test_a_frozen_edge_is_asked_for_in_every_spelling() -> None:
    stored = begun(name="latency", slower_than="250")
    candidate, _ = checks.ask(LATENCY, stored, situation(at(15)), PRESETS)
    assert isinstance(candidate, CounterQuestion)
    assert 'le=~"|250|250\\\\.0|\\\\+Inf"' in candidate.selector


def test_instants_are_milliseconds_as_status_keeps_them() -> None:
    """Else a look would end between two milliseconds and the next begin before it."""
    now = T0 + timedelta(microseconds=15_000_700)
    (candidate, _) = checks.ask(ERRORS, begun(), situation(now), PRESETS)
    assert isinstance(candidate, CounterQuestion)
    assert candidate.end == at(15 - LAG)
    folded = checks.fold(ERRORS, begun(), situation(now), PRESETS, FINE)
    assert folded.through == at(15)


# --- folding ------------------------------------------------------------------------------------------


def test_both_arms_are_counted_since_the_last_look() -> None:
    folded = fold(begun(), FINE)
    assert folded.outcome is Outcome.INCONCLUSIVE
    assert folded.step == folded.trial == folded.recent == arms((3, 53), (3, 903))
    assert folded.through == at(15)
    again = fold(folded, LATER, 30)
    assert again.step == arms((3, 54), (3, 903))


@pytest.mark.parametrize(
    ("side", "answer", "outcome", "said"),
    [
        ("candidate", Failure("Prometheus did not answer"), Outcome.ERROR, "Prometheus did not answer"),
        ("stable", Failure("Prometheus did not answer"), Outcome.ERROR, "Prometheus did not answer"),
        ("stable", None, Outcome.ERROR, "Prometheus was not asked"),
        ("candidate", NoData("nothing"), Outcome.NO_DATA, "nothing"),
        ("candidate", Found(1), Outcome.ERROR, "Prometheus gave an answer to another question"),
        ("stable", Counters((), ("store x is away",)), Outcome.ERROR, "a partial answer for stable is not counted: store x is away"),
        ("stable", Counters(()), Outcome.NO_DATA, f"Prometheus has no samples of stable {STABLE} (Envoy Gateway) yet"),
        (
            "candidate",
            envoy(1, [(-60, 1, 0), (-55, 1, 0), (-50, 2, 0)]),
            Outcome.NO_DATA,
            f"candidate {CANDIDATE} was last scraped 80 s ago (Envoy Gateway): nothing newer can be judged",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_used_leaves_the_evidence_alone(
    side: str, answer: MetricAnswer | None, outcome: Outcome, said: str
) -> None:
    before = fold(begun(), FINE)
    answers = {k: v for k, v in {**LATER, f"errors/{side}": answer}.items() if v is not None}
    after = fold(before, answers, 30)
    assert (after.outcome, after.message) == (outcome, said)
    for part in ("step", "trial", "recent", "previous", "through", "block_since"):
        assert getattr(after, part) == getattr(before, part)
    assert checks.judge(ERRORS, after, situation(at(30))) == after


def test_an_unknown_past_of_one_proxy_moves_the_beginning_of_both_arms() -> None:
    """A second Envoy turns up with 500 requests on its counters: nobody knows when they were made."""
    fresh = envoy(1, [(8, 500, 20), (13, 510, 21)], instance="new:19001")
    old = envoy(1, [(-5, 0, 0), (0, 10, 0), (5, 20, 0), (10, 30, 0)])
    stable = envoy(0, [(-5, 0, 0), (0, 100, 0), (5, 200, 0), (10, 300, 0)])
    assert isinstance(fresh, Counters)
    mixed = Counters((*old.series, *fresh.series))
    folded = fold(begun(), both(mixed, stable))
    assert folded.step == arms((1, 21), (0, 100)), (
        "from 8 s on: 10+11 requests, one error; stable from its sample at 5 s"
    )


@pytest.mark.parametrize(
    ("other", "counted"),
    [
        ((-6, -1, 4, 9), None),  # its next scrape may still show errors of the revision before
        ((-36, -31, -26, -21), (1, 10)),  # it is gone, and nothing more will come of it
    ],
)
def test_copies_count_once_every_living_proxy_was_scraped_after_the_change(
    other: tuple[int, ...], counted: tuple[int, int] | None
) -> None:
    one = envoy(1, [(-2, 0, 0), (3, 10, 10), (8, 20, 20), (12, 30, 25), (14, 39, 26)])
    two = envoy(1, [(t, 100, 100) for t in other], instance="two:19001")
    assert isinstance(one, Counters)
    assert isinstance(two, Counters)
    stable = envoy(0, [(-5, 0, 0), (0, 100, 0), (5, 200, 0), (10, 300, 0), (14, 400, 0)])
    here = Arm(CANDIDATE, "b", copied=True)
    answers = both(Counters((*one.series, *two.series)), stable)
    folded = fold(begun(), answers, candidate=here, confirmed_at=at(11))
    assert folded.through == at(15)
    assert folded.trial is None if counted is None else folded.trial == arms(counted, (0, 100))


def test_a_candidates_pod_that_is_scraped_no_more_leaves_a_caveat() -> None:
    pods = [Pod(f"fraud-{CANDIDATE}-x-{i}", -100, 500, 0.5, 5.0, (), (0, 0), (1.0, 2.0), ()) for i in (0, 1)]
    dumb = replace(pods[1], died=1.0)
    here = Arm(CANDIDATE, "b", {pod.name: at(pod.born) for pod in pods})
    stable = [Pod(f"fraud-{STABLE}-x-0", -100, 500, 0.5, 5.0, (), (0, 0), (1.0,), ())]
    answers = both(Counters(series([pods[0], dumb], -LAG, 29.5)), Counters(series(stable, -LAG, 29.5)))
    folded = fold(begun(MetricSource.RUNTIME), answers, 30, candidate=here)
    assert folded.step == arms((0, 2), (0, 1))
    assert folded.message == (
        f"pod fraud-{CANDIDATE}-x-1 was last scraped 29 s ago: nothing passes on the other pods alone"
    )
    gone = fold(begun(MetricSource.RUNTIME), answers, 30, candidate=Arm(CANDIDATE, "b", {pods[0].name: at(-100)}))
    assert gone.message == "", "a pod that does not exist any more owes nothing"


def test_blocks_of_five_minutes() -> None:
    stored, counted = begun(), 0
    seen = []
    for look in range(1, 50):
        t = look * 15.0
        rows = [(t - 20, counted, 0), (t - 15, counted, 0), (t - 3, counted + 10, 0)]
        stored = fold(stored, both(envoy(1, rows), envoy(0, rows)), t)
        counted += 10
        assert stored.recent is not None
        seen.append((stored.recent.candidate.total, stored.previous and stored.previous.candidate.total))
    assert seen[18] == (190, None)
    assert seen[20:22] == [(20, 200), (30, 200)] or seen[19] == (10, 190)
    assert max(total for total, _ in seen) <= 200
    assert stored.trial == arms((0, counted), (0, counted))


def test_a_new_weight_empties_the_step_and_void_evidence_all_of_it() -> None:
    stored = fold(begun(), FINE).model_copy(update={"slower_than": "250"})
    onward = checks.restart(stored, trial=False)
    assert (onward.step, onward.recent, onward.previous, onward.trial) == (None, None, None, arms((3, 53), (3, 903)))
    void = checks.restart(stored, trial=True)
    assert (void.step, void.trial, void.slower_than, void.source) == (None, None, "250", MetricSource.GATEWAY)
    assert void.through == stored.through


@settings(max_examples=60, deadline=None)
@given(some_pods(), some_pods(), looks(), st.sets(st.integers(0, 15)))
def test_failed_looks_lose_nothing(
    candidate: list[Pod], stable: list[Pod], instants: list[float], failed: set[int]
) -> None:
    """Any of the looks may fail; those after it cover the longer stretch. In the end every request is counted once."""
    candidate = [replace(p, name=f"fraud-{CANDIDATE}-x-{i}", died=500.0) for i, p in enumerate(candidate)]
    stable = [replace(p, name=f"fraud-{STABLE}-x-{i}", died=500.0) for i, p in enumerate(stable)]
    stored = begun(MetricSource.RUNTIME)
    where = {
        "candidate": Arm(CANDIDATE, "b", {p.name: at(p.born) for p in candidate}),
        "stable": Arm(STABLE, "a", {p.name: at(p.born) for p in stable}),
    }
    for number, t in enumerate(instants[1:]):
        here = situation(at(t), **where)
        asked = checks.ask(ERRORS, stored, here, PRESETS)
        answers: dict[str, MetricAnswer] = {}
        for question in asked:
            assert isinstance(question, CounterQuestion)
            begin, end = question.start.timestamp() - EPOCH, question.end.timestamp() - EPOCH
            which = candidate if "candidate" in question.key else stable
            answers[question.key] = Counters(series(which, begin, end))
        if number in failed and number != len(instants) - 2:
            answers.pop("errors/stable")
        stored = checks.fold(ERRORS, stored, here, PRESETS, answers)
    if stored.outcome is Outcome.NO_DATA:
        return  # nobody was being scraped at the last look
    start, end = -LAG, 400 - LAG
    assert stored.trial is not None
    for pods, tally in ((candidate, stored.trial.candidate), (stable, stored.trial.stable)):
        errors, fine = truth(pods, "5", start, end), truth(pods, "2", start, end)
        assert (tally.events, tally.total) == (errors, errors + fine)


# --- latency ------------------------------------------------------------------------------------------


def buckets(slot: int, *rows: tuple[float, dict[str, int]]) -> Counters:
    labels = {
        "instance": "envoy:19001",
        "job": "envoy",
        "envoy_cluster_name": f"httproute/payments/fraud/rule/0/backend/{slot}",
    }
    members = {**labels, "__name__": "envoy_cluster_membership_total"}
    out = [Series(members, tuple((EPOCH + t, 1.0) for t, _ in rows))]
    for le in rows[-1][1]:
        name = {"__name__": "envoy_cluster_upstream_rq_time_bucket", "le": le}
        out.append(Series({**labels, **name}, tuple((EPOCH + t, float(row[le])) for t, row in rows if le in row)))
    return Counters(tuple(out))


BEFORE = {"50": 0, "100": 0, "250": 0, "500": 0, "+Inf": 0}
STABLE_AFTER = {"50": 500, "100": 900, "250": 980, "500": 998, "+Inf": 1000}
CANDIDATE_AFTER = {"50": 5, "100": 50, "250": 60, "500": 90, "+Inf": 100}


def latency(check: Check = LATENCY, candidate: Counters | None = None, stable: Counters | None = None) -> CheckStatus:
    answers: dict[str, MetricAnswer] = {
        "latency/candidate": candidate or buckets(1, (0, BEFORE), (10, CANDIDATE_AFTER)),
        "latency/stable": stable or buckets(0, (0, BEFORE), (10, STABLE_AFTER)),
    }
    return checks.fold(check, begun(name="latency"), situation(at(15), start=at(1)), PRESETS, answers)


def test_the_edge_is_the_one_nearest_stables_p95_and_frozen() -> None:
    """p95 is 194 ms, between 100 and 250."""
    folded = latency()
    assert folded.slower_than == "250"
    assert folded.step == arms((40, 100), (20, 1000))


def test_how_slow_stable_was_in_the_hour_before_is_frozen() -> None:
    """2 % of a thousand answers in ten minutes; what comes later is no past."""
    quick = {"50": 0, "100": 0, "250": 0, "500": 0, "+Inf": 0}
    rows = [(-600.0 + 10 * index, {le: n * index // 60 for le, n in STABLE_AFTER.items()}) for index in range(61)]
    folded = latency(stable=buckets(0, *rows, (10.0, {le: STABLE_AFTER[le] + n for le, n in quick.items()})))
    assert folded.past is not None
    assert folded.past.total == pytest.approx(1000, abs=50)
    assert folded.past.events == pytest.approx(20, abs=3)
    later = checks.fold(
        LATENCY,
        folded.model_copy(update={"through": at(1)}),
        situation(at(15)),
        PRESETS,
        {
            "latency/candidate": buckets(1, (0, BEFORE), (10, CANDIDATE_AFTER)),
            "latency/stable": buckets(0, (0, BEFORE), (10, STABLE_AFTER)),
        },
    )
    assert later.past == folded.past
    errors = checks.fold(ERRORS, begun(), situation(at(15), start=at(1)), PRESETS, {})
    assert errors.past is None


@pytest.mark.parametrize(("milliseconds", "edge"), [(100, "100"), (60, "100"), (250, "250"), (251, "500")])
def test_slower_than_between_edges_uses_the_next(milliseconds: int, edge: str) -> None:
    limit = timedelta(milliseconds=milliseconds)
    folded = latency(Check(name="latency", preset=CheckPreset.LATENCY, slower_than=limit))
    assert folded.slower_than == edge
    said = checks.judge(LATENCY, folded, situation(at(15)))
    assert f"slower than {edge}ms" in said.message


def test_slower_than_above_all_edges_is_said() -> None:
    folded = latency(Check(name="latency", preset=CheckPreset.LATENCY, slower_than=timedelta(seconds=1)))
    assert folded.outcome is Outcome.NO_DATA
    assert folded.message == "slowerThan 1s is above the largest bucket edge of Envoy Gateway, 500ms: set it lower"


def test_a_stable_that_answered_nothing_has_no_usual_latency() -> None:
    folded = latency(stable=buckets(0, (0, BEFORE), (10, BEFORE)))
    assert folded.outcome is Outcome.NO_DATA
    assert "stable has answered no request yet" in folded.message


def test_a_candidate_with_other_buckets_is_not_compared() -> None:
    other = buckets(1, (0, {"30": 0, "+Inf": 0}), (10, {"30": 1, "+Inf": 2}))
    folded = latency(candidate=other)
    assert (folded.outcome, folded.message) == (Outcome.ERROR, "candidate has no bucket with the edge 250")


def test_a_candidate_that_no_request_reached_has_no_buckets_yet() -> None:
    quiet = buckets(1, (0, {}), (10, {}))
    assert latency(candidate=quiet).step == arms((0, 0), (20, 1000))


def test_prometheus_three_spells_edges_its_own_way() -> None:
    stored = begun(name="latency", slower_than="250")
    rows = [
        {f"{float(le):.1f}" if le != "+Inf" else le: n for le, n in row.items()} for row in (BEFORE, CANDIDATE_AFTER)
    ]
    answers: dict[str, MetricAnswer] = {
        "latency/candidate": buckets(1, (0, rows[0]), (10, rows[1])),
        "latency/stable": buckets(0, (0, BEFORE), (10, STABLE_AFTER)),
    }
    folded = checks.fold(LATENCY, stored, situation(at(15), start=at(1)), PRESETS, answers)
    assert folded.step == arms((40, 100), (20, 1000))


def warming(seconds: float = 15, **where: Any) -> CheckStatus:
    answers: dict[str, MetricAnswer] = {
        "latency/candidate": buckets(1, (0, BEFORE), (10, CANDIDATE_AFTER)),
        "latency/stable": buckets(0, (0, BEFORE), (10, STABLE_AFTER)),
    }
    here = situation(at(seconds), start=at(1), **where)
    return checks.judge(LATENCY, checks.fold(LATENCY, begun(name="latency"), here, PRESETS, answers), here)


def test_answers_of_the_warm_period_are_not_timed() -> None:
    """After the weight was confirmed, and after the newest pod of either side."""
    warm: dict[str, Any] = {"warm_period": timedelta(seconds=60)}
    early = warming(**warm)
    assert (early.step, early.through) == (None, at(15))
    assert early.message.endswith("answers are not counted for 45s more (warmPeriod)")
    for arm, revision in (("candidate", CANDIDATE), ("stable", STABLE)):
        slot: Any = "b" if arm == "candidate" else "a"
        young: dict[str, Any] = {arm: Arm(revision, slot, {"fraud-x": at(-44)})}
        assert warming(confirmed_at=at(-300), **young, **warm).step is None
        old: dict[str, Any] = {arm: Arm(revision, slot, {"fraud-x": at(-70)})}
        assert warming(confirmed_at=at(-300), **old, **warm).step == arms((40, 100), (20, 1000))
    assert warming(confirmed_at=None, **warm).step is None
    assert warming().step == arms((40, 100), (20, 1000)), "without one, all are"


def test_errors_are_counted_from_the_first_request_on() -> None:
    assert fold(begun(), FINE, warm_period=timedelta(minutes=10)).step == fold(begun(), FINE).step


def test_evidence_is_what_status_can_hold() -> None:
    folded = fold(begun(), FINE)
    assert CheckStatus.model_validate(folded.wire()) == folded
    assert isinstance(folded.step, Arms)
    assert LOOKBACK > 0
