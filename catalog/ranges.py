"""A file of which only those parts are fetched that somebody reads."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import local
from typing import Any


class RangeFile(io.RawIOBase):
    """A file of `size` bytes, of which `fetch(start, end)` gives any part."""

    def __init__(self, fetch: Callable[[int, int], bytes], size: int) -> None:
        self._fetch = fetch
        self._size = size
        self._at = 0
        self._ahead = _Ahead()

    def readable(self) -> bool:
        """It is there to be read."""
        return True

    def seekable(self) -> bool:
        """Any part can be next."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Read on from there; nothing is fetched."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fetch as much as there is room for, and say how much it is."""
        end = min(self._at + len(buffer), self._size)
        if end <= self._at:
            return 0
        data = self._ahead.part(self._at, end) or self._fetch(self._at, end)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    @contextmanager
    def ahead(self, start: int, end: int) -> Iterator[None]:
        """Fetch a part now, for what this thread will read of it in here."""
        self._ahead.start, self._ahead.data = start, self._fetch(start, min(end, self._size))
        try:
            yield
        finally:
            self._ahead.data = b""


class _Ahead(local):
    """What a thread has fetched, and where it begins in the file."""

    start = 0
    data = b""

    def part(self, start: int, end: int) -> bytes:
        """The bytes from `start` up to `end` if all of them were fetched."""
        covered = self.start <= start and end <= self.start + len(self.data)
        return self.data[start - self.start : end - self.start] if covered else b""
