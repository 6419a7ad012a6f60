"""Files that others read while they are changed."""

import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from artifact.errors import HangtagError


def replace(path: Path, text: str, mode: int = 0o666) -> None:
    """Replace a file in one step, so that whoever reads sees the old text or the new one.

    `mode` is for one that is new; one that was there keeps its mode, and its owner and group where we may give them.
    """
    new = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            with suppress(FileNotFoundError):
                _give_access(descriptor, path.stat())
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk, so that they survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _give_access(descriptor: int, to: os.stat_result) -> None:
    with suppress(PermissionError):
        os.fchown(descriptor, to.st_uid, to.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(to.st_mode))


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Change what is in a folder while nobody else does: two that read a file and write it anew would lose one change.

    Raises HangtagError, which says what and why, where the operating system refuses.
    """
    with writing(folder):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Where the operating system refuses to write, raise a HangtagError that says what and why."""
    try:
        yield
    except OSError as error:
        raise HangtagError(f"{error.filename or folder} cannot be written ({error.strerror}).") from error
