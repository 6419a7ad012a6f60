"""Tar files, compressed or not: the photos in one, and each of them again by where it lies."""

import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from typing import BinaryIO

from artifact.errors import PhotoDamaged, PhotoTooLarge, SourceUnreadable
from catalog.kinds import suffix_of
from catalog.listed import printable
from catalog.place import Place
from catalog.unpacked import DAMAGE, unpacked

_HEAD = tarfile.BLOCKSIZE  # of each file in the archive, right before its bytes
_CHUNK = 2**20
_HEAD_NAME_BYTES = 100  # longer names, and those with more than ASCII, may stand elsewhere


def tar_entries(place: Place, path: str, passed_over: Counter[str]) -> Iterator[tuple[str, str]]:
    """The name of each file in a tar file, and what `read_entry` finds it by, in the order that they have there.

    The whole file is read for that if it is compressed or in a store. Links in it are passed over. Raises
    SourceUnreadable if it is damaged.
    """
    with place.open(path) as packed:
        file = unpacked(packed, path)
        try:
            with tarfile.open(fileobj=file, mode="r:") as tar:
                yield from _entries(tar, passed_over)
                _check_end(file, tar.offset)
            if file is not packed:
                _check_sums(file)
        except (tarfile.TarError, *DAMAGE) as error:
            raise _unreadable(path, error) from error
        except OSError as error:
            if error.errno is not None:
                raise
            raise _unreadable(path, error) from error


def read_entry(read: Callable[[int, int], bytes], entry: str, limit: int) -> bytes:
    """The bytes of one of the `tar_entries`, by what reads the archive; raises PhotoTooLarge and PhotoDamaged."""
    place, _, name = entry.partition(" ")
    start, size = map(int, place.split("+"))
    if size > limit:
        raise PhotoTooLarge(f"{name} in the tar file has {size} bytes, and at most {limit} are taken.")
    try:
        block = read(start - _HEAD, start + size)
    except DAMAGE as error:
        raise PhotoDamaged(f"{name} in the tar file cannot be unpacked: {error}.") from error
    if len(block) != _HEAD + size or not _is_head(block[:_HEAD], name, size):
        raise PhotoDamaged(f"{name} is not in the tar file where it was when it was listed; label the source anew.")
    return block[_HEAD:]


def _entries(tar: tarfile.TarFile, passed_over: Counter[str]) -> Iterator[tuple[str, str]]:
    while (member := tar.next()) is not None:
        tar.members.clear()  # type: ignore[attr-defined] # it would keep a kilobyte for each
        if member.isreg() and not member.issparse():
            yield member.name, f"{member.offset_data}+{member.size} {printable(member.name)}"
        elif not member.isdir():
            passed_over[f"{suffix_of(member.name)} (a link)".strip()] += 1


def _check_end(file: BinaryIO, at: int) -> None:
    """Raise TarError unless the archive's end is there: for tarfile it ends at damage, too, and where it is cut."""
    file.seek(at)
    if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError(f"at byte {at} there is neither a file nor the end")


def _check_sums(file: BinaryIO) -> None:
    """Read what is left of a compressed file: at its end stand check sums, which whoever unpacks it compares."""
    while file.read(_CHUNK):
        pass


def _is_head(block: bytes, name: str, size: int) -> bool:
    """Whether it is the head of such a file; its name is compared where the head itself has it."""
    try:
        head = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    named = name.isascii() and "\\" not in name and len(name) < _HEAD_NAME_BYTES
    return head.size == size and (head.name == name or not named)


def _unreadable(path: str, error: Exception) -> SourceUnreadable:
    return SourceUnreadable(f"{path} is no whole tar file of its kind ({error}); pack it anew.")
