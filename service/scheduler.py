"""Work-conserving batching: an idle runner takes what waits at once, and batches grow only while all runners are busy.

Nothing here polls, sleeps, or waits for a batch to fill. All state belongs to one event loop; only `run` is called in
threads, by as many at once as there are runners. It knows neither HTTP nor onnxruntime.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Generic, Protocol, TypeVar

from artifact.errors import Draining, InferenceFailed, QueueFull

Item = TypeVar("Item")
Result = TypeVar("Result")


class Observer(Protocol):
    """Who is told how long items waited and how batches ran."""

    def waited(self, seconds: float) -> None:
        """An item left the queue for a runner."""

    def ran(self, size: int, seconds: float) -> None:
        """A batch of `size` items ran, well or not."""


@dataclass(eq=False, slots=True)
class _Entry(Generic[Item, Result]):
    item: Item
    outcome: asyncio.Future[Result]
    since: float


class Scheduler(Generic[Item, Result]):
    """Runs items in batches on `runners` threads, and gives each accepted item exactly one outcome.

    `run` gets 1 to `max_batch` items and returns as many results, in order. If it raises, the batch is halved until the
    culprit stands alone and only its caller gets InferenceFailed. At most `max_items` seats are taken at once.
    """

    def __init__(
        self,
        run: Callable[[list[Item]], Sequence[Result]],
        observer: Observer,
        *,
        runners: int,
        max_batch: int,
        max_items: int,
    ) -> None:
        self._run = run
        self._observer = observer
        self._max_batch = max_batch
        self._max_items = max_items
        self._idle_runners = runners
        self._threads = ThreadPoolExecutor(runners, thread_name_prefix="runner")
        self._queue: OrderedDict[_Entry[Item, Result], None] = OrderedDict()
        self._halves: deque[list[_Entry[Item, Result]]] = deque()
        self._seats_taken = 0
        self._closing = False
        self._vacant = asyncio.Event()
        self._vacant.set()

    @property
    def waiting(self) -> int:
        """How many items wait for a runner."""
        return len(self._queue) + sum(map(len, self._halves))

    @contextmanager
    def seat(self) -> Iterator[Callable[[Item], Awaitable[Result]]]:
        """Take the place of one item before any work is done for it, and get the function that submits it.

        Raises QueueFull or Draining at once.
        """
        if self._closing:
            raise Draining("The service is shutting down; send the request to another replica.")
        if self._seats_taken >= self._max_items:
            raise QueueFull(f"All {self._max_items} places for this model are taken; try again in a moment.")
        self._seats_taken += 1
        self._vacant.clear()
        try:
            yield self._submit
        finally:
            self._seats_taken -= 1
            if not self._seats_taken:
                self._vacant.set()

    async def close(self) -> None:
        """Take nothing new, wait until all who have a seat got their outcome, and end the threads."""
        self._closing = True
        await self._vacant.wait()
        await asyncio.to_thread(self._threads.shutdown)

    async def _submit(self, item: Item) -> Result:
        entry = _Entry(item, asyncio.get_running_loop().create_future(), perf_counter())
        self._queue[entry] = None
        self._dispatch()
        try:
            return await entry.outcome  # type: ignore[no-any-return]  # mypy loses the slot's type variable
        finally:
            self._queue.pop(entry, None)  # a caller who hung up while waiting is never run

    def _dispatch(self) -> None:
        """Hand what waits to idle runners, until one of the two is used up."""
        loop = asyncio.get_running_loop()
        while self._idle_runners and (batch := self._take()):
            try:
                work = loop.run_in_executor(self._threads, self._run_batch, [entry.item for entry in batch])
            except RuntimeError as error:  # the system gives us no more threads
                for entry in batch:
                    _fail(entry, error)
                continue
            self._idle_runners -= 1
            work.add_done_callback(partial(self._finish, batch))

    def _take(self) -> list[_Entry[Item, Result]]:
        """The next batch: half of a failed one, or the oldest items that wait; empty when nobody waits."""
        while self._halves or self._queue:
            batch = self._halves.popleft() if self._halves else self._leave_queue()
            if wanted := [entry for entry in batch if not entry.outcome.done()]:
                return wanted
        return []

    def _leave_queue(self) -> list[_Entry[Item, Result]]:
        batch = [self._queue.popitem(last=False)[0] for _ in range(min(len(self._queue), self._max_batch))]
        now = perf_counter()
        for entry in batch:
            self._observer.waited(now - entry.since)
        return batch

    def _run_batch(self, items: list[Item]) -> Sequence[Result]:
        """Called in a runner's thread."""
        started = perf_counter()
        try:
            results = self._run(items)
        finally:
            self._observer.ran(len(items), perf_counter() - started)
        if len(results) != len(items):
            raise InferenceFailed(f"The model gave {len(results)} results for {len(items)} images.")
        return results

    def _finish(self, batch: list[_Entry[Item, Result]], work: asyncio.Future[Sequence[Result]]) -> None:
        self._idle_runners += 1
        error = work.exception()
        if error is None:
            for entry, result in zip(batch, work.result(), strict=True):
                if not entry.outcome.done():
                    entry.outcome.set_result(result)
        elif len(batch) > 1:
            middle = len(batch) // 2
            self._halves += [batch[:middle], batch[middle:]]
        else:
            _fail(batch[0], error)
        self._dispatch()


def _fail(entry: _Entry[Item, Result], error: BaseException) -> None:
    if not entry.outcome.done():
        failure = InferenceFailed("The model failed on this image.")
        failure.__cause__ = error
        entry.outcome.set_exception(failure)
