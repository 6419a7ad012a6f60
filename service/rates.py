"""How much a key may ask for: a bucket per key, of tokens that are worth an image each, which all workers take from."""

import fcntl
import os
import struct
from collections.abc import Callable
from math import ceil
from pathlib import Path
from time import monotonic
from weakref import finalize

from limits import RateLimitItem

_MOMENT = struct.Struct("d")
_ROUNDING = 1e-3  # of an image: what sums of many small numbers may be off


class Bucket:
    """Holds as many tokens as the rate names, and is filled again in the time that it names.

    What is kept is one moment, when the bucket will be full, by a clock that all processes of a machine share and
    nobody can set. With a `file` it is kept for all workers; the kernel lets go of the lock of one that dies.
    """

    def __init__(self, rate: RateLimitItem, file: Path | None = None, clock: Callable[[], float] = monotonic) -> None:
        self.rate = rate
        self._clock = clock
        self._tokens, self._seconds = rate.amount, rate.get_expiry()
        self._each = self._seconds / self._tokens
        self._file = -1 if file is None else os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if file is not None:
            finalize(self, os.close, self._file)  # when no request has it any more
        self._moment = 0.0
        self.policy = f'"images";q={self._tokens};w={self._seconds}'.encode()

    def take(self) -> float:
        """Take a token; gives 0, or, where there is none, the seconds until there is one."""
        return self._owe(1, self._seconds - self._each)

    def owe(self, images: int) -> None:
        """Take tokens that may not be there yet: until they would be, there is none."""
        self._owe(images)

    def _owe(self, images: int, most: float = float("inf")) -> float:
        """Put the moment off, unless that is more than so many seconds away; gives by how many it is."""
        if self._file >= 0:
            fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            now = self._clock()
            full = max(now, self._full())
            late: float = full - now - most
            if late > _ROUNDING * self._each:
                return late
            self._keep(full + images * self._each)
            return 0.0
        finally:
            if self._file >= 0:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def state(self) -> bytes:
        """Tokens that are there, and seconds until all are, as the header RateLimit has it."""
        away = max(0.0, self._full() - self._clock())
        there = max(0, int((self._seconds - away) / self._each + _ROUNDING))
        return b'"images";r=%d;t=%d' % (there, ceil(away))

    def _full(self) -> float:
        kept = os.pread(self._file, _MOMENT.size, 0) if self._file >= 0 else b""
        return float(_MOMENT.unpack(kept)[0]) if kept else self._moment

    def _keep(self, moment: float) -> None:
        self._moment = moment
        if self._file >= 0:
            os.pwrite(self._file, _MOMENT.pack(moment), 0)
