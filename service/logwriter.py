"""Lines on their way to standard error, from whoever logs, in whatever thread."""

import fcntl
import logging
import os
import select
from contextlib import suppress
from queue import Full, Queue
from threading import Thread

logger = logging.getLogger("hangtag")

_MOST_WAITING = 1000
_LAST_SECONDS = 1.0


class LogWriter(logging.Handler):
    """Writes each line in one piece, from a thread of its own: who logs never waits for who reads.

    While the descriptor takes nothing, so many lines wait; more are dropped, and counted.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._lines: Queue[bytes | None] = Queue(_MOST_WAITING)
        self._left_out = 0  # since nothing more could wait
        self._failed = 0  # to be written
        self._told = 0  # of these two
        self._is_torn = False
        self._thread = Thread(target=self._write_all, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Called by logging, one at a time."""
        try:
            self._lines.put_nowait(f"{self.format(record)}\n".encode(errors="backslashreplace"))
        except Full:
            self._left_out += 1
        except Exception:  # noqa: BLE001 - a line that cannot be formatted is a defect, and ends no request
            self.handleError(record)

    def close(self) -> None:
        """Write what waits, as far as that goes quickly."""
        with suppress(Full):
            self._lines.put(None, timeout=_LAST_SECONDS)
            self._thread.join(_LAST_SECONDS)
        super().close()

    def _write_all(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._write(line)
            except OSError:  # nobody reads any more, or the disk is full; the next line may find it otherwise
                self._failed += 1
            else:
                self._tell_dropped()

    def _tell_dropped(self) -> None:
        """Say that lines are missing, once there is room again to say so."""
        dropped = self._left_out + self._failed - self._told
        if dropped and self._lines.empty():
            self._told += dropped
            logger.warning("standard error did not take all log lines", extra={"dropped": dropped})

    def _write(self, line: bytes) -> None:
        """Write a line, on a line of its own; raises OSError.

        Workers share the descriptor, and of two who write to a pipe only short lines stay whole: so it is locked. Not
        everything can be; and the lock of a process that is killed goes with it.
        """
        whole = rest = b"\n" + line if self._is_torn else line
        with suppress(OSError):
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX)
        try:
            while rest:
                rest = rest[self._write_some(rest) :]
            self._is_torn = False
        finally:
            self._is_torn |= 0 < len(rest) < len(whole)
            with suppress(OSError):
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN)

    def _write_some(self, data: bytes) -> int:
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:  # whoever gave us the pipe does not want to wait for it
            select.select([], [self._descriptor], [])
            return 0
