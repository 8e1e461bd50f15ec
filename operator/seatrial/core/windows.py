"""When more exposure is allowed. To go back is always allowed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from seatrial.api.spec import Day, Window

DAYS = tuple(Day)
AHEAD = 8
"""Days looked ahead for the next opening: a week and the day that a window of yesterday's reaches into."""


def opens(windows: Sequence[Window], now: datetime) -> datetime | None:
    """When the next window opens; None while one is open, or where none is named: then it is always allowed.

    A window that ends at or before its beginning ends on the next day. On the day the clocks change, its times
    are those of the clock on the wall.
    """
    if not windows:
        return None
    spans = [span for window in windows for span in _spans(window, now)]
    if any(begin <= now < end for begin, end in spans):
        return None
    return min(begin for begin, _ in spans if begin > now)


def _spans(window: Window, now: datetime) -> list[tuple[datetime, datetime]]:
    zone = ZoneInfo(window.time_zone)
    begin, end = time.fromisoformat(window.from_), time.fromisoformat(window.to)
    today = now.astimezone(zone).date()
    out = []
    for ahead in range(-1, AHEAD):
        day = today + timedelta(days=ahead)
        if DAYS[day.weekday()] not in window.days:
            continue
        until = day if end > begin else day + timedelta(days=1)
        out.append((_at(day, begin, zone), _at(until, end, zone)))
    return out


def _at(day: date, clock: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, clock, tzinfo=zone).astimezone(UTC)
