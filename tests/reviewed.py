"""A catalogue that was labelled as a test says, and the review of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

import pyarrow as pa

from catalog.job import Job, open_job
from catalog.listed import Listed
from catalog.listing import PART_SIZE
from catalog.order import Order
from catalog.reading import Reader
from catalog.review import Review, Reviewed
from catalog.rows import SCHEMA
from drawn import scene
from support import card, encoded

LABELS = ("skirts", "tops", 'hats, "caps"')
CARD = card(labels=LABELS)
Row = dict[str, Any]

_OF_MODEL = {"model": CARD.name, "version": CARD.version}


def row(path: str, label: str, score: float, decision: str = "review", **others: float) -> Row:
    """An answer; `others` are further labels with their scores."""
    top = [{"label": name, "score": value} for name, value in ((label, score), *others.items())]
    return _OF_MODEL | {"path": path, "label": label, "score": score, "top_k": top, "decision": decision}


def failed(path: str, detail: str = "It ends too soon.") -> Row:
    """A photo that cannot be decoded."""
    return _OF_MODEL | {"path": path, "error": "image_truncated", "detail": detail}


class Shop:
    """A job whose rows a test makes up, of photos that are drawn; its review goes into `folder`."""

    def __init__(self, root: Path, job: Job) -> None:
        self.folder = root / "review"
        self._files = root / "photos"
        self._files.mkdir(exist_ok=True)
        self._job = job

    @classmethod
    @contextmanager
    def open(cls, root: Path, name: str = "labels.csv", max_pixels: int = 10**6) -> Iterator[Self]:
        order = Order(
            model=CARD.name,
            version="1",
            digest="none",
            sources=("photos",),
            column="path",
            top_k=3,
            max_pixels=max_pixels,
        )
        with open_job(root / name, order) as job:
            yield cls(root, job)

    def put(self, path: str, photo: bytes) -> None:
        """Keep a photo, under a name that any disk takes."""
        self._file(path).write_bytes(photo)

    def photo(self, path: str) -> bytes:
        return self._file(path).read_bytes()

    def remove(self, path: str) -> None:
        self._file(path).unlink()

    def label(self, rows: list[Row]) -> None:
        """Finish all parts; photos that are not there yet are drawn."""
        for number, each in enumerate(rows):
            if not self._file(each["path"]).exists():
                self.put(each["path"], encoded(scene(number), "JPEG"))
        self._job.begin_with((Listed(each["path"], str(self._file(each["path"]))) for each in rows), lambda _: None)
        for part in range(self._job.listing.parts):
            self._job.write({part: pa.Table.from_pylist(rows[part * PART_SIZE :][:PART_SIZE], SCHEMA)})

    def review(self, reader: Reader | None = None) -> Reviewed:
        return Review(self.folder, self._job, CARD).write(reader or Reader(), 2, lambda _: None)

    def _file(self, path: str) -> Path:
        return self._files / sha256(path.encode("utf-8", "surrogatepass")).hexdigest()[:16]
