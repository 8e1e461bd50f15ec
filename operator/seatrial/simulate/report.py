"""What many trials and one typical one have shown, for a person and for a program."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from seatrial.core.checks.forecast import told
from seatrial.simulate.course import Course
from seatrial.simulate.fleet import End, Trials
from seatrial.simulate.traffic import Traffic
from seatrial.simulate.world import Voyage

COLUMNS = 60
"""Width of the chart."""
ROWS = 4
BLOCKS = " ▁▂▃▄▅▆▇█"
GOOD, MARGIN, BAD = "identical", "worse by the margin", "bad"


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one kind of candidate."""

    kind: str
    """`identical`, `worse by the margin` or `bad`."""
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
            "clumps": round(traffic.clump, 3),
            "daily": traffic.daily,
            "replayed": traffic.record is not None,
        },
        "seed": seed,
        "longest": horizon,
        "leftOut": list(course.left_out),
        "candidates": [_entry(fate) for fate in fates],
    }


def _entry(fate: Fate) -> dict[str, Any]:
    runs = len(fate.trials.end)
    found = fate.when(End.BACK, End.BACK_LATER)
    promoted = fate.when(End.ACCEPTED)
    exposed = fate.trials.exposed[np.isin(fate.trials.end, [int(End.BACK), int(End.BACK_LATER)])]

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
        "undecided": fate.count(End.UNDECIDED, End.PAUSED),
        "open": fate.count(End.OPEN),
        "timeToSendBack": both(found),
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


def text(course: Course, traffic: Traffic, fates: list[Fate], seed: int, horizon: float) -> Iterator[str]:
    """The report for a person."""
    runs = len(fates[0].trials.end)
    shares = ", ".join(f"{name} {percent(value)}" for name, value in traffic.shares.items())
    again = "" if traffic.record is None else ", on average of the past that is replayed"
    yield f"{course.name}: {traffic.rate:.3g} requests a second; stable's shares: {shares}{again}"
    yield f"steps {', '.join(leg.told() for leg in course.legs)}; {runs:,} trials of each candidate, seed {seed}"
    yield from (f"left out: {sentence}" for sentence in course.left_out)
    yield ""
    yield from _table(fates, horizon)
    yield ""
    yield from _answers(fates)
    for fate in fates:
        if fate.typical is not None:
            yield ""
            yield f"A typical trial of {_name(fate)}: {fate.typical.end}"
            yield from chart(fate.typical)
            yield from (f"{clock(at)}  {sentence}" for at, sentence in fate.typical.said)


def _name(fate: Fate) -> str:
    return f"the {fate.kind} candidate ({fate.told})" if fate.kind != MARGIN else f"one {fate.kind} ({fate.told})"


def _table(fates: list[Fate], horizon: float) -> Iterator[str]:
    header = ("candidate", "", "sent back", "accepted", "undecided", "after", "nine in ten", "users' requests")
    rows = [header]
    for fate in fates:
        back, accepted = fate.count(End.BACK), fate.accepted
        ends = (End.BACK, End.BACK_LATER) if back >= accepted else (End.ACCEPTED,)
        times, exposed = fate.when(*ends), fate.trials.exposed if back >= accepted else fate.trials.before
        met = exposed[np.isin(fate.trials.end, [int(end) for end in ends])]
        later = fate.count(End.BACK_LATER)
        rows.append(
            (
                fate.kind,
                fate.told,
                _of(back, fate),
                _of(accepted, fate) + (f", {later:,} of them back on probation" if later else ""),
                _of(len(fate.trials.end) - back - accepted, fate),
                _time(quantile(times, 0.5)),
                _time(quantile(times, 0.9)),
                "–" if not len(met) else f"{np.median(met):,.0f}",
            )
        )
    widths = [max(len(row[index]) for row in rows) for index in range(len(header))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    if any(fate.count(End.OPEN) for fate in fates):
        yield f"undecided: nothing was decided in {told(horizon)}, the longest that is simulated, or in a step's own time"


def _answers(fates: list[Fate]) -> Iterator[str]:
    """The questions that a team has."""
    good = next(fate for fate in fates if fate.kind == GOOD)
    bad = next(fate for fate in fates if fate.kind == BAD)
    wrong = good.count(End.BACK, End.BACK_LATER)
    yield f"wrong rollbacks of an identical candidate: {_chance(wrong, len(good.trials.end))}"
    yield f"time to promote it: {_spread(good.when(End.ACCEPTED))}"
    yield f"bad models accepted: {_chance(bad.accepted, len(bad.trials.end))}"
    yield f"time to send a bad one back: {_spread(bad.when(End.BACK, End.BACK_LATER))}"
    which = np.isin(bad.trials.end, [int(End.BACK), int(End.BACK_LATER)])
    met = bad.trials.exposed[which]
    if len(met):
        yield f"users' requests that it answers until then: {np.median(met):,.0f}, nine in ten times up to {np.quantile(met, 0.9):,.0f}"


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


def chart(voyage: Voyage) -> Iterator[str]:
    """The candidate's weight over time, copies in a shadow as dots."""
    end = max(voyage.moments[-1].at, 1.0)
    weights, copied = [0.0] * COLUMNS, [False] * COLUMNS
    for moment, following in zip(voyage.moments, voyage.moments[1:], strict=False):
        first = min(COLUMNS - 1, int(moment.at / end * COLUMNS))
        last = max(first + 1, math.ceil(following.at / end * COLUMNS))
        for column in range(first, min(COLUMNS, last)):
            weights[column], copied[column] = moment.weight, moment.copied > 0
    for row in range(ROWS - 1, -1, -1):
        cells = []
        for weight, copy in zip(weights, copied, strict=True):
            filled = weight / 100.0 * ROWS - row
            level = min(8, max(1 if weight >= 1.0 and row == 0 else 0, round(filled * 8)))
            cells.append("·" if copy and row == 0 else BLOCKS[max(0, level)])
        label = {ROWS - 1: "100 %", 0: "  0 %"}.get(row, "")
        yield f"{label:>5} {''.join(cells)}".rstrip()
    yield f"      0{told(end):>{COLUMNS - 1}}"
