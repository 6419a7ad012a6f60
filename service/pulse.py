"""The pulse of a process: it beats while the event loop turns, and at each beat somebody looks for what stands still.

How long something stands still is counted in beats, not in seconds: a machine that sleeps and a process that is stopped
have none meanwhile, and no clock that is set can take what is well for stuck.
"""

import asyncio
from collections.abc import Callable

BEATS = 8  # for which something may stand still, until it is given up
LATE = 6  # for which it may, until it is said to be stuck


class Still:
    """Tells, by a look at each beat, for how long something has stopped counting."""

    def __init__(self) -> None:
        self._seen: object = None
        self._beats = 0

    def beats(self, count: object) -> int:
        """Look at the count; returns for how many beats it has been the same."""
        self._beats = self._beats + 1 if count == self._seen else 0
        self._seen = count
        return self._beats


class Pulse:
    """Calls whoever has joined at each beat, BEATS times in `stuck_seconds`."""

    def __init__(self, stuck_seconds: float) -> None:
        self._pause = stuck_seconds / BEATS
        self._looks: list[Callable[[], None]] = []
        self._timer: asyncio.TimerHandle | None = None

    def join(self, look: Callable[[], None]) -> None:
        """Let somebody look at each beat."""
        self._looks.append(look)

    def leave(self, look: Callable[[], None]) -> None:
        """Let him look no more."""
        self._looks.remove(look)

    def start(self) -> None:
        """Beat from now on; called on the event loop."""
        self._timer = asyncio.get_running_loop().call_later(self._pause, self._beat)

    def stop(self) -> None:
        """Beat no more."""
        if self._timer:
            self._timer.cancel()

    def _beat(self) -> None:
        self.start()  # first, so that a look that fails does not stop it
        for look in [*self._looks]:
            look()
