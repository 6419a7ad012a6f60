"""A scheduler whose runners a test opens and closes by hand."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

from service.bounds import Load
from service.company import Company
from service.pulse import BEATS
from service.scheduler import Scheduler, one_thread

PATIENCE = 10


class Gate:
    """A model that answers each item with its double, when told to; -1 breaks whatever batch it is in."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self._entered = threading.Semaphore(0)
        self._open = threading.Event()

    def run(self, items: list[int]) -> Sequence[int]:
        self.batches.append(items)
        self._entered.release()
        assert self._open.wait(PATIENCE)
        if -1 in items:
            raise RuntimeError("no model can do this")
        return [item * 2 for item in items]

    async def entered(self) -> None:
        """Wait until one more batch has reached a runner."""
        assert await asyncio.to_thread(self._entered.acquire, timeout=PATIENCE)

    def open(self) -> None:
        self._open.set()


class Trap:
    """A model that answers each item with its double, but for -1, from which it comes back only when it is told to."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.returns = threading.Event()
        self.left = threading.Semaphore(0)
        self._entered = threading.Semaphore(0)

    def run(self, items: list[int]) -> Sequence[int]:
        self.batches.append(items)
        if -1 in items:
            self._entered.release()
            assert self.returns.wait(PATIENCE)
            self.left.release()
        return [item * 2 for item in items]

    async def entered(self) -> None:
        assert await asyncio.to_thread(self._entered.acquire, timeout=PATIENCE)


class Log:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.waiting = 0

    def queued(self, items: int) -> None:
        self.waiting = items

    def waited(self, seconds: float) -> None:
        self.waits.append(seconds)


def build(
    run: Callable[[list[int]], Sequence[int | Exception]],
    *,
    runners: int = 1,
    max_batch: int = 4,
    max_items: int = 100,
    log: Log | None = None,
    hire: Callable[[], Executor] = one_thread,
) -> Scheduler[int, int]:
    return Scheduler(
        lambda items, _attempt: run(items),
        runners=runners,
        company=Company(max_batch, beside=1, background=9),
        limits=Load(max_items, 1000, 1000),
        observer=log or Log(),
        hire=hire,
    )


async def ask(scheduler: Scheduler[int, int], item: int) -> int:
    with scheduler.seat() as seat:
        return await seat.run(item)


def start(scheduler: Scheduler[int, int], *items: int) -> list[asyncio.Task[int]]:
    return [asyncio.create_task(ask(scheduler, item)) for item in items]


def look_for_long(scheduler: Scheduler[int, int]) -> int:
    """As many beats as something may stand still, and the one that sees it for the first time."""
    return sum(scheduler.look_after() for _ in range(BEATS + 1))


async def settle() -> None:
    """Let everything happen that can happen on the loop now."""
    for _ in range(10):
        await asyncio.sleep(0)


async def until(holds: Callable[[], bool]) -> None:
    """Let threads get on until it holds, which they tell nobody."""
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0)
