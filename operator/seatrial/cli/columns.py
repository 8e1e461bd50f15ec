"""One column of a table: CSV with the standard library, Parquet with pyarrow where it is installed.

Read value by value, since a training set may be larger than memory.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from seatrial.cli.errors import USAGE, CliError

PARQUET = (".parquet", ".pq")


def column(file: str, name: str) -> Iterator[tuple[str, object]]:
    """Every value of a column, with the place it stands in: `scores.csv line 8`."""
    return _parquet(file, name) if Path(file).suffix.lower() in PARQUET else _csv(file, name)


def _csv(file: str, name: str) -> Iterator[tuple[str, object]]:
    delimiter = "\t" if Path(file).suffix.lower() == ".tsv" else ","
    csv.field_size_limit(10_000_000)
    number = 1
    try:
        with open(file, encoding="utf-8-sig", newline="") as lines:
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
            header = [cell.strip() for cell in next(reader, [])]
            if not header:
                raise CliError(f"{file} is empty: its first line must name the columns", USAGE)
            at = _place(file, name, header)
            for cells in reader:
                begins, number = number + 1, reader.line_num
                if not cells:
                    continue
                if len(cells) != len(header):
                    raise CliError(
                        f"{file} line {begins} has {len(cells)} cells and the header has {len(header)}", USAGE
                    )
                yield f"{file} line {begins}", cells[at].strip()
    except OSError as error:
        raise CliError(f"{file} cannot be read: {error.strerror}", USAGE) from None
    except UnicodeDecodeError as error:
        raise CliError(f"{file} is not UTF-8 (byte {error.start:,}): save it as UTF-8", USAGE) from None
    except csv.Error as error:
        raise CliError(f"{file} after line {number} is not CSV: {error}", USAGE) from None


def _parquet(file: str, name: str) -> Iterator[tuple[str, object]]:
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra, and slow to import
        from pyarrow import parquet  # noqa: PLC0415
    except ModuleNotFoundError:
        raise CliError(
            f"{file} is Parquet, and pyarrow, which reads it, is not installed: pip install 'seatrial[parquet]', or save the "
            "column as CSV",
            USAGE,
        ) from None
    try:
        with parquet.ParquetFile(file) as table:
            _place(file, name, table.schema_arrow.names)
            row = 0
            for batch in table.iter_batches(columns=[name]):
                for value in batch.column(0).to_pylist():
                    row += 1
                    yield f"{file} row {row}", value
    except OSError as error:
        raise CliError(f"{file} cannot be read: {error.strerror or error}", USAGE) from None
    except pa.ArrowException as error:
        raise CliError(f"{file} is not Parquet: {error}", USAGE) from None


def _place(file: str, name: str, header: list[str]) -> int:
    if header.count(name) != 1:
        known = ", ".join(header[:20]) + (" …" if len(header) > 20 else "")
        what = "has no column" if name not in header else f"has {header.count(name)} columns called"
        raise CliError(f"{file} {what} {name!r}: give --column one of {known}", USAGE)
    return header.index(name)
