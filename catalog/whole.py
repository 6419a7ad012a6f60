"""Files that are whole or not there, whenever the process or the machine dies, and folders that one process writes."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from artifact.errors import JobBusy, OutputUnwritable


@contextmanager
def written(path: Path) -> Iterator[BinaryIO]:
    """Write a file under a hidden name beside it, which it gives up for its own when all of it is on the disk.

    Raises OutputUnwritable where the operating system refuses.
    """
    new = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    with writing(path):
        try:
            with new.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Where the operating system refuses, raise OutputUnwritable, which says what and why, and what helps."""
    try:
        yield
    except OSError as error:
        raise OutputUnwritable(
            f"{path} cannot be written ({error.strerror or error}); when that is mended, the same command goes on."
        ) from error


@contextmanager
def alone(folder: Path, busy: JobBusy) -> Iterator[None]:
    """Hold a folder against other processes, until this one ends in whatever way; raises `busy` where one holds it."""
    with writing(folder):
        descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise busy from None
        yield
    finally:
        os.close(descriptor)


def remove_unfinished(*folders: Path) -> None:
    """Remove what was being written when a process died."""
    for folder in folders:
        for path in folder.glob(".*"):
            path.unlink(missing_ok=True)
