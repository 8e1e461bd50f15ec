"""Counts from raw samples are exact, and consecutive looks add up."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import example, given, settings

from seatrial.core import counters
from seatrial.core.questions import NoData, Series
from tests.checks.world import EPOCH, Pod, looks, series, some_pods, truth


def one(*samples: tuple[float, float], **labels: str) -> Series:
    return Series({"__name__": "requests", "instance": "i", "job": "j", **labels}, samples)


def counted(
    which: list[Series], start: float, end: float, *proof: Series, born: dict[str, float] | None = None
) -> int | NoData:
    seen = counters.scrapes([*which, *proof])
    return counters.count(which, start, end, seen, born or {})


def test_a_count_is_the_difference_of_the_last_samples_at_both_instants() -> None:
    assert counted([one((0, 10), (10, 15), (20, 25), (30, 99))], 12, 29) == 10


def test_a_sample_at_the_very_instant_belongs_to_the_past() -> None:
    whole = [one((0, 10), (10, 15), (20, 25))]
    assert counted(whole, 0, 10) == 5
    assert counted(whole, 10, 20) == 10


def test_a_reset_is_added_back() -> None:
    assert counted([one((0, 10), (10, 15), (20, 2), (30, 4))], 0, 30) == 5 + 2 + 2


def test_a_counter_that_vanished_for_a_scrape_began_anew_even_if_it_is_higher_now() -> None:
    error = one((0, 3), (30, 7), code="500")
    fine = one((0, 9), (10, 1), (20, 5), (30, 6), code="200")
    assert counted([error], 0, 30, fine) == 7


def test_a_counter_that_was_not_scraped_for_a_while_did_not_begin_anew() -> None:
    error = one((0, 3), (30, 7), code="500")
    fine = one((0, 9), (30, 16), code="200")
    assert counted([error], 0, 30, fine) == 4


def test_a_series_born_later_counts_from_0_where_its_target_was_scraped() -> None:
    assert counted([one((20, 3), code="500")], 5, 25, one((0, 1), (10, 2), (20, 2), code="200")) == 3


def test_up_is_enough_to_show_that_a_target_was_scraped() -> None:
    up = Series({"__name__": "up", "instance": "i", "job": "j"}, ((0, 1), (10, 1), (20, 1)))
    assert counted([one((20, 3))], 5, 25, up) == 3


def test_a_failed_scrape_shows_nothing() -> None:
    up = Series({"__name__": "up", "instance": "i", "job": "j"}, ((0, 0), (10, 0), (20, 1)))
    answer = counted([one((20, 3), pod="fraud-1")], 5, 25, up)
    assert answer == NoData(
        "fraud-1 was first scraped 15 s after the count began, and what it had answered before is not known"
    )


def test_a_pod_born_after_the_instant_counts_from_0() -> None:
    assert counted([one((20, 3), pod="p")], 5, 25, born={"p": 6.0}) == 3
    assert isinstance(counted([one((20, 3), pod="p")], 5, 25, born={"p": 4.0}), NoData)


def test_a_pod_born_in_an_earlier_look_of_the_chain_has_no_past_to_leave_out() -> None:
    late = [one((20, 3), pod="p")]
    assert counters.count(late, 5, 25, counters.scrapes(late), {"p": 4.0}, since=1.0) == 3


def test_counting_can_begin_when_the_unknown_target_was_first_scraped() -> None:
    unknown = one((20, 3), (30, 5), pod="p", instance="new")
    known = one((0, 100), (10, 101), (22, 102), (30, 110))
    both = [unknown, known]
    seen = counters.scrapes(both)
    start = counters.countable_from(both, 5, 30, seen, {})
    assert start == 20
    assert counters.count(both, start, 30, seen, {}) == 2 + 9


def test_a_series_that_ends_counts_to_its_last_sample() -> None:
    assert counted([one((0, 10), (10, 15))], 5, 1000) == 5


def test_the_same_pod_scraped_by_two_jobs_counts_once() -> None:
    twice = [
        one((0, 0), (10, 7), pod="p", job="a", instance="10.0.0.1:8082"),
        one((3, 0), (13, 7), pod="p", job="b", instance="10.0.0.1:8082", service="metrics"),
    ]
    assert counted(twice, 5, 20) == 7


def test_two_proxies_without_a_pod_label_are_two() -> None:
    assert counted([one((0, 0), (10, 7), instance="a"), one((0, 0), (10, 7), instance="b")], 5, 20) == 14


def test_the_scrape_interval_is_read_from_the_samples() -> None:
    assert counters.scrape_interval([one((0, 1), (15, 1), (30, 1), (75, 1), (90, 1))]) == 15
    assert counters.scrape_interval([one((0, 1))]) is None
    assert counters.scrape_interval([one((0, 1), (5, 1)), one((0, 1), (30, 1), instance="slow")]) == 30


def test_freshness_is_two_and_a_half_intervals_of_the_target() -> None:
    seen = counters.scrapes([one((0, 1), (10, 1), (20, 1))])
    target = next(iter(seen.times))
    assert seen.fresh(target, 45.0)
    assert not seen.fresh(target, 45.1)
    assert not seen.fresh(target, -1)


def test_ten_pods_with_one_error_each_first_seen_between_two_scrapes_read_ten() -> None:
    pods = [Pod(f"p{i}", -100.0, 500.0, i * 1.3, 15.0, (), (0, 0), (-50.0,), (3.0 + i,)) for i in range(10)]
    errors = [s for s in series(pods, 0, 60) if s.labels.get("status_code") == "500"]
    seen = counters.scrapes(series(pods, 0, 60))
    assert counters.count(errors, EPOCH, EPOCH + 60, seen, {}) == 10


def test_large_counts_stay_exact() -> None:
    assert counted([one((0, 8e15), (10, 8e15 + 3))], 5, 15) == 3


@settings(max_examples=120, deadline=None)
@given(some_pods(), looks())
@example([Pod("p", -100.0, 500.0, 0.0, 15.0, (30.0,), (0, 0), (-50.0, 10.0), (5.0, 100.0))], [0.0, 29.0, 31.0, 400.0])
def test_consecutive_looks_add_up_to_the_truth(pods: list[Pod], instants: list[float]) -> None:
    """Random scrape phases, restarts, births, deaths and gaps; each look sees only its own stretch and the lookback."""
    born = {pod.name: EPOCH + pod.born for pod in pods}
    for code, status in (("2", "200"), ("5", "500")):
        total = 0
        for start, end in zip(instants, instants[1:], strict=False):
            answer = series(pods, start, end)
            mine = [s for s in answer if s.labels.get("status_code") == status]
            risen = counters.count(mine, EPOCH + start, EPOCH + end, counters.scrapes(answer), born, since=EPOCH)
            assert isinstance(risen, int), risen
            assert risen == truth(pods, code, start, end)
            total += risen
        assert total == truth(pods, code, 0.0, 400.0)


@settings(max_examples=60, deadline=None)
@given(some_pods(), looks())
def test_pods_of_unknown_age_never_add_a_request_that_was_not_answered(pods: list[Pod], instants: list[float]) -> None:
    """Counting from where it is possible may leave something out, and invents nothing."""
    pods = [replace(pod, restarts=()) for pod in pods]
    for start, end in zip(instants, instants[1:], strict=False):
        answer = series(pods, start, end)
        mine = [s for s in answer if "status_code" in s.labels]
        seen = counters.scrapes(answer)
        begin = counters.countable_from(mine, EPOCH + start, EPOCH + end, seen, {})
        risen = counters.count(mine, begin, EPOCH + end, seen, {})
        assert isinstance(risen, int)
        assert 0 <= risen <= truth(pods, "2", start, end) + truth(pods, "5", start, end)
