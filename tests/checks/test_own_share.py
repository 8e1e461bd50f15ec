"""Shares of the user's own: counted by the model's pods, or by another service that keeps `x-model-revision`."""

from __future__ import annotations

from seatrial.api.spec import Check, Margin, MetricSource, Share
from seatrial.api.status import Outcome, PaceStatus
from seatrial.core import checks
from seatrial.core.questions import CounterQuestion, Counters, ExistsQuestion, Found, Missing, Series
from tests.checks.builders import CANDIDATE, STABLE, arms, begun, situation
from tests.checks.world import EPOCH, T0, at

BLOCKED = Check(
    name="blocked",
    share=Share(of='decisions_total{decision="block"}', per="decisions_total"),
    margin=Margin.model_validate({"points": "2"}),
)
ORDERS = Check(
    name="orders",
    share=Share(of="orders_total", per="offers_total", revision_label="model_revision"),
    margin=Margin.model_validate({"points": "2"}),
)


def series(name: str, values: list[tuple[float, float]], **labels: str) -> Series:
    return Series({"__name__": name, **labels}, tuple((EPOCH + t, v) for t, v in values))


def pod(revision: str, blocked: int, passed: int) -> Counters:
    own = {"namespace": "payments", "pod": f"fraud-{revision}-x", "instance": "10.0.0.1:8082", "job": "pods"}
    return Counters(
        (
            series("up", [(-6, 1), (10, 1)], **own),
            series("decisions_total", [(-6, 100), (10, 100 + blocked)], **own, decision="block"),
            series("decisions_total", [(-6, 100), (10, 100 + passed)], **own, decision="pass"),
        )
    )


def test_the_pods_of_each_revision_are_asked_for_both_counters() -> None:
    candidate, stable = checks.ask(
        BLOCKED, begun(MetricSource.RUNTIME, "blocked", pace=PaceStatus()), situation(at(15)), {}
    )
    assert isinstance(candidate, CounterQuestion)
    assert isinstance(stable, CounterQuestion)
    assert candidate.selector == (
        f'{{__name__=~"decisions_total|up",namespace="payments",pod=~"fraud-{CANDIDATE}-.*"}}'
    )
    assert stable.selector == candidate.selector.replace(CANDIDATE, STABLE)


def test_events_are_counted_of_their_total() -> None:
    answers = {"blocked/candidate": pod(CANDIDATE, 30, 70), "blocked/stable": pod(STABLE, 200, 800)}
    stored = checks.fold(BLOCKED, begun(MetricSource.RUNTIME, "blocked"), situation(at(15)), {}, answers)
    assert stored.outcome is Outcome.INCONCLUSIVE
    assert stored.trial == arms((30, 100), (200, 1000))


def downstream(revision: str, orders: int, offers: int) -> Counters:
    """A shop's counters: its pods are not the model's."""
    own = {
        "namespace": "payments",
        "pod": "shop-1",
        "instance": "10.0.0.9:80",
        "job": "shop",
        "model_revision": revision,
    }
    return Counters(
        (
            series("offers_total", [(-6, 500), (10, 500 + offers)], **own),
            series("orders_total", [(-6, 50), (10, 50 + orders)], **own),
        )
    )


def test_another_service_is_asked_by_the_revision_that_it_keeps() -> None:
    candidate, _ = checks.ask(ORDERS, begun(MetricSource.RUNTIME, "orders", pace=PaceStatus()), situation(at(15)), {})
    assert isinstance(candidate, CounterQuestion)
    assert candidate.selector == (
        f'{{__name__=~"offers_total|orders_total",namespace="payments",model_revision="{CANDIDATE}"}}'
    )
    answers = {"orders/candidate": downstream(CANDIDATE, 9, 100), "orders/stable": downstream(STABLE, 100, 1000)}
    stored = checks.fold(ORDERS, begun(MetricSource.RUNTIME, "orders"), situation(at(15)), {}, answers)
    assert stored.trial == arms((9, 100), (100, 1000))


def test_a_total_that_nobody_counts_is_refused_before_any_pod() -> None:
    (question,) = checks.opening_questions(ORDERS, situation(), {})
    assert isinstance(question, ExistsQuestion)
    assert question.selector == f'{{__name__="offers_total",namespace="payments",model_revision="{STABLE}"}}'
    refused = checks.opening(ORDERS, situation(), {}, {question.key: Missing(("offer_total",))})
    assert isinstance(refused, checks.Refusal)
    assert "nearest names: offer_total" in refused.message
    opened = checks.opening(ORDERS, situation(), {}, {question.key: Found(1)})
    assert not isinstance(opened, checks.Refusal | checks.Hold)
    assert opened.source is MetricSource.RUNTIME


def test_what_is_no_selector_is_refused_with_its_reason() -> None:
    check = Check(name="c", share=Share(of="rate(a[5m])", per="b"))
    refused = checks.opening(check, situation(), {}, {})
    assert isinstance(refused, checks.Refusal)
    assert "rate(a[5m]) is no plain selector of a counter" in refused.message
    assert at(0) == T0
