"""How the judge of means errs: `python -m benchmarks.means [--runs N] [--docs]`.

Whole trials of a check on revenue per order with a margin of 5 %: an hour of stable's past, an hour at 10 %, then up to five hours
at 50 %, over rates of orders and kinds of values. Three candidates in each cell: the same as stable, worse by just the margin,
and 10 % worse from its first order on. The code that judges is the operator's. Beside it, on the same counts, what people
use today:

* *t*: a t-test of the minutes' means at 1 %, one-sided, at every minute from the tenth on;
* *threshold*: a mean of the last ten minutes more than 5 % below stable's, three times in a row.

It ends with one line, and with an exit code of 1 if a target is missed: wrong rollbacks of a candidate that is worse by just the margin
(the worst that is demanded) up to 1 %, its acceptance up to 2 %; with few trials, as many more as chance explains once in a hundred
tables.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from pathlib import Path

import numpy as np

from seatrial.api.spec import Check, Margin, Mean, Runtime, WorseWhen
from seatrial.api.status import Amounts, CheckStatus, MeanArms, MeanStatus, Outcome
from seatrial.core import checks
from seatrial.core.checks import Arm, Situation, blocks

MARGIN = 0.05
UNDECIDED = 2.9
"""Nats below which nothing is decided: a sentence would be written for nobody."""
MINUTES = 360
FIRST = 60
"""Minutes at the first weight."""
WEIGHTS = (10.0, 50.0)
CHECK = Check(
    name="revenue",
    mean=Mean(of="revenue_total", per="orders_total"),
    margin=Margin(relative=Decimal(5)),
    worse_when=WorseWhen.LOWER,
)
START = datetime(2026, 1, 1, tzinfo=UTC)
PAGE = Path(__file__).resolve().parent.parent / "docs" / "kpi.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
Draw = Callable[[np.random.Generator, int], float]
"""The sum of so many values with mean 1."""


def _gamma(draw: np.random.Generator, count: int) -> float:
    return float(draw.gamma(4.0 * count, 0.25)) if count else 0.0


def _lognormal(spread: float, clump: int = 1) -> Draw:
    def some(draw: np.random.Generator, count: int) -> float:
        alone, rest = divmod(count, clump)
        values = draw.lognormal(-spread * spread / 2.0, spread, alone + 1)
        return float(clump * values[:-1].sum() + rest * values[-1])

    return some


def _rare(draw: np.random.Generator, count: int) -> float:
    return 20.0 * float(draw.lognormal(-0.5, 1.0, draw.binomial(count, 0.05)).sum())


KINDS: dict[str, Draw] = {
    "even": _gamma,
    "heavy": _lognormal(1.0),
    "very heavy": _lognormal(1.5),
    "clumps of ten": _lognormal(1.0, 10),
    "one in twenty": _rare,
}
"""Values: spread by half their mean; lognormal with σ of 1 and 1.5; ten alike at a time; 0 in 95 % and lognormal else."""


@dataclass(frozen=True)
class Cell:
    """One kind of traffic."""

    kind: str
    rate: float
    """Orders a minute, of the whole service."""


@dataclass(frozen=True)
class Trial:
    """What became of one trial: minutes, NaN for never."""

    back: float
    accepted: float
    t_test: float
    threshold: float


def sail(cell: Cell, ratio: float, seed: int) -> Trial:
    """One trial of a candidate with this multiple of stable's mean."""
    draw, some, allows = np.random.default_rng(seed), KINDS[cell.kind], blocks.allowed(CHECK)

    def amounts(mean: float, times: float = 1.0) -> Amounts:
        count = int(draw.poisson(mean))
        return Amounts(sum=blocks.amount(times * some(draw, count)), count=blocks.amount(count))

    past = [blocks.pair(amounts(cell.rate)) for _ in range(60)]
    learned = MeanStatus(spread=blocks.kept(blocks.past(past, allows.size)), per_hour=blocks.amount(60 * cell.rate))
    have = CheckStatus(name=CHECK.name, through=START, mean=learned)
    back = accepted = math.nan
    counts = []
    for minute in range(1, MINUTES + 1):
        last = minute > FIRST
        if minute == FIRST + 1:
            have = checks.restart(have, trial=False)
        share = WEIGHTS[last] / 100.0
        new = MeanArms(candidate=amounts(cell.rate * share, ratio), stable=amounts(cell.rate * (1.0 - share)))
        counts.append((*blocks.pair(new.candidate), *blocks.pair(new.stable)))
        if not math.isnan(back) or not math.isnan(accepted):
            continue
        here = _situation(START + timedelta(minutes=minute), last=last)
        have = blocks.gathered(have, here, new, allows).model_copy(
            update={"outcome": Outcome.INCONCLUSIVE, "message": ""}
        )
        side = have.evidence[0] if have.evidence else None
        if side is None or max(blocks.harm(side, here.now), blocks.safety(side, last=last)) < UNDECIDED:
            continue  # neither a Fail nor a Pass asks for so little
        have = checks.judge(CHECK, have, here)
        if have.outcome is Outcome.FAIL:
            back = minute
        elif have.outcome is Outcome.PASS and last:
            accepted = minute
    return Trial(back, accepted, *todays(np.array(counts)))


def _situation(now: datetime, *, last: bool) -> Situation:
    return Situation(
        namespace="shop",
        name="fraud",
        stable=Arm("7c9f1b20de", "a"),
        candidate=Arm("e04d5521aa", "b"),
        runtime=Runtime.CUSTOM,
        model_name=None,
        weight=WEIGHTS[last],
        last=last,
        concurrent=True,
        min_samples=200,
        settled=True,
        confirmed_at=START + timedelta(minutes=FIRST * last),
        start=START,
        now=now,
    )


def todays(counts: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> tuple[float, float]:
    """Minutes at which a repeated t-test and a threshold send the candidate back, on the same counts."""
    total, count, base_total, base_count = counts.T
    gaps = total / np.maximum(count, 1.0) - base_total / np.maximum(base_count, 1.0)
    number = np.arange(1, len(gaps) + 1)
    mean = gaps.cumsum() / number
    spread = np.sqrt(np.maximum((gaps**2).cumsum() / number - mean**2, 1e-300) / np.maximum(number - 1, 1))
    t_test = (mean / spread < -2.33) & (number >= 10)
    window = np.ones(10)
    ours = np.convolve(total, window, "valid") / np.maximum(np.convolve(count, window, "valid"), 1.0)
    theirs = np.convolve(base_total, window, "valid") / np.maximum(np.convolve(base_count, window, "valid"), 1.0)
    below = ours < (1.0 - MARGIN) * theirs
    thrice = below[2:] & below[1:-1] & below[:-2]
    return (
        float(t_test.argmax() + 1) if t_test.any() else math.nan,
        float(thrice.argmax() + 12) if thrice.any() else math.nan,
    )


@dataclass(frozen=True)
class Row:
    """One cell's results, in parts of 1."""

    cell: Cell
    runs: int
    wrong: float
    """Of candidates worse by just the margin, sent back."""
    lax: float
    """Of the same, accepted."""
    good_back: float
    good: float
    """Of candidates like stable, accepted."""
    good_hours: float
    found: float
    """Of candidates 10 % worse, sent back."""
    hours: float
    t_test: float
    threshold: float
    """Of candidates like stable, sent back by today's judges."""

    def missed(self) -> list[str]:
        """The targets that this cell misses."""
        out = []
        if self.wrong > _allowed(0.01, self.runs) or self.good_back > _allowed(0.01, self.runs):
            out.append(f"sends back {max(self.wrong, self.good_back):.1%}")
        if self.lax > _allowed(0.02, self.runs):
            out.append(f"accepts {self.lax:.1%} that are worse by the margin")
        return out


def _allowed(promise: float, runs: int) -> float:
    """The most that a promise which is just kept shows in so many trials; more is chance once in some ten thousand cells."""
    return promise + 3.7 * math.sqrt(promise * (1.0 - promise) / runs) + 1.0 / runs


def measure(cell: Cell, runs: int) -> Row:
    """All three candidates in one cell."""
    edge, good, bad = ([sail(cell, ratio, seed) for seed in range(runs)] for ratio in (1.0 - MARGIN, 1.0, 0.9))

    def part(minutes: list[float]) -> float:
        return float(np.mean(~np.isnan(minutes)))

    def middle(minutes: list[float]) -> float:
        return float(np.median(np.nan_to_num(minutes, nan=math.inf))) / 60.0

    return Row(
        cell,
        runs,
        part([one.back for one in edge]),
        part([one.accepted for one in edge]),
        part([one.back for one in good]),
        part([one.accepted for one in good]),
        middle([one.accepted for one in good]),
        part([one.back for one in bad]),
        middle([one.back for one in bad]),
        part([one.t_test for one in good]),
        part([one.threshold for one in good]),
    )


def table(rows: list[Row]) -> str:
    """The rows as Markdown."""
    columns = (
        "values",
        "orders a minute",
        "5 % less: sent back",
        "5 % less: accepted",
        "the same: sent back",
        "the same: accepted",
        "after, hours",
        "10 % less: found",
        "after, hours",
        "the same, sent back by a t-test",
        "by a threshold",
    )
    out = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for row in rows:
        good, bad = ("–" if math.isinf(hours) else f"{hours:.1f}" for hours in (row.good_hours, row.hours))
        out.append(
            f"| {row.cell.kind} | {row.cell.rate:g} | {row.wrong:.1%} | {row.lax:.1%} | {row.good_back:.1%} | {row.good:.0%} | {good} "
            f"| {row.found:.0%} | {bad} | {row.t_test:.0%} | {row.threshold:.0%} |"
        )
    return "\n".join(out)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.means", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200, help="trials of each candidate in each cell (default: 200)")
    parser.add_argument("--docs", action="store_true", help=f"write the table into {PAGE.name}")
    asked = parser.parse_args()
    begun, rows = time.monotonic(), []
    cells = [Cell(kind, rate) for kind, rate in product(KINDS, (60.0, 600.0))]
    with ProcessPoolExecutor() as pool:
        for row in pool.map(measure, cells, [asked.runs] * len(cells)):
            rows.append(row)
            said = "; ".join(row.missed()) or "fine"
            print(f"{len(rows)}/{len(cells)} {row.cell.kind}, {row.cell.rate:g}: {said}", file=sys.stderr, flush=True)
    print(table(rows))
    if asked.docs:
        text = PAGE.read_text(encoding="utf-8")
        before, after = text[: text.index(BEGIN) + len(BEGIN)], text[text.index(END) :]
        PAGE.write_text(f"{before}\n{table(rows)}\n{after}", encoding="utf-8")
    missed = [f"{row.cell.kind}, {row.cell.rate:g}: {said}" for row in rows for said in row.missed()]
    for line in missed:
        print(f"missed: {line}")
    worst, lax = max(rows, key=lambda row: max(row.wrong, row.good_back)), max(rows, key=lambda row: row.lax)
    print(
        f"means: {len(rows)} cells of {asked.runs} trials in {time.monotonic() - begun:.0f} s; worst wrong rollback "
        f"{max(worst.wrong, worst.good_back):.1%} ({worst.cell.kind}, {worst.cell.rate:g} a minute), worst wrong acceptance "
        f"{lax.lax:.1%} ({lax.cell.kind}, {lax.cell.rate:g}); today's judges send back up to "
        f"{max(row.t_test for row in rows):.0%} (t) and {max(row.threshold for row in rows):.0%} (threshold) of candidates like "
        f"stable; {len(missed)} targets missed"
    )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
