"""A bad model is sent back, and only its own bad answers reach anybody."""

from __future__ import annotations

import time

import pytest

from dev.traffic import Request
from tests.cluster.model import Model, lost_nothing
from tests.cluster.recorded import preflight, recording

V1, V3, V4 = (f"localhost/demo-model:{version}" for version in ("v1", "v3", "v4"))


@pytest.mark.together
def test_wrong_answers_are_stopped_by_preflight_before_anybody_gets_one(screening: Model, rows: list[Request]) -> None:
    """The silent killer: 200 OK, normal speed, a feature scaled twice. Real MLServer."""
    recording(screening, "1")
    recording(screening, "3")
    screening.apply(screening.spec(V1, version="1", more=preflight("1")))
    first = screening.stable()
    with screening.traffic(rows) as traffic:
        screening.apply(screening.spec(V3, version="3", more=preflight("3")))
        status = screening.sent_back()
        time.sleep(3)
    report = traffic.report
    lost_nothing(report)
    assert set(report.revisions) == {first}, "not one request went to the candidate"
    assert status["rejected"]["reason"] == "PreflightFailed"
    assert "predict" in status["message"]
    assert "expected 0, got 1" in status["message"]
    assert screening.condition("Available")["status"] == "True"
    assert screening.condition("Stalled")["reason"] == "RolledBack"


@pytest.mark.together
def test_errors_under_load_send_it_back(screening: Model, rows: list[Request]) -> None:
    """Fine at 5 %, three errors in ten at 25 %. Real MLServer."""
    steps = [(5, "5s"), (25, "60s"), (50, "5s")]
    screening.apply(screening.spec(V1, steps=steps, version="1"))
    first = screening.stable()
    with screening.traffic(rows) as traffic:
        screening.apply(screening.spec(V4, steps=steps, version="4"))
        fourth = screening.on_step(25, 60)
        status = screening.sent_back(60)
        screening.until("the candidate is gone", lambda s: [r["name"] for r in s["revisions"]] == [first])
        time.sleep(2)
        assert set(traffic.answers(1)) == {first}
    report = traffic.report
    lost_nothing(report, but=fourth)
    assert report.lost_by[fourth] > 0
    assert status["rejected"]["reason"] == "CheckFailed"
    assert "errors" in status["message"]
    assert fourth not in screening.weights()
    assert status["history"][0]["outcome"] == "RolledBack"
    # It is remembered, and not tried again until somebody asks.
    assert screening.condition("Ready")["status"] == "False"
    assert "candidate" not in screening.status


@pytest.mark.together
def test_a_crash_loop_sends_it_back(model: Model) -> None:
    """It serves, then dies again and again: pods are judged without any metric."""
    model.apply(model.spec(GENERATION=1))
    first = model.stable()
    with model.traffic() as traffic:
        # It answers rightly while it lives, so nothing but its pods speaks against it.
        unjudged = {"analysis": {"interval": "5s", "none": "pods only"}}
        model.apply(model.spec(steps=[(20, "10m")], more=unjudged, GENERATION=2, CRASH_AFTER=6))
        status = model.sent_back(90)
        second = status["rejected"]["revision"]
        time.sleep(2)
        assert set(traffic.answers(1)) == {first}
    assert status["rejected"]["reason"] == "PodsFailed"
    assert "restart" in status["message"]
    # Nobody can save what a pod takes with it when it dies. It was the candidate's share, for as long as that took.
    lost_nothing(traffic.report, but=second)
    assert second not in model.weights()


@pytest.mark.together
def test_a_model_that_crashes_on_start_never_meets_traffic(model: Model) -> None:
    model.apply(model.spec(GENERATION=1))
    first = model.stable()
    with model.traffic() as traffic:
        model.apply(model.spec(GENERATION=2, CRASH_ON_START="yes"))
        status = model.sent_back(60)
    lost_nothing(traffic.report)
    assert set(traffic.report.revisions) == {first}
    assert status["rejected"]["reason"] == "PodsFailed"


@pytest.mark.together
def test_a_person_aborts(model: Model) -> None:
    model.apply(model.spec(GENERATION=1))
    first = model.stable()
    with model.traffic() as traffic:
        model.apply(model.spec(GENERATION=2))
        second = model.on_step(20)
        model.ask("abort", "the labels of Tuesday are wrong")
        began = time.monotonic()
        status = model.until(
            "at the minimum",
            lambda s: (s.get("rollout", {}).get("back") or {}).get("minimumAt") or s["phase"] == "RolledBack",
        )
        took = time.monotonic() - began
        status = model.sent_back()
    lost_nothing(traffic.report)
    assert took < 6, f"{took:.1f} s until the candidate was confirmed at the minimum"
    assert status["rejected"] == {**status["rejected"], "revision": second, "reason": "Aborted"}
    assert "the labels of Tuesday are wrong" in status["message"]
    # Tried again only when somebody asks.
    time.sleep(2)
    assert model.status["phase"] == "RolledBack"
    model.ask("retry")
    model.until("another trial of it", lambda s: s.get("candidate") == second)
    assert model.status["stable"] == first


@pytest.mark.together
def test_a_pause_holds_the_weight_and_a_failure_ends_it(model: Model) -> None:
    model.apply(model.spec(GENERATION=1))
    first = model.stable()
    with model.traffic() as traffic:
        model.apply(model.spec(steps=[(20, "1s")], GENERATION=2, ERROR_RATE=0.5, ERROR_AFTER=25))
        second = model.on_step(20)
        model.ask("pause", "lunch")
        model.until("the pause", lambda s: s.get("paused"))
        status = model.sent_back()
    lost_nothing(traffic.report, but=second)
    assert status["rejected"]["reason"] == "CheckFailed"
    assert status["stable"] == first
