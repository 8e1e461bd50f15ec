"""What each phase means to whoever looks: its colour, whether anything is decided, what is drawn.

A phase of a newer operator reads as one of which nothing is known.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Phase:
    """A phase as it is shown."""

    colour: str
    """`green`, `bright_blue`, …, or `dim`."""
    well: bool = False
    """The wanted revision serves, or nothing has to."""
    badly: bool = False
    """The wanted revision was sent back."""
    exposed: bool = False
    """The candidate stands on one of the trial's steps."""
    way: bool = False
    """How far the trial is, is worth drawing."""


PHASES = {
    "Pending": Phase("dim"),
    "Preparing": Phase("blue", way=True),
    "Shadow": Phase("magenta", exposed=True, way=True),
    "Canary": Phase("cyan", exposed=True, way=True),
    "BlueGreen": Phase("bright_blue", exposed=True, way=True),
    "Promoting": Phase("green", way=True),
    "Probation": Phase("green", well=True, way=True),
    "Stable": Phase("green", well=True),
    "RollingBack": Phase("red"),
    "RolledBack": Phase("red", badly=True),
    "Failed": Phase("red", badly=True),
    "Suspended": Phase("yellow"),
    "Parked": Phase("dim", well=True),
    "Drill": Phase("bright_blue", well=True),
}

_UNKNOWN = Phase("dim")


def phase(name: str) -> Phase:
    """What is known of a phase."""
    return PHASES.get(name, _UNKNOWN)
