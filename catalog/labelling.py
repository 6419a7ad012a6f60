"""From listed photos to their scores, whichever engine asks."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from threading import Semaphore
from time import perf_counter
from typing import Self

from artifact.device import CPU
from artifact.errors import PhotoError
from catalog.classifier import Classifier
from catalog.listed import Listed
from catalog.reading import Reader
from catalog.rows import Found, kept

THREADS = 8  # for each core; those that have no turn wait for photos that come slowly, or are not needed

_GPU_TURNS = 2  # for each core: while one waits for the GPU, the other has the core
_GROUP = 16  # photos that a thread takes at least: more cost each less, and leave cores idle at the end for longer
_HELD_BYTES = 4 * 2**20  # of photos that were read and not answered; one photo more may be
_SLOW_SECONDS = 0.0005  # for a photo to be read: it comes from no memory, and a core that waits for it stands idle


class Turns:
    """Who may use the cores; a thread keeps its turn for as long as it can, since what it works with is in its caches.

    Where it would only wait, for a disk or a network, it lays its turn aside: to change it costs more than a disk does
    that answers from memory.
    """

    def __init__(self, cores: int, provider: str) -> None:
        self._free = Semaphore(cores if provider == CPU else _GPU_TURNS * cores)

    def __enter__(self) -> Self:
        self._free.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self._free.release()

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


def label(photos: Sequence[Listed], reader: Reader, classifier: Classifier, turns: Turns) -> list[Found]:
    """What is found of photos, in order; asked by a thread that has a turn. Raises a StoreError.

    Which photos run together depends on the photos alone, so that the same ones get the same scores, whoever asks.
    """
    found = list[Found]()
    while len(found) < len(photos):
        held = _held(photos[len(found) :], reader, turns)
        scores = iter(classifier.scores([data for data in held if isinstance(data, bytes)]))
        found += [next(scores) if isinstance(data, bytes) else data for data in held]
    return found


def _held(photos: Sequence[Listed], reader: Reader, turns: Turns) -> list[bytes | PhotoError]:
    """The first of these, as many as may be held; once one came slowly, the others are read without a turn."""
    held, size, is_aside = list[bytes | PhotoError](), 0, False
    with ExitStack() as reading:
        before = perf_counter()
        for listed in photos:
            try:
                data = reader.read(listed)
                held.append(data)
                size += len(data)
            except PhotoError as error:
                held.append(kept(error))
            if size >= _HELD_BYTES:
                break
            now = perf_counter()
            if now - before > _SLOW_SECONDS and not is_aside:
                reading.enter_context(turns.aside())
                is_aside = True
            before = now
    return held
