"""How fast a bad model goes back: `python -m benchmarks.rollback --help`.

A healthy candidate at 25 % begins to fail. Measured is the time from the first scrape that holds an error of its own
(before it nobody could have known) to the moment at which the candidate is confirmed at the minimum, one request in a
million. Default checks, a look and a scrape every 5 s, stable in full size.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from benchmarks.ground import setting, stage, table
from dev.demo.breach import first_breach, parse_time
from tests.cluster.model import Model
from tests.cluster.together import Stage

WEIGHT = 25
HEALTHY = 25
"""Seconds that the candidate answers rightly after it has started: long enough to be at its weight."""


@dataclass(frozen=True)
class Run:
    """One trial that went back."""

    breach_to_decision: float
    decision_to_minimum: float
    sent: int
    wrong: int
    """Answered wrongly by the candidate itself."""
    lost: int

    @property
    def total(self) -> float:
        return self.breach_to_decision + self.decision_to_minimum


def one(on: Stage, share: float, rate: float, generation: int) -> Run:
    """One trial."""
    with on.model(f"rollback-{share:g}-{generation}") as model:
        spec = model.spec(steps=[(WEIGHT, "10m")], GENERATION=0)
        spec["analysis"] = {"interval": "5s"}
        model.apply(spec)
        model.stable()
        with model.traffic(rate=rate) as traffic:
            # Scrapes and looks have their own clocks; no two runs shall meet them at the same place.
            time.sleep(15 + generation * 1.3 % 5)
            steps = [(WEIGHT, "10m")]
            bad = model.spec(steps=steps, GENERATION=generation + 1, ERROR_RATE=share, ERROR_AFTER=HEALTHY)
            bad["analysis"] = spec["analysis"]
            model.apply(bad)
            second = model.on_step(WEIGHT, 60)
            slot = 0 if model.status["traffic"]["slots"].get("a") == second else 1
            decided, minimum = back(model)
            source = next(check["source"] for check in model.status["checks"] if check["name"] == "errors")
            # The scrapes have to be found in Prometheus while the series are fresh.
            breach = first_breach(
                on.cluster.prometheus_url,
                source,
                namespace=model.namespace,
                model=model.name,
                revision=second,
                slot=slot,
                since=parse_time(model.status["history"][-1]["ended"]),
            )
        assert breach is not None, "no scrape shows an error"
        assert model.weights().get(second, 0) == 0
        report = traffic.report
        wrong = report.lost_by.get(second, 0)
        return Run(
            (decided - breach).total_seconds(),
            (minimum - decided).total_seconds(),
            report.sent,
            wrong,
            report.lost_total - wrong,
        )


def back(model: Model) -> tuple[datetime, datetime]:
    """When going back was decided, and when the minimum was confirmed; status tells it only on the way."""
    status = model.until("the decision", lambda s: (s.get("rollout", {}).get("back") or {}).get("minimumAt"), 120)
    found = status["rollout"]["back"]
    decided, minimum = parse_time(found["at"]), parse_time(found["minimumAt"])
    model.sent_back()
    return decided.astimezone(UTC), minimum.astimezone(UTC)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rollback", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="trials for each share of errors (default 5)")
    parser.add_argument("--shares", default="1,0.3", help="shares of errors, by comma (default 1,0.3)")
    parser.add_argument("--rate", type=float, default=100, help="requests a second (default 100)")
    parser.add_argument("--cluster", default="bench", help="the cluster's name; used if it is up (default bench)")
    args = parser.parse_args()
    told = setting(args.cluster)
    rows: list[tuple[object, ...]] = []
    with stage(args.cluster) as on:
        for share in (float(part) for part in args.shares.split(",")):
            runs = [one(on, share, args.rate, generation) for generation in range(args.runs)]
            for run in runs:
                print(f"{share:.0%}: {run}", flush=True)
            totals = sorted(run.total for run in runs)
            rows.append(
                (
                    f"{share:.0%} errors",
                    len(runs),
                    f"{totals[0]:.1f} s",
                    f"{statistics.median(totals):.1f} s",
                    f"{totals[-1]:.1f} s",
                    f"{statistics.median(run.breach_to_decision for run in runs):.1f} s",
                    f"{statistics.median(run.decision_to_minimum for run in runs):.1f} s",
                    sum(run.sent for run in runs),
                    sum(run.wrong for run in runs),
                    sum(run.lost for run in runs),
                )
            )
    print(f"\nfrom the first scrape with an error to one request in a million, confirmed; {told}")
    print(f"{args.rate:g} requests a second, {WEIGHT} % at the candidate, default checks, interval and scrapes 5 s\n")
    header = ("", "runs", "least", "median", "most", "to decide", "to move", "sent", "wrong by it", "lost")
    print(table(header, rows))


if __name__ == "__main__":
    main()
