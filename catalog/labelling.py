"""From listed photos to their scores, whichever engine asks."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from math import prod
from threading import Semaphore
from time import perf_counter
from typing import Self

from artifact.device import CPU
from artifact.errors import PhotoError
from catalog.classifier import Classifier
from catalog.listed import Listed
from catalog.reading import Reader, is_packed
from catalog.rows import Found, kept

THREADS = 8  # for each core; those that have no turn wait for photos that come slowly, or are not needed

_GPU_TURNS = 2  # for each core: while one waits for the GPU, the other has the core
_GROUP = 64  # photos that a thread takes: with more, threads wait longer for the interpreter, which decodes by turns
_HELD_PIXELS = 16 * 2**20  # bytes of photos that are decoded and not answered; one block may be more
_HELD_BYTES = 4 * 2**20  # of photos that are read at once; two photos more may be
_SLOW_SECONDS = 0.0002  # for each photo to be read: it comes from no memory, and a core that waits for it stands idle
_PATIENCE_SECONDS = 0.005  # more, for all that are read at once: the interpreter may keep a thread waiting for as long


class Turns:
    """Who may use the cores; a thread keeps its turn for as long as it can, since what it works with is in its caches.

    Where it would only wait, for a disk or a network, it lays its turn aside: to change it costs more than a disk does
    that answers from memory.
    """

    def __init__(self, cores: int, provider: str) -> None:
        self.is_reading_slow = False  # as whoever read last found it
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


def group_size(classifier: Classifier, first: Listed) -> int:
    """How many photos, from this one on, a thread had best take at once: whole blocks, as what runs together is.

    One block of what can be unpacked in its order only, so that threads are not far apart in it.
    """
    room = 0 if is_packed(first) else _HELD_PIXELS // prod(classifier.card.input.shape)
    return max(1, min(_GROUP, room) // classifier.block) * classifier.block


def label(photos: Sequence[Listed], reader: Reader, classifier: Classifier, turns: Turns) -> Found:
    """What is found of photos, the first of which begins a block; asked by a thread with a turn. Raises a StoreError.

    All are decoded before any is run: each of the two puts what the other one works with out of the core's caches.
    """
    return classifier.scores(classifier.decoded(_read(photos, reader, turns), len(photos)))


def _read(photos: Sequence[Listed], reader: Reader, turns: Turns) -> Iterator[bytes | PhotoError]:
    """The encoded photos, of which no more are read at once than may be held."""
    done = 0
    while done < len(photos):
        # Nothing but the loop holds them, so that they are gone before the next ones are read.
        for image in _held(photos[done:], reader, turns):
            done += 1
            yield image


def _held(photos: Sequence[Listed], reader: Reader, turns: Turns) -> list[bytes | PhotoError]:
    """The first of these, as many as may be held; without a turn, where the last ones came slowly, or once these do."""
    held, size, is_aside = list[bytes | PhotoError](), 0, False
    with ExitStack() as reading:
        enough = perf_counter() + _PATIENCE_SECONDS
        for listed in photos:
            enough += _SLOW_SECONDS
            if not is_aside and (turns.is_reading_slow or perf_counter() > enough):
                reading.enter_context(turns.aside())
                is_aside = turns.is_reading_slow = True
            try:
                data = reader.read(listed)
                held.append(data)
                size += len(data)
            except PhotoError as error:
                held.append(kept(error))
            if size >= _HELD_BYTES:
                break
        turns.is_reading_slow = perf_counter() > enough
    return held
