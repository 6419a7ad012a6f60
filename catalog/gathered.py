"""Parts that are done and not written yet: each file costs a wait for the disk, so those of two seconds share one.

A part that is done sooner than that after a file was written waits for the next one that is done later.
"""

from contextlib import nullcontext, suppress
from threading import Lock
from time import monotonic
from typing import Any, Self

from artifact.errors import OutputUnwritable
from catalog.job import Job

_SECONDS = 2.0


class Gathered:
    """The rows of parts, from any thread, until it is time to write them; the first part does not wait.

    What is there when the context is left is written; where that fails, too, the error that left it is the one raised.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._lock = Lock()
        self._tables = dict[int, Any]()
        self._due = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, *__: object) -> None:
        with suppress(OutputUnwritable) if error else nullcontext():
            self.write()

    def add(self, part: int, table: Any) -> bool:
        """Take the rows of a part; whoever is told that it is time has to ask for `write`."""
        with self._lock:
            self._tables[part] = table
            now = monotonic()
            is_due = now >= self._due
            if is_due:
                self._due = now + _SECONDS
        return is_due

    def write(self) -> None:
        """Write what there is; raises OutputUnwritable."""
        with self._lock:
            tables, self._tables = self._tables, {}
        self._job.write(tables)
