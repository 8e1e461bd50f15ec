"""Answers of model servers: their named outputs, and when two of them are the same.

Numbers are equal when |got - expected| <= tolerance * max(1, |expected|). JSON has no NaN and servers write
null for it (MLServer's codecs do, orjson does): null and NaN are one missing value, equal to itself only.
Whatever carries the same value is the same: 1, 1.0, "1" and true. Axes of length 1 do not count as shape: a
batch of one row is the row.

An answer is whatever a server sent, decoded from JSON: it is never trusted to have the form of one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from seatrial.api.mode import AgreementMode

_LABELS = frozenset({"BYTES", "BOOL", *(f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64))})
"""Datatypes of the Open Inference Protocol whose values name something; the others measure."""


class UnreadableError(ValueError):
    """An answer, or a part of it, that cannot be compared; the message says what it has or is."""


@dataclass(frozen=True, slots=True)
class Array:
    """An output: its shape, and its values in a row (row-major)."""

    shape: tuple[int, ...]
    values: Sequence[object]
    labels: bool = False
    """The values are labels and not scores: the last axis ranks them, it does not score classes."""

    def rows(self) -> Iterator[Sequence[object]]:
        """The values along the last axis; a scalar is a row of one."""
        width = self.shape[-1] if self.shape else 1
        for start in range(0, len(self.values), max(1, width)):
            yield self.values[start : start + width]


@dataclass(frozen=True, slots=True)
class Sameness:
    """When two outputs count as the same."""

    mode: AgreementMode = AgreementMode.NUMERIC
    tolerance: float = 0.0001
    """`Numeric`: how far numbers may lie apart, relative above 1."""
    top_k: int = 5
    """`TopK`: how many of the best must be the same."""


# --- reading ----------------------------------------------------------------------------------------------------------


def named_outputs(answer: object) -> dict[str, Array]:
    """The outputs of an answer by name. Raises UnreadableError where there are none that can be read.

    Understood are the Open Inference Protocol (`outputs` with JSON data, and the `text_output` of its generate
    extension) and the `predictions` of the v1 protocol, one output for each key where a prediction is an object.
    """
    if not isinstance(answer, Mapping):
        raise UnreadableError("is no JSON object")
    if isinstance(answer.get("outputs"), list):
        found = open_outputs(answer["outputs"])
        if not found:
            raise UnreadableError("has no outputs")
        return {name: output_array(output) for name, output in found.items()}
    if "text_output" in answer:
        return {"text_output": _read(answer["text_output"])}
    predictions = answer.get("predictions")
    if isinstance(predictions, list) and predictions:
        keyed = [prediction for prediction in predictions if isinstance(prediction, Mapping)]
        if len(keyed) < len(predictions):
            return {"predictions": _read(predictions)}
        return {str(key): _read([prediction.get(key) for prediction in keyed]) for key in keyed[0]}
    raise UnreadableError("has no outputs")


def open_outputs(outputs: Sequence[object]) -> dict[str, Mapping[str, object]]:
    """The entries of `outputs` by name, as they came."""
    return {out["name"]: out for out in outputs if isinstance(out, Mapping) and isinstance(out.get("name"), str)}


def output_array(output: Mapping[str, object]) -> Array:
    """One entry of `outputs`; its data may come flat, as the protocol wants, or nested."""
    if "data" not in output:
        raise UnreadableError("has no data: the binary extension of the protocol cannot be read")
    nested = array(output["data"])
    shape, labels = output.get("shape"), output.get("datatype") in _LABELS
    if not isinstance(shape, list) or not all(isinstance(n, int) and not isinstance(n, bool) for n in shape):
        return Array(nested.shape, nested.values, labels)
    if math.prod(shape) != len(nested.values):
        raise UnreadableError(f"has {len(nested.values)} values for the shape {shape}")
    return Array(tuple(shape), nested.values, labels)


def array(value: object) -> Array:
    """A nested list as an array; a scalar has the shape ()."""
    shape: list[int] = []
    level = [value]
    while any(isinstance(item, (list, tuple)) for item in level):
        if len(shape) == 16:
            raise UnreadableError("is nested more than 16 deep")
        if not all(isinstance(item, (list, tuple)) for item in level):
            raise UnreadableError("mixes values and lists")
        lists = [item for item in level if isinstance(item, (list, tuple))]
        if len({len(item) for item in lists}) > 1:
            raise UnreadableError("is ragged: its lists have different lengths")
        shape.append(len(lists[0]))
        level = [inner for item in lists for inner in item]
    if any(isinstance(item, Mapping) for item in level):
        raise UnreadableError("holds an object where a value should be")
    return Array(tuple(shape), level)


def _read(value: object) -> Array:
    """An output that names no datatype: its values are labels unless one of them is a fraction."""
    found = array(value)
    return Array(found.shape, found.values, not any(isinstance(item, float) for item in found.values))


# --- comparing --------------------------------------------------------------------------------------------------------


def difference(expected: Array, got: Array, same: Sameness) -> str:
    """The first difference, as a person reads it; empty where the two are the same.

    Where it matters whether values are labels or scores, and where a row ends, the expected answer says so.
    """
    if not same_form(expected, got):
        return f"shape: expected {list(expected.shape)}, got {list(got.shape)}"
    if same.mode is AgreementMode.NUMERIC:
        at = first_difference(expected, got, same.tolerance)
        if at is None:
            return ""
        where = index(expected.shape, at)
        return f"{where and f'{where}: '}expected {show(expected.values[at])}, got {show(got.values[at])}"
    best = top_class if same.mode is AgreementMode.CLASS else top_k
    alike = Array(expected.shape, got.values, expected.labels)
    for want, have in zip(best(expected, same.top_k), best(alike, same.top_k), strict=True):
        if want != have:
            return f"expected {_said(want)}, got {_said(have)}"
    return ""


def same_form(a: Array, b: Array) -> bool:
    """A flat array says how many values there are, a nested one their shape too."""
    if len(a.values) != len(b.values):
        return False
    return len(squeeze(a.shape)) <= 1 or squeeze(a.shape) == squeeze(b.shape)


def first_difference(expected: Array, got: Array, tolerance: float) -> int | None:
    """The place of the first value that is not equal; None where all are."""
    if expected.values == got.values:
        return None  # by far the fastest way through a long answer, and the usual one of a steady model
    for position, (want, have) in enumerate(zip(expected.values, got.values, strict=True)):
        if not equal(want, have, tolerance):
            return position
    return None


Best = frozenset[object]
"""What an answer decides on for one row; empty where a missing score leaves it open."""


def top_class(output: Array, _: int = 1) -> list[Best]:
    """The class of each row: the place of the largest score, or each label by itself."""
    if output.labels or len(output.shape) < 2 or output.shape[-1] == 1:
        # A single axis is the batch: one label for each row, whatever its datatype.
        return [frozenset({_scalar(value)}) for value in output.values]
    return [_largest(row, 1) for row in output.rows()]


def top_k(output: Array, k: int) -> list[Best]:
    """The k best of each row: places of the largest scores, or the first k of ranked labels."""
    if output.labels:
        return [frozenset(_scalar(value) for value in row[:k]) for row in output.rows()]
    return [_largest(row, k) for row in output.rows()]


def _largest(row: Sequence[object], k: int) -> Best:
    """The places of the k largest scores; the lower place wins a tie."""
    scores = [_scalar(value) for value in row]
    numbers = [score for score in scores if isinstance(score, (int, float))]
    if len(numbers) < len(scores):
        return frozenset()
    return frozenset(sorted(range(len(numbers)), key=lambda place: (-numbers[place], place))[:k])


def _said(best: Best) -> str:
    if not best:
        return "nothing, a score is missing"
    return ", ".join(sorted(show(item) for item in best))[:200]


def equal(expected: object, got: object, tolerance: float) -> bool:
    """Whether two scalars are the same within the tolerance, whatever datatype carries them."""
    a, b = _scalar(expected), _scalar(got)
    if a is None or b is None:
        return a is b
    if isinstance(a, str) or isinstance(b, str):
        if isinstance(a, str) and isinstance(b, str):
            return a == b
        # A label "1" against the class 1: only a text that writes the very number is equal.
        a, b = (_scalar(number_in(v)) if isinstance(v, str) else v for v in (a, b))
        if a is None or b is None or isinstance(a, str) or isinstance(b, str):
            return False
    if a == b:
        return True
    try:
        if math.isinf(a) or math.isinf(b):
            return False
        return abs(b - a) <= tolerance * max(1, abs(a))
    except OverflowError:  # integers beyond the range of floats
        return False


def _scalar(value: object) -> str | int | float | None:
    """Booleans as 0 and 1, NaN as missing; anything else that is no scalar as its text."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, (str, int, float)):
        return {"True": 1, "true": 1, "False": 0, "false": 0}.get(value, value) if isinstance(value, str) else value
    return repr(value)


def number_in(text: str) -> int | float | None:
    """The number that a text writes, None if it writes none. `1_000` is none: only Python reads it so."""
    if "_" in text or len(text) > 400:
        return None
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return None


# --- words ------------------------------------------------------------------------------------------------------------


def squeeze(shape: Sequence[int]) -> list[int]:
    """A shape without its axes of length 1."""
    return [n for n in shape if n != 1]


def index(shape: Sequence[int], position: int) -> str:
    """`[1][3]` for a position in the flat values; nothing for a single value."""
    if math.prod(shape) == 1:
        return ""
    out = []
    for n in reversed(shape):
        position, i = divmod(position, n)
        out.append(f"[{i}]")
    return "".join(reversed(out))


def show(value: object) -> str:
    """A value as a person reads it: enough digits to see the difference, never a page of text."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "NaN"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.8g}"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
