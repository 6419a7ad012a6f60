"""Work-conserving batching: an idle runner takes what waits at once, and batches grow only while all runners are busy.

One exception is worth its price: for a moment after somebody urgent came, the background, which is less urgent than
usual, has all runners but one (`Company.keeps_room`).

Nothing here polls, sleeps, or waits for a batch to fill. A runner that has finished takes the next batch itself and
does not ask the event loop, which may be busy; so a lock guards the queue. Outcomes are set on the event loop alone.
Items of a batch that failed wait again, to be run with fewer others. A runner that does not come back is replaced, and
its items run again one by one: docs/decisions/0019-health.md.
It knows neither HTTP nor onnxruntime.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from threading import Lock
from time import monotonic
from typing import Generic, Protocol, TypeVar

from artifact.errors import Draining, InferenceFailed
from service.attempt import Attempt
from service.bounds import Bounds, Load
from service.company import ROOM_SECONDS, Company
from service.entry import Batch, Entry, expire, fail, give_up, settle
from service.lanes import DEFAULT_URGENCY, Lanes
from service.nice import step_back
from service.seat import Seat

# When all cores run photos, requests are read and answers sent at once all the same.
_NICE = 5

Item = TypeVar("Item")
Result = TypeVar("Result")


class Observer(Protocol):
    """Who is told of the queue, by any thread."""

    def queued(self, items: int) -> None:
        """So many items wait now."""

    def waited(self, seconds: float) -> None:
        """An item left the queue for a runner."""


@dataclass(eq=False, slots=True)
class _Turn(Generic[Item, Result]):
    """A batch that a runner, a pool of one thread, has in hand; who takes the turn away decides what becomes of it."""

    batch: Batch[Item, Result]
    runner: Executor
    attempt: Attempt


def one_thread() -> Executor:
    """What a runner is."""
    return ThreadPoolExecutor(1, thread_name_prefix="runner", initializer=step_back, initargs=(_NICE,))


class Scheduler(Generic[Item, Result]):
    """Runs items in batches on its own `runners` threads, and gives each accepted item exactly one outcome.

    `run` gets as many items as may be in `company`, one or more, and returns as many results, in order; in the place of
    a result it may return the error that is that item's own. If it raises, its items take their turns again in batches
    of half as many, until the culprit stands alone, and only its caller gets InferenceFailed. An item whose deadline
    (in `now`'s seconds) passes while it waits, for the first time or again, is not run.

    `run` takes a step of its Attempt whenever it gets on. A runner that does not, or whose thread is gone, is replaced
    by `look_after`. What it had is run again, each item by itself; a lone one gets InferenceStuck. `is_late` says that
    a runner has not got on for most of that time, for want of a core or not.
    """

    def __init__(
        self,
        run: Callable[[list[Item], Attempt], Sequence[Result | Exception]],
        *,
        runners: int,
        company: Company,
        limits: Load,
        observer: Observer,
        now: Callable[[], float] = monotonic,
        hire: Callable[[], Executor] = one_thread,
    ) -> None:
        self._run = run
        self._company = company
        self._observer = observer
        self._now = now
        self._hire = hire
        self._loop = asyncio.get_running_loop()
        self._bounds = Bounds(limits)
        self._lock = Lock()  # for the next five
        self._idle = deque(hire() for _ in range(runners))
        self._turns: set[_Turn[Item, Result]] = set()
        self._lost: set[_Turn[Item, Result]] = set()
        self._lanes: Lanes[Entry[Item, Result]] = Lanes()
        self._is_delayed = False
        self._expiry: asyncio.TimerHandle | None = None
        self._expiry_due = inf
        self.is_late = False
        self._closing = False
        self._seats = 0
        self._vacant = asyncio.Event()
        self._vacant.set()

    @property
    def waiting(self) -> int:
        """How many items wait for a runner."""
        return len(self._lanes)

    @property
    def lost(self) -> int:
        """How many runners were replaced and have not come back; their threads are taken until they do."""
        return len(self._lost)

    @contextmanager
    def seat(
        self, size: int = 0, urgency: int = DEFAULT_URGENCY, deadline: float = inf, *, items: int = 1
    ) -> Iterator[Seat[Item, Result]]:
        """Take the place of one item of `size` bytes before any work is done for it, or of none, but for those beside.

        Raises QueueFull or Draining at once.
        """
        if self._closing:
            raise Draining("The service is shutting down; send the request to another replica.")
        seat = Seat(self._bounds, self._submit, urgency, deadline)
        seat.hold(Load(items=items, bytes=size))
        self._seats += 1
        self._vacant.clear()
        try:
            yield seat
        finally:
            seat.leave()
            self._seats -= 1
            if not self._seats:
                self._vacant.set()

    async def run(self, item: Item) -> Result:
        """The result of an item of our own, which takes nobody's seat and goes first; raises as a seat's `run` does."""
        return await self._submit(item, 0, inf)

    def look_after(self) -> int:
        """Replace each runner that is stuck or gone, and see which soon will be; returns how many were replaced.

        Called at each beat of the pulse.
        """
        with self._lock:
            for turn in self._turns:
                turn.attempt.look()
            stuck = [turn for turn in self._turns if turn.attempt.is_stuck]
            for turn in stuck:
                self._turns.remove(turn)
                self._lost.add(turn)
                self._idle.append(self._hire())
                turn.attempt.give_up()
                self._put_back(turn.batch, company=1)
            self.is_late = any(turn.attempt.is_late for turn in self._turns)
        for turn in stuck:
            turn.runner.shutdown(wait=False)  # its thread ends when it comes back
            if len(turn.batch) == 1:
                self._tell(give_up, turn.batch)
        if stuck:
            self._dispatch()
        return len(stuck)

    async def close(self) -> None:
        """Take nothing new, wait until all who have a seat got their outcome, and let the threads end."""
        self._closing = True
        await self._vacant.wait()
        if self._expiry:
            self._expiry.cancel()
        with self._lock:
            for runner in [*self._idle, *(turn.runner for turn in self._turns)]:
                runner.shutdown(wait=False)  # one may run for somebody who hung up, and never come back

    async def _submit(self, item: Item, urgency: int, deadline: float) -> Result:
        entry = Entry(item, self._loop.create_future(), self._now(), urgency, deadline, self._company.whole)
        with self._lock:
            self._lanes.put(entry)
            self._company.came(urgency, entry.since)
        self._dispatch()
        if not entry.outcome.done() and self._lanes:
            self._watch(deadline)
        try:
            return await entry.outcome  # type: ignore[no-any-return]  # mypy loses the slot's type variable
        finally:
            with self._lock:
                if self._lanes.remove(entry):  # a caller who hung up while waiting is never run
                    self._observer.queued(self.waiting)
            del entry  # its error would hold this frame, and so the item, until the garbage collector comes

    def _dispatch(self) -> None:
        """Hand what waits to idle runners, until one of the two is used up; called by any thread."""
        while turn := self._next():
            try:
                turn.runner.submit(self._run_batch, turn)
            except RuntimeError as error:  # the system gives us no more threads
                if self._end(turn):
                    self._tell(fail, turn.batch, error)

    def _next(self) -> _Turn[Item, Result] | None:
        """The next batch, with an idle runner, which is not idle any more; None when there is no runner or no work."""
        with self._lock:
            turn = None
            if self._idle and self._keeps_room():
                self._dispatch_later()
            elif self._idle and (batch := self._take()):
                turn = _Turn(batch, self._idle.popleft(), Attempt())
                self._turns.add(turn)
            self._observer.queued(self.waiting)
            return turn

    def _keeps_room(self) -> bool:
        """Whether idle runners are to stay so for now, since nobody waits but the background."""
        if not self._lanes or self._lanes.as_urgent(DEFAULT_URGENCY):
            return False
        background = sum(turn.batch[0].urgency > DEFAULT_URGENCY for turn in self._turns)
        return self._company.keeps_room(background, self._now())

    def _dispatch_later(self) -> None:
        """Dispatch when no room is kept any more: perhaps nobody comes, and nothing ends, before that."""
        if not self._is_delayed:
            self._is_delayed = True
            self._loop.call_soon_threadsafe(self._loop.call_later, ROOM_SECONDS, self._dispatch_delayed)

    def _dispatch_delayed(self) -> None:
        with self._lock:
            self._is_delayed = False
        self._dispatch()

    def _end(self, turn: _Turn[Item, Result], company: int = 0) -> bool:
        """Let the runner be idle, and the batch wait again if it gets smaller `company`.

        Returns False, and does nothing, where the runner was replaced.
        A pool that cannot start a thread has queued the batch all the same, and may come to it when it was given back.
        """
        with self._lock:
            self._lost.discard(turn)
            if turn not in self._turns:
                return False
            self._turns.remove(turn)
            self._idle.append(turn.runner)
            self._put_back(turn.batch, company)
            return True

    def _put_back(self, batch: Batch[Item, Result], company: int) -> None:
        """Let those of a batch wait again who may still be run with fewer others, and for whom somebody waits."""
        if 0 < company < len(batch):
            again = [entry for entry in batch if not entry.outcome.done()]
            for entry in again:
                entry.company = company
            self._lanes.put_back(again)
            self._loop.call_soon_threadsafe(self._watch, min((entry.deadline for entry in again), default=inf))

    def _take(self) -> Batch[Item, Result]:
        """Those whose turn it is, as many as may be run with each other; empty when nobody waits."""
        batch: Batch[Item, Result] = []
        now, company = self._now(), self._company.whole
        while self._lanes:
            entry = self._lanes.first()
            if entry.deadline <= now:
                self._tell(expire, [entry])
            elif not entry.outcome.done():
                as_urgent = len(batch) + self._lanes.as_urgent(entry.urgency)
                company = min(company, entry.company, self._company.of(entry.urgency, as_urgent, now))
                if len(batch) >= company:
                    break
                if entry.company == self._company.whole:
                    self._observer.waited(now - entry.since)
                batch.append(entry)
            self._lanes.remove(entry)
        return batch

    def _run_batch(self, turn: _Turn[Item, Result]) -> None:
        """Called in a runner's thread; whatever happens, its callers hear of it."""
        if turn not in self._turns:  # it was given up before it began
            self._lost.discard(turn)
            return
        batch = turn.batch
        results: Sequence[Result | Exception] | BaseException
        try:
            results = self._run([entry.item for entry in batch], turn.attempt)
            if len(results) != len(batch):
                results = InferenceFailed(f"The model gave {len(results)} results for {len(batch)} images.")
        except BaseException as error:  # noqa: BLE001 - a runner must not be lost, nor its callers hang
            results = error
        self._finish(turn, results)

    def _finish(self, turn: _Turn[Item, Result], results: Sequence[Result | Exception] | BaseException) -> None:
        batch, is_failed = turn.batch, isinstance(results, BaseException)
        if not self._end(turn, company=(len(batch) + 1) // 2 if is_failed else 0):
            return
        try:
            self._dispatch()
        finally:
            if not is_failed:
                self._tell(settle, batch, results)
            elif len(batch) == 1:
                self._tell(fail, batch, results)

    def _tell(self, tell: Callable[..., None], batch: Batch[Item, Result], *what: object) -> None:
        """Let the event loop set the outcomes of a batch."""
        self._loop.call_soon_threadsafe(tell, batch, *what)

    def _watch(self, deadline: float) -> None:
        """Let the one timer ring at this deadline, if it would later or never."""
        if deadline < self._expiry_due:
            if self._expiry:
                self._expiry.cancel()
            self._expiry_due = deadline
            self._expiry = self._loop.call_later(max(0, deadline - self._now()), self._expire_waiting)

    def _expire_waiting(self) -> None:
        self._expiry, self._expiry_due = None, inf
        now = self._now()
        with self._lock:
            late = [entry for entry in self._lanes if entry.deadline <= now]
            for entry in late:
                self._lanes.remove(entry)
            earliest = self._lanes.earliest_deadline()
            self._observer.queued(self.waiting)
        expire(late)
        self._watch(earliest)
