"""Zip files: the photos in one, and each of them again."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from io import SEEK_END
from typing import BinaryIO, cast
from zipfile import ZipInfo

from artifact.errors import ArchiveInvalid, EntryUnreadable, PhotoDamaged, PhotoTooLarge, SourceUnreadable, TooManyBytes
from artifact.zipped import Zipped
from catalog.place import Place
from catalog.ranges import RangeFile

_ENCRYPTED = 0x1  # in an entry's flags
_HEAD_BYTES = 1024  # before a photo's own: 30, its name and what programs add; where they are more, it is fetched twice
_MANY = 200_000  # entries; nearly a kilobyte is held for each


def zip_entries(place: Place, path: str) -> Iterator[tuple[str, str]]:
    """The name of each file in a zip file, and what `OpenZip.read` finds it by, in the order that they have there.

    Their names are held, a kilobyte for each. Raises SourceUnreadable if the file is damaged or encrypted.
    """
    with place.open(path) as file:
        try:
            entries = Zipped(file, max_bytes=0).entries
        except ArchiveInvalid as error:
            raise SourceUnreadable(f"{path} cannot be read: {error}") from error
    for index, entry in enumerate(entries):
        if entry.flag_bits & _ENCRYPTED:
            raise SourceUnreadable(f"{path} is encrypted; unpack it, and classify the folder.")
        yield entry.filename, f"{index} {entry.filename}"


class OpenZip:
    """A zip file, whose entries any number of threads may read; each fetches its own, and waits for no other."""

    def __init__(self, place: Place, path: str, max_bytes: int) -> None:
        with place.open(path) as file:
            size = file.seek(0, SEEK_END)
        self._max_bytes = max_bytes
        self._file = RangeFile(lambda start, end: place.read(path, start, end), size)
        try:
            self._zipped = Zipped(cast("BinaryIO", self._file), max_bytes)
        except ArchiveInvalid as error:
            raise PhotoDamaged(f"{path} is not what it was when it was listed: {error}") from error
        self.share = len(self._zipped.entries) / _MANY  # of what may be open

    def read(self, entry: str) -> bytes:
        """The bytes of one of the `zip_entries`; raises PhotoTooLarge before it is unpacked, and PhotoDamaged."""
        found = self._find(entry)
        try:
            with self._ahead(found):
                return self._zipped.read(found)
        except TooManyBytes as error:
            raise PhotoTooLarge(f"{found.filename} in the zip file is too large: {error}") from error
        except EntryUnreadable as error:
            raise PhotoDamaged(f"{found.filename} in the zip file cannot be read: {error}") from error

    def _ahead(self, found: ZipInfo) -> AbstractContextManager[None]:
        if found.file_size > self._max_bytes:  # and so is not read
            return nullcontext()
        size = _HEAD_BYTES + min(found.compress_size, self._max_bytes)
        return self._file.ahead(found.header_offset, found.header_offset + size)

    def _find(self, entry: str) -> ZipInfo:
        index, _, name = entry.partition(" ")
        found = self._zipped.entries[int(index) : int(index) + 1]
        if not found or found[0].filename != name:
            raise PhotoDamaged(f"{name} is not in the zip file where it was when it was listed; label the source anew.")
        return found[0]
