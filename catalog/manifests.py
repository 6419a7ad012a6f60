"""Manifests: tables with a row for each photo, as CSV, JSON lines or Parquet, read row by row."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, BinaryIO

import pyarrow as pa
from pyarrow import parquet

from artifact.errors import ColumnMissing, SourceUnreadable
from catalog.kinds import suffix_of
from catalog.place import Place

_DELIMITERS = (",", ";", "\t")  # spreadsheets write what is usual in their country
_ROWS = 8192


def paths_in(place: Place, manifest: str, column: str) -> Iterator[str]:
    """What the column says in each row, in order, empty where it says nothing; raises a SourceError."""
    with place.open(manifest) as file:
        try:
            yield from _READERS[suffix_of(manifest)](file, manifest, column)
        except UnicodeDecodeError as error:
            raise SourceUnreadable(f"{manifest} is no UTF-8 text; save it as such (`CSV UTF-8`).") from error
        except csv.Error as error:  # of later lines, the reader of rows says where
            raise SourceUnreadable(f"{manifest} is no CSV in its first line: {error}.") from error
        except pa.ArrowException as error:
            raise SourceUnreadable(f"{manifest} is no Parquet file that can be read ({_first_line(error)}).") from error


def _csv(file: BinaryIO, manifest: str, column: str) -> Iterator[str]:
    with io.TextIOWrapper(file, "utf-8-sig", newline="") as lines:
        head = lines.readline()
        found = [next(csv.reader([head], delimiter=sign), []) for sign in _DELIMITERS]
        columns = next((names for names in found if column in names), max(found, key=len))
        index = _index(columns, manifest, column)
        rows = csv.reader(lines, delimiter=_DELIMITERS[found.index(columns)], strict=True)
        try:
            for row in rows:
                if row:  # an empty line is none
                    yield row[index] if index < len(row) else ""
        except csv.Error as error:
            raise SourceUnreadable(f"{manifest} is no CSV in line {rows.line_num + 1}: {error}.") from error


def _json_lines(file: BinaryIO, manifest: str, column: str) -> Iterator[str]:
    with io.TextIOWrapper(file, "utf-8-sig") as lines:
        told = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
        rows = (_json_object(line, f"Line {number} of {manifest}") for number, line in told)
        for first in rows:
            _index(list(first), manifest, column)
            for row in chain([first], rows):
                yield _text(row.get(column))


def _parquet(file: BinaryIO, manifest: str, column: str) -> Iterator[str]:
    table = parquet.ParquetFile(file)
    schema = table.schema_arrow
    kind = schema.field(_index(schema.names, manifest, column)).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        raise SourceUnreadable(f"{manifest} has {kind} in its column `{column}`, which should have paths, as text.")
    for batch in table.iter_batches(_ROWS, columns=[column]):
        yield from (value or "" for value in batch.column(column).to_pylist())


def _index(columns: Sequence[str], manifest: str, column: str) -> int:
    """Which of the columns it is; raises ColumnMissing, or SourceUnreadable where it is there twice."""
    if not columns:
        raise ColumnMissing(f"{manifest} names no columns in its first line; the one with the paths is `{column}`.")
    if column not in columns:
        names = ", ".join(columns)
        raise ColumnMissing(f"{manifest} has no column `{column}`; say which has the paths with --column: {names}.")
    if columns.count(column) > 1:
        raise SourceUnreadable(f"{manifest} has the column `{column}` more than once; leave one of them.")
    return columns.index(column)


def _json_object(line: str, what: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise SourceUnreadable(f"{what} is no JSON ({error}).") from error
    if not isinstance(row, dict):
        raise SourceUnreadable(f"{what} is no JSON object, with a value for each column.")
    return row


def _text(value: object) -> str:
    """The value if it is text, without the half characters that JSON can have."""
    return value.encode(errors="ignore").decode() if isinstance(value, str) else ""


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".")


_READERS: dict[str, Callable[[BinaryIO, str, str], Iterator[str]]] = {
    ".csv": _csv,
    ".jsonl": _json_lines,
    ".parquet": _parquet,
}
