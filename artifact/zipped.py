"""The photos in a zip file, each taken out when it is wanted; what such a file says of itself is not believed.

Python's zipfile reads the structure. It would inflate whatever a few bytes ask for, and take whatever the directory
names, the same bytes a million times over (https://www.bamsoftware.com/hacks/zipbomb/). So entries may not overlap,
each has a limit of its own, and none may have shrunk more than photos do.
"""

from operator import attrgetter
from typing import BinaryIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from artifact.errors import ArchiveInvalid, EntryUnreadable, TooManyBytes, TooManyEntries

DEFAULT_MAX_RATIO = 100  # a photo as BMP has 3, on a white ground 16; deflate cannot do more than 1,032

_DIRECTORY_ENTRY = b"PK\1\2"
_LOCAL_HEAD_BYTES = 30  # of each entry, before its name
_ENCRYPTED = 0x1
_METHODS = (
    ZIP_STORED,
    ZIP_DEFLATED,
)  # all that zip programs use for photos, and all that zipfile inflates with a limit
_LONGEST_NAME = 4096  # of any path; with 64 KiB each, that zip has room for, the names alone would be a load
_LITTER = "__MACOSX"  # what macOS puts beside each file


class Zipped:
    """The files in a zip file, in the order of its directory; raises ArchiveInvalid if that cannot be relied on.

    It may be a file that is far away: OSErrors are the file's own.

    `skipped` counts folders, and what systems leave behind: names that begin with a dot, and `__MACOSX`. A name is only
    a name: nothing is written anywhere, so `../../etc/passwd` may be what a photo is called.
    """

    def __init__(self, file: BinaryIO, max_bytes: int, max_ratio: int = DEFAULT_MAX_RATIO) -> None:
        self._max_bytes = max_bytes
        self._max_ratio = max_ratio
        try:
            self._zip = ZipFile(file)
        except OSError:
            raise
        except Exception as error:  # zipfile raises whatever it likes for damaged data
            raise ArchiveInvalid("This is no zip file, or its directory is damaged; pack it anew.") from error
        found = self._zip.infolist()
        _check_apart(found, self._zip.start_dir)
        _check_names(found)
        self.entries = [entry for entry in found if _may_be_photo(entry)]
        self.skipped = len(found) - len(self.entries)

    def read(self, entry: ZipInfo) -> bytes:
        """One file; raises TooManyBytes or EntryUnreadable, which say nothing of the others.

        Whatever is wrong, no more than `max_bytes` are inflated.
        """
        self.check(entry)
        try:
            with self._zip.open(entry) as file:
                data = file.read(entry.file_size + 1)
        except OSError:
            raise
        except Exception as error:
            raise EntryUnreadable("The file in the zip is damaged; pack it anew.") from error
        if len(data) != entry.file_size:
            raise EntryUnreadable(
                f"The file in the zip has {len(data)} bytes, and the directory says {entry.file_size}; pack it anew."
            )
        return data

    def check(self, entry: ZipInfo) -> None:
        """Raise what `read` would, if that is known by what the file declares."""
        if entry.flag_bits & _ENCRYPTED:
            raise EntryUnreadable("The file in the zip is encrypted; pack it without a password.")
        if entry.compress_type not in _METHODS:
            raise EntryUnreadable(
                f"The file in the zip is compressed by method {entry.compress_type}; pack it with Deflate, or as it is."
            )
        if entry.file_size > self._max_bytes:
            raise TooManyBytes(
                f"The file in the zip has {entry.file_size} bytes, and at most {self._max_bytes} are taken; "
                "send a smaller image."
            )
        if entry.file_size > self._max_ratio * entry.compress_size:
            raise EntryUnreadable(
                f"The file in the zip is compressed to less than 1/{self._max_ratio}, which no photo can be; "
                "pack it as it is."
            )


def check_count(data: bytes, most: int) -> None:
    """Raise TooManyEntries where a zip file has more than so many.

    It counts what marks an entry, so the directory is not read, of which each entry would take half a kilobyte. Zip
    files in the zip file are counted with what they have, if they are stored as they are.
    """
    count = data.count(_DIRECTORY_ENTRY)
    if count > most:
        raise TooManyEntries(f"The zip file has {count} entries, and at most {most} are taken; send several.")


def _check_apart(entries: list[ZipInfo], end: int) -> None:
    """Raise ArchiveInvalid where two entries share bytes, or lie where the directory is."""
    apart, at = True, 0
    for each in sorted(entries, key=attrgetter("header_offset")):
        apart &= each.header_offset >= at
        at = each.header_offset + _LOCAL_HEAD_BYTES + each.compress_size
    if not apart or at > end:
        raise ArchiveInvalid("Files in the zip file overlap, as nobody packs them; pack it anew.")


def _check_names(entries: list[ZipInfo]) -> None:
    """Raise ArchiveInvalid where one is longer than a path may be."""
    longest = max((len(each.filename) for each in entries), default=0)
    if longest > _LONGEST_NAME:
        raise ArchiveInvalid(
            f"A name in the zip file has {longest} characters, and at most {_LONGEST_NAME} are taken; pack it anew."
        )


def _may_be_photo(entry: ZipInfo) -> bool:
    """Whether somebody put it there, and it is a file; by no PurePath, whose parts Python 3.12 would keep for ever."""
    return not entry.filename.endswith("/") and not any(
        part == _LITTER or (part.startswith(".") and part not in (".", "..")) for part in entry.filename.split("/")
    )
