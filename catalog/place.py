"""Where files lie: this machine's disk and the object stores are asked in the same few ways."""

from collections.abc import Iterator
from typing import BinaryIO, Protocol


class Place(Protocol):
    """Files by their paths, or URLs; what cannot be had is an OSError, or a StoreError if no object can be."""

    def where(self, path: str) -> str:
        """The same file for whoever asks elsewhere, as text that can be written down."""

    def is_folder(self, path: str) -> bool:
        """Whether it is a folder, and not a file; raises FileNotFoundError where it is neither."""

    def files_below(self, folder: str, levels: int | None = None) -> Iterator[str]:
        """The files below a folder, as seen from there, in the order of their paths' bytes.

        Those that lie more than `levels` deep, and hidden ones, need not be among them.
        """

    def read(self, path: str, start: int, end: int) -> bytes:
        """The bytes of a file from `start` up to `end`, fewer where it ends before; any number of threads may ask."""

    def open(self, path: str) -> BinaryIO:
        """The file, to be read here and there."""
