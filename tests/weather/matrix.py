"""How often each fault hit each transition, and which pairs cannot be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tests.weather.faults import FAULTS, Fault
from tests.weather.voyage import Cell, Chart


@dataclass(frozen=True)
class Impossible:
    """Faults that cannot hit a transition, and why."""

    fault: Callable[[Fault], bool]
    transition: Callable[[str], bool]
    reason: str


def _about(*words: str) -> Callable[[Fault], bool]:
    return lambda fault: any(fault.name.startswith(word) or word in fault.name for word in words)


def _starts(*words: str) -> Callable[[str], bool]:
    return lambda transition: transition.startswith(words)


def _ends(*words: str) -> Callable[[str], bool]:
    return lambda transition: transition.endswith(words)


IMPOSSIBLE: tuple[Impossible, ...] = (
    Impossible(_about("stable:", "a stable pod", "all stable pods"), _starts("Pending"), "nothing serves yet"),
)
"""What is impossible everywhere else, such as a write that fails where nothing is written, is read off calm runs."""


class Matrix:
    """Hits, and what is still missing."""

    def __init__(self, charts: Iterable[Chart]) -> None:
        charts = list(charts)
        self.transitions = tuple(dict.fromkeys(name for chart in charts for name in chart.transitions))
        """Every transition of an undisturbed run: a phase that a new strategy brings is among them by itself."""
        self.writing = frozenset(name for chart in charts for name in chart.writing)
        self.hits: Counter[Cell] = Counter()

    def why_not(self, transition: str, fault: Fault) -> str:
        """Why a pair cannot be, or an empty text."""
        if fault.writes and transition not in self.writing:
            return "nothing is written there"
        for entry in IMPOSSIBLE:
            if entry.fault(fault) and entry.transition(transition):
                return entry.reason
        return ""

    def zeros(self) -> Iterator[Cell]:
        """Possible pairs that never were."""
        for transition in self.transitions:
            for fault in FAULTS:
                if not self.hits[transition, fault.name] and not self.why_not(transition, fault):
                    yield transition, fault.name

    def table(self) -> str:
        """Faults down, transitions across; `-` where a pair cannot be, and the reasons below."""
        seen = [*self.transitions, *sorted({name for name, _ in self.hits} - set(self.transitions))]
        wide = max(len(fault.name) for fault in FAULTS)
        lines = [f"{index:>3}  {name}" for index, name in enumerate(seen, 1)]
        lines += ["", " " * wide + "".join(f"{index:>5}" for index in range(1, len(seen) + 1))]
        for fault in FAULTS:
            row = ""
            for name in seen:
                count = self.hits[name, fault.name]
                row += f"{count if count or not self.why_not(name, fault) else '-':>5}"
            lines.append(f"{fault.name:<{wide}}{row}")
        reasons = {self.why_not(name, fault) for name in self.transitions for fault in FAULTS} - {""}
        return "\n".join([*lines, *(f"  - {reason}" for reason in sorted(reasons))])
