"""Catalogues for the tiny model, and `hangtag classify` as its user calls it."""

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from artifact.errors import StoreUnreachable
from artifact.repository import Repository
from catalog.classifier import Classifier
from catalog.job import Job
from catalog.listed import Listed
from catalog.local import LocalEngine
from catalog.order import Order
from catalog.reading import Reader
from catalog.sources import list_photos
from support import HANGTAG, png

Classify = Callable[..., tuple[int, str, str]]
SHADES = (0, 128, 255)


def photos(folder: Path, count: int) -> Path:
    """So many photos, dark, middle and light in turn; the first is 0000.png."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / f"{number:04}.png").write_bytes(png(SHADES[number % 3]))
    return folder


def repeated(folder: Path, count: int) -> Path:
    """A manifest of so many photos, which are few files, the tenth of them none that can be decoded."""
    photos(folder, 10)
    (folder / "0009.png").write_bytes(b"no photo")
    manifest = folder / "all.csv"
    manifest.write_text("path\n" + "".join(f"{number % 10:04}.png\n" for number in range(count)))
    return manifest


def rows(out: Path) -> list[dict[str, Any]]:
    """The rows of an output in JSON lines."""
    return [json.loads(line) for line in out.read_text().splitlines()]


def labels(out: Path) -> list[str | None]:
    return [row["label"] for row in rows(out)]


def begun(*arguments: str | Path, program: Sequence[str] = HANGTAG, **options: Any) -> "subprocess.Popen[str]":
    """A real `hangtag classify` that runs."""
    return subprocess.Popen(
        [*program, "classify", *map(str, arguments)],
        **({"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True} | options),
    )


class Failing(Reader):
    """Reads photos, until the store is gone after so many."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.asked = 0
        self._after = after

    def read(self, listed: Listed) -> bytes:
        self.asked += 1
        if self.asked > self._after:
            raise StoreUnreachable("The store cannot be reached.")
        return super().read(listed)


def order(models: Path, source: Path, version: str = "1") -> Order:
    """What the command asks for with this source."""
    return Order(
        model="tiny",
        version=version,
        digest=Repository(models).open("tiny", version).card.files["model.onnx"],
        sources=(str(source),),
        column="path",
        top_k=5,
        max_pixels=52_000_000,
    )


def begin(job: Job) -> None:
    """List its photos."""
    job.begin_with(list_photos(job.order.sources), lambda _: None)


def engine(models: Path, reader: Reader | None = None) -> LocalEngine:
    return LocalEngine(Classifier(Repository(models).open("tiny", "1")), 2, reader)
