"""What an actor on a Ray cluster does: it reads and labels the photos of one part after the other."""

import pickle
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa

from artifact.errors import HangtagError, SourceNotFound
from catalog.classifier import Classifier
from catalog.disk import Disk, is_of_disk
from catalog.labelling import THREADS, Turns, group_size, label
from catalog.listed import Listed
from catalog.reading import Reader
from catalog.rows import SCHEMA, Found, joined

_PHOTOS = pa.list_(pa.struct([(field, pa.string()) for field in Listed._fields]))


class Labeller:
    """An actor's work: parts of listed photos in, parts of rows out; two threads may ask at once.

    A `witness` is a file that whoever asks has, and so should this node. What goes wrong is given back, too: where it
    is raised, Ray tells it at great length, and may try again what nobody should.
    """

    def __init__(self, classifier: Callable[[], Classifier], witness: str | None) -> None:
        self._threads = ThreadPoolExecutor(THREADS)
        self._failure: HangtagError | None = None
        try:
            _check_node(witness)
            self._classifier = classifier()
            self._reader, self._turns = Reader(), Turns(1, self._classifier.provider)
        except HangtagError as error:
            self._failure = error

    def __call__(self, parts: Any) -> Any:
        """A table of one part, `part` and `photos`, to one of `part`, and `rows` or the `failure` of all of it."""
        failure, rows = self._failure, SCHEMA.empty_table()
        try:
            if not failure:
                rows = self._rows([Listed(**each) for each in parts["photos"][0].as_py()])
        except HangtagError as error:
            failure = error
        return pa.table(
            {
                "part": parts["part"],
                "rows": pa.ListArray.from_arrays([0, len(rows)], rows.to_struct_array().combine_chunks()),
                "failure": pa.array([failure and pickle.dumps(failure)], pa.binary()),
            }
        )

    def _rows(self, photos: Sequence[Listed]) -> Any:
        """The rows of one part, in order."""
        size = group_size(self._classifier, photos[0])
        groups = [photos[start : start + size] for start in range(0, len(photos), size)]
        found = joined([*self._threads.map(self._label, groups)])
        return self._classifier.rows(photos, found)

    def _label(self, photos: Sequence[Listed]) -> Found:
        with self._turns:
            return label(photos, self._reader, self._classifier, self._turns)


def sent(part: int, photos: Sequence[Listed]) -> Any:
    """A part as an actor gets it."""
    return pa.table({"part": [part], "photos": pa.array([[photo._asdict() for photo in photos]], _PHOTOS)})


def received(labelled: Any) -> Iterator[tuple[int, Any]]:
    """The parts that an actor gave back, a table of rows each; raises what it could not go on with."""
    for part, rows, failure in zip(labelled["part"], labelled["rows"], labelled["failure"], strict=True):
        if failure.is_valid:
            raise pickle.loads(failure.as_py())  # noqa: S301 - an actor of ours wrote it
        yield part.as_py(), pa.Table.from_struct_array(rows.values)


def _check_node(witness: str | None) -> None:
    """Raises SourceNotFound."""
    if witness and not is_here(witness):
        raise SourceNotFound(
            f"{witness} is not on the node {socket.gethostname()}; let all nodes have the photos at the same path, "
            "or name a store that all of them can read."
        )


def is_here(where: str) -> bool:
    """Whether it is a file that this machine has."""
    if not where or not is_of_disk(where):
        return False
    try:
        return not Disk().is_folder(where)
    except OSError:
        return False
