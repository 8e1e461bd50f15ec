"""Means of the user's own: from raw counters to blocks, and from blocks to verdicts that wait for their horizon."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings

from seatrial.api.spec import (
    Analysis,
    Canary,
    CanaryStep,
    Check,
    Margin,
    Mean,
    MetricSource,
    Shadow,
    Share,
    Stage,
    Strategy,
    WorseWhen,
)
from seatrial.api.status import Amounts, CheckStatus, MeanArms, MeanStatus, Outcome
from seatrial.core import checks, counters
from seatrial.core.checks import blocks
from seatrial.core.legs import Kind, legs
from seatrial.core.questions import (
    CounterQuestion,
    Counters,
    ExistsQuestion,
    Found,
    MetricAnswer,
    Missing,
    NoData,
    Series,
)
from tests.checks import world
from tests.checks.builders import CANDIDATE, ERRORS, INTERVAL, STABLE, begun, situation
from tests.checks.world import EPOCH, T0, Pod, at, looks, some_pods

REVENUE = Check(
    name="revenue",
    mean=Mean(of="shop_revenue_total", per="shop_orders_total", revision_label="model_revision"),
    margin=Margin(relative=Decimal(5)),
    worse_when=WorseWhen.LOWER,
)
TOKENS = Check(
    name="tokens",
    mean=Mean(of="generation_seconds_total", per="tokens_total"),
    margin=Margin(relative=Decimal(10)),
    worse_when=WorseWhen.HIGHER,
    min_samples=2000,
    min_duration=timedelta(minutes=30),
)


def amounts(total: float, count: float) -> Amounts:
    return Amounts(sum=blocks.amount(total), count=blocks.amount(count))


def series(name: str, values: Sequence[tuple[float, float]], **labels: str) -> Series:
    return Series({"__name__": name, **labels}, tuple((EPOCH + t, v) for t, v in values))


def shop(revision: str, *scrapes: tuple[float, float, float], pod: str = "shop-1") -> Counters:
    """(seconds after T0, revenue, orders) as one pod of the shop counts them for a revision."""
    own = {"namespace": "payments", "pod": pod, "instance": f"{pod}:80", "job": "shop", "model_revision": revision}
    return Counters(
        (
            series("shop_revenue_total", [(t, revenue) for t, revenue, _ in scrapes], **own),
            series("shop_orders_total", [(t, orders) for t, _, orders in scrapes], **own),
        )
    )


def both(candidate: MetricAnswer, stable: MetricAnswer) -> dict[str, MetricAnswer]:
    return {"revenue/candidate": candidate, "revenue/stable": stable}


def opened(**changes: Any) -> CheckStatus:
    return begun(MetricSource.RUNTIME, **{"name": "revenue", **changes})


def fold(stored: CheckStatus, answers: dict[str, MetricAnswer], seconds: float = 15, **where: Any) -> CheckStatus:
    return checks.fold(REVENUE, stored, situation(at(seconds), **where), {}, answers)


# --- asking -------------------------------------------------------------------------------------------


def test_another_service_is_asked_for_both_counters_by_the_revision() -> None:
    candidate, stable = checks.ask(REVENUE, opened(), situation(at(15)), {})
    assert isinstance(candidate, CounterQuestion)
    assert isinstance(stable, CounterQuestion)
    assert candidate.selector == (
        f'{{__name__=~"shop_orders_total|shop_revenue_total",namespace="payments",model_revision="{CANDIDATE}"}}'
    )
    assert stable.selector == candidate.selector.replace(CANDIDATE, STABLE)
    assert stable.start == candidate.start - timedelta(hours=1), "the first time, stable's hour before is learned from"
    again = checks.ask(
        REVENUE, opened(mean=MeanStatus(spread=blocks.kept(blocks.past([], 1.0)))), situation(at(15)), {}
    )
    assert [question.start for question in again if isinstance(question, CounterQuestion)] == [candidate.start] * 2


def test_the_models_own_pods_are_asked_where_no_label_is_named() -> None:
    candidate, _ = checks.ask(TOKENS, begun(MetricSource.RUNTIME, "tokens"), situation(at(15)), {})
    assert isinstance(candidate, CounterQuestion)
    assert f'pod=~"fraud-{CANDIDATE}-.*"' in candidate.selector
    assert "up" in candidate.selector


def test_a_number_that_nobody_counts_is_refused_before_any_pod() -> None:
    (question,) = checks.opening_questions(REVENUE, situation(), {})
    assert isinstance(question, ExistsQuestion)
    refused = checks.opening(REVENUE, situation(), {}, {question.key: Missing(("shop_order_total",))})
    assert isinstance(refused, checks.Refusal)
    assert "nearest names: shop_order_total" in refused.message
    begins = checks.opening(REVENUE, situation(), {}, {question.key: Found(1)})
    assert isinstance(begins, CheckStatus)


# --- counting -----------------------------------------------------------------------------------------


def test_money_is_counted_to_the_cent_from_raw_counters() -> None:
    answers = both(
        shop(CANDIDATE, (-6, 100.10, 4), (10, 183.35, 7)), shop(STABLE, (-6, 9000.0, 200), (10, 9402.55, 210))
    )
    found = fold(opened(), answers)
    assert found.outcome is Outcome.INCONCLUSIVE
    assert found.mean is not None
    assert found.mean.trial == MeanArms(candidate=amounts(83.25, 3), stable=amounts(402.55, 10))
    assert found.through == at(15)
    assert found.trial is None, "no share is counted"


def test_a_counter_that_began_anew_is_added_up() -> None:
    answers = both(
        shop(CANDIDATE, (-6, 100.0, 4), (4, 120.5, 5), (10, 30.25, 1)), shop(STABLE, (-6, 0.0, 0), (10, 40.0, 1))
    )
    found = fold(opened(), answers)
    assert found.mean is not None
    assert found.mean.trial.candidate == amounts(20.5 + 30.25, 2)


@settings(max_examples=60, deadline=None)
@given(some_pods(), looks())
def test_looks_add_up_to_one_long_look_of_amounts_too(pods: list[Pod], times: list[float]) -> None:
    """Each event is worth 1.75: what is counted in pieces is what all scrapes together saw."""

    total = 0.0
    for start, end in zip(times, times[1:], strict=False):
        found = world.series(pods, start, end)
        worth = [
            Series(one.labels, tuple((t, v * 1.75) for t, v in one.samples))
            for one in found
            if one.labels.get("status_code") == "200"
        ]
        seen = counters.scrapes(found)
        born = {pod.name: EPOCH + pod.born for pod in pods}
        risen = counters.risen(worth, EPOCH + start, EPOCH + end, seen, born, since=EPOCH)
        assert not isinstance(risen, NoData)
        total += risen
    assert total == pytest.approx(1.75 * world.truth(pods, "2", 0.0, 400.0))


def test_what_comes_while_the_weight_is_on_its_way_is_left_out() -> None:
    answers = both(shop(CANDIDATE, (-6, 0.0, 0), (10, 50.0, 2)), shop(STABLE, (-6, 0.0, 0), (10, 400.0, 10)))
    moving = fold(opened(), answers, confirmed_at=None)
    assert moving.mean is None
    assert moving.through == at(15)
    after = fold(moving.model_copy(update={"through": T0}), answers, confirmed_at=at(12))
    assert after.mean is not None
    assert after.mean.trial.candidate.count == 0, "the scrapes were before the weight was confirmed"


def test_both_arms_are_counted_or_neither() -> None:
    whole = shop(CANDIDATE, (-6, 0.0, 0), (10, 50.0, 2))
    half = fold(opened(), both(whole, Counters((), ("partial response",))))
    assert half.outcome is Outcome.ERROR
    assert (half.mean, half.through) == (None, T0)
    gone = fold(opened(), both(whole, Counters(())))
    assert gone.outcome is Outcome.NO_DATA
    assert gone.mean is None


def test_a_stable_that_answers_nothing_is_no_comparison() -> None:
    alone = fold(opened(), {"revenue/candidate": shop(CANDIDATE, (-6, 0.0, 0), (10, 50.0, 2))}, concurrent=False)
    judged = checks.judge(REVENUE, alone, situation(at(15), concurrent=False))
    assert judged.outcome is Outcome.INCONCLUSIVE
    assert judged.message.endswith("stable answers nothing beside it to compare with")
    assert checks.needs_control(REVENUE)


def test_stables_hour_before_teaches_how_its_values_are_spread() -> None:
    draw = random.Random(1)
    scrapes, revenue, orders = [], 0.0, 0.0
    for minute in range(-61, 1):
        scrapes.append((minute * 60.0 - 5.0, revenue, orders))
        revenue, orders = revenue + sum(draw.choice((20.0, 60.0)) for _ in range(100)), orders + 100
    answers = both(shop(CANDIDATE, (-6, 0.0, 0), (10, 50.0, 2)), shop(STABLE, *scrapes, (10, revenue, orders)))
    found = fold(opened(), answers)
    assert found.mean is not None
    assert found.mean.per_hour == 6000
    spread = blocks.spread_of(found.mean)
    assert spread.pairs >= 55
    assert spread.base == pytest.approx(40.0, rel=0.02)
    assert spread.variance == pytest.approx(0.25, rel=0.4), "20 and 60 lie half the mean away from it"


# --- blocks -------------------------------------------------------------------------------------------


def learned(check: Check = REVENUE, *, cv: float = 0.5, hour: int = 6000) -> CheckStatus:
    """A stable of a hundred orders a minute, or `hour` in an hour, of 40 each, spread by so much of it."""
    draw, each = random.Random(4), hour // 60
    windows = [(sum(draw.choice((1 - cv, 1 + cv)) * 40.0 for _ in range(each)), float(each)) for _ in range(60)]
    spread = blocks.past(windows, blocks.allowed(check).size)
    return opened(name=check.name, mean=MeanStatus(spread=blocks.kept(spread), per_hour=Decimal(hour)))


def watched(
    ratio: Callable[[int], float] | float,
    minutes: int,
    *,
    check: Check = REVENUE,
    cv: float = 0.5,
    each: int = 100,
    stored: CheckStatus | None = None,
    since: int = 0,
    seed: int = 7,
    **where: Any,
) -> CheckStatus:
    """A trial of some minutes with a look every fifteen seconds, judged at its end: `each` orders a minute on both sides."""
    draw, have = random.Random(seed), stored or learned(check, cv=cv)
    for index in range(since * 4 + 1, (since + minutes) * 4 + 1):
        times = ratio(index // 4) if callable(ratio) else ratio

        def some(times: float = 1.0) -> Amounts:
            count = each // 4
            return amounts(times * sum(draw.choice((1 - cv, 1 + cv)) * 40.0 for _ in range(count)), count)

        here = situation(T0 + index * INTERVAL, **{"weight": 50.0, "last": True, **where})
        have = blocks.gathered(have, here, MeanArms(candidate=some(times), stable=some()), blocks.allowed(check))
    now = situation(T0 + (since + minutes) * 4 * INTERVAL, **{"weight": 50.0, "last": True, **where})
    return checks.judge(check, have.model_copy(update={"outcome": Outcome.INCONCLUSIVE, "message": ""}), now)


def mean_of(stored: CheckStatus) -> MeanStatus:
    assert stored.mean is not None
    return stored.mean


def test_a_block_lasts_a_minute_and_until_both_arms_have_a_twentieth_of_the_samples() -> None:
    assert mean_of(watched(1.0, 30)).blocks == 30, "a hundred a minute, fifty are enough"
    assert mean_of(watched(1.0, 30, each=40)).blocks == 24
    assert mean_of(watched(1.0, 30, check=TOKENS)).blocks == 30, "a twentieth of 2000"
    assert mean_of(watched(1.0, 30, check=TOKENS, each=40)).blocks == 12


def test_a_block_belongs_to_one_weight() -> None:
    have = watched(1.0, 10, each=40)
    half = blocks.gathered(
        have,
        situation(T0 + timedelta(minutes=10, seconds=15)),
        MeanArms(candidate=amounts(400, 10), stable=amounts(400, 10)),
        blocks.allowed(REVENUE),
    )
    assert mean_of(half).block.candidate.count > 0
    again = checks.restart(half, trial=False)
    assert mean_of(again).block == MeanArms()
    assert mean_of(again).step == MeanArms()
    assert mean_of(again).trial == mean_of(half).trial
    assert again.evidence[0].step == []
    assert again.evidence[0].worse == half.evidence[0].worse
    assert blocks.spread_of(mean_of(again)).last_noise == 0.0, "the next block has no neighbour"


def test_times_of_a_lower_weight_do_not_pass_a_higher_one() -> None:
    """An hour at 5 % lets revenue pass with the first block of the last step, and seconds per token wait for more."""
    times = TOKENS.model_copy(update={"margin": REVENUE.margin, "min_samples": 1000, "worse_when": WorseWhen.LOWER})
    assert not blocks.allowed(times).carried
    for check, outcome in ((REVENUE, Outcome.PASS), (times, Outcome.INCONCLUSIVE)):
        hour = watched(1.0, 360, check=check, weight=5.0, last=False)
        before = hour.evidence[0]
        have = checks.restart(hour, trial=False)
        said = checks.judge(check, have, situation(T0 + 1441 * INTERVAL, weight=50.0, last=True))
        assert said.outcome is outcome, said.message
        there = watched(1.0, 2, check=check, stored=have, since=360)
        assert there.outcome is outcome, there.message
        assert (len(there.evidence[0].trial) > 0) and there.evidence[0].worse != []
        assert (there.evidence[0].trial[0] > before.trial[0] / 2) is (outcome is Outcome.PASS)


def test_a_void_trial_keeps_what_was_learned_of_stable_only() -> None:
    have = watched(1.0, 10)
    again = checks.restart(have, trial=True)
    assert mean_of(again) == MeanStatus(
        spread=mean_of(checks.restart(have, trial=False)).spread, per_hour=mean_of(have).per_hour
    )
    assert again.evidence == []


def test_evidence_survives_a_restart_of_the_operator() -> None:
    have = watched(0.97, 40)
    assert CheckStatus.model_validate_json(have.model_dump_json(by_alias=True)) == have
    there = watched(0.97, 30, stored=CheckStatus.model_validate_json(have.model_dump_json(by_alias=True)), since=40)
    assert there == watched(0.97, 30, stored=have, since=40)


def test_sums_beyond_what_status_holds_stay_at_its_end() -> None:
    much = MeanArms(candidate=amounts(9e17, 1), stable=amounts(9e17, 1))
    both_ = blocks.plus(much, much)
    assert both_.candidate.sum == blocks.amount(blocks.LARGEST)
    assert MeanArms.model_validate_json(both_.model_dump_json(by_alias=True)) == both_


# --- verdicts -----------------------------------------------------------------------------------------


def test_nothing_is_said_before_the_horizon_however_bad_it_looks() -> None:
    early = watched(0.2, 55)
    assert early.outcome is Outcome.INCONCLUSIVE
    assert early.message.endswith("no verdict before 1,000 shop_orders_total and 1h: needs 5m more")
    few = watched(0.2, 70, each=8)
    assert few.outcome is Outcome.INCONCLUSIVE
    assert few.message.endswith(
        "no verdict before 1,000 shop_orders_total and 1h: needs 440 more shop_orders_total (55m at today's rate)"
    )
    assert (early.needs, few.needs) == (0, 440)


def test_the_horizon_is_the_checks_own() -> None:
    assert watched(2.0, 31, check=TOKENS).outcome is Outcome.FAIL
    assert watched(2.0, 29, check=TOKENS).outcome is Outcome.INCONCLUSIVE
    at_once = TOKENS.model_copy(update={"min_duration": timedelta(0)})
    assert watched(2.0, 24, check=at_once).outcome is Outcome.FAIL


def test_ten_percent_less_fails_with_both_means_and_how_far_apart_they_surely_are() -> None:
    failed = watched(0.9, 75)
    assert failed.outcome is Outcome.FAIL
    assert failed.message == (
        "revenue 35.9 vs 39.9 (n=7,500 vs 7,500 shop_orders_total), 9.9% lower (at least 7.6%, at most 12.1%); surely more than "
        "5% lower (chance 1 in 340,000): fail"
    )


def test_as_good_as_stable_passes() -> None:
    passed = watched(1.0, 75)
    assert passed.outcome is Outcome.PASS
    assert passed.message.endswith("; at most 5% lower: pass")
    assert watched(1.3, 75).outcome is Outcome.PASS, "better is no reason to wait"
    assert watched(1.0, 75, settled=False).outcome is Outcome.INCONCLUSIVE


def test_an_undecided_verdict_says_what_is_missing() -> None:
    undecided = watched(1.0, 61, each=20, cv=0.99)
    assert undecided.outcome is Outcome.INCONCLUSIVE
    assert "needs about " in undecided.message
    assert undecided.message.endswith("at today's rate")
    assert undecided.needs is not None
    assert undecided.needs > 0
    worse = watched(0.94, 61, cv=0.9)
    assert worse.needs is None
    assert worse.message.endswith("cannot pass at these means, however long it is watched")


def test_what_is_missing_is_about_what_it_takes() -> None:
    """Of nine trials the middle one passes within a factor of three of what they said after an hour."""
    said, took = [], []
    for seed in range(9):
        have = watched(1.0, 61, each=20, cv=0.99, seed=seed)
        allows, goal = blocks.allowed(REVENUE), 3.912
        here = situation(T0 + timedelta(minutes=61), weight=50.0, last=True)
        needed = checks.mean.needed(have, allows, here, goal)
        minutes = 0
        while have.outcome is not Outcome.PASS and minutes < 1500:
            have = watched(1.0, 20, each=20, cv=0.99, stored=have, since=61 + minutes, seed=1000 * seed + minutes)
            minutes += 20
        said.append((needed or math.inf) / 20.0)
        took.append(minutes)
    assert sorted(said)[4] / 3.0 <= sorted(took)[4] <= sorted(said)[4] * 3.0


def test_a_fall_that_begins_late_fails() -> None:
    failed = watched(lambda minute: 1.0 if minute < 120 else 0.8, 145)
    assert failed.outcome is Outcome.FAIL
    assert "; of late surely more than 5% lower (chance 1 in " in failed.message


def test_suspicion_holds_a_pass() -> None:
    held = watched(lambda minute: 1.0 if minute < 120 else 0.85, 139)
    assert held.outcome is Outcome.INCONCLUSIVE
    assert held.message.endswith("but worse of late, which is not sure yet: waits")


def test_higher_and_either_look_the_other_way() -> None:
    either = REVENUE.model_copy(update={"worse_when": WorseWhen.EITHER})
    higher = REVENUE.model_copy(update={"worse_when": WorseWhen.HIGHER})
    assert watched(1.15, 75).outcome is Outcome.PASS
    assert watched(1.15, 75, check=higher).outcome is Outcome.FAIL
    assert "surely more than 5% higher" in watched(1.15, 75, check=either).message
    assert "surely more than 5% lower" in watched(0.85, 75, check=either).message
    assert watched(0.85, 75, check=higher).outcome is Outcome.PASS


def test_a_step_asks_only_for_what_its_weight_can_do() -> None:
    """Five percent of requests, all of them without any revenue, are five percent: the margin."""
    early = watched(0.97, 61, weight=5.0, last=False, cv=0.9)
    assert early.outcome is Outcome.PASS
    assert early.message.endswith("; at most 5% lower in all at 5% weight: pass")
    assert watched(0.97, 61, weight=50.0, last=True, cv=0.9).outcome is Outcome.INCONCLUSIVE


def test_the_more_checks_the_surer_each_has_to_be() -> None:
    def failed(count: int) -> int:
        have, out = None, 0
        while have is None or have.outcome is not Outcome.FAIL:
            have = watched(0.92, 5, cv=0.9, each=60, stored=have, since=out, checks=count, seed=out)
            out += 5
        return out

    assert failed(1) < failed(16)


def test_a_stable_without_a_past_teaches_first() -> None:
    unknown = watched(0.5, 8, stored=opened(mean=MeanStatus()), check=TOKENS.model_copy(update={"min_samples": 100}))
    assert mean_of(unknown).blocks == 0
    assert mean_of(watched(0.5, 20, stored=opened(mean=MeanStatus()))).blocks == 11, "nine blocks are eight pairs"


def test_values_that_are_all_the_same_decide_too() -> None:
    assert watched(0.9, 61, cv=0.0, stored=learned(cv=0.0)).outcome is Outcome.FAIL
    assert watched(1.0, 61, cv=0.0, stored=learned(cv=0.0)).outcome is Outcome.PASS


# --- stages and plans ---------------------------------------------------------------------------------


def test_what_another_service_counts_is_asked_in_a_canary_only() -> None:
    share = Check(name="orders", share=Share(of="a", per="b", revision_label="r"), margin=Margin(points=Decimal(1)))
    for check, shadow in ((REVENUE, False), (share, False), (TOKENS, True), (ERRORS, True)):
        assert checks.answers_in(check, Kind.SHADOW) is shadow
        assert checks.answers_in(check, Kind.CANARY)


PLAN = legs(Strategy())


def test_a_plan_that_is_too_quick_for_a_mean_is_warned_of() -> None:
    quiet = checks.forecast(REVENUE, learned(hour=1200, cv=0.9), PLAN, Analysis())
    assert quiet.startswith("check revenue: at 20 shop_orders_total a minute that differ by ")
    assert "takes about 17h to pass a candidate as good as stable, more than its minDuration of 5m" in quiet
    short = legs(Strategy(stages=[Stage(canary=Canary(steps=[CanaryStep(weight=50)]))]))
    hopeless = checks.forecast(REVENUE, learned(hour=60, cv=0.9), short, Analysis())
    assert "and that step ends undecided after 24h" in hopeless


def test_a_busy_shop_is_decided_in_its_horizon() -> None:
    assert checks.forecast(REVENUE, learned(hour=60_000), PLAN, Analysis()) == ""
    assert checks.forecast(REVENUE, opened(), PLAN, Analysis()) == "", "nothing is said before anything is known"


def test_a_shadow_is_no_leg_of_a_number_from_elsewhere() -> None:
    stages = [Stage(shadow=Shadow()), Stage(canary=Canary(steps=[CanaryStep(weight=50)]))]
    said = checks.forecast(REVENUE, learned(hour=600, cv=0.9), legs(Strategy(stages=stages)), Analysis())
    assert "a shadow" not in said
    assert "50 % takes" in said
