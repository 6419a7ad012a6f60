"""From listed photos to rows, whichever engine asks."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from time import perf_counter

from artifact.errors import PhotoError
from catalog.classifier import Classifier
from catalog.listed import Listed
from catalog.reading import Reader
from catalog.rows import Row

TURNS = 2  # for each core: while one waits for the interpreter, for a file or for a GPU, the other has the core
THREADS = 8  # for each core; those that have no turn write, or wait for photos that come slowly

_GROUP = 16  # photos that a thread takes at least: more cost each less, and leave cores idle at the end for longer
_HELD_BYTES = 4 * 2**20  # of photos that were read and not answered; one photo more may be
_SLOW_SECONDS = 0.005  # for a photo to come from a store, or a folder far away; less may be a wait for the interpreter

Read = tuple[Listed, bytes | PhotoError]


def group_size(classifier: Classifier) -> int:
    """How many photos a thread takes at once; every engine takes as many, as which run together decides on digits."""
    return max(_GROUP, classifier.max_batch)


def label(
    photos: Sequence[Listed], reader: Reader, classifier: Classifier, turn: AbstractContextManager[object]
) -> list[Row]:
    """The rows of photos, in order; `turn` is held whenever a core is needed. Raises a StoreError.

    It is held while photos are read as well, unless the first one came slowly: to take a turn for each step costs more
    than a disk does. Which photos run together depends on the photos alone, so that the same ones get the same scores,
    whoever asks.
    """
    reads = ((listed, _data(listed, reader)) for listed in photos)
    started = perf_counter()
    first = next(reads)
    if perf_counter() - started > _SLOW_SECONDS:
        return _label(chain([first], reads), classifier, turn)
    with turn:
        return _label(chain([first], reads), classifier, nullcontext())


def _label(reads: Iterable[Read], classifier: Classifier, computing: AbstractContextManager[object]) -> list[Row]:
    """The same, of photos that are read as they are taken; `computing` is held whenever they are not."""
    rows = list[Row]()
    for held in _held(reads):
        with computing:
            answers = iter(classifier.answers([data for _, data in held if isinstance(data, bytes)]))
        rows += [
            Row.of(listed.path, next(answers) if isinstance(data, bytes) else data, classifier.card)
            for listed, data in held
        ]
    return rows


def _held(reads: Iterable[Read]) -> Iterator[list[Read]]:
    """The photos, as many together as may be held."""
    held, size = list[Read](), 0
    for listed, data in reads:
        held.append((listed, data))
        size += len(data) if isinstance(data, bytes) else 0
        if size >= _HELD_BYTES:
            yield held
            held, size = [], 0
    yield held


def _data(listed: Listed, reader: Reader) -> bytes | PhotoError:
    try:
        return reader.read(listed)
    except PhotoError as error:
        return error
