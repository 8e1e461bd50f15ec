"""Time of one decision: ask and plan, objects built, nothing written. `python -m benchmarks.plan --help`."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from datetime import timedelta

from seatrial.core.plan import ask, plan
from tests.sim.world import World, settled


def median(work: Callable[[], object], rounds: int) -> float:
    """Milliseconds of one call, the median of `rounds`."""
    took = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        took.append((time.perf_counter() - begun) * 1000)
    return statistics.median(took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=500, help="calls of each kind (default 500)")
    rounds = parser.parse_args().rounds

    world = World()
    world.run(60, until=settled)
    world.run(60)
    at_rest = world.observe()
    world.image("fraud:v2")
    world.run(200, until=lambda w: w.status.weight == "25")
    on_trial = world.observe()
    while not ask(on_trial, world.now, world.installation).metrics:
        world.now += timedelta(seconds=1)
    resource = json.dumps(world.resource)

    baseline = median(lambda: json.loads(json.dumps(json.loads(resource))), rounds)
    print(f"{'one pass without I/O':32} {'ms':>8} {'ratio':>8}")
    print(f"{'JSON there and back (baseline)':32} {baseline:8.3f} {1:8.1f}")
    for name, observed in (("at rest", at_rest), ("in a trial, with a look", on_trial)):
        questions = ask(observed, world.now, world.installation)
        answers = world.answers(questions)

        def decide(observed: object = observed, answers: object = answers) -> None:
            ask(observed, world.now, world.installation)  # type: ignore[arg-type] # bound in the loop
            plan(observed, answers, world.now, world.installation)  # type: ignore[arg-type] # bound in the loop

        took = median(decide, rounds)
        print(f"{name:32} {took:8.3f} {took / baseline:8.1f}")


if __name__ == "__main__":
    main()
