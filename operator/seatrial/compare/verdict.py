"""What two more answers to a request say beside the first one: where they agree with it, and where not.

Stable is asked twice. Which of its two answers is the reference is drawn by lot, so that for a candidate
equal to stable both pairs differ equally often: whatever stable's own answers vary by is the floor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from seatrial.core.answers import Array, Sameness, UnreadableError, difference, named_outputs
from seatrial.core.compared import ALL, Result


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model made of a request."""

    body: object = None
    """Decoded JSON; None where it was none."""
    failed: str = ""
    """Why there is no answer; empty where one came with status 200."""
    overloaded: bool = False
    """It did not answer in time, refused the connection, or said 429 or 503."""
    too_large: bool = False
    """It answered with more bytes than are kept."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One output of one pair."""

    result: Result
    message: str = ""
    """What differs, for a person."""


def reference(answer: Answer, outputs: Sequence[str]) -> Mapping[str, Array]:
    """What the other answers are held against: the named outputs, or all of them where none is named.

    Raises UnreadableError where the answer cannot be read, or lacks one.
    """
    found = named_outputs(answer.body)
    missing = [name for name in outputs if name not in found]
    if missing:
        raise UnreadableError(f"has no output {missing[0]!r}; it has {', '.join(sorted(found))[:200]}")
    return {name: found[name] for name in outputs or found}


def findings(expected: Mapping[str, Array], answer: Answer, same: Sameness) -> dict[str, Finding]:
    """One finding for each output of the reference, and `ALL`. Outputs that only the answer has do not count."""
    if answer.failed:
        return dict.fromkeys((*expected, ALL), Finding(Result.UNANSWERED, answer.failed))
    try:
        found = named_outputs(answer.body)
    except UnreadableError as error:
        said = "too large to be read" if answer.too_large else f"the answer {error}"
        return dict.fromkeys((*expected, ALL), Finding(Result.DIFFER, said))
    out = {name: _finding(name, wanted, found, same) for name, wanted in expected.items()}
    first = next((one for one in out.values() if one.result is not Result.AGREE), Finding(Result.AGREE))
    return {**out, ALL: first}


def _finding(name: str, wanted: Array, found: Mapping[str, Array], same: Sameness) -> Finding:
    if name not in found:
        return Finding(Result.DIFFER, f"output {name!r} is missing")
    said = difference(wanted, found[name], same)
    return Finding(Result.DIFFER, f"output {name!r}, {said}") if said else Finding(Result.AGREE)
