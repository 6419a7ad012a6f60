"""A manifest: a CSV or Parquet file with a row for each photo."""

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import pyarrow as pa
from pyarrow import csv, parquet

from artifact.errors import DataError
from training.data import name_some
from training.files import SPLITS, Holding, PhotoFile, PhotoFiles

SUFFIXES = (".csv", ".parquet")
_NEEDED = ("path", "label")
_TAKEN = (*_NEEDED, "split")
_LONGEST_HEADER = 65_536


class _Row(NamedTuple):
    """One row, by its number: 1 for the first photo."""

    number: int
    path: str
    label: str
    split: str

    def __str__(self) -> str:
        return f"{self.number} ({self.path or 'no path'})"


class Manifest(PhotoFiles):
    """The photos that a manifest names in its columns `path`, below its folder, `label`, and, if there is one, `split`.

    All rows are checked at once; raises DataError that counts the wrong ones and names the first.
    """

    def __init__(
        self, path: Path, *, licence: str = "not stated", validation: float = 0.1, test: float = 0.1, seed: int = 0
    ) -> None:
        folder = path.parent
        rows = _read(path)
        _refuse(path, "without a path", (row for row in rows if not row.path))
        _refuse(path, "without a label", (row for row in rows if not row.label))
        words = ", ".join(SPLITS)
        _refuse(path, f"with another split than {words}", (row for row in rows if row.split not in SPLITS))
        _refuse(path, "with a path out of the manifest's folder", (row for row in rows if _leaves(row.path)))
        _refuse(path, "whose file is not there", (row for row in rows if not _exists(folder / row.path)))
        _refuse(path, "whose path is that of a folder", (row for row in rows if (folder / row.path).is_dir()))
        labels = {row.label for row in rows}
        if len(labels) < 2:  # noqa: PLR2004 - one label is nothing to choose from
            found = f"only {labels.pop()}" if labels else "no rows"
            raise DataError(f"{path} has {found}; it needs a row for each photo, and at least two labels.")
        super().__init__(
            folder,
            [PhotoFile(row.path, row.label, next(split for split in SPLITS if split == row.split)) for row in rows],
            sorted(labels),
            source=f"{folder.resolve().name}/{path.name}",
            licence=licence,
            holding=Holding(validation=validation, test=test, seed=seed),
        )


def _read(path: Path) -> list[_Row]:
    table = _table(path)
    wrong = [name for name in _NEEDED if table.column_names.count(name) != 1]
    if wrong or table.column_names.count("split") > 1:
        raise DataError(
            f"{path} has the columns {', '.join(table.column_names)}; it needs `path` and `label`, once each, "
            "and can have `split`."
        )
    columns = [_texts(path, table, name) for name in _TAKEN]
    return [_Row(number, *fields) for number, fields in enumerate(zip(*columns, strict=True), 1)]


def _table(path: Path) -> Any:
    options = csv.ConvertOptions(column_types=dict.fromkeys(_TAKEN, pa.string()), strings_can_be_null=False)
    try:
        if path.suffix.lower() == ".parquet":
            return parquet.read_table(path)
        return csv.read_csv(path, parse_options=csv.ParseOptions(delimiter=_delimiter(path)), convert_options=options)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read ({_first_line(error)}); it should be a CSV or Parquet file.") from error


def _delimiter(path: Path) -> str:
    """What stands between the columns; in some countries spreadsheets put semicolons there, and some programs tabs."""
    with path.open("rb") as file:
        first = file.readline(_LONGEST_HEADER)
    return max(",;\t", key=lambda each: first.count(each.encode()))


def _texts(path: Path, table: Any, name: str) -> Sequence[str]:
    """A column as stripped text, empty where there is none; every row is for training where the column is missing."""
    if name not in table.column_names:
        return ["train"] * int(table.num_rows)
    try:
        return [(value or "").strip() for value in table[name].cast(pa.string()).to_pylist()]
    except pa.ArrowException as error:
        raise DataError(f"{path} has no text in its column `{name}` ({_first_line(error)}).") from error


def _leaves(path: str) -> bool:
    """Whether a path may lead out of the folder, which would tie the manifest, and every report, to one machine."""
    parts = PurePosixPath(path)
    return parts.is_absolute() or ".." in parts.parts or "\0" in path


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # such as a name that is too long to be one
        return False


def _refuse(path: Path, what: str, rows: Iterable[_Row]) -> None:
    wrong = [str(row) for row in rows]
    if wrong:
        counted = "1 row" if len(wrong) == 1 else f"{len(wrong)} rows"
        raise DataError(f"{path} has {counted} {what}: row {name_some(wrong)}; correct or remove what is named.")


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
