"""Recorded requests with the answers of the training pipeline, and how a served answer is compared.

A recording is a ConfigMap of one model version, for servers of the Open Inference Protocol:

    data:
      format: oip/v1
      modelName: breast-cancer
      modelVersion: "2026-11-20"
      count: "40"
      requests.jsonl: |
        {"row":"1","request":{"inputs":[…],"outputs":[{"name":"predict"}]},"expected":{"predict":[0]}}
        …

One line is one request with one row, so that a difference names the row; `request` is sent as it stands
to `/v2/models/NAME/infer`. It is immutable: answers belong to the version they were recorded for.

What counts as equal is said in `core/answers.py`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seatrial.core.answers import (
    UnreadableError,
    array,
    first_difference,
    index,
    number_in,
    open_outputs,
    output_array,
    same_form,
    show,
)

FORMAT = "oip/v1"
REQUESTS = "requests.jsonl"
"""Key of the requests, one JSON object a line."""
SIZE_LIMIT = 1024 * 1024
"""Bytes that Kubernetes allows in a ConfigMap, keys and values together."""
APPLY_LIMIT = 256 * 1024
"""Bytes that client-side `kubectl apply` can remember in its annotation."""

VERSION_ANNOTATION = "seatrial.dev/model-version"
COUNT_ANNOTATION = "seatrial.dev/requests"
HASH_ANNOTATION = "seatrial.dev/requests-sha256"

Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]
"""What JSON can say."""
Row = Mapping[str, Json]
"""A row of the data by column, or a whole request body (it has `inputs`)."""

_INTEGERS = frozenset(f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64))
_FLOATS = frozenset({"FP16", "FP32", "FP64"})
DATATYPES = (*sorted(_FLOATS), *sorted(_INTEGERS), "BOOL", "BYTES")
"""Datatypes of the Open Inference Protocol."""


class RecordingError(ValueError):
    """The recording cannot be made or cannot be read; the message says where and what to do."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """How a row becomes the input of a request."""

    input_name: str = "input-0"
    datatype: str = "FP64"
    columns_as_inputs: bool = False
    """Each column is an input of its own, by name, with a datatype found from its values: for models that
    take a data frame. The request then says `content_type: pd`, which MLServer reads as a DataFrame."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request and what it must be answered."""

    row: str
    body: Mapping[str, Any]
    """What is POSTed."""
    expected: Mapping[str, Json]
    """Values by output name, arrays in their own shape."""


@dataclass(frozen=True, slots=True)
class Recording:
    """What a ConfigMap of recorded requests holds."""

    model_name: str
    model_version: str
    requests: tuple[Recorded, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """The first place where an answer is not the recorded one."""

    row: str
    field: str
    """Output and index, `predict_proba[1]`; or the part of the answer that is missing."""
    expected: str
    got: str

    def __str__(self) -> str:
        return f"row {self.row}, {self.field}: expected {self.expected}, got {self.got}"


# --- making a recording -----------------------------------------------------------------------------------------------


def build(
    name: str,
    namespace: str | None,
    model_name: str,
    model_version: str,
    rows: Sequence[Row],
    predictions: Sequence[Mapping[str, Json]],
    *,
    tensor: Tensor = Tensor(),
    row_ids: Sequence[str] | None = None,
) -> dict[str, Any]:
    """The ConfigMap of these rows, each with the prediction at the same place.

    A row is a mapping from column to value, in the order the model expects, or a complete request body.
    Raises RecordingError where the two do not fit together, a value does not fit the datatype, or the
    whole is larger than a ConfigMap may be; that sentence says how many of the rows would fit.
    """
    if len(rows) != len(predictions):
        raise RecordingError(
            f"there are {len(rows):,} rows but {len(predictions):,} predictions; "
            "each row needs the prediction at the same place"
        )
    if not rows:
        raise RecordingError("there are no rows: a recording needs at least one")
    ids = [str(i) for i in range(1, len(rows) + 1)] if row_ids is None else [str(i) for i in row_ids]
    if len(ids) != len(rows):
        raise RecordingError(f"there are {len(rows):,} rows but {len(ids):,} row ids")
    datatypes = _column_datatypes(rows) if tensor.columns_as_inputs else {}
    lines = [
        _line(row_id, _request(row_id, row, prediction, tensor, datatypes), prediction)
        for row_id, row, prediction in zip(ids, rows, predictions, strict=True)
    ]
    data = {
        "format": FORMAT,
        "modelName": model_name,
        "modelVersion": model_version,
        "count": str(len(lines)),
        REQUESTS: "".join(lines),
    }
    _check_size(data, lines)
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            **({} if namespace is None else {"namespace": namespace}),
            "annotations": {
                VERSION_ANNOTATION: model_version,
                COUNT_ANNOTATION: str(len(lines)),
                HASH_ANNOTATION: hashlib.sha256(data[REQUESTS].encode()).hexdigest(),
            },
        },
        "immutable": True,
        "data": data,
    }


def size(data: Mapping[str, str]) -> int:
    """Bytes of a ConfigMap's data as Kubernetes counts them."""
    return sum(len(key.encode()) + len(value.encode()) for key, value in data.items())


def spread(count: int, limit: int) -> list[int]:
    """Indices of `limit` among `count` things, evenly from the first to the last.

    Files are often sorted by class: the first forty rows of the iris data are all of one kind.
    """
    if limit >= count:
        return list(range(count))
    if limit == 1:
        return [0]
    return [round(i * (count - 1) / (limit - 1)) for i in range(limit)]


def _line(row_id: str, request: Mapping[str, Any], prediction: Mapping[str, Json]) -> str:
    expected = {output: _plain(row_id, output, value) for output, value in prediction.items()}
    entry = {"row": row_id, "request": request, "expected": expected}
    return json.dumps(entry, separators=(",", ":"), allow_nan=False) + "\n"


def _request(
    row_id: str, row: Row, prediction: Mapping[str, Json], tensor: Tensor, datatypes: Mapping[str, str]
) -> dict[str, Any]:
    if not prediction:
        raise RecordingError(f"row {row_id} has no prediction: name at least one output")
    outputs = [{"name": output} for output in prediction]
    if isinstance(row.get("inputs"), list):
        return {"outputs": outputs, **{key: _plain(row_id, key, value) for key, value in row.items()}}
    if not row:
        raise RecordingError(f"row {row_id} has no columns")
    if tensor.columns_as_inputs:
        if row.keys() != datatypes.keys():
            odd = sorted(row.keys() ^ datatypes.keys())
            raise RecordingError(f"row {row_id} has other columns than the first row; they differ in {', '.join(odd)}")
        inputs = [
            {
                "name": column,
                "shape": [1, 1],
                "datatype": datatypes[column],
                "data": [_cast(row_id, column, value, datatypes[column])],
                **({"parameters": {"content_type": "str"}} if datatypes[column] == "BYTES" else {}),
            }
            for column, value in row.items()
        ]
        return {"parameters": {"content_type": "pd"}, "inputs": inputs, "outputs": outputs}
    values = [_cast(row_id, column, value, tensor.datatype) for column, value in row.items()]
    one = {"name": tensor.input_name, "shape": [1, len(values)], "datatype": tensor.datatype, "data": values}
    return {"inputs": [one], "outputs": outputs}


def _column_datatypes(rows: Sequence[Row]) -> dict[str, str]:
    """The narrowest datatype that holds every value of a column; columns as the first row names them."""
    if isinstance(rows[0].get("inputs"), list):
        return {}
    found: dict[str, str] = {}
    for column in rows[0]:
        values = [row.get(column) for row in rows]
        kinds = {_kind(value) for value in values}
        present = kinds - {"missing"}
        if not present:
            found[column] = "FP64"
        elif present == {"BOOL"} and "missing" not in kinds:
            found[column] = "BOOL"
        elif present == {"INT64"} and "missing" not in kinds:
            found[column] = "INT64"
        elif present <= {"INT64", "FP64"}:
            found[column] = "FP64"
        else:
            found[column] = "BYTES"
    return found


def _kind(value: Json) -> str:
    if isinstance(value, bool):
        return "BOOL"
    if isinstance(value, int):
        return "INT64"
    if isinstance(value, float):
        return "FP64"
    if value is None or value == "":
        return "missing"
    if not isinstance(value, str):
        return "BYTES"
    if value in _BOOLEANS:
        return "BOOL"
    number = number_in(value)
    return "BYTES" if number is None else "INT64" if isinstance(number, int) else "FP64"


_BOOLEANS = {"True": True, "true": True, "False": False, "false": False}


def _cast(row_id: str, column: str, value: Json, datatype: str) -> str | int | float | bool | None:
    """One value as its datatype writes it in JSON; a missing number is null, which servers read as NaN."""
    where = f"row {row_id}, column {column!r}"
    if isinstance(value, (list, dict)):
        raise RecordingError(f"{where}: a list cannot be one value of a row; give complete requests as JSON lines")
    if datatype == "BYTES":
        return "" if value is None else str(value)
    if isinstance(value, str) and datatype == "BOOL" and value in _BOOLEANS:
        return _BOOLEANS[value]
    number = number_in(value) if isinstance(value, str) else value
    missing = value is None or value == "" or (isinstance(number, float) and math.isnan(number))
    if datatype == "BOOL":
        if number in (0, 1):
            return bool(number)
    elif datatype in _FLOATS:
        if missing:
            return None
        if isinstance(number, float) and math.isinf(number):
            raise RecordingError(f"{where}: {value!r} cannot be sent, JSON has no infinity")
        if isinstance(number, (int, float)):
            return number
    elif datatype in _INTEGERS:
        if isinstance(number, int) or (isinstance(number, float) and number.is_integer()):
            return int(number)
    else:
        raise RecordingError(f"{datatype!r} is no datatype; there are {', '.join(DATATYPES)}")
    hint = (
        ""
        if missing or isinstance(number, (int, float))
        else "; models that take named columns need --columns-as-inputs"
    )
    raise RecordingError(f"{where}: {value!r} is no {datatype}{hint}")


def _plain(row_id: str, where: str, value: Json) -> Json:
    """A value that strict JSON can write: NaN becomes null, infinity is refused."""
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, float) and math.isinf(value):
        raise RecordingError(f"row {row_id}, {where}: {value} cannot be recorded, JSON has no infinity")
    if isinstance(value, (list, tuple)):
        return [_plain(row_id, where, item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(row_id, where, item) for key, item in value.items()}
    return value


def _check_size(data: Mapping[str, str], lines: Sequence[str]) -> None:
    total = size(data)
    if total <= SIZE_LIMIT:
        return
    sizes = [len(line.encode()) for line in lines]
    room = SIZE_LIMIT - (total - sum(sizes))
    fit = min(len(lines) - 1, room * len(lines) // sum(sizes))
    while fit > 0 and sum(sizes[i] for i in spread(len(lines), fit)) > room:
        fit -= 1
    if fit == 0:
        raise RecordingError(f"one row takes more than the {SIZE_LIMIT:,} bytes that a ConfigMap may hold")
    raise RecordingError(
        f"{len(lines):,} rows take {total:,} bytes and a ConfigMap holds {SIZE_LIMIT:,}: {fit:,} rows fit. "
        f"Use --limit {fit}, which takes rows evenly from the whole file"
    )


# --- reading a recording ----------------------------------------------------------------------------------------------


def load(data: Mapping[str, str]) -> Recording:
    """Read a recording back from a ConfigMap's data; raises RecordingError with what is wrong and where."""
    kind = data.get("format")
    if kind != FORMAT:
        known = "has no key 'format'" if kind is None else f"has the format {kind[:40]!r}"
        raise RecordingError(
            f"the ConfigMap {known}; recorded requests have {FORMAT!r}, make them with `seatrial golden record`"
        )
    for key in ("modelName", "modelVersion", REQUESTS):
        if not data.get(key):
            raise RecordingError(f"the ConfigMap has no {key!r}; make it with `seatrial golden record`")
    requests = tuple(_entries(data[REQUESTS]))
    if not requests:
        raise RecordingError(f"{REQUESTS} holds no requests")
    count = data.get("count", str(len(requests)))
    if count != str(len(requests)):
        raise RecordingError(
            f"{REQUESTS} holds {len(requests):,} requests and 'count' says {count[:20]}: was it cut off?"
        )
    return Recording(data["modelName"], data["modelVersion"], requests)


def refusal(recording: Recording, model_name: str, model_version: str | None) -> str:
    """Why these recorded answers say nothing about this model; empty where they do.

    Another version is expected to answer differently, so its recording can prove nothing.
    """
    if recording.model_name != model_name:
        return (
            f"the requests were recorded for the model {recording.model_name!r}, and spec.model.name is "
            f"{model_name!r}: record them again with --model {model_name}"
        )
    if model_version is None:
        return (
            f"the requests were recorded for model version {recording.model_version!r}, and spec.model.version is not "
            "set: set it, so that the answers can be known to belong to this model"
        )
    if recording.model_version != model_version:
        return (
            f"the requests were recorded for model version {recording.model_version!r}, and spec.model.version is "
            f"{model_version!r}: record that version's answers with --model-version {model_version} and name the new "
            "ConfigMap in spec.preflight"
        )
    return ""


def _entries(text: str) -> Iterator[Recorded]:
    seen: set[str] = set()
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{REQUESTS} line {number}"
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise RecordingError(f"{where} is not JSON: {error}") from None
        if not isinstance(entry, dict):
            raise RecordingError(f"{where} is not an object with row, request and expected")
        row = entry.get("row", str(number))
        body, expected = entry.get("request"), entry.get("expected")
        if not isinstance(row, (str, int)) or len(str(row)) > 253:
            raise RecordingError(f"{where}: 'row' must be a name of at most 253 characters")
        if str(row) in seen:
            raise RecordingError(f"{where}: row {row} was there already; each row needs its own name")
        if not isinstance(body, dict) or not isinstance(body.get("inputs"), list):
            raise RecordingError(f"{where}: 'request' must be an inference request with 'inputs'")
        if not isinstance(expected, dict) or not expected:
            raise RecordingError(f"{where}: 'expected' must name at least one output with its values")
        for output, value in expected.items():
            try:
                array(value)
            except UnreadableError as error:
                raise RecordingError(f"{where}: expected output {output!r} {error}") from None
        seen.add(str(row))
        yield Recorded(str(row), body, expected)


# --- comparing --------------------------------------------------------------------------------------------------------


def compare(expected: Recorded, response: object, tolerance: float) -> Difference | None:
    """The first difference between the recorded answer and a server's decoded JSON; None if there is none.

    `response` is whatever the server sent: it is never trusted to have the form of an answer.
    """

    def differs(field: str, wanted: str, got: str) -> Difference:
        return Difference(expected.row, field, wanted, got)

    if not isinstance(response, Mapping):
        return differs("response", "an object with outputs", show(response))
    outputs = response.get("outputs")
    if not isinstance(outputs, list):
        error = response.get("error")
        return differs("outputs", "a list of outputs", f"the error {show(error)}" if error else "none")
    found = open_outputs(outputs)
    for name, recorded in expected.expected.items():
        if name not in found:
            there = ", ".join(sorted(found)) or "no outputs"
            return differs(f"output {name!r}", "to be there", there[:200])
        wanted = array(recorded)
        try:
            got = output_array(found[name])
        except UnreadableError as error:
            count = len(wanted.values)
            return differs(name, f"{count} value{'s' * (count != 1)}", f"data that {error}")
        if not same_form(wanted, got):
            return differs(f"shape of {name}", str(list(wanted.shape)), str(list(got.shape)))
        if (at := first_difference(wanted, got, tolerance)) is not None:
            return differs(f"{name}{index(wanted.shape, at)}", show(wanted.values[at]), show(got.values[at]))
    return None
