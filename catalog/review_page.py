"""The page of a review, and the table beside it: the same rows, the least sure first.

The page is three files that are always the same (catalog/page/). What it shows stands beside them in scripts, as JSON
and in portions, of which it loads one at a time; so nothing that a photo or a label is called is ever read as HTML.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from catalog.output import harmless
from catalog.pictures import PAGE

_TABLE = "review.csv"
_COLUMNS = ("path", "label", "predicted", "score", "source")
_BYTE_ORDER_MARK = "\ufeff"  # without it, Excel does not take the table for UTF-8
_ON_A_PAGE = 200


class Doubtful(NamedTuple):
    """A photo that needs a person: its files below the folder, the best label, its name, the best few labels."""

    path: str
    picture: str
    label: str
    score: float
    source: str
    top: tuple[tuple[str, float], ...]

    def cells(self) -> tuple[str, ...]:
        """Its row of the table, where `label` is to be corrected."""
        return self.path, self.label, self.label, f"{self.score:.4f}", harmless(self.source)


def write_page(folder: Path, about: Mapping[str, Any], rows: Iterable[Doubtful]) -> None:
    """Write the table, and index.html with all that it needs but the pictures."""
    pages = 0
    with (folder / _TABLE).open("w", encoding="utf-8", newline="") as file:
        file.write(_BYTE_ORDER_MARK)
        table = csv.writer(file)
        table.writerow(_COLUMNS)
        for pages, portion in enumerate(_portions(rows), 1):
            table.writerows(row.cells() for row in portion)
            _script(folder, f"rows/{pages}.js", "take", pages, [row._asdict() for row in portion])
    _script(folder, "about.js", "begin", {**about, "columns": _COLUMNS, "pages": pages})
    source = files("catalog") / "page"
    for name in ("review.css", "review.js"):
        (folder / PAGE / name).write_bytes((source / name).read_bytes())
    (folder / "index.html").write_bytes((source / "index.html").read_bytes())


def shown(text: str) -> str:
    """The text with each character that cannot be seen, and might turn others around, written as its number."""
    return "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in text)


def _portions(rows: Iterable[Doubtful]) -> Iterator[list[Doubtful]]:
    rest = iter(rows)
    while portion := list(islice(rest, _ON_A_PAGE)):
        yield portion


def _script(folder: Path, name: str, function: str, *arguments: Any) -> None:
    """A script that hands JSON to a function of the page: what is opened from disk may load that, and no JSON."""
    path = folder / PAGE / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"review.{function}({', '.join(map(json.dumps, arguments))});\n", encoding="ascii")
