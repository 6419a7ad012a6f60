"""The bytes of a photo, from wherever it was listed."""

import errno

from artifact.errors import (
    PathMissing,
    PhotoDamaged,
    PhotoError,
    PhotoForbidden,
    PhotoMissing,
    PhotoTooLarge,
    SourceUnknown,
)
from catalog.kept_open import KeptOpen
from catalog.kinds import PACKED_TARS, TAR, ZIP, suffix_of
from catalog.listed import Listed
from catalog.place import Place
from catalog.places import Places
from catalog.tars import read_entry
from catalog.unpacked import Unpacked
from catalog.zips import OpenZip

DEFAULT_MAX_PHOTO_BYTES = 64 * 2**20
_NOT_THERE = {errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR}


class Reader:
    """Reads photos, with what it has open for them; any number of threads may ask the same one.

    It is quickest with archives when it is asked in the order of the listing, more or less.
    """

    def __init__(self, *, max_photo_bytes: int = DEFAULT_MAX_PHOTO_BYTES, places: Places | None = None) -> None:
        self._max_bytes = max_photo_bytes
        self._places = places or Places()
        self._zips: KeptOpen[OpenZip] = KeptOpen()
        self._packed_tars: KeptOpen[Unpacked] = KeptOpen()

    def read(self, listed: Listed) -> bytes:
        """The photo's bytes; raises a PhotoError if this one cannot be had, a StoreError if none of its store can."""
        if not listed.where:
            raise PathMissing(f"{listed.path} names no photo.")
        try:
            return self._read(listed)
        except SourceUnknown as error:
            raise PhotoMissing(str(error)) from error
        except (OSError, ValueError) as error:
            raise _explained(listed.path, error) from error

    def _read(self, listed: Listed) -> bytes:
        where, entry = listed.where, listed.entry
        place = self._places.of(where)
        if not entry:
            return self._whole(place, listed)
        suffix = suffix_of(where)
        if suffix == ZIP:
            return self._zips.get(where, lambda: OpenZip(place, where, self._max_bytes)).read(entry)
        if suffix == TAR:
            return read_entry(lambda start, end: place.read(where, start, end), entry, self._max_bytes)
        tar = self._packed_tars.get(where, lambda: Unpacked(place, where))
        return read_entry(tar.read, entry, self._max_bytes)

    def _whole(self, place: Place, listed: Listed) -> bytes:
        data = place.read(listed.where, 0, self._max_bytes + 1)
        if len(data) > self._max_bytes:
            raise PhotoTooLarge(f"{listed.path} has more than {self._max_bytes} bytes, and no more are taken.")
        return data


def is_packed(listed: Listed) -> bool:
    """Whether it lies in an archive that can be unpacked from its beginning only."""
    return bool(listed.entry) and suffix_of(listed.where) in PACKED_TARS


def _explained(path: str, error: OSError | ValueError) -> PhotoError:
    """What a disk or a store says of one photo; a ValueError, that such a name can be none."""
    if isinstance(error, PermissionError):
        return PhotoForbidden(f"{path} may not be read.")
    if isinstance(error, ValueError) or error.errno in _NOT_THERE or isinstance(error, FileNotFoundError):
        return PhotoMissing(f"{path} is not there, or is no file.")
    return PhotoDamaged(f"{path} cannot be read: {error.strerror or error}.")
