"""Many photos on their way at once: what becomes of each, how far all of them are, and that few are held at a time."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sized
from dataclasses import dataclass
from os import PathLike
from time import monotonic
from typing import Protocol, TypeVar

from artifact.errors import ClientError
from service.schemas import Classification

Photo = bytes | str | PathLike[str]  # an image file's bytes, or its path

_TELL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one of many photos: it has an answer, or the error that it ended in."""

    photo: Photo
    answer: Classification | None = None
    error: ClientError | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far many photos are: `done` have their outcome, which for `failed` of them is an error.

    `total` is how many there are, None where they are taken from a generator, which does not say.
    """

    done: int
    failed: int
    total: int | None
    seconds: float

    @property
    def rate(self) -> float:
        """Photos a second."""
        return self.done / self.seconds if self.seconds else 0.0

    def __str__(self) -> str:
        """For instance: 1200 of 5000 photos, 3 failed, 400/s, 10 s left."""
        parts = [f"{self.done} photos" if self.total is None else f"{self.done} of {self.total} photos"]
        if self.failed:
            parts.append(f"{self.failed} failed")
        parts.append(f"{self.rate:.0f}/s")
        if self.total is not None and self.rate and self.done < self.total:
            parts.append(f"{(self.total - self.done) / self.rate:.0f} s left")
        return ", ".join(parts)


class Meter:
    """Counts outcomes, and tells somebody how far they are: once a second at most, and when all are there."""

    def __init__(
        self,
        photos: Iterable[Photo],
        tell: Callable[[Progress], None] | None,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._total = len(photos) if isinstance(photos, Sized) else None
        self._tell = tell
        self._now = now
        self._done = self._failed = 0
        self._started = self._told = now()
        self._told_of = -1

    def count(self, outcome: Outcome) -> Outcome:
        """The same outcome, which is one more."""
        self._done += 1
        self._failed += outcome.error is not None
        if self._now() - self._told >= _TELL_SECONDS:
            self.tell()
        return outcome

    def tell(self) -> None:
        """Tell how far they are, if that is news."""
        self._told = self._now()
        if self._tell and self._told_of < self._done:
            self._told_of = self._done
            self._tell(Progress(self._done, self._failed, self._total, self._told - self._started))


class _Cancellable(Protocol):
    """What runs, and can be told not to."""

    def cancel(self) -> bool:
        """Ask it to end."""


Running = TypeVar("Running", bound=_Cancellable)


def abreast(started: Iterable[Running], most: int) -> Generator[Running, None, None]:
    """What is started, in order, for the caller to wait for; at most so many run at once. Closing it cancels them."""
    running: deque[Running] = deque()
    try:
        for one in started:
            running.append(one)
            if len(running) >= most:
                yield running[0]
                running.popleft()
        while running:
            yield running[0]
            running.popleft()
    finally:
        for one in running:
            one.cancel()
