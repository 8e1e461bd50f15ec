"""Run it: see the package."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.verdicts import hour, late, page, replays, scores, targets, traffic, trials
from benchmarks.verdicts.rates import Rate

EXPERIMENTS = ("hour", "trials", "late", "scores", "replays", "slide")


def _shown(_: object) -> list[str]:
    """Nothing is demanded."""
    return []


@dataclass(frozen=True)
class Errand:
    """One cell of one experiment."""

    experiment: str
    told: str
    measure: Callable[..., Any]
    arguments: tuple[Any, ...]
    judged: Callable[[Any], list[str]] = _shown
    again: tuple[Any, ...] | None = None
    """With what it is measured once more, on more trials, where a target is missed: that is what counts then."""

    def __call__(self) -> Any:
        """The result."""
        out = self.measure(*self.arguments)
        return self.measure(*self.again) if self.again is not None and self.judged(out) else out


def errands(runs: int, many: int, few: int, *, full: bool) -> Iterator[Errand]:
    """The longest first, so that no core waits at the end."""
    for name, world in replays.WORLDS.items():
        yield Errand("replays", f"replay: {world.told}", replays.measure, (name, few), targets.of_replay)
    yield Errand("slide", "ten releases in a row", replays.slide, (max(1, few // 8),))
    third = max(20, runs // 3)
    for cell, share in late.CELLS:
        told = f"late: {cell.told()} → {100 * share:g} %"
        yield Errand("late", told, late.measure, (cell, share, third), targets.of_late, (cell, share, 3 * third))
    for cell in traffic.weighted(full):
        yield Errand(
            "hour",
            f"hour: {cell.told()}",
            hour.measure,
            (cell, runs, many),
            targets.of_hour,
            (cell, runs, max(many, 300)),
        )
    for cell in traffic.stepped(full):
        yield Errand("trials", f"trial: {cell.told()}", trials.measure, (cell, runs), targets.of_steps)
    for rate in scores.RATES:
        yield Errand("scores", f"scores: {rate} a minute", scores.measure, (rate, runs), targets.of_scores)


def run(asked: argparse.Namespace) -> tuple[dict[str, list[Any]], list[str]]:
    """Results by experiment in the order of the errands, and what was missed."""
    todo = [
        one for one in errands(asked.runs, asked.many, asked.replays, full=asked.full) if one.experiment in asked.only
    ]
    done: dict[int, Any] = {}
    missed: dict[int, list[str]] = {}
    begun = time.monotonic()
    with ProcessPoolExecutor(asked.jobs) as pool:
        futures = {pool.submit(one): index for index, one in enumerate(todo)}
        for future in as_completed(futures):
            index = futures[future]
            done[index] = future.result()
            missed[index] = [f"{todo[index].told}: {said}" for said in todo[index].judged(done[index])]
            for said in missed[index] or [f"{todo[index].told}: fine"]:
                print(f"{len(done)}/{len(todo)} {time.monotonic() - begun:.0f}s {said}", file=sys.stderr, flush=True)
    results: dict[str, list[Any]] = {name: [] for name in EXPERIMENTS}
    for index, one in enumerate(todo):
        results[one.experiment].append(done[index])
    return results, [said for index in sorted(missed) for said in missed[index]]


def last_line(results: dict[str, list[Any]], missed: list[str], seconds: float) -> str:
    """The worst cell and its rate."""
    wrong = [
        *((rate, f"{row.cell.told()}, {checks} checks") for row in results["hour"] for checks, rate in ((1, row.wrong), (hour.CHECKS, row.wrong_of_many))),
        *((row.wrong, f"{row.cell.told()}, all steps") for row in results["trials"]),
    ]  # fmt: skip
    bad = [(row.bad_accepted, row.cell.told()) for row in results["trials"]]
    parts = [f"verdicts: {sum(len(rows) for rows in results.values())} cells in {seconds:.0f} s"]
    for said, rates in (("wrong rollbacks", wrong), ("wrong acceptances", bad)):
        if rates:
            worst, where = max(rates, key=lambda one: (one[0].share, one[0].most))
            both = sum((rate for rate, _ in rates), Rate(0, 0))
            parts.append(f"worst of {said} {worst.told()} at {where}; all cells {both.told()}")
    return "; ".join([*parts, f"{len(missed)} targets missed"])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verdicts", description="how often the judge is wrong")
    parser.add_argument("--runs", type=int, default=300, help="trials of each candidate in each cell (default: 300)")
    parser.add_argument("--many", type=int, default=300, help="trials of twelve checks in each cell (default: 300)")
    parser.add_argument("--replays", type=int, default=24, help="trials of raw counters in each world (default: 24)")
    parser.add_argument("--full", action="store_true", help="the whole grid: some hours")
    parser.add_argument("--docs", action="store_true", help=f"write {page.PAGE.name}, its numbers and its charts")
    parser.add_argument(
        "--only", nargs="+", choices=EXPERIMENTS, default=EXPERIMENTS, help="some experiments (default: all)"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes (default: one a core)")
    asked = parser.parse_args()
    if asked.docs and set(asked.only) != set(EXPERIMENTS):
        parser.error("--docs writes the whole page: leave --only out")
    begun = time.monotonic()
    results, missed = run(asked)
    losses = [lost for row in results["hour"] if (lost := targets.loss(row))]
    measured = {
        **{name: [asdict(row) for row in rows] for name, rows in results.items()},
        "runs": asked.runs,
        "many": asked.many,
        "full": asked.full,
        "missed": missed,
        "losses": [asdict(lost) for lost in losses],
        "worlds": {name: world.told for name, world in replays.WORLDS.items()},
    }
    text = json.dumps(measured, indent=1)
    if asked.docs:
        page.write(text)
    print(page.tables(json.loads(text)))
    for line in missed:
        print(f"missed: {line}")
    print(last_line(results, missed, time.monotonic() - begun))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
