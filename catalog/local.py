"""The engine of one machine: threads that read, decode, infer and write, each a group of photos after the other."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from threading import Lock, Thread
from typing import Any, NamedTuple

from catalog.classifier import Classifier
from catalog.gathered import Gathered
from catalog.job import Job
from catalog.labelling import THREADS, Turns, group_size, label
from catalog.listed import Listed
from catalog.reading import Reader
from catalog.rows import Found, joined


@dataclass
class _Part:
    """A part in the making."""

    index: int
    photos: Sequence[Listed]
    missing: int
    found: dict[int, Found] = field(default_factory=dict)  # by where in the part they begin

    def rows(self, classifier: Classifier) -> Any:
        """All rows, in order, once none is missing."""
        return classifier.rows(self.photos, joined([self.found[start] for start in sorted(self.found)]))


class _Group(NamedTuple):
    """Some photos of a part, and where in it they begin."""

    part: _Part
    start: int
    photos: Sequence[Listed]


class LocalEngine:
    """Labels what is missing of a job on `cores` cores.

    A thread that has a turn takes one group of photos after the other, reads, decodes and infers; now and then it lays
    the turn aside to write the parts that are complete. So reading, computing and writing overlap, nothing is handed
    over, and what is in memory is bounded by the number of threads.
    """

    def __init__(self, classifier: Classifier, cores: int, reader: Reader | None = None) -> None:
        self._classifier = classifier
        self._reader = reader or Reader()
        self._cores, self._threads = cores, THREADS * cores
        self._turns = Turns(cores, classifier.provider)
        self._lock = Lock()
        self._failure: BaseException | None = None

    def run(self, job: Job, labelled: Callable[[int], object]) -> None:
        """Write all parts that are missing; `labelled` is told of so many photos more.

        Where a part cannot be written, or the store cannot be reached, what has begun is ended, and its error raised.
        """
        groups = self._groups(job)
        with Gathered(job) as done:
            work = [Thread(target=self._work, args=(groups, done, labelled), daemon=True) for _ in range(self._threads)]
            for thread in work:
                thread.start()
            try:
                for thread in work:
                    thread.join()
            except KeyboardInterrupt as interrupt:
                self._failure = interrupt
                raise
            if self._failure:
                raise self._failure

    def _work(self, groups: Iterator[_Group], done: Gathered, labelled: Callable[[int], object]) -> None:
        try:
            with self._turns:
                while group := self._take(groups):
                    found = label(group.photos, self._reader, self._classifier, self._turns)
                    with self._lock:
                        part = group.part
                        part.found[group.start] = found
                        part.missing -= len(group.photos)
                        labelled(len(group.photos))
                        is_complete = not part.missing
                    if is_complete and done.add(part.index, part.rows(self._classifier)):
                        with self._turns.aside():  # most of it is a wait for the disk, however slow that is
                            done.write()
        except BaseException as error:  # noqa: BLE001 - whatever it is, `run` raises it
            self._failure = self._failure or error

    def _take(self, groups: Iterator[_Group]) -> _Group | None:
        with self._lock:
            return None if self._failure else next(groups, None)

    def _groups(self, job: Job) -> Iterator[_Group]:
        """The photos of all missing parts, in order: blocks, and as many at once as is best where that harms nothing.

        Where photos come slowly, or might, as nobody has read any, few threads would read one after the other what many
        can; where the catalogue ends, cores would be idle.
        """
        missing, block, taken = job.missing(), self._classifier.block, 0
        left = sum(map(job.listing.size, missing))
        for index in missing:
            photos = job.listing.part(index)
            part, start = _Part(index, photos, len(photos)), 0
            while start < len(photos):
                size = group_size(self._classifier, photos[start])
                if taken < self._threads or self._turns.is_reading_slow or left <= 2 * size * self._cores:
                    size = block
                group = photos[start : start + size]
                yield _Group(part, start, group)
                taken, left, start = taken + 1, left - len(group), start + len(group)
