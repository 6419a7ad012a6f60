"""From listed photos to rows, whichever engine asks."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from threading import Semaphore
from time import perf_counter
from typing import Self

from artifact.device import available_cpus
from artifact.errors import PhotoError
from catalog.classifier import Classifier
from catalog.listed import Listed
from catalog.reading import Reader
from catalog.rows import Row

THREADS = 8  # for each core; those that have no turn wait for photos that come slowly, or are not needed

_TURNS = (
    2  # for each core, of all: while one waits for the interpreter, for a file or for a GPU, the other has the core
)
_GROUP = 16  # photos that a thread takes at least: more cost each less, and leave cores idle at the end for longer
_HELD_BYTES = 4 * 2**20  # of photos that were read and not answered; one photo more may be
_SLOW_SECONDS = 0.005  # for a photo to come from a store, or a folder far away; less may be a wait for the interpreter

Read = tuple[Listed, bytes | PhotoError]


class Turns:
    """Who may use the cores; a thread keeps its turn for as long as it can, since what it works with is in its caches.

    Where photos come slowly, it lays its turn aside while it reads: to change it costs more than a disk does.
    """

    def __init__(self, cores: int) -> None:
        is_alone = cores >= available_cpus()  # a second turn would take a core that is to be left to others
        self._free = Semaphore(_TURNS * cores if is_alone else cores)
        self._is_slow = True  # nobody knows yet

    def __enter__(self) -> Self:
        self._free.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self._free.release()

    def read(self, photos: Callable[[], list[Read]]) -> list[Read]:
        """Read photos, in the turn or not, as it went with those before."""
        with self.aside() if self._is_slow else nullcontext():
            started = perf_counter()
            found = photos()
            self._is_slow = perf_counter() - started > _SLOW_SECONDS * len(found)
        return found

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Let another thread have the turn meanwhile."""
        self._free.release()
        try:
            yield
        finally:
            self._free.acquire()


def group_size(classifier: Classifier) -> int:
    """How many photos a thread takes at once; every engine takes as many, as which run together decides on digits."""
    return max(_GROUP, classifier.max_batch)


def label(photos: Sequence[Listed], reader: Reader, classifier: Classifier, turns: Turns) -> list[Row]:
    """The rows of photos, in order; asked by a thread that has a turn. Raises a StoreError.

    Which photos run together depends on the photos alone, so that the same ones get the same scores, whoever asks.
    """
    reads = ((listed, _data(listed, reader)) for listed in photos)
    rows = list[Row]()
    while len(rows) < len(photos):
        held = turns.read(partial(_held, reads))
        answers = iter(classifier.answers([data for _, data in held if isinstance(data, bytes)]))
        rows += [
            Row.of(listed.path, next(answers) if isinstance(data, bytes) else data, classifier.card)
            for listed, data in held
        ]
    return rows


def _held(reads: Iterator[Read]) -> list[Read]:
    """The next photos, as many together as may be held."""
    held, size = list[Read](), 0
    for listed, data in reads:
        held.append((listed, data))
        size += len(data) if isinstance(data, bytes) else 0
        if size >= _HELD_BYTES:
            break
    return held


def _data(listed: Listed, reader: Reader) -> bytes | PhotoError:
    try:
        return reader.read(listed)
    except PhotoError as error:
        return error
