"""When those who are refused may come back, and how soon those are refused who come sooner."""

import asyncio
from collections.abc import Callable
from math import ceil
from time import monotonic

from service.line import Line

_A_SECOND = 250.0  # refusals; each takes about 0.1 ms of the event loop, which has to serve everybody
_LEAST, _MOST = 1.0, 5.0  # seconds that Retry-After asks for


class Pace:
    """Gives each who is refused a turn, so many a second, and tells him to come back when it is.

    Who comes sooner is refused when his turn comes, so that he takes nobody's time but his own; others are at once.
    """

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._turn = 0.0  # of who was refused last

    def refuse(self, line: Line) -> tuple[float, int]:
        """How many seconds to hold the refusal on a line, and the whole seconds that it should ask for."""
        now = self._now()
        self._turn = min(max(self._turn, now) + 1 / _A_SECOND, now + _MOST)
        to_turn = self._turn - now
        held = to_turn if now < line.welcome else 0.0
        told = ceil(max(to_turn, _LEAST))
        line.welcome = now + held + told
        return held, told

    async def wait(self, line: Line) -> tuple[float, int]:
        """Hold the refusal on a line for as long; returns the seconds that it took, and those to ask for."""
        held, told = self.refuse(line)
        if not held:
            return 0.0, told
        began = self._now()
        await asyncio.sleep(held)
        return self._now() - began, told
