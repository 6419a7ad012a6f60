"""Who sends many photos in one body, which is read as fast as they are classified."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from time import perf_counter

from starlette.types import Receive, Scope

from service.intake import Caller, Limits, is_behind


class Sender(Caller):
    """Each of its photos has as long as the body of one; time in which we read nothing is not counted."""

    _awaited = "An image"

    def __init__(self, scope: Scope, receive: Receive, limits: Limits) -> None:
        super().__init__(scope, receive, limits)
        self._since = self._stopped = perf_counter()
        self._before = 0
        self._is_awaited = False

    def next_photo(self) -> None:
        """What comes from now on is of another photo."""
        self._since, self._before = self._stopped, self.record.body_bytes

    def is_slow(self) -> bool:
        """Whether it comes so slowly that others may have its room."""
        return self._is_awaited and is_behind(self.record.body_bytes - self._before, perf_counter() - self._since)

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The body as it arrives; raises BodyTooLarge, BodyTimeout or ClientGone."""
        began = perf_counter()
        try:
            async with aclosing(self._body(None)) as pieces:
                while (piece := await self._next(pieces)) is not None:
                    self._stopped = perf_counter()
                    yield piece
                    self._since += perf_counter() - self._stopped
        finally:
            self._line.deafen()
            self.record.stages.passed("read", began, perf_counter())

    async def _next(self, pieces: AsyncGenerator[bytes, None]) -> bytes | None:
        """The next piece, None where there is none."""
        self._is_awaited = True
        try:
            async with asyncio.timeout(self._limits.timeout - (perf_counter() - self._since)) as self._time:
                return await anext(pieces, None)
        except TimeoutError as error:
            raise self._too_slow() from error
        finally:
            self._is_awaited = False
