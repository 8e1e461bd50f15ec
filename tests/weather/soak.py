"""A soak: voyage after voyage until the time is over, each to the pair that was met least, and what came of them."""

from __future__ import annotations

import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from tests.weather.errands import ERRANDS
from tests.weather.faults import FAULTS
from tests.weather.matrix import Matrix
from tests.weather.strategies import STRATEGIES
from tests.weather.voyage import HIT, LUCKS, Cell, Heading, Log, Violation, aim, charted, course, voyage

LOTS = 8
"""Lucks of which the most promising one is taken."""
SAY_EVERY = 60.0
"""Seconds between two lines of progress."""


def _charts() -> Matrix:
    return Matrix({index: charted(*course(index)) for index in range(len(STRATEGIES) * len(ERRANDS))})


@dataclass
class Soak:
    """Figures of a run."""

    seed: int
    matrix: Matrix = field(default_factory=_charts)
    voyages: int = 0
    steps: int = 0
    trials: int = 0
    checked: int = 0
    violations: list[tuple[int, str]] = field(default_factory=list)
    """The number of a voyage, and what it reports."""

    def __post_init__(self) -> None:
        self._random = Random(self.seed)
        self._cells = sorted(self.matrix.courses)
        self._random.shuffle(self._cells)
        self._kinds = {fault.name: index for index, fault in enumerate(FAULTS)}
        self._tries: Counter[Cell] = Counter()
        self._met: Counter[str] = Counter()

    def one(self) -> None:
        """Sail to the pair that was met least."""
        number = self._choose(min(self._cells, key=self._need))
        sailing = voyage(number)
        self.voyages += 1
        try:
            sailing.sail()
        except Violation as violation:
            self.violations.append((number, str(violation)))
        self._add(sailing.log)

    def _need(self, cell: Cell) -> tuple[int, int, int]:
        return self.matrix.hits[cell], self._tries[cell], self._met[cell[1]]

    def _choose(self, cell: Cell) -> int:
        """A voyage to this pair: short courses rather than long ones, and of some lucks the most promising."""
        self._tries[cell] += 1
        courses = self.matrix.courses[cell]
        [index] = self._random.choices(courses, [1 / self.matrix.charts[one].steps for one in courses])
        place = self.matrix.charts[index].transitions.index(cell[0])
        lucks = self._random.sample(range(LUCKS), LOTS)
        numbers = [Heading(self.seed, luck, index, place, self._kinds[cell[1]]).number for luck in lucks]
        return max(numbers, key=self._promise)

    def _promise(self, number: int) -> int:
        """How many pairs that were never met chance aims at, once the target is hit."""
        heading = Heading.of(number)
        names = self.matrix.charts[heading.course].transitions[heading.place + 1 :]
        aims = ((name, aim(number, name, HIT)) for name in names)
        cells = [(name, fault.name) for name, fault in aims if fault is not None]
        return sum(1 for cell in cells if cell in self.matrix.courses and not self.matrix.hits[cell])

    def _add(self, log: Log) -> None:
        self.matrix.hits.update(log.hits)
        for (_, fault), count in log.hits.items():
            self._met[fault] += count
        self.steps += log.steps
        self.trials += log.trials
        self.checked += log.checked

    @property
    def figures(self) -> str:
        """One line."""
        numbers = ", ".join(str(number) for number, _ in self.violations)
        return (
            f"seed {self.seed}: {self.voyages:,} voyages, {self.steps:,} steps, {self.trials:,} trials, "
            f"{self.matrix.hits.total():,} faults of {len(FAULTS)} kinds at {len(self.matrix.transitions)} transitions, "
            f"{self.checked:,} invariants checked, {self.matrix.met:,} of {len(self.matrix.courses):,} possible pairs "
            f"met, {len(self.violations)} violations{': voyages ' if numbers else ''}{numbers}"
        )

    @property
    def good(self) -> bool:
        """Nothing was violated, and every possible pair was met."""
        return not self.violations and self.matrix.met == len(self.matrix.courses)


def _print(line: str) -> None:
    print(line, flush=True)


def run(seed: int, seconds: float, *, say: Callable[[str], None] = _print) -> bool:
    """Sail until the time is over, or somebody presses Ctrl-C; whether all was well and nothing is missing."""
    begun = said = time.monotonic()
    soak, full = Soak(seed), False
    try:
        while time.monotonic() - begun < seconds:
            told = len(soak.violations)
            soak.one()
            for _, violation in soak.violations[told:]:
                say(f"VIOLATION {violation}\n")
            if not full and soak.matrix.met == len(soak.matrix.courses):
                full = True
                say(f"every possible pair was met after {time.monotonic() - begun:.0f} s, {_cpu()}")
            if time.monotonic() - said >= SAY_EVERY:
                said = time.monotonic()
                say(f"{said - begun:.0f} s, {_cpu()}, {_memory()} MB, {soak.figures}")
    except KeyboardInterrupt:
        say(f"stopped after {time.monotonic() - begun:.0f} s")
    say(soak.matrix.table())
    for transition, fault in sorted(soak.matrix.zeros())[:40]:
        say(f"never met: {fault} at {transition}")
    say(soak.figures)
    return soak.good


def _cpu() -> str:
    return f"{time.process_time():.0f} s of CPU"


def _memory() -> int:
    """The most that this process had, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


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
