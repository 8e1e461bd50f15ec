"""The two slots: every way from one split of the traffic to another keeps the rules that cost requests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.api.status import PARTS, Accepted, Slots, Split, TrafficStatus
from seatrial.build.route import Slot
from seatrial.core import sticky
from seatrial.core.state import Backend, Route
from seatrial.core.traffic import (
    MINIMUM,
    Reading,
    as_backends,
    caught_up,
    drained,
    occupy,
    percent,
    read,
    step_towards,
    vacate,
)

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
DWELL = timedelta(seconds=2)
A, B = "aaaaaaaaaa", "bbbbbbbbbb"
BOTH = Slots(a=A, b=B)


def traffic(a: int, slots: Slots = BOTH) -> TrafficStatus:
    split = Split(a=a, b=PARTS - a)
    return TrafficStatus(slots=slots, wanted=split, confirmed=split)


def route(model: TrafficStatus, *, generation: int = 1, accepted: bool = True) -> Route:
    written = as_backends(model.slots, model.wanted)
    assert written is not None
    a, b = (Backend(f"m-{slot.revision}", slot.weight) for slot in written)
    return Route(generation, (a, b), frozenset({a.service, b.service}), accepted)


def look(model: TrafficStatus, seen: Route | None, now: datetime, dwell: timedelta, *, edited: bool = False) -> Reading:
    return read("m", model, seen, now, dwell, sticky.rules(model), edited=edited)


shares = st.one_of(st.sampled_from([0, 1, PARTS - 1, PARTS]), st.integers(0, PARTS))
goals = st.one_of(st.sampled_from([0, PARTS]), st.integers(2, PARTS - 2))


@given(start=shares, goal=goals)
def test_every_way_goes_through_one_part_and_arrives(start: int, goal: int) -> None:
    """At most five confirmed writes; a backend enters and leaves through one part; nothing else is at 0."""
    now = traffic(start)
    for _ in range(6):
        onward = step_towards(now, {A: goal, B: PARTS - goal}, settled=True)
        for slot in ("a", "b"):
            before, after = getattr(now.wanted, slot), getattr(onward.wanted, slot)
            assert (before == 0) == (after == 0) or max(before, after) == MINIMUM
        assert onward.wanted.a + onward.wanted.b == PARTS
        if onward == now:
            break
        now = onward
    assert now.wanted == Split(a=goal, b=PARTS - goal)


@given(start=shares, goal=goals)
def test_an_unconfirmed_write_is_followed_by_no_jump_over_the_minimum(start: int, goal: int) -> None:
    """Until one part is confirmed, a backend neither grows from it nor leaves it."""
    now = traffic(start)
    onward = step_towards(now, {A: goal, B: PARTS - goal}, settled=False)
    for slot in ("a", "b"):
        before, after = getattr(now.wanted, slot), getattr(onward.wanted, slot)
        if before == MINIMUM:
            assert after == MINIMUM or getattr(onward.wanted, "b" if slot == "a" else "a") == MINIMUM


@given(start=shares, goals=st.lists(goals, min_size=1, max_size=6), settle=st.lists(st.booleans(), min_size=6))
def test_changing_ones_mind_is_safe(start: int, goals: list[int], settle: list[bool]) -> None:
    """Whatever is wanted next, no backend goes between 0 and more than one part in one write."""
    now = traffic(start)
    for goal, settled in zip(goals, settle, strict=False):
        onward = step_towards(now, {A: goal, B: PARTS - goal}, settled=settled)
        for slot in ("a", "b"):
            before, after = getattr(now.wanted, slot), getattr(onward.wanted, slot)
            assert (before == 0) == (after == 0) or max(before, after) == MINIMUM
        now = onward


def test_a_write_whose_status_was_lost_is_not_taken_back() -> None:
    """The way down is gone on with from where the route is; every other difference is put back as status says."""
    before, after = traffic(1), route(traffic(PARTS - 1))
    assert caught_up("m", before, after, {B: 0}).wanted == Split(a=PARTS - 1, b=1)
    assert caught_up("m", before, after, {B: PARTS - 1}) == before
    assert caught_up("m", traffic(PARTS - 1), route(before), {B: 0}) == traffic(PARTS - 1)
    assert caught_up("m", before, None, {B: 0}) == before


def test_the_control_run_takes_the_direct_step() -> None:
    assert step_towards(traffic(PARTS), {A: 500_000, B: 500_000}, settled=True, direct=True).wanted.b == 500_000


def test_a_goal_that_is_not_whole_is_a_bug() -> None:
    with pytest.raises(ValueError, match="sum to"):
        step_towards(traffic(PARTS), {A: 1}, settled=True)


def test_confirmed_means_accepted_a_dwell_ago() -> None:
    """Acceptance is seen, the dwell passes, the weights are confirmed."""
    wanted = traffic(PARTS).model_copy(update={"wanted": Split(a=750_000, b=250_000)})
    first = look(wanted, route(wanted), NOW, DWELL)
    assert (first.settled, first.wait) == (False, DWELL)
    assert first.status.accepted == Accepted(generation=1, since=NOW)
    later = look(first.status, route(wanted), NOW + DWELL, DWELL)
    assert later.settled
    assert later.status.confirmed == wanted.wanted


def test_a_clock_that_went_ahead_is_not_waited_for() -> None:
    """The acceptance was dated ten minutes ahead: it counts from now, not from then."""
    wanted = traffic(PARTS)
    ahead = look(wanted, route(wanted), NOW + timedelta(minutes=10), DWELL)
    now = look(ahead.status, route(wanted), NOW, DWELL)
    assert now.wait == DWELL
    assert look(now.status, route(wanted), NOW + DWELL, DWELL).settled


def test_a_new_generation_starts_the_dwell_again() -> None:
    wanted = traffic(PARTS)
    first = look(wanted, route(wanted), NOW, DWELL)
    again = look(first.status, route(wanted, generation=2), NOW + DWELL, DWELL)
    assert not again.settled


@pytest.mark.parametrize("case", ["missing", "refused", "edited", "another weight", "one backend"])
def test_nothing_else_confirms(case: str) -> None:
    """A route that is missing, refused, edited or not the one we wrote says nothing of the proxies."""
    wanted = traffic(PARTS)
    seen: Route | None = route(wanted, accepted=case != "refused")
    if case == "missing":
        seen = None
    if case == "another weight":
        seen = route(traffic(500_000))
    if case == "one backend" and seen is not None:
        seen = Route(1, seen.backends[:1], seen.services, accepted=True)
    reading = look(wanted, seen, NOW, timedelta(0), edited=case == "edited")
    assert not reading.settled
    assert reading.status.confirmed == wanted.confirmed


def test_the_drain_counts_from_the_confirmed_zero() -> None:
    empty = traffic(PARTS).model_copy(update={"idle_since": NOW})
    assert not drained(empty, B, NOW + timedelta(seconds=29), timedelta(seconds=30))
    assert drained(empty, B, NOW + timedelta(seconds=30), timedelta(seconds=30))
    assert not drained(traffic(1), B, NOW + timedelta(hours=1), timedelta(seconds=30))


def test_an_empty_slot_lends_one_part_to_the_other() -> None:
    """So that the proxies always know both backends."""
    assert as_backends(Slots(b=B), Split(b=PARTS)) == (Slot(B, MINIMUM), Slot(B, PARTS - MINIMUM))
    assert as_backends(Slots(a=A), Split(a=PARTS)) == (Slot(A, PARTS - MINIMUM), Slot(A, MINIMUM))
    assert as_backends(BOTH, Split(a=PARTS)) == (Slot(A, PARTS), Slot(B, 0))
    assert as_backends(Slots(a=A), Split(a=PARTS), direct=True) == (Slot(A, PARTS), Slot(A, 0))
    assert as_backends(Slots(), Split()) is None
    assert as_backends(Slots(a=A), Split()) is None


def test_a_third_revision_waits_for_a_free_slot() -> None:
    third = "cccccccccc"
    assert occupy(traffic(PARTS), third) is None
    freed = occupy(vacate(traffic(PARTS), B), third)
    assert freed is not None
    assert freed.slots == Slots(a=A, b=third)
    assert freed.wanted == traffic(PARTS).wanted


@pytest.mark.parametrize(("parts", "shown"), [(0, "0"), (50_000, "5"), (333_333, "33.3"), (1, "0"), (PARTS, "100")])
def test_percent_is_short(parts: int, shown: str) -> None:
    assert percent(parts) == shown
