"""Rows by how sure the model is of them, the least sure first; on disk, so that memory hardly grows with them."""

from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np


class Doubts:
    """Lines of text, each with a score, in a file that goes when the context is left; given back by score.

    Equal scores keep their order. A line takes 16 bytes of memory, and 32 while they are given back.
    """

    def __init__(self, file: Path) -> None:
        self._path = file
        self._file = file.open("w+b")
        self._scores = array("d")
        self._starts = array("q")

    def add(self, score: float, line: str) -> None:
        """Put a line, which has no line break in it, in its place."""
        self._scores.append(score)
        self._starts.append(self._file.tell())
        self._file.write(line.encode() + b"\n")

    def __len__(self) -> int:
        return len(self._scores)

    def __iter__(self) -> Iterator[str]:
        self._file.flush()
        for place in np.argsort(np.array(self._scores), kind="stable"):
            self._file.seek(self._starts[place])
            yield self._file.readline().decode().removesuffix("\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._path.unlink()
