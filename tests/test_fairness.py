"""A shop beside a catalogue: how long single photos wait for batches, in virtual time; how that is measured in real."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from benchmarks import fairness
from benchmarks.client import Seen
from benchmarks.fairness import FairnessOptions, Round, Turn
from service.bounds import Load
from service.company import Company
from service.scheduler import Scheduler
from support import Service, png

RUNNERS, BATCH = 2, 4
FLOOD = 192  # photos of batches that are always there: three quarters of the places
SINGLES, SHARE = 2000, 0.2  # of the peak


class Machine(Executor):
    """Cores that run photos one after the other, in batches or not, in virtual time, and all else that has a moment."""

    def __init__(self, photo_seconds: float) -> None:
        self.now = 0.0
        self._photo_seconds = photo_seconds
        self._moments: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = count()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **_: Any) -> Future[Any]:
        self.at(self.now + self._photo_seconds * len(args[0].batch), lambda: fn(*args))
        return Future()

    def at(self, moment: float, happens: Callable[[], object]) -> None:
        heappush(self._moments, (moment, next(self._numbers), happens))

    async def run(self, until: float) -> None:
        while self._moments[0][0] <= until:
            self.now, _, happens = heappop(self._moments)
            happens()
            for _ in range(4):  # all that follows from it on the event loop
                await asyncio.sleep(0)


class Silent:
    """An observer who keeps it to himself."""

    def queued(self, items: int) -> None:
        pass

    def waited(self, seconds: float) -> None:
        pass


@dataclass
class Shop:
    """Sends single photos at a fifth of the peak, beside batches of an urgency, or alone."""

    batches: int | None
    photo_seconds: float
    latencies: list[float] = field(default_factory=list)
    batched: int = 0

    async def open(self) -> None:
        self._machine, self._tasks = Machine(self.photo_seconds), set[asyncio.Task[None]]()
        self._scheduler: Scheduler[int, int] = Scheduler(
            lambda items, _attempt: items,
            runners=RUNNERS,
            company=Company(BATCH, beside=1, background=RUNNERS - 1),
            limits=Load(1000, 1, 1),
            observer=Silent(),
            now=lambda: self._machine.now,
            hire=lambda: self._machine,
        )
        if self.batches is not None:
            for _ in range(FLOOD):
                self._begin(self._flood(self.batches))
        chance, moment = Random(0), 0.0  # noqa: S311 - no secret
        for _ in range(SINGLES):
            moment += chance.expovariate(SHARE * RUNNERS / self.photo_seconds)
            self._machine.at(moment, lambda: self._begin(self._single()))
        await self._machine.run(moment)
        self.batched_share = self.batched * self.photo_seconds / RUNNERS / moment
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def p99(self) -> float:
        return float(np.percentile(self.latencies, 99))

    def _begin(self, asking: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(asking)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _single(self) -> None:
        since = self._machine.now
        with self._scheduler.seat() as seat:
            await seat.run(0)
        self.latencies.append(self._machine.now - since)

    async def _flood(self, urgency: int) -> None:
        while True:
            with self._scheduler.seat(urgency=urgency) as seat:
                await seat.run(0)
            self.batched += 1


async def opened(batches: int | None, photo_seconds: float) -> Shop:
    shop = Shop(batches, photo_seconds)
    await shop.open()
    return shop


# With the slower model, the flood waits for longer than one step of urgency is worth.
# The faster one pays for the runner that is kept free at times.
@pytest.mark.parametrize(("photo_seconds", "rest"), [(0.004, 0.8), (0.05, 0.99)])
async def test_single_photos_hardly_wait_for_a_flood_that_is_less_urgent_and_has_the_rest(
    photo_seconds: float, rest: float
):
    alone, beside, ignored = [await opened(batches, photo_seconds) for batches in (None, 5, 3)]
    assert beside.p99() <= 1.2 * alone.p99()
    assert ignored.p99() >= 20 * alone.p99()
    assert beside.batched_share >= rest * (1 - SHARE)


def turn(latency: float, batched: int = 0, lost: int = 0) -> Turn:
    """A second with a hundred single photos, of which the slowest took so long."""
    return Turn(Seen([0.01] * 90 + [latency] * 10, Counter({0: lost}), seconds=1.0), 100 + batched)


def found(beside: float = 0.03, ignored: float = 0.5, lost: int = 0) -> list[Round]:
    """What a measurement found; by default it is all as claimed."""
    each: Round = {
        "alone": turn(0.02),
        "beside batches": turn(beside, 400, lost),
        "Priority ignored": turn(ignored, 400, lost=7),
        "batches alone": Turn(Seen(), 500),
    }
    return [each] * 3


def holds(rounds: list[Round]) -> list[bool]:
    """Of p99 beside batches, p99 with Priority ignored, and photos that were lost."""
    return [finding.holds for finding in fairness._findings(rounds)]


def test_each_bound_that_is_missed_is_found(capsys: pytest.CaptureFixture[str]):
    assert holds(found()) == [True, True, True]
    assert holds(found(beside=0.041)) == [False, True, True]
    assert holds(found(ignored=0.03)) == [True, False, True]
    assert holds(found(lost=1)) == [True, True, False]
    fairness._show(found())
    assert "400 photos/s of batches" in capsys.readouterr().out


def test_single_photos_and_those_of_batches_are_counted_apart(models: Path):
    options = FairnessOptions(models=models, seconds=0.5, peak_seconds=0.2, photos=8, clients=2)
    with Service(models, "--cache-bytes", "0") as running, ThreadPoolExecutor(1) as aside:
        pair = fairness._Pair(options, running.url, "tiny", [png(0), png(255)], aside)
        beside = pair.turn("beside batches")
    assert beside.singles.latencies
    assert beside.singles.others.total() == 0
    assert beside.batched > 0
