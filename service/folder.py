"""The folder that the processes of one service share: it has room for all that they write, and is gone when they are.

Whoever belongs to the service holds a lock on a file in it, which the kernel lets go of however a process ends. So the
next service that starts can tell which folders nobody is left to remove: docs/decisions/0016-counts.md.
"""

import fcntl
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from tempfile import gettempdir, mkdtemp

# No disk that can be full or slow; and there where the root is read-only.
_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of a name that nobody knows is made in it

_PREFIX = "hangtag-"
_ALIVE = "alive"


def make_folder(files: Mapping[str, int]) -> Path:
    """A folder with files of these names and of so many bytes, which are there, and not only promised.

    A file with holes would kill who writes into one (SIGBUS) when there is no memory or disk for it any more. Raises
    OSError where there is no room in memory, nor on the disk.
    """
    if os.access(_MEMORY, os.W_OK):
        with suppress(OSError):
            return _made(_MEMORY, files)
    return _made(Path(gettempdir()), files)


def join(folder: Path) -> None:
    """Let the folder be there for as long as this process is, whose end closes the file."""
    fcntl.flock(os.open(folder / _ALIVE, os.O_RDONLY | os.O_CLOEXEC), fcntl.LOCK_SH)


def made_at(folder: Path) -> float:
    """When it was made, in seconds since 1970: the same whoever asks, and when the clock was set meanwhile."""
    return (folder / _ALIVE).stat().st_mtime


def _made(place: Path, files: Mapping[str, int]) -> Path:
    _remove_left(place)
    folder = Path(mkdtemp(prefix=_PREFIX, dir=place))
    try:
        for name, size in files.items():
            (folder / name).write_bytes(bytes(size))
        _lock(folder)
    except OSError:
        rmtree(folder)
        raise
    return folder


def _lock(folder: Path) -> None:
    """Hold the lock of a new folder; nobody ever sees the file without it."""
    new = folder / "new"
    fcntl.flock(os.open(new, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600), fcntl.LOCK_SH)
    new.rename(folder / _ALIVE)


def _remove_left(place: Path) -> None:
    """Remove the folders of services that were killed with all their processes."""
    for folder in place.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # it is somebody else's, or just made or removed
            if folder.lstat().st_uid == os.getuid() and _is_left(folder):
                rmtree(folder)


def _is_left(folder: Path) -> bool:
    file = os.open(folder / _ALIVE, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(file)
    return True
