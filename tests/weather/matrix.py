"""How often each fault hit each transition, and which pairs cannot be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.weather.faults import FAULTS
from tests.weather.voyage import Cell, Chart


@dataclass(frozen=True)
class Impossible:
    """What is never there at some transitions, in no errand: a fault that needs it cannot begin."""

    transitions: tuple[str, ...]
    lack: tuple[str, ...]
    reason: str


_STABLE = ("a ControllerRevision of stable", "a Deployment of stable", "a Service of stable", "a pod of stable")
_CANDIDATE = (
    "a ControllerRevision of candidate",
    "a Deployment of candidate",
    "a Service of candidate",
    "a pod of candidate",
)

IMPOSSIBLE: tuple[Impossible, ...] = (
    Impossible(
        ("Pending → Preparing", "Preparing → Failed"),
        (*_STABLE, "a Service of model", "a HTTPRoute of model"),
        "nothing serves yet",
    ),
    Impossible(("Pending → Preparing",), ("a pod", "a pod of candidate"), "the first pods start after this pass"),
    Impossible(
        ("Stable → Preparing", "RollingBack → Preparing", "Stable → Drill"),
        ("a pod of candidate",),
        "the candidate's pods start after this pass",
    ),
    Impossible(("RollingBack → Preparing",), ("a HTTPRoute of model",), "only a trial without a gateway goes there"),
    Impossible(("Probation → Stable", "RollingBack → Stable"), _CANDIDATE, "there is no candidate any more"),
    Impossible(
        ("Parked → Preparing",),
        ("a pod", "a pod of stable", "a pod of candidate"),
        "the pods of a parked model start after this pass",
    ),
    Impossible(
        ("Parked → Canary", "Parked → Shadow"),
        ("a pod of stable",),
        "stable's pods start after this pass",
    ),
    Impossible(
        ("Canary → Suspended", "BlueGreen → Suspended"),
        ("a write",),
        "nothing is written while suspended",
    ),
    Impossible(("Drill: at the minimum",), ("a write",), "the copy stays there to be counted"),
    Impossible(
        ("Suspended → Canary", "Suspended → BlueGreen"),
        ("a write",),
        "nobody touched what was written before",
    ),
)
"""Held against what calm runs find, in both directions, by `test_what_is_impossible_is_declared`."""


class Matrix:
    """Hits, and what is still missing. `charts` are of all courses, by their index."""

    def __init__(self, charts: Mapping[int, Chart]) -> None:
        self.charts = charts
        self.transitions = tuple(dict.fromkeys(name for chart in charts.values() for name in chart.transitions))
        """Every transition of an undisturbed run: a phase that a new strategy brings is among them by itself."""
        self.courses: dict[Cell, list[int]] = {}
        """Every possible pair, and on which courses it is possible."""
        self.lacks: dict[Cell, set[str]] = {}
        """What pairs lack that are not possible on some course."""
        self.hits: Counter[Cell] = Counter()
        for index, chart in charts.items():
            for cell, lacking in chart.lacks.items():
                if lacking:
                    self.lacks.setdefault(cell, set()).add(lacking)
                else:
                    self.courses.setdefault(cell, []).append(index)

    def never(self) -> set[tuple[str, str]]:
        """What is never there, and at which transition."""
        return {(lacking, cell[0]) for cell, all_ in self.lacks.items() if cell not in self.courses for lacking in all_}

    def zeros(self) -> Iterator[Cell]:
        """Possible pairs that never were."""
        return (cell for cell in self.courses if not self.hits[cell])

    @property
    def met(self) -> int:
        """How many of the possible pairs were met."""
        return sum(1 for cell in self.courses if self.hits[cell])

    def table(self) -> str:
        """Faults down, transitions across; `-` where a pair cannot be, and the reasons below."""
        foul = sorted({name for name, _ in self.hits} - set(self.transitions))
        wide = max(len(fault.name) for fault in FAULTS)
        lines = [f"{index:>3}  {name}" for index, name in enumerate(self.transitions, 1)]
        lines += ["", " " * wide + "".join(f"{index:>5}" for index in range(1, len(self.transitions) + 1))]
        for fault in FAULTS:
            row = ""
            for name in self.transitions:
                cell = (name, fault.name)
                row += f"{self.hits[cell] or ('0' if cell in self.courses else '-'):>5}"
            lines.append(f"{fault.name:<{wide}}{row}")
        lines.append("")
        for entry in IMPOSSIBLE:
            lines.append(f"  - at {', '.join(entry.transitions)}: no {', no '.join(entry.lack)}: {entry.reason}")
        for name in foul:
            hits = sum(count for (where, _), count in self.hits.items() if where == name)
            lines.append(f"  in foul weather only: {name}, hit {hits} times")
        return "\n".join(lines)
