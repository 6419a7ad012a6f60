"""How far a job is: a bar on a terminal, else a line now and then, as a log wants it."""

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TextIO

from tqdm import tqdm

_LINE_SECONDS = 30
_LINE = "{desc}: {n_fmt} of {total_fmt}{unit}, {rate_fmt}, {remaining} left"
_LINE_WITHOUT_TOTAL = "{desc}: {n_fmt}{unit}, {rate_fmt}"


class _Lines(io.TextIOBase):
    """Makes a line of each state that tqdm draws over the one before."""

    def __init__(self, to: TextIO) -> None:
        self._to = to

    def write(self, text: str) -> int:
        if state := text.strip():
            self._to.write(f"{state}\n")
            self._to.flush()
        return len(text)


@contextmanager
def progress(what: str, total: int | None = None, done: int = 0) -> Iterator[Callable[[int], object]]:
    """Something to call with so many photos more, of a total that is known or not."""
    with _bar(what, total, done) as bar:
        yield bar.update


def _bar(what: str, total: int | None, done: int) -> Any:
    bar = partial(tqdm, desc=what, total=total, initial=done, unit=" photos")
    if sys.stderr.isatty():
        return bar()
    line = _LINE if total is not None else _LINE_WITHOUT_TOTAL
    return bar(bar_format=line, file=_Lines(sys.stderr), mininterval=_LINE_SECONDS, delay=_LINE_SECONDS)
