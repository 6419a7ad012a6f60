"""The files of this machine."""

import os
from collections.abc import Iterator
from errno import ELOOP
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO
from urllib.parse import unquote_to_bytes, urlsplit

FILE_URL = "file:"


def is_of_disk(where: str) -> bool:
    """Whether a path or a URL is of this machine, and not of a store."""
    return "://" not in where or where.startswith(FILE_URL)


class Disk:
    """A Place: the paths of this machine; one file may be named by its `file:` URL, too."""

    def where(self, path: str) -> str:
        """The absolute path; as a `file:` URL if it is no UTF-8."""
        absolute = path if path.startswith("/") else f"{os.getcwd().rstrip('/')}/{path}"  # noqa: PTH109 - Path takes ten times as long
        try:
            absolute.encode()
        except UnicodeEncodeError:
            return Path(absolute).as_uri()
        return absolute

    def is_folder(self, path: str) -> bool:
        """Whether it is a folder, and not a file; raises FileNotFoundError where it is neither."""
        local = Path(local_path(path))
        if not local.is_dir():
            local.stat()
            return False
        return True

    def files_below(self, folder: str, levels: int | None = None) -> Iterator[str]:
        """The files at most so many levels below a folder, in order; hidden ones, pipes and the like are left out.

        Links are followed, unless it is to a folder that they lie in themselves; one to what is gone counts as a file.
        The names of one folder a level are held.
        """
        on_the_way = [("", iter(_children(folder)))]  # and no recursion: folders may be deeper than Python's stack
        while on_the_way:
            above, names = on_the_way[-1]
            name = next(names, None)
            if name is None:
                on_the_way.pop()
            elif not name.endswith("/"):
                yield above + name
            elif levels is None or len(on_the_way) < levels:
                on_the_way.append((above + name, iter(_children(f"{folder.rstrip('/')}/{above}{name}"))))

    def read(self, path: str, start: int, end: int) -> bytes:
        """The bytes of a file from `start` up to `end`; raises FileNotFoundError for a pipe or a device, too."""
        descriptor, size = _opened(path)  # a file object takes longer to make than a small photo to read
        try:
            # As much as is there: a buffer for as much as there might be costs more than the photo.
            wanted = max(0, min(end, size) - start)
            data = os.pread(descriptor, wanted, start)
            while len(data) < wanted and (more := os.pread(descriptor, wanted - len(data), start + len(data))):
                data += more
            return data
        finally:
            os.close(descriptor)

    def open(self, path: str) -> BinaryIO:
        """The file, to be read here and there."""
        descriptor, _ = _opened(path)
        return os.fdopen(descriptor, "rb")


def local_path(path: str) -> str:
    """The path that a `file:` URL stands for, or the path itself."""
    return os.fsdecode(unquote_to_bytes(urlsplit(path).path)) if path.startswith(FILE_URL) else path


def _opened(path: str) -> tuple[int, int]:
    """A descriptor of the file, and its size; without O_NONBLOCK, a pipe in its place would be waited for."""
    descriptor = os.open(local_path(path), os.O_RDONLY | os.O_NONBLOCK)
    found = os.fstat(descriptor)
    if not S_ISREG(found.st_mode):
        os.close(descriptor)
        raise FileNotFoundError(f"{path} is no file")
    return descriptor, found.st_size


def _children(folder: str) -> list[str]:
    """The names in a folder, those of folders with a slash, in the order of their bytes, as object stores have them."""
    names = list[str]()
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_file(follow_symlinks=False):  # nearly all are
                names.append(entry.name)
            elif (entry.is_symlink() or entry.is_dir()) and not _leads_back(entry):
                names.append(entry.name + "/" * _is_folder(entry))
    return sorted(names, key=os.fsencode)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:
        if error.errno != ELOOP:  # a link to itself
            raise
        return False


def _leads_back(entry: os.DirEntry[str]) -> bool:
    """Whether it is a link to a folder that it lies in itself."""
    if not (entry.is_symlink() and _is_folder(entry)):
        return False
    target = Path(entry.path).resolve()
    return any(parent.resolve() == target for parent in Path(entry.path).absolute().parents)
