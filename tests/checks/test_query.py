"""A query gives one number, and its bounds decide."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.api.spec import Check
from seatrial.api.status import CheckStatus, Outcome
from seatrial.core import checks
from seatrial.core.questions import (
    ExistsQuestion,
    Failure,
    Found,
    InstantQuestion,
    MetricAnswer,
    Missing,
    NoData,
    Value,
)
from tests.checks.builders import CANDIDATE, PRESETS, STABLE, begun, situation
from tests.checks.world import T0, at

COST = Check(name="cost", query="sum(rate(tokens_total{$selector}[$window]))", max="1200", min="-0.5")


def look(answer: MetricAnswer | None, check: Check = COST, **where: Any) -> CheckStatus:
    stored = begun(name="cost", source=None)
    here = situation(at(15), **where)
    answers = {} if answer is None else {"cost": answer}
    return checks.judge(check, checks.fold(check, stored, here, PRESETS, answers), here)


@pytest.mark.parametrize(
    ("answer", "where", "outcome", "said"),
    [
        (Value(1200.0), {}, Outcome.PASS, "cost 1200 is within min -0.5 and max 1200: pass"),
        (Value(1200.1), {}, Outcome.FAIL, "cost 1200.1 is above max 1200: fail"),
        (Value(-0.6), {}, Outcome.FAIL, "cost -0.6 is below min -0.5: fail"),
        (Value(1300.0), {"settled": False}, Outcome.FAIL, "cost 1300 is above max 1200: fail"),
        (Value(1.0), {"settled": False}, Outcome.INCONCLUSIVE, "waits until the weight has been in force for two scrapes"),
        (Value(float("inf")), {}, Outcome.FAIL, "cost (infinite, or too large to write down) is above max 1200: fail"),
        (Value(float("-inf")), {}, Outcome.FAIL, "is below min -0.5: fail"),
        (Value(1e300), {}, Outcome.FAIL, "is above max 1200: fail"),
        (Value(float("nan")), {}, Outcome.NO_DATA, "the value is NaN: was there any traffic?"),
        (NoData("nothing found"), {}, Outcome.NO_DATA, "nothing found"),
        (Failure("the query gives 2 series"), {}, Outcome.ERROR, "the query gives 2 series"),
        (Value(1.0, ("one store is away",)), {}, Outcome.ERROR, "a partial answer is not judged: one store is away"),
        (None, {}, Outcome.ERROR, "Prometheus was not asked"),
    ],
)  # fmt: skip
def test_outcomes(answer: MetricAnswer | None, where: dict[str, Any], outcome: Outcome, said: str) -> None:
    status = look(answer, **where)
    assert status.outcome is outcome
    assert said in status.message
    assert CheckStatus.model_validate(status.wire()) == status, "even an infinite value can be stored"


@pytest.mark.parametrize(
    ("seconds", "scrape", "window"),
    [(0, None, 60), (15, 5.0, 20), (100, None, 100), (4000, None, 300), (10, 100.0, 400)],
)
def test_the_window_is_the_time_at_this_weight_within_limits(seconds: float, scrape: float | None, window: int) -> None:
    (question,) = checks.ask(COST, begun(name="cost"), situation(at(seconds), scrape_interval=scrape), PRESETS)
    assert question == InstantQuestion(
        "cost",
        f'sum(rate(tokens_total{{namespace="payments",pod=~"fraud-{CANDIDATE}-.*"}}[{window}s]))',
        at(seconds),
    )


def test_status_keeps_the_query_that_was_sent() -> None:
    assert look(Value(1.0)).query == f'sum(rate(tokens_total{{namespace="payments",pod=~"fraud-{CANDIDATE}-.*"}}[60s]))'


def test_a_bound_in_percent_is_a_share() -> None:
    check = Check.model_construct(name="cost", query="sum(x{$selector})", max="5%", min=None)
    assert look(Value(0.051), check).outcome is Outcome.FAIL
    assert look(Value(0.05), check).outcome is Outcome.PASS


def test_before_a_trial_the_query_is_asked_of_stable() -> None:
    asked = checks.opening_questions(COST, situation(), PRESETS)
    exists, instant = asked
    assert isinstance(exists, ExistsQuestion)
    assert exists.selector == '{__name__="tokens_total",namespace="payments"}'
    assert isinstance(instant, InstantQuestion)
    assert f"fraud-{STABLE}-" in instant.query

    def opened(first: MetricAnswer, second: MetricAnswer = Value(1.0)) -> Any:  # noqa: B008
        return checks.opening(COST, situation(), PRESETS, {exists.key: first, instant.key: second})

    assert isinstance(opened(Found(2)), CheckStatus)
    assert isinstance(opened(Found(2), NoData("empty")), CheckStatus), "an absent error series is 0, not a mistake"
    refused = opened(Missing(("token_total",)))
    assert isinstance(refused, checks.Refusal)
    assert refused.message == (
        '{__name__="tokens_total",namespace="payments"} has no series in the last hour; nearest names: token_total. '
        f'The query is sum(rate(tokens_total{{namespace="payments",pod=~"fraud-{STABLE}-.*"}}[60s]))'
    )
    assert opened(Failure("down")) == checks.Hold("down")
    assert opened(Found(1), Failure("it gives 3 series")) == checks.Hold("asked of stable: it gives 3 series")
    assert opened(Found(1), Value(1.0, ("partial",))) == checks.Hold("asked of stable, a partial answer: partial")


def test_a_query_that_may_not_be_sent_is_not_sent() -> None:
    spy = Check.model_construct(name="cost", query="sum(secrets_total)", max="1", min=None)
    assert checks.opening_questions(spy, situation(), PRESETS) == ()
    assert checks.ask(spy, begun(name="cost"), situation(), PRESETS) == ()
    refused = checks.opening(spy, situation(), PRESETS, {})
    assert isinstance(refused, checks.Refusal)
    assert "would read every namespace" in refused.message
    assert look(Value(1.0), spy).outcome is Outcome.ERROR


def test_names_with_dots_are_matched_as_they_are() -> None:
    (question,) = checks.ask(COST, begun(name="cost"), situation(T0, name="fraud.v2"), PRESETS)
    assert isinstance(question, InstantQuestion)
    assert r'pod=~"fraud\\.v2-' in question.query


def test_a_new_kind_of_check_is_one_module_in_one_table() -> None:
    names = [getattr(kind, "__name__", "").rpartition(".")[2] for kind in checks.KINDS]
    assert names == ["drill", "share", "mean", "query", "agreement", "drift", "expected"]
