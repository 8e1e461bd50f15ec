"""How predictions are divided and moved, and how late labels come, as people type them for `simulate`."""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from seatrial.cli import numbers
from seatrial.cli.errors import USAGE, CliError

if TYPE_CHECKING:  # the parser needs the options only, and is there at once
    from seatrial.api.spec import Check
    from seatrial.simulate.course import Course
    from seatrial.simulate.predictions import Shares

Parts = Mapping[str, float]
T = TypeVar("T")
PLAIN_SHIFT = 1.0
"""Standard deviations by which predictions move where nobody says, and nothing but drift is judged."""


def add_arguments(sub: argparse.ArgumentParser) -> None:
    """The options."""
    group = sub.add_argument_group("predictions, for drift checks")
    group.add_argument(
        "--drift", type=shifted, action="append", default=[], metavar="[CHECK=]SHIFT",
        help="a candidate whose predictions have moved: by so many standard deviations (0.5, -1), or to shares as below",
    )  # fmt: skip
    group.add_argument(
        "--predicted", type=divided, action="append", default=[], metavar="[CHECK=]NAME:SHARE,...",
        help="how stable's are divided: by class (block:3%%,allow:97%%), or by a score's upper edges (0.5:90%%,0.9:9%%,+Inf:1%%); "
        "evenly over the quantiles where left out",
    )  # fmt: skip
    group = sub.add_argument_group("late labels, for checks with a revisionLabel")
    group.add_argument(
        "--label-delay", type=delayed, action="append", default=[], metavar="[CHECK=]TIME",
        help="how long after its request an event (`of`) is counted: orders=30m; without a name, of all such checks (0s)",
    )  # fmt: skip
    group.add_argument(
        "--per-late", action="store_true", help="the request (`per`) is counted together with it, and not when it comes"
    )


def shifted(text: str) -> tuple[str, float | Parts]:
    """A shift of a check: `0.5`, `scores=-1`, or `classes=block:5%,allow:95%`."""
    name, value = _split(text)
    if ":" in value:
        return name, _parts(value)
    try:
        shift = float(value)
    except ValueError:
        shift = math.nan
    if not -6.0 <= shift <= 6.0:
        raise argparse.ArgumentTypeError(
            f"{value!r} is no shift: standard deviations from -6 to 6, or shares such as block:5%,allow:95%"
        )
    return name, shift


def divided(text: str) -> tuple[str, Parts]:
    """Shares of a check's predictions: `classes=block:3%,allow:97%`."""
    name, value = _split(text)
    return name, _parts(value)


def delayed(text: str) -> tuple[str, float]:
    """A delay of a check, in seconds: `30m`, `orders=2h`."""
    from seatrial.cli.raw import parse_duration  # noqa: PLC0415

    name, value = _split(text)
    found = parse_duration(value)
    if found is None or not timedelta(0) <= found <= timedelta(days=7):
        raise argparse.ArgumentTypeError(f"{value!r} is no delay: a time such as 90s, 30m or 2h, up to 168h")
    return name, found.total_seconds()


def _split(text: str) -> tuple[str, str]:
    name, _, value = text.rpartition("=")
    return name, value


def _parts(text: str) -> Parts:
    out: dict[str, float] = {}
    for piece in text.split(","):
        name, colon, value = piece.rpartition(":")
        if not colon or not name or name in out:
            raise argparse.ArgumentTypeError(f"{piece!r} is no share of a class or bucket: write block:3%,allow:97%")
        out[name] = numbers.share(value)
    if len(out) < 2 or abs(sum(out.values()) - 1.0) > 0.005:
        raise argparse.ArgumentTypeError(
            f"{text!r}: the shares make {sum(out.values()) * 100:.4g}%; name all classes or buckets, together 100%"
        )
    return out


def of_checks(pairs: Iterable[tuple[str, T]], checks: Iterable[Check], option: str, what: str) -> dict[str, T]:
    """Values by check; without a name, of all of these checks."""
    names = [check.name for check in checks]
    out: dict[str, T] = {}
    for name, value in pairs:
        if not names or (name and name not in names):
            given = f"{option} {name}=…" if name else option
            raise CliError(f"{given}: there is no such check; {what}: {', '.join(names) or 'none'}", USAGE)
        out |= dict.fromkeys([name] if name else names, value)
    return out


def predicted(args: argparse.Namespace, found: Course, known: Mapping[str, Shares]) -> dict[str, Shares]:
    """How stable's predictions are divided, by drift check: as said, else as a past has shown (`known`), else evenly."""
    from seatrial.simulate import predictions  # noqa: PLC0415

    given = of_checks(args.predicted, found.drifts, "--predicted", "those on drift are")
    out = {}
    for check in found.drifts:
        assert check.drift is not None
        if check.name in given:
            out[check.name] = _shares(check, given[check.name])
        elif check.name in known:
            out[check.name] = known[check.name]
        elif check.drift.classes is not None:
            raise CliError(
                f"check {check.name}: how are stable's predictions divided? give --predicted {check.name}=block:3%,allow:97%",
                USAGE,
            )
        else:
            out[check.name] = predictions.even()
        if isinstance(why := predictions.frozen(check, out[check.name]), str):
            raise CliError(f"check {check.name}: {why}", USAGE)
    return out


def _shares(check: Check, parts: Parts) -> Shares:
    from seatrial.simulate.predictions import ANYTHING, Shares  # noqa: PLC0415

    assert check.drift is not None
    whole, marks = sum(parts.values()), list(parts)
    if check.drift.histogram is not None:
        edges = [numbers.edge(mark) for mark in marks]
        known = [edge for edge in edges if edge is not None]
        if len(known) < len(edges) or any(a >= b for a, b in itertools.pairwise(known)):
            raise CliError(
                f"--predicted {check.name}=…: name the upper edges of the buckets in order, such as 0.5:90%,0.9:9%,+Inf:1%",
                USAGE,
            )
        if math.isfinite(known[-1]):
            marks, parts = [*marks, ANYTHING], {**parts, ANYTHING: 0.0}
    return Shares(tuple(marks), tuple(value / whole for value in parts.values()))


def moved(args: argparse.Namespace, found: Course, stable: Mapping[str, Shares]) -> dict[str, tuple[Shares, str]]:
    """The drifted candidate's predictions and a few words about them, by check; nothing where nobody asks for one."""
    given = of_checks(args.drift, found.drifts, "--drift", "those on drift are")
    if not given and found.drifts and not found.checks:
        given = dict.fromkeys((check.name for check in found.drifts), PLAIN_SHIFT)
    out = {}
    for check in found.drifts:
        how = given.get(check.name)
        if isinstance(how, float):
            out[check.name] = stable[check.name].moved(how), _told(check, stable[check.name], how)
        elif how is not None:
            own = _shares(check, how)
            if own.marks != stable[check.name].marks:
                raise CliError(
                    f"--drift {check.name}=…: name the same classes or buckets as stable has, in the same order: "
                    f"{', '.join(stable[check.name].marks)}",
                    USAGE,
                )
            out[check.name] = own, f"{check.name} {_apart(check, stable[check.name], own)}"
    return out


def to_the_limit(check: Check, stable: Shares) -> tuple[Shares, str]:
    """Predictions that differ by just what is acceptable."""
    from seatrial.simulate.predictions import shift_to_the_limit  # noqa: PLC0415

    shift = shift_to_the_limit(check, stable)
    return stable.moved(shift), _told(check, stable, shift)


def _told(check: Check, stable: Shares, shift: float) -> str:
    return f"{check.name} {shift:+.2g} sd, {_apart(check, stable, stable.moved(shift))}"


def _apart(check: Check, stable: Shares, other: Shares) -> str:
    from seatrial.core.plain import digits  # noqa: PLC0415
    from seatrial.simulate.predictions import distance  # noqa: PLC0415

    assert check.drift is not None
    return f"{check.drift.statistic} {digits(distance(check, stable, other))}"
