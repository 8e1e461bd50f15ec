"""How the judge of shares errs: `python -m benchmarks.verdicts [--runs N] [--full] [--docs]`.

Whole trials with the default steps (5, 25, 50 %, five minutes each, a look every 15 s, one hour), after an hour of stable's past,
over request rates, shares of errors and clumps. Three candidates in each cell: one as good as stable, one worse by twice the
margin, and one plainly worse from its first request on. Beside it, on the same counts, what people use today:

* *threshold*: the candidate's errors of the last minute above stable's share plus the margin, three such minutes in all (Argo
  Rollouts, Flagger: a fixed limit and a count of failures; here with a limit that knows stable's true share);
* *z*: a test of two shares at 5 %, on all counts so far, at every minute;
* *ranks*: Mann and Whitney's test of the minutes' shares, 2 %, the candidate's against 1.25 times stable's, from the tenth minute
  on at every tenth (Kayenta's tolerance and confidence).

It ends with one line, and with an exit code of 1 if a target is missed: wrong rollbacks of a whole trial up to 1 % (twelve checks
included), candidates worse by twice the margin accepted up to 1 %, good ones accepted within twice the least time in 95 % where the
forecast gave no warning.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import product
from pathlib import Path

import numpy as np

from seatrial.api.spec import Check, CheckPreset, Strategy
from seatrial.core.checks.forecast import Stable, warning
from seatrial.core.checks.judging import FALSE_ALARM, FALSE_PASS, FALSE_STEP, SUSPICION
from seatrial.core.checks.terms import terms_of
from seatrial.core.legs import legs
from seatrial.simulate.judge import Array, Judge

INTERVAL = 15.0
LOOKS = 240
MINUTE = 4
STEPS = (0.05, 0.25, 0.50)
LEAST = 20
"""Looks at each step, at the least."""
SAMPLES = 200
CHECKS = 12
TERMS = replace(terms_of(Check(name="errors", preset=CheckPreset.ERRORS)), ceiling=None)
"""The margin alone: where stable itself is above the ceiling of 5 %, every candidate is sent back, and rightly."""
PAGE = Path(__file__).resolve().parent.parent / "docs" / "verdicts.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


@dataclass(frozen=True)
class Cell:
    """One kind of traffic."""

    rate: float
    """Requests a second, of the whole service."""
    base: float
    """Stable's share of errors."""
    clump: float

    def told(self) -> str:
        return f"{self.rate:g} rps, {self.base:.2%} errors in clumps of {self.clump:g}"


@dataclass(frozen=True)
class Trials:
    """What became of many trials of one candidate."""

    back: Array
    """Minute of the rollback, with one check; NaN for none."""
    back_of_many: Array
    """The same, where each of twelve checks gets its part of the promise."""
    accepted: Array
    """Minute of the acceptance; NaN for none."""
    others: dict[str, Array]
    """Minute at which each of today's judges sends the candidate back."""


def some(draw: np.random.Generator, mean: Array, share: Array | float, clump: float) -> tuple[Array, Array]:
    """Events and requests: events in clumps of geometric size, requests by chance."""
    total = draw.poisson(mean)
    starts = draw.poisson(total * np.broadcast_to(share, mean.shape) / clump)
    if clump > 1.0:
        starts = starts + np.where(starts > 0, draw.negative_binomial(np.maximum(starts, 1), 1.0 / clump), 0)
    return np.minimum(starts, total).astype(float), total.astype(float)


def sail(cell: Cell, share: float, runs: int, seed: int, *, holds: bool = False) -> Trials:
    """Trials of a candidate with a share of errors. `holds`: a judge that decides nothing, which must miss the targets."""
    draw = np.random.default_rng(seed)
    judge = Judge(runs, TERMS)
    full = np.full(runs, cell.rate * INTERVAL)
    for _ in range(LOOKS):
        judge.past(*some(draw, full, cell.base, cell.clump))
    at, since = np.zeros(runs, int), np.zeros(runs, int)
    back, many, accepted = (np.full(runs, np.nan) for _ in range(3))
    requests, counts = np.zeros(runs), []
    over = np.zeros(runs, bool)
    for look in range(1, LOOKS + 1):
        weight = np.array(STEPS)[at]
        e, n = some(draw, full * weight, share, cell.clump)
        b, m = some(draw, full * (1.0 - weight), cell.base, cell.clump)
        counts.append((e, n, b, m))
        judge.look(e, n, b, m, weight, INTERVAL)
        requests += n
        since += 1
        harm = np.zeros(runs) if holds else judge.harm()
        for found, checks in ((back, 1), (many, CHECKS)):
            new = np.isnan(found) & ~over & (harm >= math.log(checks / FALSE_ALARM))
            found[new] = look * INTERVAL / 60.0
        step, trial = judge.passes()
        calm = (since >= LEAST) & (harm <= SUSPICION) & np.isnan(back) & (not holds)
        enough = requests >= SAMPLES
        last = at == len(STEPS) - 1
        done = calm & enough & last & (trial >= -math.log(FALSE_PASS)) & ~over
        accepted[done] = look * INTERVAL / 60.0
        over |= done | ~np.isnan(back)
        onward = calm & enough & ~last & (step >= -math.log(FALSE_STEP)) & ~over
        judge.restart(onward)
        at, since = np.where(onward, at + 1, at), np.where(onward, 0, since)
    return Trials(back, many, accepted, todays(counts, cell))


def todays(counts: list[tuple[Array, ...]], cell: Cell) -> dict[str, Array]:
    """When today's judges would send the candidates back, on the same counts."""
    e, n, b, m = (np.array(column) for column in zip(*counts, strict=True))
    minutes = [x.reshape(-1, MINUTE, x.shape[1]).sum(axis=1) for x in (e, n, b, m)]
    share = minutes[0] / np.maximum(minutes[1], 1.0)
    control = minutes[2] / np.maximum(minutes[3], 1.0)
    above = (share > cell.base + TERMS.margin(cell.base)) & (minutes[1] > 0)
    ce, cn, cb, cm = (x.cumsum(axis=0) for x in minutes)
    pooled = (ce + cb) / np.maximum(cn + cm, 1.0)
    spread = np.sqrt(np.maximum(pooled * (1 - pooled) * (1 / np.maximum(cn, 1) + 1 / np.maximum(cm, 1)), 1e-300))
    z = (ce / np.maximum(cn, 1.0) - cb / np.maximum(cm, 1.0)) / spread
    return {
        "threshold": _first(above.cumsum(axis=0) >= 3),
        "z": _first((z > 1.645) & (cn > 0)),
        "ranks": _first(np.array([_higher(share[: k + 1], control[: k + 1]) if k % 10 == 9 else np.zeros(share.shape[1], bool) for k in range(len(share))])),
    }  # fmt: skip


def _first(hits: Array) -> Array:
    return np.where(hits.any(axis=0), hits.argmax(axis=0) + 1.0, np.nan)


def _higher(share: Array, control: Array) -> Array:
    """Whether ranks say that the candidate's minutes are above 1.25 times stable's, at 2 %."""
    values = np.concatenate([share, 1.25 * control])
    order = values.argsort(axis=0, kind="stable").argsort(axis=0) + 1.0
    size = len(share)
    u = order[:size].sum(axis=0) - size * (size + 1) / 2
    tied = values[:1] == values
    spread = math.sqrt(size * size * (2 * size + 1) / 12.0)
    out: Array = ((u - size * size / 2) / spread > 2.054) & ~tied.all(axis=0)
    return out


def warned(cell: Cell) -> bool:
    """Whether the forecast calls this plan slow."""
    stable = Stable(cell.rate, cell.base, cell.clump)
    return bool(warning("errors", TERMS, stable, legs(Strategy()), timedelta(seconds=INTERVAL), SAMPLES))


@dataclass(frozen=True)
class Row:
    """One cell's results, in parts of 1."""

    cell: Cell
    wrong: float
    wrong_of_many: float
    accepted: float
    bad_accepted: float
    found: float
    minutes: float
    warned: bool
    others: dict[str, float]

    def missed(self) -> list[str]:
        """The targets that this cell misses. With few trials one wrong one is no miss."""
        out = []
        if self.wrong > 0.01 or self.wrong_of_many > 0.01:
            out.append(f"sends back {max(self.wrong, self.wrong_of_many):.1%} of good candidates")
        if self.bad_accepted > 0.01:
            out.append(f"accepts {self.bad_accepted:.1%} of bad candidates")
        if not self.warned and self.accepted < 0.95:
            out.append(f"accepts only {self.accepted:.0%} of good candidates in time")
        return out


def measure(cell: Cell, runs: int, *, holds: bool = False) -> Row:
    """All three candidates in one cell."""
    good = sail(cell, cell.base, runs, 1, holds=holds)
    bad = sail(cell, cell.base + 2 * TERMS.margin(cell.base), runs, 2, holds=holds)
    plain = sail(cell, min(0.95, cell.base + 0.04), max(40, runs // 4), 3, holds=holds)
    # Twelve checks fail independently of each other at worst.
    many = 1.0 - (1.0 - float(np.mean(~np.isnan(good.back_of_many)))) ** CHECKS
    in_time = 2 * LEAST * len(STEPS) * INTERVAL / 60.0
    times = np.where(np.isnan(plain.back), np.inf, plain.back)
    return Row(
        cell,
        float(np.mean(~np.isnan(good.back))),
        many,
        float(np.mean(good.accepted <= in_time)),
        float(np.mean(~np.isnan(bad.accepted))),
        float(np.mean(~np.isnan(plain.back))),
        float(np.median(times)),
        warned(cell),
        {name: float(np.mean(~np.isnan(minute))) for name, minute in good.others.items()},
    )


def cells(full: bool) -> Iterator[Cell]:
    """The grid: every combination, or every second of the long one."""
    rates = (1.0, 5.0, 20.0, 100.0, 1000.0) if full else (1.0, 20.0, 200.0)
    shares = (0.0001, 0.001, 0.01, 0.1) if full else (0.0001, 0.003, 0.1)
    for rate, share, clump in product(rates, shares, (1.0, 3.0, 10.0)):
        yield Cell(rate, share, clump)


def table(rows: list[Row]) -> str:
    """The rows as Markdown."""
    columns = (
        "requests/s",
        "errors",
        "clumps",
        "good: sent back",
        "with 12 checks",
        "accepted in 30 min",
        "twice the margin worse: accepted",
        "+4 points: found",
        "after, min",
        *(f"good, sent back by {name}" for name in rows[0].others),
    )
    out = [
        f"| {' | '.join(columns)} |",
        "|---" * len(columns) + "|",
    ]
    for row in rows:
        minutes = "–" if math.isinf(row.minutes) else f"{row.minutes:.1f}"
        late = " (warned)" if row.warned else ""
        out.append(
            f"| {row.cell.rate:g} | {row.cell.base:.2%} | {row.cell.clump:g} | {row.wrong:.1%} | {row.wrong_of_many:.1%} "
            f"| {row.accepted:.0%}{late} | {row.bad_accepted:.1%} | {row.found:.0%} | {minutes} "
            f"| {row.others['threshold']:.0%} | {row.others['z']:.0%} | {row.others['ranks']:.0%} |"
        )
    return "\n".join(out)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verdicts", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=400, help="trials of each candidate in each cell (default: 400)")
    parser.add_argument("--full", action="store_true", help="the whole grid: about an hour")
    parser.add_argument("--docs", action="store_true", help=f"write the table into {PAGE.name}")
    asked = parser.parse_args()
    begun, rows = time.monotonic(), []
    with ProcessPoolExecutor() as pool:
        grid = list(cells(asked.full))
        for row in pool.map(measure, grid, [asked.runs] * len(grid)):
            rows.append(row)
            print(
                f"{len(rows)}/{len(grid)} {row.cell.told()}: {'; '.join(row.missed()) or 'fine'}",
                file=sys.stderr,
                flush=True,
            )
    print(table(rows))
    if asked.docs:
        text = PAGE.read_text(encoding="utf-8")
        before, after = text[: text.index(BEGIN) + len(BEGIN)], text[text.index(END) :]
        PAGE.write_text(f"{before}\n{table(rows)}\n{after}", encoding="utf-8")
    missed = [f"{row.cell.told()}: {said}" for row in rows for said in row.missed()]
    for line in missed:
        print(f"missed: {line}")
    worst = max(rows, key=lambda row: max(row.wrong, row.wrong_of_many))
    lax = max(rows, key=lambda row: row.bad_accepted)
    today = {name: max(row.others[name] for row in rows) for name in rows[0].others}
    print(
        f"verdicts: {len(rows)} cells of {asked.runs} trials in {time.monotonic() - begun:.0f} s; worst wrong rollback "
        f"{max(worst.wrong, worst.wrong_of_many):.1%} ({worst.cell.told()}), worst wrong acceptance {lax.bad_accepted:.1%} "
        f"({lax.cell.told()}); today's judges send back up to "
        f"{', '.join(f'{rate:.0%} ({name})' for name, rate in today.items())}; {len(missed)} targets missed"
    )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
