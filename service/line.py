"""The line to one client, which may hang up while somebody works for it."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from typing import Any

from artifact.errors import ClientGone

LINE = "hangtag.line"  # where a request's scope has it


class Line:
    """Breaks off what is done for a client when its connection ends; a task that waited for that would cost more.

    `welcome` is when the client was last told to come back, in seconds of the monotonic clock. `is_deaf` says that
    nobody reads what the client still sends; `deafened` is called then.
    """

    def __init__(self, deafened: Callable[[], None] | None = None) -> None:
        self.welcome = -inf
        self.is_deaf = False
        self._deafened = deafened
        self._is_cut = False
        self._work: set[asyncio.Task[Any]] = set()

    def cut(self) -> None:
        """The client hung up."""
        self._is_cut = True
        for task in self._work:
            task.cancel()

    def deafen(self) -> None:
        """Nobody will read any more of the body, so a client who still sends it is not excused from taking answers."""
        self.is_deaf = True
        if self._deafened:
            self._deafened()

    @contextmanager
    def attended(self) -> Iterator[None]:
        """Break off what the running task does inside, and raise ClientGone, when the client hangs up."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  (the type: a coroutine always runs in a task)
        if self._is_cut:
            raise _gone()
        is_inner = task in self._work
        self._work.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if not self._is_cut or task.uncancel():  # somebody else cancelled it, too
                raise
            raise _gone() from None
        finally:
            if not is_inner:
                self._work.discard(task)


def _gone() -> ClientGone:
    return ClientGone("The client hung up before its answer was ready.")
