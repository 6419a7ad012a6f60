"""The photos that need a person, in a folder of their own, which can be moved, sent, and opened without a server.

    index.html                the page: photos with their labels, to be corrected by a click; what it needs is in page/
    review.csv                the same as a table: with its labels corrected, a manifest for `hangtag train`
    photos/0000/0000042.jpg   the photos as they came, numbered by their places in the catalogue
    review.json               which job it is of, and how many photos there are

Why it is so: docs/decisions/0028-review.md.
"""

import json
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

import pyarrow.compute as pc

from artifact.card import ModelCard
from artifact.digest import digest_bytes
from artifact.errors import ImageError, JobBusy, OptionInvalid, PhotoError, StoreError
from artifact.files import replace
from artifact.models.size import folder_bytes
from catalog.doubts import Doubts
from catalog.job import LISTING_FILE, Job
from catalog.listed import Listed
from catalog.listing import PART_SIZE
from catalog.pictures import keep, kept_before
from catalog.reading import Reader
from catalog.review_page import Doubtful, shown, write_page
from catalog.whole import alone, remove_unfinished, writing

_ABOUT = "review.json"
_AHEAD = 4  # photos in work for each thread, so that none stops for a slow one
_UNREAD_NAMED = 500  # on the page; the output has all


class Reviewed(NamedTuple):
    """What a review has: photos, those that cannot be shown, and bytes in all."""

    photos: int
    unread: int
    size: int


class Unread(NamedTuple):
    """A photo that cannot be shown: what it is called, the error's code, and what was wrong."""

    source: str
    code: str
    detail: str


class Review:
    """The review of a job, and of the model that labelled it."""

    def __init__(self, folder: Path, job: Job, card: ModelCard) -> None:
        self._folder = folder
        self._job = job
        self._card = card

    def check_free(self) -> None:
        """Raise OptionInvalid where the folder is there, and may have corrections in it, or cannot be made.

        Raises OutputUnwritable where nobody may look.
        """
        folder = self._folder
        with writing(folder):
            if not folder.parent.is_dir():
                raise OptionInvalid(f"--review: there is no folder {folder.parent}; make it, or name another folder.")
            if folder.exists() and not self._is_begun(folder):
                raise OptionInvalid(f"--review: {folder} is there already; move it away, or name another folder.")

    def write(self, reader: Reader, threads: int, done: Callable[[int], object]) -> Reviewed:
        """Make the folder, once all parts of the job are there; it appears in one step, when it is whole.

        `done` is told of so many photos more. A call that was broken off goes on after the photos that it wrote. Raises
        OptionInvalid, JobBusy, OutputUnwritable, and a StoreError.
        """
        self.check_free()
        with writing(self._folder):
            if not self._folder.exists():
                unfinished = self._folder.with_name(f".{self._folder.name}.partial")
                unfinished.mkdir(exist_ok=True)
                busy = f"Another process is making {self._folder}; let it end, or name another --review."
                with alone(unfinished, JobBusy(busy)):
                    self._make(unfinished, reader, threads, done)
            about = json.loads((self._folder / _ABOUT).read_bytes())
            return Reviewed(about["photos"], about["unread"], folder_bytes(self._folder))

    def _make(self, folder: Path, reader: Reader, threads: int, done: Callable[[int], object]) -> None:
        self._begin(folder)
        unread, named = 0, list[Unread]()
        with Doubts(folder / "rows") as doubts:
            for found in self._looked_at(folder, reader, threads):
                done(1)
                if isinstance(found, Doubtful):
                    doubts.add(found.score, json.dumps(found))
                    continue
                unread += 1
                if unread <= _UNREAD_NAMED:
                    named.append(found)
            counts = {"photos": len(doubts), "unread": unread}
            write_page(folder, self._told(named, counts), (Doubtful(*json.loads(line)) for line in doubts))
        replace(folder / _ABOUT, json.dumps({"job": self._identity(), **counts}, indent=2) + "\n")
        os.sync()  # once for all files: after a power cut, too, what has its name is whole
        folder.rename(self._folder)

    def _begin(self, folder: Path) -> None:
        """Leave what an earlier call wrote for this review, and nothing of another one."""
        if not self._is_begun(folder):
            for path in folder.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        remove_unfinished(folder)
        replace(folder / _ABOUT, json.dumps({"job": self._identity()}))

    def _is_begun(self, folder: Path) -> bool:
        try:
            return bool(json.loads((folder / _ABOUT).read_bytes())["job"] == self._identity())
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def _identity(self) -> dict[str, Any]:
        """What tells this job from every other one, also from a later one of the same order."""
        return {
            **self._job.order.model_dump(mode="json"),
            "listed": (self._job.folder / LISTING_FILE).stat().st_mtime_ns,
        }

    def _looked_at(self, folder: Path, reader: Reader, threads: int) -> Iterator[Doubtful | Unread]:
        """What each row that needs a person comes to, in the catalogue's order."""
        waiting = deque[Future[Doubtful | Unread]]()
        gone = Event()  # is the store: whoever is next would ask it for minutes, too

        def look(place: int, listed: Listed, row: dict[str, Any]) -> Doubtful | Unread:
            if gone.is_set():
                raise CancelledError
            try:
                return self._look(folder, reader, place, listed, row)
            except StoreError:
                gone.set()
                raise

        with ThreadPoolExecutor(threads) as pool:
            for wanted in self._wanted():
                waiting.append(pool.submit(look, *wanted))
                if len(waiting) == _AHEAD * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _wanted(self) -> Iterator[tuple[int, Listed, dict[str, Any]]]:
        """The rows that need a person, each with its place in the catalogue: decisions to review, and errors."""
        for part, table in enumerate(self._job.tables()):
            doubtful = pc.fill_null(pc.equal(table["decision"], "review"), fill_value=True)  # an error has no decision
            listing = self._job.listing.part(part)
            places = pc.indices_nonzero(doubtful).to_pylist()
            for place, row in zip(places, table.filter(doubtful).to_pylist(), strict=True):
                yield part * PART_SIZE + place, listing[place], row

    def _look(self, folder: Path, reader: Reader, place: int, listed: Listed, row: dict[str, Any]) -> Doubtful | Unread:
        """Put the photo and its picture into the folder."""
        source = shown(row["path"])
        if row["error"]:
            return Unread(source, row["error"], shown(row["detail"]))
        try:
            kept = kept_before(folder, place)
            kept = kept or keep(folder, place, reader.read(listed), self._job.order.max_pixels)
        except (ImageError, PhotoError) as error:
            return Unread(source, error.code, shown(str(error)))
        top = tuple((ranked["label"], ranked["score"]) for ranked in row["top_k"])
        return Doubtful(kept.photo, kept.picture, row["label"], row["score"], source, top)

    def _told(self, unread: list[Unread], counts: dict[str, int]) -> dict[str, Any]:
        """What the page says of the review as a whole."""
        return {
            "job": digest_bytes(json.dumps(self._identity()).encode()),
            "model": self._card.name,
            "version": self._card.version,
            "threshold": self._card.accept_threshold,
            "labels": self._card.labels,
            "asked": self._job.listing.photos,
            **counts,
            "named": unread,
        }
