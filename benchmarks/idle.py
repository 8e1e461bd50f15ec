"""What the operator costs, at rest and in a trial: `python -m benchmarks.idle --help`.

Memory and processor time of its process, and its requests to the API server as that server's audit log has them. The
renewals of its Lease are counted apart. Needs the sandbox provider, whose processes and log can be seen from here.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.ground import setting, stage, table
from dev.demo.breach import parse_time
from dev.errors import DevError
from tests.cluster.installed import processes_of
from tests.cluster.model import Model
from tests.cluster.together import Stage

ACCOUNT = "system:serviceaccount:seatrial-system:seatrial"
WRITES = {"create", "update", "patch", "delete"}
STEPS = ((5, "10s"), (25, "10s"), (50, "10s"))


@dataclass(frozen=True)
class Use:
    """What a stretch of time cost."""

    seconds: float
    memory: float
    """MiB resident, at the end."""
    cpu: float
    """Seconds of processor time."""
    requests: Counter[str]
    """`verb resource` of every request to the API server, without those of the Lease."""
    lease: int

    @property
    def writes(self) -> Counter[str]:
        return Counter({key: count for key, count in self.requests.items() if key.split()[0] in WRITES})

    def row(self, what: str) -> tuple[object, ...]:
        reads = self.requests.total() - self.writes.total()
        minute = 60 / self.seconds
        return (
            what,
            f"{self.seconds:.0f} s",
            f"{self.memory:.0f} MiB",
            f"{self.cpu * minute:.2f} s/min",
            self.writes.total(),
            reads,
            f"{self.lease * minute:.0f}/min",
        )


class Meter:
    """Measures from its creation to `read`."""

    def __init__(self, on: Stage) -> None:
        pod = on.operator.pods()[0]
        found = processes_of(pod["metadata"]["uid"])
        log = on.cluster.audit_log
        if not found or log is None:
            raise DevError("The operator's process cannot be seen from here; use SEATRIAL_PROVIDER=sandbox.")
        self._pid, self._log = found[0], log
        self._began, self._cpu = datetime.now(UTC), self._processor_time()

    def read(self) -> Use:
        now = datetime.now(UTC)
        time.sleep(1)  # the log is written a moment later
        requests: Counter[str] = Counter()
        lease = 0
        for verb, resource in _requests(self._log, self._began, now):
            if resource == "leases":
                lease += 1
            else:
                requests[f"{verb} {resource}"] += 1
        seconds = (now - self._began).total_seconds()
        return Use(seconds, self._memory(), self._processor_time() - self._cpu, requests, lease)

    def _processor_time(self) -> float:
        fields = Path(f"/proc/{self._pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _memory(self) -> float:
        for line in Path(f"/proc/{self._pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0


def _requests(log: Path, since: datetime, until: datetime) -> Iterator[tuple[str, str]]:
    with open(log, encoding="utf-8") as file:
        for line in file:
            if ACCOUNT not in line:
                continue
            entry = json.loads(line)
            if entry["verb"] == "watch" or not since <= parse_time(entry["requestReceivedTimestamp"]) <= until:
                continue
            what = entry.get("objectRef", {})
            name = what.get("resource", "")
            yield entry["verb"], f"{name}/{what['subresource']}" if "subresource" in what else name


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.idle", description=__doc__)
    parser.add_argument("--models", type=int, default=10, help="models at rest (default 10)")
    parser.add_argument("--seconds", type=float, default=60, help="how long to watch them (default 60)")
    parser.add_argument("--cluster", default="bench", help="the cluster's name; used if it is up (default bench)")
    args = parser.parse_args()
    told = setting(args.cluster)
    with stage(args.cluster) as on:
        time.sleep(5)
        empty = Meter(on)
        time.sleep(10)
        rows = [empty.read().row("no model")]
        with ExitStack() as stack:
            models = [stack.enter_context(on.model(f"rest-{number}")) for number in range(args.models)]
            for model in models:
                model.apply(model.spec(replicas=1, GENERATION=1))
            for model in models:
                model.stable(180)
            time.sleep(10)
            meter = Meter(on)
            time.sleep(args.seconds)
            rows.append(meter.read().row(f"{args.models} models at rest"))
            use = trial(on, models[0])
            rows.append(use.row("one of them in a trial"))
    print(f"\nthe operator's process and its requests to the API server; {told}")
    print(f"the trial: steps {', '.join(f'{w} % for {d}' for w, d in STEPS)}, 100 requests a second, interval 5 s\n")
    print(table(("", "time", "memory", "processor", "writes", "reads", "lease"), rows))
    print("\nwrites of the trial: " + ", ".join(f"{count} {what}" for what, count in use.writes.most_common()))


def trial(on: Stage, model: Model) -> Use:
    """A promotion, from the change to the last object that goes."""
    model.apply(model.spec(steps=STEPS, GENERATION=1))
    stable = model.stable()
    time.sleep(5)
    with model.traffic(rate=100):
        time.sleep(12)
        meter = Meter(on)
        model.apply(model.spec(steps=STEPS, GENERATION=2))
        accepted = model.stable(180, other_than=stable)
        model.until("the old revision is gone", lambda s: [r["name"] for r in s["revisions"]] == [accepted])
        return meter.read()


if __name__ == "__main__":
    main()
