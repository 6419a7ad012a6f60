"""The job that labels a catalogue: a folder beside its output, from which the same command goes on after any end."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
from pyarrow import parquet
from pydantic import BaseModel, ValidationError

from artifact.errors import JobBusy, JobDamaged, OutputExists, OutputUnwritable
from artifact.files import replace, sync
from catalog.listed import Listed
from catalog.listing import PART_SIZE, Listing
from catalog.order import Order
from catalog.rows import REPEATED
from catalog.summary import Summary
from catalog.whole import alone, remove_unfinished, writing, written

# The first and the last stay for good, and say what labelled the output from what, and what came of it.
ORDER_FILE, LISTING_FILE, PARTS_FOLDER, SUMMARY_FILE = "job.json", "listing.arrow", "parts", "summary.json"

_Kept = TypeVar("_Kept", bound=BaseModel)


class Job:
    """One job, which this process alone is at; its parts are written by any number of threads or processes."""

    def __init__(self, out: Path, order: Order) -> None:
        self.out = out
        self.order = order
        self.folder = out.with_name(out.name + ".job")

    @property
    def is_listed(self) -> bool:
        """Whether it is known which photos it has."""
        return (self.folder / LISTING_FILE).exists()

    def begin_with(self, photos: Iterable[Listed], listed: Callable[[int], object]) -> None:
        """Note which photos there are, before any of them is labelled; `listed` is told of so many more."""
        Listing.write(self.folder / LISTING_FILE, photos, listed)

    @cached_property
    def listing(self) -> Listing:
        """The photos, once they are listed."""
        return Listing(self.folder / LISTING_FILE)

    def missing(self) -> list[int]:
        """The parts that are not written yet, in order."""
        there = {part for parts in self._written() for part in parts}
        return [part for part in range(self.listing.parts) if part not in there]

    def write(self, tables: Mapping[int, Any]) -> None:
        """Write the rows of parts, a table for each, after which they survive a power cut; raises OutputUnwritable.

        Parts that follow each other share a file, which is written in one step.
        """
        for parts in _runs(tables):
            name = f"{parts[0]:06}" if len(parts) == 1 else f"{parts[0]:06}-{parts[-1]:06}"
            with written(self.folder / PARTS_FOLDER / f"{name}.parquet") as file:
                parquet.write_table(pa.concat_tables(tables[part] for part in parts), file, use_dictionary=REPEATED)
        pa.default_memory_pool().release_unused()  # each thread that wrote would keep as much as that took

    def tables(self) -> Iterator[Any]:
        """The rows of all parts, in order, a table for each; raises JobDamaged."""
        if self.missing():
            raise JobDamaged(f"A file in {self.folder / PARTS_FOLDER} is gone; the same command makes it anew.")
        for parts, path in sorted(self._written().items(), key=lambda each: each[0].start):
            try:
                with path.open("rb") as file:
                    table = parquet.ParquetFile(file).read()
            except (OSError, pa.ArrowException) as error:
                raise JobDamaged(f"{path} cannot be read; remove it, and the same command makes it anew.") from error
            yield from (table.slice(place * PART_SIZE, PART_SIZE) for place in range(len(parts)))

    @property
    def summary(self) -> Summary | None:
        """What came of it, if it is finished and its output is still there."""
        return _read(self.folder / SUMMARY_FILE, Summary) if self._is_over and self.out.exists() else None

    @property
    def draft(self) -> Path:
        """Where the output is written, until `finish` gives it its place."""
        return self.folder / self.out.name

    def finish(self, summary: Summary) -> None:
        """Put the output in its place, note what came of it, and remove what only the way to it needed."""
        with writing(self.out):
            self.draft.replace(self.out)
            sync(self.out.parent)
        with writing(self.folder):
            replace(self.folder / SUMMARY_FILE, summary.model_dump_json(indent=2) + "\n")
            self._clear()

    def check_output(self) -> None:
        """Raise OutputExists if there is an output that this job has not made."""
        if self.out.exists() and not self._is_over and not (self.is_listed and not self.missing()):
            raise OutputExists(
                f"{self.out} is there, and no {self.folder.name} beside it says what it came from; "
                "remove it, or name another --out."
            )

    def begin(self) -> None:
        """Go on, if the folder is of what is asked for; where it is of nothing yet, begin. Raises as `open_job`."""
        order, is_complete = self.folder / ORDER_FILE, self._is_over and self.out.exists()
        if is_complete or (self.is_listed and not self._is_over):
            _read(order, Order).check(self.order, self.out, is_over=is_complete)
        with writing(self.folder):
            if self._is_over or not self.is_listed:
                self._clear()
            if not is_complete:
                replace(order, self.order.model_dump_json(indent=2) + "\n")
                (self.folder / SUMMARY_FILE).unlink(missing_ok=True)
                (self.folder / PARTS_FOLDER).mkdir(exist_ok=True)
                remove_unfinished(self.folder, self.folder / PARTS_FOLDER)

    @property
    def _is_over(self) -> bool:
        return (self.folder / SUMMARY_FILE).exists()

    def _clear(self) -> None:
        (self.folder / LISTING_FILE).unlink(missing_ok=True)
        if (self.folder / PARTS_FOLDER).exists():
            shutil.rmtree(self.folder / PARTS_FOLDER)

    def _written(self) -> dict[range, Path]:
        """The files of parts, by which parts are in them; those that are being written are hidden."""
        return {_parts_in(path.stem): path for path in (self.folder / PARTS_FOLDER).glob("[!.]*.parquet")}


@contextmanager
def open_job(out: Path, order: Order) -> Iterator[Job]:
    """Begin a job, or go on with the one that stopped, or find it finished, while no other process does.

    Raises OutputExists, JobBusy, JobDiffers with the way out, JobDamaged, or OutputUnwritable.
    """
    job = Job(out, order)
    with writing(out):
        if not out.parent.is_dir():
            raise OutputUnwritable(f"There is no folder {out.parent} to write {out.name} in; make it, or name another.")
        job.check_output()
    with writing(job.folder):
        job.folder.mkdir(exist_ok=True)
    with alone(job.folder, JobBusy(f"Another process is writing {out}; let it end, or name another --out.")):
        job.begin()
        yield job


def _runs(parts: Iterable[int]) -> list[range]:
    """The parts, in order, those together that follow each other."""
    runs = list[range]()
    for part in sorted(parts):
        if runs and runs[-1].stop == part:
            runs[-1] = range(runs[-1].start, part + 1)
        else:
            runs.append(range(part, part + 1))
    return runs


def _parts_in(name: str) -> range:
    """The parts that a file of this name has."""
    first, _, last = name.partition("-")
    return range(int(first), int(last or first) + 1)


def _read(path: Path, kind: type[_Kept]) -> _Kept:
    try:
        return kind.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is damaged"
        raise JobDamaged(
            f"{path} cannot be read ({why}); mend that, or remove {path.parent}, and its output, to begin anew."
        ) from error
