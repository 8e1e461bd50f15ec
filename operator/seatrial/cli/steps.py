"""The steps of a trial, as the spec lays out its stages one after another.

A new kind of stage is a line in `KINDS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from seatrial.cli import raw

_DEFAULT_WEIGHTS = (5, 25, 50)
_DEFAULT_MINIMUM = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Kind:
    """What a step exposes the candidate to."""

    share: str
    """The field that holds the percentage; nothing where live requests play no part."""
    whole: int
    """The percentage where none is given."""
    place: str
    """The step as a place on the way."""
    told: str
    """The step within a sentence."""
    live: bool = False
    """The candidate's answers reach users."""
    judged: bool = True
    """Evidence has to speak for it; else it is enough that nothing fails."""


SHADOW = Kind("percent", 100, "shadow {} %", "a shadow of {} %")
CANARY = Kind("weight", 0, "{} %", "{} %", live=True)
BLUE_GREEN = Kind("", 0, "preview", "its preview", judged=False)

KINDS = {"shadow": SHADOW, "canary": CANARY, "blueGreen": BLUE_GREEN}
"""By the field of a stage."""


@dataclass(frozen=True, slots=True)
class Step:
    """One exposure of the candidate, for a time."""

    kind: Kind
    percent: int
    """Percent of live requests that it answers, or gets copies of."""
    minimum: timedelta
    maximum: timedelta | None = None
    """The longest time; None where the spec says nothing of it."""
    approval: str = ""
    """`ToEnter`, `ToLeave` or nothing."""

    @property
    def place(self) -> str:
        """`shadow 20 %`, `25 %`, `preview`."""
        return self.kind.place.format(self.percent)

    @property
    def told(self) -> str:
        """`a shadow of 20 %`, `25 %`, `its preview`."""
        return self.kind.told.format(self.percent)


def steps_of(strategy: Mapping[str, Any]) -> list[Step]:
    """All steps in order; those of a resource that names none where none can be read."""
    found = [
        _step(kind, part)
        for stage in raw.mappings(strategy, "stages")
        for field, kind in KINDS.items()
        if isinstance(stage.get(field), Mapping)
        # A stage is one exposure, or holds several.
        for part in (raw.mappings(stage[field], "steps") if "steps" in stage[field] else (stage[field],))
    ]
    return found or [Step(CANARY, weight, _DEFAULT_MINIMUM) for weight in _DEFAULT_WEIGHTS]


def _step(kind: Kind, part: Mapping[str, Any]) -> Step:
    return Step(
        kind,
        raw.integer(part, kind.share) or kind.whole,
        _DEFAULT_MINIMUM if (least := raw.duration(part, "minDuration")) is None else least,
        raw.duration(part, "maxDuration"),
        (raw.text(raw.mapping(part, "approval"), "when") or "ToLeave") if "approval" in part else "",
    )
