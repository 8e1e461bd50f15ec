"""How the judge of shares errs, and how fast it is: `python benchmarks/judge.py [RUNS]`.

Simulated trials against the real judge (`core/checks/share.py`) with the default checks: a look every 15 s, one hour,
steps of 5, 25 and 50 % of twenty minutes each, errors independent of each other. Prints three tables:

* an identical candidate: how often it is sent back, and how often the last step accepts it within the hour;
* a candidate with a fault from the first request: seconds until it is failed, by looks every 5 s;
* a fault that begins after forty healthy minutes at the same weight.
"""

from __future__ import annotations

import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import product

import numpy as np

from seatrial.api.spec import Check, CheckPreset, MetricSource, Runtime
from seatrial.api.status import Arms, CheckStatus, Outcome, Tally
from seatrial.core import checks
from seatrial.core.checks import Arm, Situation
from seatrial.core.checks.share import added, failure, terms_of

T0 = datetime(2026, 1, 1, tzinfo=UTC)
CHECK = Check(name="errors", preset=CheckPreset.ERRORS)
TERMS = terms_of(CHECK)
BASE = 0.01


def situation(weight: float, now: datetime, confirmed_at: datetime, *, last: bool) -> Situation:
    return Situation(
        namespace="models", name="m", stable=Arm("7c9f1b20de", "a"), candidate=Arm("e04d5521aa", "b"),
        runtime=Runtime.MLSERVER, model_name=None, weight=weight, last=last, concurrent=True, min_samples=200,
        settled=True, confirmed_at=confirmed_at, start=T0, now=now,
    )  # fmt: skip


class Trial:
    """One trial under simulated traffic."""

    def __init__(self, seed: int, rps: float) -> None:
        self.random = np.random.default_rng(seed)
        self.rps = rps
        self.now = T0
        self.stored = CheckStatus(name="errors", source=MetricSource.GATEWAY)

    def look(self, weight: float, seconds: float, confirmed_at: datetime, share: float, *, last: bool) -> Situation:
        """Let traffic come for a while and fold it."""
        total = int(self.random.poisson(self.rps * seconds))
        mine = int(self.random.binomial(total, weight / 100))
        others = total - mine
        self.now += timedelta(seconds=seconds)
        seen = situation(weight, self.now, confirmed_at, last=last)
        counts = Arms(
            candidate=Tally(events=int(self.random.binomial(mine, share)), total=mine),
            stable=Tally(events=int(self.random.binomial(others, BASE)), total=others),
        )
        self.stored = added(self.stored, seen, counts)
        return seen


def healthy(args: tuple[int, float]) -> tuple[bool, float | None]:
    """An identical candidate: sent back?, and the minutes until the last step would accept it."""
    seed, rps = args
    trial = Trial(seed, rps)
    for index, weight in enumerate((5.0, 25.0, 50.0)):
        trial.stored = checks.restart(trial.stored, trial=False)
        confirmed = trial.now
        for number in range(80):
            seen = trial.look(weight, 15.0, confirmed, BASE, last=index == 2)
            if failure(TERMS, trial.stored, seen) is not None:
                return True, None
            if index == 2 and number % 4 == 3:
                said = checks.judge(CHECK, trial.stored.model_copy(update={"message": ""}), seen)
                if said.outcome is Outcome.PASS:
                    return False, (trial.now - T0).total_seconds() / 60
    return False, None


def faulty(args: tuple[int, float, float, float, float]) -> float | None:
    """Seconds from the fault's beginning to Fail, or None within half an hour."""
    seed, rps, weight, share, before = args
    trial = Trial(seed, rps)
    for _ in range(int(before / 15)):
        seen = trial.look(weight, 15.0, T0, BASE, last=False)
    began = trial.now
    for _ in range(360):
        seen = trial.look(weight, 5.0, T0, share, last=False)
        if failure(TERMS, trial.stored, seen) is not None:
            return (trial.now - began).total_seconds()
    return None


def main(runs: int) -> None:
    begun = time.monotonic()
    with ProcessPoolExecutor() as pool:
        print(f"An identical candidate, {BASE:.0%} errors on both sides, one hour, {runs} trials each\n")
        print("| requests/s | sent back | accepted within the hour | after, median |\n|---|---|---|---|")
        for rps in (5, 20, 50, 200):
            got = list(pool.map(healthy, [(seed, rps) for seed in range(runs)], chunksize=8))
            back = sum(wrong for wrong, _ in got)
            took = [minutes for _, minutes in got if minutes is not None]
            median = f"{statistics.median(took):.0f} min" if took else "–"
            print(f"| {rps} | {back / runs:.2%} | {len(took) / runs:.0%} | {median} |", flush=True)
        some = max(10, runs // 5)
        for title, before in (("A fault from the first request", 0.0), ("A fault after forty healthy minutes", 2400.0)):
            print(f"\n{title}, looks every 5 s: seconds until Fail, median / 95th percentile, {some} trials each\n")
            print("| requests/s | weight | 100 % errors | 30 % | 5 % |\n|---|---|---|---|---|")
            for rps, weight in product((5, 20, 200), (5.0, 25.0)):
                cells = []
                for share in (1.0, 0.3, 0.05):
                    args = [(seed, rps, weight, share, before) for seed in range(some)]
                    times = [t if t is not None else float("inf") for t in pool.map(faulty, args, chunksize=4)]
                    ninety = sorted(times)[int(0.95 * (len(times) - 1))]
                    cells.append(
                        " / ".join("> 1800" if t > 1800 else f"{t:.0f}" for t in (statistics.median(times), ninety))
                    )
                print(f"| {rps} | {weight:g} % | {' | '.join(cells)} |", flush=True)
    stored = CheckStatus(name="errors", trial=None).model_copy(
        update={"step": Arms(candidate=Tally(events=38, total=12_410), stable=Tally(events=333, total=111_020))}
    )
    once = time.perf_counter()
    for extra in range(200):
        varied = (
            stored.step.model_copy(update={"candidate": Tally(events=38, total=12_410 + extra)})
            if stored.step
            else None
        )
        checks.judge(CHECK, stored.model_copy(update={"step": varied}), situation(5.0, T0, T0, last=False))
    print(
        f"\nOne verdict: {(time.perf_counter() - once) / 200 * 1e3:.2f} ms. All of this: {time.monotonic() - begun:.0f} s."
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
