"""How soon requests are refused: at once, but for those who come back sooner than they were told."""

import asyncio
from collections.abc import Callable
from time import monotonic

from service.line import Line

_A_SECOND = 1000.0  # refusals; each takes about 0.1 ms of the event loop, which has to serve everybody
_TOLD = 1.0  # seconds: what Retry-After asks for, and how long anybody is held at most


class Pace:
    """Lets those who come back too soon go in turn, so many a second, so that they take nobody's time but their own."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._free = 0.0  # when the next one may go

    def held(self, line: Line) -> float:
        """Seconds until the client at the other end of a line may be refused, 0 where it waited as it was told."""
        now = self._now()
        self._free = min(max(self._free, now) + 1 / _A_SECOND, now + _TOLD)
        is_too_soon = now < line.refused + _TOLD
        line.refused = self._free if is_too_soon else now
        return line.refused - now

    async def turn(self, line: Line) -> float:
        """Wait until the client at the other end of a line may be refused; returns how many seconds that took."""
        if not (seconds := self.held(line)):
            return 0.0
        began = self._now()
        await asyncio.sleep(seconds)
        return self._now() - began
