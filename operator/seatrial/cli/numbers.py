"""Numbers of traffic as people type them, for `lint` and `simulate`: rates, shares, which check they are of."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from seatrial.cli.errors import USAGE, CliError

if TYPE_CHECKING:  # the parser needs the options only, and is there at once
    from seatrial.api.spec import Check

SLOW = 0.05
"""Stable's share of slow answers where nobody says: Latency counts from the edge nearest its 95th percentile."""


def rate(text: str) -> float:
    """Requests a second: `20`, `0.5`, or `120/m`, `4000/h`."""
    number, _, unit = text.partition("/")
    seconds = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}.get(unit)
    value = _number(number)
    if seconds is None or value is None or value <= 0 or value > 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is no rate: requests a second above 0, such as 20, 0.5 or 120/m")
    return value / seconds


def share(text: str) -> float:
    """A share: `1%`, or `0.01`."""
    value = _number(text.removesuffix("%"))
    out = None if value is None else value / 100.0 if text.endswith("%") else value
    if out is None or not 0.0 <= out < 1.0:
        raise argparse.ArgumentTypeError(f"{text!r} is no share: write 1% or 0.01, from 0 to below 100%")
    return out


def named(text: str) -> tuple[str, float]:
    """A share of a check: `orders=12%`; without a name it is the first check's."""
    name, found, value = text.rpartition("=")
    if found and not name:
        raise argparse.ArgumentTypeError(f"{text!r} names no check: write CHECK=SHARE, such as orders=12%")
    return name, share(value)


def at_least_one(text: str) -> float:
    """A number from 1 on."""
    value = _number(text)
    if value is None or not 1.0 <= value <= 1000.0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 1000")
    return value


def whole(text: str) -> int:
    """A whole number from 1 to a million."""
    if not text.isdecimal() or not 1 <= int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 to 1,000,000")
    return int(text)


def edge(text: str) -> float | None:
    """The upper edge of a bucket; None where it is no number."""
    try:
        value = float(text)
    except ValueError:
        return None
    return None if math.isnan(value) else value


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


@dataclass(frozen=True, slots=True)
class Numbers:
    """What is known of stable's traffic."""

    rate: float
    """Requests a second, of the whole service."""
    errors: float | None = None
    slow: float | None = None
    shares: Mapping[str, float] = field(default_factory=dict)
    """Of checks by name; these come before the two above."""
    clump: float = 1.0

    def of(self, check: Check) -> float | None:
        """Stable's share for a check; None where nobody has said it."""
        if check.name in self.shares:
            return self.shares[check.name]
        if check.preset is not None and check.preset.value == "Errors":
            return self.errors
        if check.preset is not None and check.preset.value == "Latency":
            return SLOW if self.slow is None else self.slow
        return None


def add_arguments(sub: argparse.ArgumentParser, *, rate_needed: bool) -> None:
    """The options that both commands have."""
    group = sub.add_argument_group("stable's traffic")
    group.add_argument(
        "--rate", type=rate, required=rate_needed, metavar="N", help="requests a second of the whole service: 20, 120/m"
    )
    group.add_argument("--errors", type=share, metavar="SHARE", help="share of errors: 1%%")
    group.add_argument(
        "--slow", type=share, metavar="SHARE", help="share of slow answers (5%%, since slow is about the p95)"
    )
    group.add_argument(
        "--share",
        type=named,
        action="append",
        default=[],
        metavar="CHECK=SHARE",
        help="share of any check: orders=12%%",
    )
    group.add_argument(
        "--clumps", type=at_least_one, default=1.0, metavar="N", help="mean size of the clumps that errors come in (1)"
    )


def shares_of(pairs: Iterable[tuple[str, float]], checks: Iterable[Check], option: str) -> dict[str, float]:
    """Shares by check; a name that no check has is a mistake."""
    names = [check.name for check in checks]
    out: dict[str, float] = {}
    for name, value in pairs:
        known = name or (names[0] if names else "")
        if known not in names:
            raise CliError(f"{option} {name}=…: there is no such check; there are {', '.join(names) or 'none'}", USAGE)
        out[known] = value
    return out
