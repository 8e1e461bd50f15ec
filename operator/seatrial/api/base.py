"""Conventions of the resource: one base model, and the value types that JSON has no word for.

Kubernetes APIs carry no floats: durations, decimals and percentages are strings (GEP-2257, API
conventions). Inside Python they are `timedelta` and `Decimal`; they go back out as they were written.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel

GROUP = "seatrial.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "ModelDeployment"
PLURAL = "modeldeployments"

DURATION_PATTERN = r"^([0-9]{1,5}(h|m|s|ms)){1,4}$"
DECIMAL_PATTERN = r"^-?[0-9]{1,15}(\.[0-9]{1,9})?$"
AMOUNT_PATTERN = r"^[0-9]{1,18}(\.[0-9]{1,9})?$"
PERCENT_PATTERN = r"^[0-9]{1,5}(\.[0-9]{1,6})?%$"

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


class Model(BaseModel):
    """A part of the resource: camelCase on the wire, frozen, unknown fields refused."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    def wire(self) -> dict[str, Any]:
        """This part as the API server stores it: camelCase, JSON types, nothing that is unset."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class OpenModel(Model):
    """A part of somebody else's API (a pod template): fields we do not know are kept."""

    model_config = ConfigDict(extra="allow")


def parse_duration(text: object) -> timedelta:
    """Read a GEP-2257 duration (`90s`, `10m`, `1h30m`)."""
    if isinstance(text, timedelta):
        return text
    if not isinstance(text, str) or not re.match(DURATION_PATTERN, text):
        raise ValueError(f"{text!r} is not a duration such as 90s, 10m or 1h30m")
    parts = re.findall(r"([0-9]+)(h|ms|m|s)", text)
    return timedelta(seconds=sum(int(n) * _UNITS[unit] for n, unit in parts))


def format_duration(value: timedelta) -> str:
    """Write a duration as GEP-2257 does, largest unit first: `1h30m`, `90s` becomes `1m30s`."""
    left = round(value.total_seconds() * 1000)
    out = []
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, left = divmod(left, size)
        if count:
            out.append(f"{count}{unit}")
    return "".join(out) or "0s"


def _parse_percent(text: object) -> Decimal:
    if isinstance(text, Decimal):
        return text
    if not isinstance(text, str) or not re.match(PERCENT_PATTERN, text):
        raise ValueError(f"{text!r} is not a percentage such as 2% or 0.5%")
    return Decimal(text[:-1])


def _parse_decimal(text: object) -> Decimal:
    if isinstance(text, Decimal):
        return text
    if not isinstance(text, str) or not re.match(DECIMAL_PATTERN, text):
        raise ValueError(f'{text!r} is not a number written as a string, such as "0.2"')
    return Decimal(text)


def _parse_amount(text: object) -> Decimal:
    if isinstance(text, Decimal):
        return text
    if not isinstance(text, str) or not re.match(AMOUNT_PATTERN, text):
        raise ValueError(f'{text!r} is not an amount written as a string, such as "1204.5"')
    return Decimal(text)


def _parse_time(value: object) -> datetime:
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a time")
    return datetime.fromisoformat(value).astimezone(UTC)


def format_time(value: datetime) -> str:
    """Write a time as RFC 3339 in UTC with milliseconds, the precision decisions are taken at."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN, "maxLength": 32}),
]
"""A span of time, as GEP-2257 writes it."""

Percent = Annotated[
    Decimal,
    BeforeValidator(_parse_percent),
    PlainSerializer(lambda v: f"{v.normalize():f}%", return_type=str),
    WithJsonSchema({"type": "string", "pattern": PERCENT_PATTERN, "maxLength": 16}),
]
"""A percentage; in Python the number before the sign (`2%` is `Decimal(2)`)."""

Number = Annotated[
    Decimal,
    BeforeValidator(_parse_decimal),
    PlainSerializer(lambda v: f"{v:f}", return_type=str),
    WithJsonSchema({"type": "string", "pattern": DECIMAL_PATTERN, "maxLength": 32}),
]
"""A decimal number written as a string."""

Amount = Annotated[
    Decimal,
    BeforeValidator(_parse_amount),
    PlainSerializer(lambda v: f"{v:f}", return_type=str),
    WithJsonSchema({"type": "string", "pattern": AMOUNT_PATTERN, "maxLength": 32}),
]
"""A sum of what a counter counts, 0 or more: money, seconds, tokens. Written as a string, since it may have both many digits
and a fraction."""

Time = Annotated[
    datetime,
    BeforeValidator(_parse_time),
    PlainSerializer(format_time, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""An absolute instant, UTC."""

Sentence = Annotated[str, StringConstraints(max_length=1024)]
"""A sentence for a person: names the object, the number and the next step."""
