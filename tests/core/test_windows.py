"""Windows: when more exposure is allowed, in the time zone of the people who would have to get up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.api.lint import lint
from seatrial.api.spec import Day, Window
from seatrial.core.windows import opens
from tests.api.cases import ONE_STEP, with_stages

BERLIN = Window(days=[Day.MON, Day.FRI], from_="09:00", to="16:30", time_zone="Europe/Berlin")
NIGHT = Window(days=[Day.SAT], from_="22:00", to="04:00")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("window", "now", "opening"),
    [
        (BERLIN, "2026-03-02T08:00", None),  # Monday, nine in Berlin
        (BERLIN, "2026-03-02T07:59", "2026-03-02T08:00"),
        (BERLIN, "2026-03-02T15:30", "2026-03-06T08:00"),  # closed at half past four: Friday is next
        (BERLIN, "2026-03-27T15:29", None),
        (BERLIN, "2026-03-27T15:31", "2026-03-30T07:00"),  # the clocks have changed in between
        (NIGHT, "2026-03-08T03:59", None),  # Sunday morning belongs to Saturday night
        (NIGHT, "2026-03-08T04:00", "2026-03-14T22:00"),
        (NIGHT, "2026-03-07T21:00", "2026-03-07T22:00"),
    ],
)
def test_when_a_window_opens(window: Window, now: str, opening: str | None) -> None:
    assert opens([window], utc(now)) == (None if opening is None else utc(opening))


def test_without_windows_it_is_always_allowed() -> None:
    assert opens([], utc("2026-03-02T03:00")) is None


def test_one_open_window_is_enough() -> None:
    assert opens([BERLIN, NIGHT], utc("2026-03-08T01:00")) is None


@given(st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001  a strategy takes naive bounds
def test_at_the_opening_it_is_open_and_just_before_it_is_not(now: datetime) -> None:
    opening = opens([BERLIN, NIGHT], now)
    if opening is None:
        return
    assert now < opening <= now + timedelta(days=8)
    assert opens([BERLIN, NIGHT], opening) is None
    assert opens([BERLIN, NIGHT], opening - timedelta(seconds=1)) == opening


def test_an_unknown_time_zone_is_told_of() -> None:
    window = {"days": ["Mon"], "from": "09:00", "to": "17:00", "timeZone": "Mars/Olympus"}
    (finding,) = lint(with_stages(ONE_STEP, windows=[window]))
    assert finding.path.endswith("windows[0].timeZone")
    assert "Mars/Olympus is no time zone" in finding.message
