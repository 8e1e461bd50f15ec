"""`seatrial golden record`: rows and the training pipeline's predictions in, a ConfigMap out.

Reads CSV and JSON lines with the patience that exported files need: every complaint names the file, the
line and what to write instead.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from seatrial.cli.errors import OK, USAGE, CliError
from seatrial.cli.manifests import written
from seatrial.core import golden
from seatrial.core.golden import Json, RecordingError, Tensor

_NAME = re.compile(r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
_LIST = re.compile(r"^\[.*\]$", re.DOTALL)

EXAMPLE = """\
example:
  # In training, once the model is fitted and saved:
  #   X.head(200).to_csv("rows.csv", index=False)
  #   pd.DataFrame({"predict": model.predict(X.head(200))}).to_csv("preds.csv", index=False)

  seatrial golden record --rows rows.csv --predictions preds.csv \\
    --model breast-cancer --model-version 2026-11-20 \\
    --name breast-cancer-golden-2026-11-20 --limit 40 -o golden.yaml
  kubectl apply -f golden.yaml

  # Class and probabilities, from a predictions file with the columns label, p0 and p1:
  #   --output predict=label --output predict_proba=p0,p1

then in the ModelDeployment:
  spec:
    model: {name: breast-cancer, version: "2026-11-20"}
    preflight: {requests: {configMapRef: {name: breast-cancer-golden-2026-11-20}}}"""


@dataclass(frozen=True, slots=True)
class Line:
    """A record of a file and the line it begins at."""

    number: int
    value: Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `golden record`."""
    parser.add_argument(
        "--rows", required=True, metavar="FILE", help="rows of the data: CSV with a header, or JSON lines"
    )
    parser.add_argument(
        "--predictions",
        required=True,
        metavar="FILE",
        help="the training pipeline's answers, one for each row, in order",
    )
    parser.add_argument(
        "--model", required=True, metavar="NAME", help="the model's name inside its server (spec.model.name)"
    )
    parser.add_argument(
        "--model-version", required=True, metavar="V", help="the version these answers belong to (spec.model.version)"
    )
    parser.add_argument("--name", required=True, help="name of the ConfigMap; best with the version in it")
    parser.add_argument("-n", "--namespace", help="namespace of the ConfigMap; left to kubectl where not given")
    parser.add_argument(
        "--output",
        action="append",
        metavar="NAME=COLUMN[,COLUMN…]",
        help="an output of the model and its columns in the predictions; may be repeated "
        "(default: one column is `predict`; in JSON lines each key is an output)",
    )
    parser.add_argument("--input-name", default="input-0", help="name of the input tensor (default: %(default)s)")
    parser.add_argument(
        "--datatype",
        default="FP64",
        choices=golden.DATATYPES,
        metavar="TYPE",
        help="datatype of the input tensor: FP64, FP32, INT64, BYTES … (default: %(default)s)",
    )
    parser.add_argument(
        "--columns-as-inputs",
        action="store_true",
        help="each column is an input by its name: for models that take a data frame with named columns",
    )
    parser.add_argument("--id-column", metavar="COLUMN", help="the column that names a row in messages; not a feature")
    parser.add_argument(
        "--limit",
        type=int,
        metavar="N",
        help="record N rows, taken evenly from the whole file (a few dozen are enough)",
    )
    parser.add_argument("-o", "--out", metavar="FILE", help="write the ConfigMap here instead of standard output")


def record(args: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    """Carry out `golden record`."""
    for option, name in (("--name", args.name), ("--namespace", args.namespace)):
        if name is not None and (not _NAME.match(name) or len(name) > 253):
            raise CliError(f"{option} {name!r} is no name: lower-case letters, digits, '-' and '.' are allowed", USAGE)
    if args.limit is not None and args.limit < 1:
        raise CliError(f"--limit {args.limit} records nothing: give 1 or more", USAGE)
    rows = read_rows(args.rows)
    predictions = read_predictions(args.predictions, outputs(args.output or []))
    if len(rows) != len(predictions):
        raise CliError(
            f"{args.rows} has {len(rows):,} rows and {args.predictions} has {len(predictions):,}: "
            "each row needs its prediction, in the same order",
            USAGE,
        )
    ids = _ids(rows, args.id_column, args.rows)
    taken = golden.spread(len(rows), args.limit or len(rows))
    try:
        manifest = golden.build(
            args.name,
            args.namespace,
            args.model,
            args.model_version,
            [_without(rows[i].value, args.id_column) for i in taken],
            [predictions[i] for i in taken],
            tensor=Tensor(args.input_name, args.datatype, args.columns_as_inputs),
            row_ids=[ids[i] for i in taken],
        )
    except RecordingError as error:
        raise CliError(f"{args.rows}: {error}{_at_line(str(error), rows, ids)}", USAGE) from None
    text = to_yaml(manifest)
    if args.out is None:
        out.write(text)
    else:
        try:
            Path(args.out).write_text(text, encoding="utf-8")
        except OSError as error:
            raise CliError(f"{args.out} cannot be written: {error.strerror}", USAGE) from None
    size = golden.size(manifest["data"])
    print(
        f"Recorded {len(taken):,} of {len(rows):,} rows for {args.model} {args.model_version}: ConfigMap {args.name}, "
        f"{size:,} bytes, outputs {', '.join(predictions[0])}.",
        file=err,
    )
    if size > golden.APPLY_LIMIT * 0.8:
        print(
            "It is too large for what `kubectl apply` remembers of an object: use `kubectl apply --server-side`.",
            file=err,
        )
    return OK


def outputs(options: Sequence[str]) -> dict[str, list[str]]:
    """Columns by output, from `--output` options."""
    found: dict[str, list[str]] = {}
    for option in options:
        name, equals, columns = option.partition("=")
        listed = [column.strip() for column in columns.split(",")]
        if not equals or not name.strip() or not all(listed):
            raise CliError(f"--output {option!r} is not NAME=COLUMN or NAME=COLUMN,COLUMN", USAGE)
        if name.strip() in found:
            raise CliError(
                f"--output {name.strip()} is given twice: list its columns in one, separated by commas", USAGE
            )
        found[name.strip()] = listed
    return found


def read_rows(file: str) -> list[Line]:
    """Rows by column; JSON lines may also hold complete inference requests."""
    if not _is_json(file):
        return [Line(line.number, line.value) for line in _csv(file)]
    lines = list(_json(file))
    for line in lines:
        if not isinstance(line.value, dict):
            raise CliError(
                f"{file} line {line.number}: a row is an object, column by column, not {_brief(line.value)}", USAGE
            )
    return lines


def read_predictions(file: str, wanted: dict[str, list[str]]) -> list[dict[str, Json]]:
    """The expected outputs of each row, by output."""
    if _is_json(file):
        return [_prediction(file, line, wanted) for line in _json(file)]
    rows = list(_csv(file))
    columns = list(rows[0].value)
    if not wanted:
        if len(columns) > 1:
            raise CliError(
                f"{file} has the columns {', '.join(columns)}: say which output they are, such as "
                f"--output predict={columns[0]}, or --output predict_proba={','.join(columns[1:])}",
                USAGE,
            )
        wanted = {"predict": columns}
    for output, listed in wanted.items():
        for column in listed:
            if column not in columns:
                raise CliError(
                    f"--output {output}: {file} has no column {column!r}; it has {', '.join(columns)}", USAGE
                )
    values = {column: _typed(file, column, rows) for listed in wanted.values() for column in listed}
    return [
        {
            output: values[listed[0]][i] if len(listed) == 1 else [values[column][i] for column in listed]
            for output, listed in wanted.items()
        }
        for i in range(len(rows))
    ]


def to_yaml(manifest: dict[str, Any]) -> str:
    """The manifest with the requests as a block that a person can read and diff."""
    # The requests are ASCII JSON without trailing spaces, so their block can be written as it is; the
    # emitter would look at each of its characters.
    data = dict(manifest["data"])
    block = data.pop(golden.REQUESTS)
    head = written({**manifest, "data": data}, width=4096)
    return head + f"  {golden.REQUESTS}: |\n" + "".join(f"    {line}\n" for line in block.splitlines())


# --- files ------------------------------------------------------------------------------------------------------------


def _is_json(file: str) -> bool:
    return Path(file).suffix.lower() in (".jsonl", ".ndjson", ".json")


def _open(file: str) -> str:
    try:
        # Line ends as they are: a cell may hold them.
        return Path(file).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise CliError(f"{file} cannot be read: {error.strerror}", USAGE) from None
    except UnicodeDecodeError as error:
        raise CliError(f"{file} is not UTF-8 (byte {error.start:,}): save it as UTF-8", USAGE) from None


def _csv(file: str) -> Iterator[Line]:
    """Rows of a CSV file as mappings; numbers stay text here."""
    text = _open(file)
    delimiter = "\t" if Path(file).suffix.lower() == ".tsv" else ","
    csv.field_size_limit(10_000_000)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    found = 0
    begins = 1
    try:
        for cells in reader:
            number, begins = begins, reader.line_num + 1
            if not any(cell.strip() for cell in cells) and (header is None or len(header) > 1):
                continue
            if header is None:
                header = _header(file, [cell.strip() for cell in cells])
                continue
            if len(cells) != len(header):
                raise CliError(f"{file} line {number} has {len(cells)} cells and the header has {len(header)}", USAGE)
            found += 1
            yield Line(number, dict(zip(header, (cell.strip() for cell in cells), strict=True)))
    except csv.Error as error:
        raise CliError(f"{file} line {reader.line_num} is not CSV: {error}", USAGE) from None
    if not found:
        raise CliError(f"{file} holds no rows" + (" below its header" if header else ", not even a header"), USAGE)


def _header(file: str, header: list[str]) -> list[str]:
    if "" in header:
        place = header.index("") + 1
        raise CliError(
            f"{file} line 1: column {place} has no name. pandas writes its index so: use to_csv(…, index=False)", USAGE
        )
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice:
        raise CliError(f"{file} line 1: the column {twice!r} is there twice", USAGE)
    # A frame made from an array has the columns 0, 1, 2 …; any other row of numbers is data.
    if all(_is_number(name) for name in header) and header != [str(i) for i in range(len(header))]:
        raise CliError(f"{file} line 1 holds numbers: the first line must name the columns", USAGE)
    return header


def _json(file: str) -> Iterator[Line]:
    found = 0
    for number, line in enumerate(_open(file).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            hint = "; one JSON value a line is wanted, not one large array" if line.strip() in ("[", "{") else ""
            raise CliError(f"{file} line {number} is not JSON: {error}{hint}", USAGE) from None
        found += 1
        yield Line(number, value)
    if not found:
        raise CliError(f"{file} holds no lines", USAGE)


def _prediction(file: str, line: Line, wanted: dict[str, list[str]]) -> dict[str, Json]:
    value = line.value
    if not isinstance(value, dict):
        if wanted:
            raise CliError(f"{file} line {line.number}: --output needs objects, this is {_brief(value)}", USAGE)
        return {"predict": value}
    if not wanted:
        return value
    for output, keys in wanted.items():
        for key in keys:
            if key not in value:
                raise CliError(
                    f"--output {output}: {file} line {line.number} has no {key!r}; it has {', '.join(value)}", USAGE
                )
    return {
        output: value[keys[0]] if len(keys) == 1 else [value[key] for key in keys] for output, keys in wanted.items()
    }


def _typed(file: str, column: str, rows: Sequence[Line]) -> list[Json]:
    """A column of predictions: booleans, numbers, lists in JSON, or else labels as they are written."""
    cells = [(row.number, str(row.value[column])) for row in rows]
    if all(cell in ("True", "False", "true", "false") for _, cell in cells):
        return [cell in ("True", "true") for _, cell in cells]
    if all(cell == "" or _is_number(cell) for _, cell in cells):
        return [_number(cell) for _, cell in cells]
    if all(_LIST.match(cell) for _, cell in cells):
        return [_array(file, number, column, cell) for number, cell in cells]
    return [cell for _, cell in cells]


def _array(file: str, number: int, column: str, cell: str) -> Json:
    try:
        value = json.loads(cell)
    except ValueError:
        raise CliError(
            f"{file} line {number}, column {column!r}: {cell[:40]!r} is an array as numpy prints it. Write a column "
            f"for each of its values and name them with --output {column}=…, or write JSON lines",
            USAGE,
        ) from None
    return value if isinstance(value, list) else cell


def _is_number(text: str) -> bool:
    if "_" in text:
        return False
    try:
        float(text)
    except ValueError:
        return False
    return True


def _number(cell: str) -> int | float | None:
    if cell == "":
        return None
    try:
        return int(cell)
    except ValueError:
        return float(cell)


def _ids(rows: Sequence[Line], column: str | None, file: str) -> list[str]:
    """What each row is called in messages: its id, or its number in the file, from 1."""
    if column is None:
        return [str(i) for i in range(1, len(rows) + 1)]
    seen: dict[str, int] = {}
    for row in rows:
        if column not in row.value:
            raise CliError(f"--id-column: {file} line {row.number} has no column {column!r}", USAGE)
        name = str(row.value[column])
        if name in seen:
            raise CliError(f"{file} line {row.number}: the id {name!r} was there in line {seen[name]} already", USAGE)
        seen[name] = row.number
    return list(seen)


def _without(row: dict[str, Json], column: str | None) -> dict[str, Json]:
    return row if column is None else {key: value for key, value in row.items() if key != column}


def _at_line(message: str, rows: Sequence[Line], ids: Sequence[str]) -> str:
    """` (line 8)` where the message speaks of a row."""
    match = re.match(r"row (.+?)(?:,| has )", message)
    if not match or match[1] not in ids:
        return ""
    return f" (line {rows[ids.index(match[1])].number})"


def _brief(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}…"


def main(args: argparse.Namespace) -> int:
    """Entry of `seatrial golden record`."""
    return record(args, sys.stdout, sys.stderr)
