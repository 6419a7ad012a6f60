"""The line to one client, which may hang up while somebody works for it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from typing import Any

from artifact.errors import ClientGone

LINE = "hangtag.line"  # where a request's scope has it


class Line:
    """Breaks off what is done for a client when its connection ends; a task that waited for that would cost more.

    `refused` is when the client was last told to come back later, in seconds of the monotonic clock.
    """

    def __init__(self) -> None:
        self.refused = -inf
        self._is_cut = False
        self._work: set[asyncio.Task[Any]] = set()

    def cut(self) -> None:
        """The client hung up."""
        self._is_cut = True
        for task in self._work:
            task.cancel()

    @contextmanager
    def attended(self) -> Iterator[None]:
        """Break off what the running task does inside, and raise ClientGone, when the client hangs up."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  (the type: a coroutine always runs in a task)
        if self._is_cut:
            raise _gone()
        self._work.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if not self._is_cut or task.uncancel():  # somebody else cancelled it, too
                raise
            raise _gone() from None
        finally:
            self._work.discard(task)


def _gone() -> ClientGone:
    return ClientGone("The client hung up before its answer was ready.")
