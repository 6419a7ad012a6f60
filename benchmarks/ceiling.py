"""Decode and inference of photos that are in memory, and nothing else: the most that a program can label."""

import os
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from time import perf_counter, process_time
from typing import NamedTuple

import numpy as np

from artifact.pixels import decode
from artifact.repository import Artifact
from artifact.session import Session

_DECODED = 64  # before they are run: a core that goes from one to the other finds its caches cold
_BATCHES, _SEARCHES, _SEARCH_SECONDS = (1, 4, 16), 5, 0.5  # by turns, as one alone may meet a noisy moment


class Pace(NamedTuple):
    """How fast it went: photos a second, and for each of them milliseconds of a core."""

    rate: float
    core_ms: float


class Ceiling:
    """A model and photos for it, in batches of whichever size takes least of a core."""

    def __init__(self, artifact: Artifact, photos: Sequence[bytes]) -> None:
        self._spec = artifact.card.input
        self._session = Session(artifact.model, artifact.card)
        self._photos = photos
        core_ms: dict[int, list[float]] = {batch: [] for batch in _BATCHES}
        for self.batch in _BATCHES * _SEARCHES:
            core_ms[self.batch].append(self.pace(os.sched_getaffinity(0), _SEARCH_SECONDS).core_ms)
        self.batch = min(core_ms, key=lambda batch: min(core_ms[batch]))  # neighbours only ever add to it

    def pace(self, cores: Collection[int], seconds: float) -> Pace:
        """How fast it goes with a thread for each of the cores, until each has ended what it has in hand then."""
        turns, started, before = count(), perf_counter(), process_time()

        def work(_: int) -> tuple[int, float]:
            done = 0
            while not done or perf_counter() < started + seconds:
                self._run(next(turns) * _DECODED)
                done += _DECODED
            return done, done / (perf_counter() - started)

        with _on(cores), ThreadPoolExecutor(len(cores)) as pool:
            done, rates = zip(*pool.map(work, cores), strict=True)
        return Pace(sum(rates), (process_time() - before) / sum(done) * 1e3)

    def _run(self, start: int) -> None:
        pixels = np.empty((_DECODED, *self._spec.shape), np.uint8)
        for place in range(_DECODED):
            pixels[place] = decode(self._photos[(start + place) % len(self._photos)], self._spec)
        for first in range(0, _DECODED, self.batch):
            self._session.run(pixels[first : first + self.batch])


@contextmanager
def _on(cores: Collection[int]) -> Iterator[None]:
    """Threads that are started in the context run on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
