"""What many trials and one typical one have shown, for a person and for a program."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

import numpy as np

from seatrial.core.checks.forecast import told
from seatrial.simulate.course import Course
from seatrial.simulate.fleet import End, Trials
from seatrial.simulate.labels import late
from seatrial.simulate.traffic import Traffic
from seatrial.simulate.world import Voyage

WIDTH = 120
"""Columns of the text where no terminal says how many there are."""
BROADEST = 100
"""Columns of the chart at the most."""
ROWS = 4
CLOCK, REMARK = re.compile(r"\d\d:\d\d:\d\d  "), re.compile(r"(late|left out): ")
BLOCKS = " ▁▂▃▄▅▆▇█"
GOOD, MARGIN, BAD, DRIFTED = "identical", "worse by the margin", "bad", "drifted"
STOPPED = (End.BACK, End.BACK_LATER, End.PAUSED)


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one kind of candidate."""

    kind: str
    """`identical`, `worse by the margin`, `bad` or `drifted`."""
    told: str
    """It in numbers: `errors 5%`."""
    trials: Trials
    typical: Voyage | None = None

    def count(self, *ends: End) -> int:
        """Trials that ended in one of these ways."""
        return int(np.isin(self.trials.end, [int(end) for end in ends]).sum())

    def when(self, *ends: End) -> Any:
        """Seconds to the decision of those."""
        return self.trials.decided[np.isin(self.trials.end, [int(end) for end in ends])]

    @property
    def accepted(self) -> int:
        """Trials in which it became stable, those that a probation has sent back among them."""
        return self.count(End.ACCEPTED, End.BACK_LATER)


def quantile(values: Any, q: float) -> float | None:
    """A quantile; None of nothing."""
    return float(np.quantile(values, q)) if len(values) else None


def document(course: Course, traffic: Traffic, fates: list[Fate], seed: int, horizon: float) -> dict[str, Any]:
    """Everything, for programs. Times are seconds."""
    return {
        "model": course.name,
        "steps": [leg.mark() for leg in course.legs],
        "traffic": {
            "requestsPerSecond": round(traffic.rate, 6),
            "shares": {name: round(value, 8) for name, value in traffic.shares.items()},
            "labelDelays": dict(traffic.delays),
            "requestsCountedLate": traffic.all_late,
            "predictions": {
                name: dict(zip(one.marks, (round(part, 6) for part in one.parts), strict=True))
                for name, one in traffic.predictions.items()
            },
            "clumps": round(traffic.clump, 3),
            "daily": traffic.daily,
            "replayed": traffic.record is not None,
        },
        "seed": seed,
        "longest": horizon,
        "leftOut": list(course.left_out),
        "lateLabels": list(late(course, traffic.delays, all_late=traffic.all_late)),
        "candidates": [_entry(fate) for fate in fates],
    }


def _entry(fate: Fate) -> dict[str, Any]:
    runs = len(fate.trials.end)
    found, stopped = fate.when(End.BACK, End.BACK_LATER), fate.when(*STOPPED)
    promoted = fate.when(End.ACCEPTED)
    exposed = fate.trials.exposed[np.isin(fate.trials.end, [int(end) for end in STOPPED])]

    def both(values: Any) -> dict[str, float | None]:
        return {
            "median": _round(quantile(values, 0.5)),
            "p90": _round(quantile(values, 0.9)),
        }

    out: dict[str, Any] = {
        "kind": fate.kind,
        "candidate": fate.told,
        "trials": runs,
        "sentBack": fate.count(End.BACK),
        "accepted": fate.count(End.ACCEPTED),
        "sentBackOnProbation": fate.count(End.BACK_LATER),
        "paused": fate.count(End.PAUSED),
        "undecided": fate.count(End.UNDECIDED),
        "open": fate.count(End.OPEN),
        "timeToSendBack": both(found),
        "timeToStop": both(stopped),
        "timeToPromote": both(promoted),
        "requestsExposed": both(exposed),
    }
    if (voyage := fate.typical) is not None:
        out["typical"] = {
            "end": voyage.end,
            "weights": [
                {"at": round(m.at, 1), "phase": m.phase, "weight": round(m.weight, 4), "copied": m.copied}
                for m in voyage.moments
            ],
            "said": [{"at": round(at, 1), "sentence": sentence} for at, sentence in voyage.said],
        }
    return out


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def text(
    course: Course, traffic: Traffic, fates: list[Fate], seed: int, horizon: float, width: int = WIDTH
) -> Iterator[str]:
    """The report for a person, in so many columns."""
    for line in _text(course, traffic, fates, seed, horizon, width):
        yield from (
            [line] if len(line) <= width else wrap(line, width, subsequent_indent=_indent(line), break_on_hyphens=False)
        )


def _indent(line: str) -> str:
    """Where a line goes on: below what follows a moment of a trial, or the mark of a remark."""
    begun = CLOCK.match(line) or REMARK.match(line)
    return " " * (begun.end() if begun else 2)


def _text(course: Course, traffic: Traffic, fates: list[Fate], seed: int, horizon: float, width: int) -> Iterator[str]:
    runs = len(fates[0].trials.end)
    shares = ", ".join(f"{name} {percent(value)}" for name, value in traffic.shares.items())
    again = "" if traffic.record is None else ", on average of the past that is replayed"
    yield (
        f"{course.name}: {traffic.rate:.3g} requests a second"
        + (f"; stable's shares: {shares}" if shares else "")
        + again
    )
    yield f"steps {', '.join(leg.told() for leg in course.legs)}; {runs:,} trials of each candidate, seed {seed}"
    yield from (f"left out: {sentence}" for sentence in course.left_out)
    yield from (f"late: {sentence}" for sentence in late(course, traffic.delays, all_late=traffic.all_late))
    yield ""
    yield from _table(fates, horizon, width)
    yield ""
    yield from _answers(fates)
    for fate in fates:
        if fate.typical is not None:
            yield ""
            yield f"A typical trial of {_name(fate)}: {fate.typical.end}"
            yield from chart(fate.typical, min(BROADEST, width - 7))
            yield from (f"{clock(at)}  {sentence}" for at, sentence in fate.typical.said)


def _name(fate: Fate) -> str:
    return f"the {fate.kind} candidate ({fate.told})" if fate.kind != MARGIN else f"one {fate.kind} ({fate.told})"


def _table(fates: list[Fate], horizon: float, width: int) -> Iterator[str]:
    header = ["candidate", "", "sent back", "paused", "accepted", "undecided", "after", "9 in 10", "requests"]
    rows = [header]
    for fate in fates:
        stopped, accepted, later = fate.count(End.BACK, End.PAUSED), fate.accepted, fate.count(End.BACK_LATER)
        ends = STOPPED if stopped >= accepted and stopped else (End.ACCEPTED,)
        times, exposed = fate.when(*ends), fate.trials.before if ends == (End.ACCEPTED,) else fate.trials.exposed
        met = exposed[np.isin(fate.trials.end, [int(end) for end in ends])]
        if 2 * len(times) < len(fate.trials.end):
            times, met = times[:0], met[:0]  # most are neither: a few of them tell nothing
        rows.append(
            [
                fate.kind,
                fate.told,
                _of(fate.count(End.BACK), fate),
                _of(fate.count(End.PAUSED), fate),
                _of(accepted, fate) + (f" ({_of(later, fate)} back later)" if later else ""),
                _of(len(fate.trials.end) - stopped - accepted, fate),
                _time(quantile(times, 0.5)),
                _time(quantile(times, 0.9)),
                "–" if not len(met) else f"{np.median(met):,.0f}",
            ]
        )
    if not any(fate.count(End.PAUSED) for fate in fates):
        rows = [[*row[:3], *row[4:]] for row in rows]
    yield from _columns(rows, width)
    yield "after, 9 in 10: when most are stopped, or else accepted; requests: of users, answered by it until then"
    if any(fate.count(End.OPEN) for fate in fates):
        yield f"undecided: nothing was decided in {told(horizon)}, the longest that is simulated, or in a step's own time"


def _columns(rows: list[list[str]], width: int) -> Iterator[str]:
    """A table; where it is too broad, each candidate stands on a line of its own."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    narrow = sum(widths) + 2 * (len(widths) - 1) > width
    if narrow:
        widths = [4, *widths[2:]]
    for index, row in enumerate(rows):
        if narrow and index:
            yield f"{row[0]} ({row[1]})" if row[1] else row[0]
        cells = ["", *row[2:]] if narrow else row
        yield "  ".join(cell.ljust(size) for cell, size in zip(cells, widths, strict=True)).rstrip()


def _answers(fates: list[Fate]) -> Iterator[str]:
    """The questions that a team has."""
    for fate in fates:
        runs, stopped = len(fate.trials.end), fate.when(*STOPPED)
        if fate.kind == GOOD:
            wrong = fate.count(End.BACK, End.BACK_LATER)
            yield f"wrong rollbacks of an identical candidate: {_chance(wrong, runs)}"
            if any(one.count(End.PAUSED) for one in fates):
                yield f"wrong pauses of it: {_chance(fate.count(End.PAUSED), runs)}"
            yield f"time to promote it: {_spread(fate.when(End.ACCEPTED))}"
        elif fate.kind == BAD:
            yield f"bad models accepted: {_chance(fate.accepted, runs)}"
            yield f"time to send a bad one back: {_spread(stopped)}"
        elif fate.kind == DRIFTED:
            yield f"shifts missed (drifted models accepted): {_chance(fate.accepted, runs)}"
            yield f"time to notice a shift: {_spread(stopped)}"
        met = fate.trials.exposed[np.isin(fate.trials.end, [int(end) for end in STOPPED])]
        if fate.kind in (BAD, DRIFTED) and len(met):
            until = (
                f"{np.median(met):,.0f}, nine in ten times up to {np.quantile(met, 0.9):,.0f}" if met.max() else "none"
            )
            yield f"users' requests that it answers until then: {until}"


def _chance(count: int, runs: int) -> str:
    """A chance, with what so many trials can rule out (95 %): three in so many where there was none."""
    if count == 0:
        return f"none of {runs:,}, so below {percent(3.0 / runs)}" if runs > 3 else f"none of {runs:,}"
    return f"{count:,} of {runs:,} ({percent(count / runs)})"


def _spread(times: Any) -> str:
    if not len(times):
        return "never"
    return f"{_time(quantile(times, 0.5))}, nine in ten times up to {_time(quantile(times, 0.9))}"


def _of(count: int, fate: Fate) -> str:
    return percent(count / len(fate.trials.end)) if count else "0"


def _time(seconds: float | None) -> str:
    return "–" if seconds is None else told(seconds)


def percent(value: float) -> str:
    """A share for a person: `1%`, `0.05%`."""
    return f"{value * 100:.3g}%"


def clock(seconds: float) -> str:
    """`00:04:10`."""
    whole = int(seconds)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def chart(voyage: Voyage, columns: int) -> Iterator[str]:
    """The candidate's weight over time, copies in a shadow as dots."""
    end = max(voyage.moments[-1].at, 1.0)
    weights, copied = [0.0] * columns, [False] * columns
    for moment, following in zip(voyage.moments, voyage.moments[1:], strict=False):
        first = min(columns - 1, int(moment.at / end * columns))
        last = max(first + 1, math.ceil(following.at / end * columns))
        for column in range(first, min(columns, last)):
            weights[column], copied[column] = moment.weight, moment.copied > 0
    for row in range(ROWS - 1, -1, -1):
        cells = []
        for weight, copy in zip(weights, copied, strict=True):
            filled = weight / 100.0 * ROWS - row
            level = min(8, max(1 if weight >= 1.0 and row == 0 else 0, round(filled * 8)))
            cells.append("·" if copy and row == 0 else BLOCKS[max(0, level)])
        label = {ROWS - 1: "100 %", 0: "  0 %"}.get(row, "")
        yield f"{label:>5} {''.join(cells)}".rstrip()
    yield f"      0{told(end):>{columns - 1}}"
