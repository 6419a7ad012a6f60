"""The rows of a whole catalogue as one file: CSV, JSONL or Parquet, by its suffix."""

import csv
import io
import json
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
from pyarrow import parquet

from catalog.rows import REPEATED, SCHEMA
from catalog.whole import written

# What a spreadsheet takes for a formula, or drops at the beginning of one; and the sign that keeps it from that.
_RUN_BY_SPREADSHEETS = ("=", "+", "-", "@", "\t", "\r", "\n")
_TEXT = "'"
_LINE_END = "\r\n"  # of csv's writer, which quotes what has a sign of its own line end in it, and nothing else for that
_ENCODER = json.JSONEncoder(ensure_ascii=False)
_GROUP_ROWS = 32_768  # in a row group of Parquet


def write_output(tables: Iterable[Any], path: Path) -> None:
    """Write tables of rows as the suffix of the path says, in one step; raises OutputUnwritable."""
    with written(path) as file:
        WRITERS[path.suffix.lower()](tables, file)


def harmless(value: str) -> str:
    """A text that a spreadsheet shows as it is, and does not run."""
    return _TEXT + value if value.startswith((*_RUN_BY_SPREADSHEETS, _TEXT)) else value


class _Lines(io.StringIO):
    """Lines of CSV that end as those of other text files do."""

    def write(self, line: str) -> int:
        """Take one line as csv's writer ends it."""
        return super().write(line.removesuffix(_LINE_END) + "\n")


def _write_csv(tables: Iterable[Any], file: BinaryIO) -> None:
    """Ranked labels as JSON in one cell; a text that a spreadsheet would run, or that begins with ', after a '."""
    file.write(f"{','.join(SCHEMA.names)}\n".encode())
    for table in tables:
        text, columns = _Lines(), _columns(table)
        for name in ("path", "label", "detail"):
            columns[name] = [value and harmless(value) for value in columns[name]]
        csv.writer(text, lineterminator=_LINE_END).writerows(zip(*columns.values(), strict=True))
        file.write(text.getvalue().encode())


def _write_jsonl(tables: Iterable[Any], file: BinaryIO) -> None:
    line = "{" + ", ".join(f'"{name}": %s' for name in SCHEMA.names) + "}\n"
    for table in tables:
        columns = _columns(table)
        ranked = [value or "null" for value in columns.pop("top_k")]
        texts = {name: [_json(value) for value in column] for name, column in columns.items()} | {"top_k": ranked}
        rows = zip(*(texts[name] for name in SCHEMA.names), strict=True)
        file.write("".join([line % row for row in rows]).encode())


def _write_parquet(tables: Iterable[Any], file: BinaryIO) -> None:
    with parquet.ParquetWriter(file, SCHEMA, use_dictionary=REPEATED) as writer:
        held = list[Any]()
        for table in tables:
            held.append(table)
            if sum(each.num_rows for each in held) >= _GROUP_ROWS:
                writer.write_table(pa.concat_tables(held))
                held.clear()
                pa.default_memory_pool().release_unused()  # so that the next group takes no more than this one did
        if held:
            writer.write_table(pa.concat_tables(held))


def _columns(table: Any) -> dict[str, list[Any]]:
    """The values of each column, ranked labels as JSON."""
    return {name: _ranked(table[name]) if name == "top_k" else table[name].to_pylist() for name in SCHEMA.names}


def _ranked(column: Any) -> list[str | None]:
    """A list of labels with their scores as JSON; one by one they would take as long as all the rest of a row."""
    values = column.combine_chunks()
    flat = values.flatten()
    labels, scores = flat.field("label").to_pylist(), flat.field("score").to_pylist()
    known = {label: _json(label) for label in set(labels)}
    pieces = iter(
        [f'{{"label": {known[label]}, "score": {score}}}' for label, score in zip(labels, scores, strict=True)]
    )
    return [
        None if length is None else f"[{', '.join(islice(pieces, length))}]"
        for length in values.value_lengths().to_pylist()
    ]


def _json(value: str | float | None) -> str:
    return _ENCODER.encode(value) if isinstance(value, str) else "null" if value is None else repr(value)


WRITERS: dict[str, Callable[[Iterable[Any], BinaryIO], None]] = {
    ".csv": _write_csv,
    ".jsonl": _write_jsonl,
    ".parquet": _write_parquet,
}
