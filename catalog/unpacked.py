"""A compressed file, unpacked from its beginning on as far as somebody wants to read."""

import bz2
import gzip
import lzma
import os
import zlib
from collections.abc import Callable
from errno import ENOSPC
from tempfile import TemporaryFile
from threading import Lock
from typing import Any, BinaryIO
from weakref import finalize

from artifact.errors import SourceUnreadable
from catalog.kinds import suffix_of
from catalog.place import Place

DAMAGE = (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error)  # and OSError without an errno, of bz2

_CHUNK = 2**20  # bytes
_KEPT = 256  # chunks
_LARGE = 2**30  # bytes

_OPENERS: dict[str, Callable[[BinaryIO], Any]] = {
    ".bz2": bz2.BZ2File,
    ".gz": lambda file: gzip.GzipFile(fileobj=file),
    ".xz": lzma.LZMAFile,
}


def unpacked(file: BinaryIO, path: str) -> BinaryIO:
    """What is in the compressed file, by the suffix of its path; the file itself if it is not compressed."""
    suffix = suffix_of(path)
    opener = next((opener for end, opener in _OPENERS.items() if suffix.endswith((end, f".t{end[1:]}"))), None)
    return opener(file) if opener else file


class Unpacked:
    """Any part of what is in a compressed file, for any number of threads; closed when nobody holds it any more.

    Parts that are asked for in their order, or nearly so, are unpacked once: the last 256 MiB are kept in a temporary
    file for those who come late. Whoever wants what lies before them has everything unpacked again, and twice as much
    kept from then on; so it is a few times at most, in whatever order it is read.
    """

    def __init__(self, place: Place, path: str, *, chunk: int = _CHUNK, kept: int = _KEPT) -> None:
        self._packed = place.open(path)
        finalize(self, self._packed.close)
        self.share = self._packed.seek(0, os.SEEK_END) / _LARGE  # of what may be open
        self._path = path
        self._ring = self._room()  # a chunk lies there by its index modulo `_kept`
        finalize(self, self._ring.close)
        self._chunk = chunk
        self._kept = kept
        self._lock = Lock()
        self._start()

    def read(self, start: int, end: int) -> bytes:
        """The bytes from `start` up to `end`, fewer where the file ends before; raises what DAMAGE has.

        Raises SourceUnreadable where there is no room for the temporary file.
        """
        first, last = start // self._chunk, -(-end // self._chunk)
        with self._lock:
            data = b"".join([self._at(index) for index in range(first, last)])
        return data[start - first * self._chunk : end - first * self._chunk]

    def _start(self) -> None:
        self._packed.seek(0)
        self._file = unpacked(self._packed, self._path)
        self._next = 0
        self._last = b""

    def _at(self, index: int) -> bytes:
        """A chunk; empty behind the end."""
        if index < self._next - self._kept:
            self._kept *= 2
            self._start()
        while self._next <= index:
            if not self._go_on():
                return b""
        if index == self._next - 1:  # it may be shorter
            return self._last
        return os.pread(self._ring.fileno(), self._chunk, index % self._kept * self._chunk)

    def _go_on(self) -> bool:
        """Unpack one chunk more; false at the end."""
        try:
            if data := self._file.read(self._chunk):
                self._keep(data)
        except BaseException:
            self._start()  # nobody knows how far it got
            raise
        return bool(data)

    def _keep(self, data: bytes) -> None:
        try:
            count = os.pwrite(self._ring.fileno(), data, self._next % self._kept * self._chunk)
        except OSError as error:
            raise self._no_room(error.strerror) from error
        if count < len(data):
            raise self._no_room(os.strerror(ENOSPC))
        self._last = data
        self._next += 1

    def _room(self) -> Any:
        try:
            return TemporaryFile(buffering=0)
        except OSError as error:
            raise self._no_room(error.strerror) from error

    def _no_room(self, why: str | None) -> SourceUnreadable:
        return SourceUnreadable(
            f"{self._path} cannot be unpacked into a temporary file ({why}); let TMPDIR be a folder with room, "
            "or unpack it, and classify the folder."
        )
