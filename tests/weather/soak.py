"""A soak: voyage after voyage until the time is over, and what came of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.weather.errands import ERRANDS
from tests.weather.faults import FAULTS
from tests.weather.matrix import Matrix
from tests.weather.strategies import STRATEGIES
from tests.weather.voyage import BASE, Cell, Log, Violation, aim, charted, course, voyage

AHEAD = 24
"""Voyages of which the most promising one is sailed."""
SAY_EVERY = 30.0
"""Seconds between two lines of progress."""


@dataclass
class Soak:
    """Figures of a run."""

    seed: int
    matrix: Matrix = field(
        default_factory=lambda: Matrix(charted(strategy, errand) for strategy in STRATEGIES for errand in ERRANDS)
    )
    voyages: int = 0
    steps: int = 0
    trials: int = 0
    checked: int = 0
    violations: list[str] = field(default_factory=list)
    _next: int = 0
    _wanted: set[Cell] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._wanted = set(self.matrix.zeros())

    def one(self) -> None:
        """The voyage among the next ones that is aimed at the most pairs that were not met yet."""
        first = self.seed * BASE + self._next
        number = max(range(first, first + AHEAD), key=self._promise)
        self._next += AHEAD
        sailing = voyage(number)
        self.voyages += 1
        try:
            sailing.sail()
        except Violation as violation:
            self.violations.append(str(violation))
        self._add(sailing.log)

    def _promise(self, number: int) -> int:
        chart = charted(*course(number))
        aims = ((name, aim(number, name)) for name in chart.transitions)
        return sum(1 for name, fault in aims if fault is not None and (name, fault.name) in self._wanted)

    def _add(self, log: Log) -> None:
        self.matrix.hits.update(log.hits)
        self._wanted -= set(log.hits)
        self.steps += log.steps
        self.trials += log.trials
        self.checked += log.checked

    @property
    def figures(self) -> str:
        """One line."""
        zeros = sum(1 for _ in self.matrix.zeros())
        return (
            f"seed {self.seed}: {self.voyages:,} voyages, {self.steps:,} steps, {self.trials:,} trials, "
            f"{self.matrix.hits.total():,} faults of {len(FAULTS)} kinds at {len(self.matrix.transitions)} transitions, "
            f"{self.checked:,} invariants checked, {zeros} possible pairs never met, {len(self.violations)} violations"
        )


def run(seed: int, seconds: float, *, say: Callable[[str], None] = print) -> bool:
    """Sail until the time is over; whether nothing was violated and every possible pair was met."""
    soak, begun = Soak(seed), time.monotonic()
    said = begun
    told = 0
    while time.monotonic() - begun < seconds:
        soak.one()
        for violation in soak.violations[told:]:
            say(f"VIOLATION {violation}\n")
        told = len(soak.violations)
        if time.monotonic() - said >= SAY_EVERY:
            said = time.monotonic()
            say(soak.figures)
    say(soak.matrix.table())
    missing = list(soak.matrix.zeros())
    for transition, fault in missing[:40]:
        say(f"never met: {fault} at {transition}")
    say(soak.figures)
    return not soak.violations and not missing


def again(number: int) -> bool:
    """One voyage, told."""
    sailing = voyage(number)
    try:
        sailing.sail()
    except Violation as violation:
        print(violation)
        return False
    finally:
        print("\n".join(sailing.world.story))
    return True


def main(seed: int, seconds: float, number: int | None) -> None:
    """For the command line."""
    good = run(seed, seconds) if number is None else again(number)
    sys.exit(0 if good else 1)
