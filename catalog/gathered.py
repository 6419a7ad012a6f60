"""Parts that are done and not yet written: each file costs a wait for the disk, so those of half a second share one."""

from threading import Lock
from time import monotonic
from typing import Any

_SECONDS = 0.5  # of work are lost where a process dies, and the parts that it was at


class Gathered:
    """The rows of parts, from any thread, until it is time to write them; the first part does not wait."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._tables = dict[int, Any]()
        self._due = 0.0

    def add(self, part: int, table: Any) -> dict[int, Any]:
        """Take the rows of a part; gives back all that is to be written now, by whoever asks, or nothing."""
        with self._lock:
            self._tables[part] = table
            return self._taken() if monotonic() >= self._due else {}

    def rest(self) -> dict[int, Any]:
        """What was not given back yet."""
        with self._lock:
            return self._taken()

    def _taken(self) -> dict[int, Any]:
        self._due = monotonic() + _SECONDS
        taken, self._tables = self._tables, {}
        return taken
