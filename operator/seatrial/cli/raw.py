"""Values of an object, read forgivingly: what is missing or has another form reads as absent."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

_DURATION = re.compile(r"([0-9]+)(h|ms|m|s)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def parse_time(text: str) -> datetime | None:
    """An RFC 3339 time, None if it is none."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        return None
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


def parse_duration(text: str) -> timedelta | None:
    """A duration such as `90s` or `1h30m`, None if it is none."""
    if not re.fullmatch(r"(?:[0-9]+(?:h|ms|m|s))+", text):
        return None
    try:
        return timedelta(seconds=sum(int(n) * _UNITS[unit] for n, unit in _DURATION.findall(text)))
    except OverflowError:
        return None


def mapping(raw: object, key: str) -> Mapping[str, Any]:
    """The object under a key."""
    value = raw.get(key) if isinstance(raw, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def entries(raw: object, key: str) -> list[Any]:
    """The list under a key."""
    value = raw.get(key) if isinstance(raw, Mapping) else None
    return value if isinstance(value, list) else []


def mappings(raw: object, key: str) -> Iterator[Mapping[str, Any]]:
    """The objects of the list under a key."""
    return (entry for entry in entries(raw, key) if isinstance(entry, Mapping))


def text(raw: Mapping[str, Any], key: str) -> str:
    """A text on one line. Whoever may write status must not be able to steer a reader's terminal."""
    value = raw.get(key)
    return _CONTROL.sub(" ", value) if isinstance(value, str) else ""


def integer(raw: Mapping[str, Any], key: str) -> int:
    """A whole number, 0 where there is none."""
    value = raw.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def time(raw: Mapping[str, Any], key: str) -> datetime | None:
    """A time."""
    return parse_time(text(raw, key))


def duration(raw: Mapping[str, Any], key: str) -> timedelta | None:
    """A duration."""
    return parse_duration(text(raw, key))
