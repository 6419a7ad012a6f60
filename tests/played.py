"""Schedules for a scheduler, and the world that they are played in, which knows what must always be true.

Time is virtual and nothing runs in a thread: a schedule decides when a batch runs, so each is played exactly as it was
drawn.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from typing import Any, Literal

import pytest
from hypothesis import strategies as st

from artifact.errors import DeadlineExceeded, Draining, InferenceFailed, InferenceStuck, QueueFull
from service import attempt
from service.attempt import Attempt
from service.bounds import Load
from service.company import QUIET_SECONDS, ROOM_SECONDS, Company
from service.glance import Glance
from service.lanes import AGEING_SECONDS, DEFAULT_URGENCY
from service.pulse import BEATS
from service.scheduler import Scheduler


@contextmanager
def planted(place: Any, name: str, bug: Any) -> Iterator[None]:
    """Let this stand in the place of what is there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(place, name, bug)
        yield


LIMITS = Load(items=8, bytes=50, pixels=50)


@dataclass(frozen=True)
class Arrive:
    """Somebody asks; the model refuses some items, and breaks on poison."""

    kind: Literal["good", "refused", "poison"]
    urgency: int
    size: int
    patience: float


@dataclass(frozen=True)
class HangUp:
    who: int


@dataclass(frozen=True)
class Run:
    which: int


@dataclass(frozen=True)
class Hang:
    """A runner does not come back; later it may."""

    which: int
    returns: bool


@dataclass(frozen=True)
class Starve:
    """For long, nobody who runs gets a core."""


@dataclass(frozen=True)
class Pass:
    seconds: float


@dataclass(frozen=True)
class Close:
    pass


Action = Arrive | HangUp | Run | Hang | Starve | Pass | Close


class OwnError(Exception):
    pass


@dataclass(eq=False)
class Photo:
    number: int
    asked: Arrive
    since: float
    runs: int = 0
    company: int | None = None  # with how many it may be run again, after a batch that came to nothing
    is_in: bool = False
    hung_up: bool = False
    hung_alone: bool = False

    @property
    def deadline(self) -> float:
        return self.since + self.asked.patience


class Hands(Executor):
    """Threads that run only when a test says so."""

    def __init__(self, taken: Callable[[list[Photo]], None]) -> None:
        self.waiting: list[tuple[Callable[..., None], Any]] = []
        self._taken = taken

    def submit(self, fn: Callable[..., Any], /, *args: Any, **_: Any) -> Future[Any]:
        self._taken([entry.item for entry in args[0].batch])
        self.waiting.append((fn, args[0]))
        return Future()

    def run(self, which: int) -> None:
        fn, turn = self.waiting.pop(which % len(self.waiting))
        fn(turn)


@dataclass
class World:
    """One scheduler, all who ever asked it, and what must always be true of them."""

    runners: int
    max_batch: int
    max_beside: int
    background: int
    now: float = 0.0
    photos: list[Photo] = field(default_factory=list)
    tasks: list[asyncio.Task[int]] = field(default_factory=list)
    batches: list[list[Photo]] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    closing: asyncio.Task[None] | None = None
    said_to_wait: int = 0

    def __post_init__(self) -> None:
        self.hands = Hands(self._taken)
        self.scheduler: Scheduler[Photo, int] = Scheduler(
            self._model,
            runners=self.runners,
            company=Company(self.max_batch, self.max_beside, self.background),
            limits=LIMITS,
            observer=self,
            now=lambda: self.now,
            hire=lambda: self.hands,
        )
        asyncio.get_running_loop().set_exception_handler(
            lambda _loop, context: self.complaints.append(repr(context.get("exception") or context["message"]))
        )

    def queued(self, items: int) -> None:
        """As an observer."""
        self.said_to_wait = items

    def waited(self, seconds: float) -> None:
        """As an observer."""
        assert seconds >= 0

    def _taken(self, batch: list[Photo]) -> None:
        assert 1 <= len(batch) <= self.max_batch, "a batch is larger than it may be"
        self.batches.append(batch)
        for photo in batch:
            assert not photo.hung_up, "somebody was run who had hung up"
            assert photo.deadline > self.now, "somebody was run after the deadline"
            assert photo.company is None or len(batch) <= photo.company, "somebody was run again with too many"
            assert len(batch) <= self.max_beside or not any(self._is_beside(photo, other) for other in self.photos), (
                "somebody was run with too many beside more urgent ones"
            )

    def _is_beside(self, photo: Photo, other: Photo) -> bool:
        """Whether another one that is more urgent came so lately that more of them must be thought of."""
        return other.is_in and other.asked.urgency < photo.asked.urgency and self.now - other.since < QUIET_SECONDS

    def _is_kept(self) -> bool:
        """Whether a runner may be idle: only the background waits, and has enough, and somebody urgent just came."""
        urgent = [photo.since for photo in self.photos if photo.is_in and photo.asked.urgency <= DEFAULT_URGENCY]
        behind = [turn.batch[0].urgency > DEFAULT_URGENCY for _fn, turn in self.hands.waiting]
        return (
            all(entry.urgency > DEFAULT_URGENCY for entry in self.scheduler._lanes)
            and sum(behind) >= self.background
            and self.now - max(urgent, default=-inf) < ROOM_SECONDS
        )

    def _model(self, batch: list[Photo], _attempt: Attempt) -> Sequence[int | Exception]:
        for photo in batch:
            photo.runs += 1
        if any(photo.asked.kind == "poison" for photo in batch):
            for photo in batch:
                photo.company = (len(batch) + 1) // 2
            raise RuntimeError("poison")
        return [OwnError() if photo.asked.kind == "refused" else photo.number for photo in batch]

    async def _ask(self, photo: Photo) -> int:
        asked = photo.asked
        with self.scheduler.seat(asked.size, asked.urgency, photo.deadline) as seat:
            seat.hold(Load(pixels=asked.size))
            photo.is_in = True
            return await seat.run(photo)

    async def play(self, action: Action) -> None:
        match action:
            case Arrive():
                photo = Photo(len(self.photos), action, self.now)
                self.photos.append(photo)
                self.tasks.append(asyncio.create_task(self._ask(photo)))
            case HangUp(who) if self.tasks:
                photo = self.photos[who % len(self.photos)]
                photo.hung_up |= self.tasks[photo.number].cancel()
            case Run(which) if self.hands.waiting:
                self.hands.run(which)
            case Hang(which, returns) if self.hands.waiting:
                self._hang(which, returns=returns)
            case Starve():
                self._starve()
            case Pass(seconds):
                self.now += seconds
                return  # so that something may happen before the timer rings
            case Close() if self.closing is None:
                self.closing = asyncio.create_task(self.scheduler.close())
        await settle()
        if self.scheduler._expiry_due <= self.now:  # its timer is the loop's, which knows no virtual time
            self.scheduler._expire_waiting()
            await settle()
        if self.scheduler._is_delayed:  # so is this one
            self.scheduler._dispatch_delayed()
            await settle()
        self._check()

    def _hang(self, which: int, *, returns: bool) -> None:
        """Let the runner of one batch be stuck, and all others get on, for as long as it takes."""
        fn, turn = self.hands.waiting.pop(which % len(self.hands.waiting))
        for photo in (batch := [entry.item for entry in turn.batch]):
            photo.runs += 1
            photo.company = 1
            photo.hung_alone = len(batch) == 1
        for _ in range(BEATS + 1):
            for _fn, other in self.hands.waiting:
                other.attempt.step()
            self.scheduler.look_after()
        assert self.scheduler.lost, "nobody noticed"
        if returns:
            fn(turn)

    def _starve(self) -> None:
        """Let all who run wait for a core, for longer than anybody may hang."""
        for _fn, turn in self.hands.waiting:
            turn.attempt.step()
        with planted(attempt, "glance", lambda _thread: Glance(0.0, 0.0, is_asleep=False)):
            assert not any(self.scheduler.look_after() for _ in range(3 * BEATS)), (
                "somebody who had no core was given up"
            )

    def _check(self) -> None:
        """What is true at every moment."""
        assert not self.complaints, self.complaints
        assert self.scheduler.waiting == self.said_to_wait, "the observer was told another number"
        assert len(self.hands.waiting) <= self.runners, "more batches than runners"
        busy = len(self.hands.waiting) == self.runners
        assert busy or not self.scheduler.waiting or self._is_kept(), "a runner is idle while work waits"
        inside = [photo for photo, task in zip(self.photos, self.tasks, strict=True) if not task.done()]
        assert len(inside) <= LIMITS.items, "more items than seats"
        assert sum(photo.asked.size for photo in inside) <= LIMITS.bytes or len(inside) == 1, "more than the bound"
        assert self.scheduler._bounds.taken.items == len(inside), "seats were lost, or given twice"
        run = [entry.item for _fn, turn in self.hands.waiting for entry in turn.batch]
        assert all(photo.deadline > self.now for photo in inside if photo not in run), (
            "somebody waits after the deadline"
        )

    async def end(self) -> None:
        """Run all that is left, close, and look at every outcome."""
        while self.hands.waiting:
            await self.play(Run(0))
        await self.play(Close())
        for task in self.tasks:
            assert task.done(), "somebody got no outcome"
        assert self.closing is not None
        await asyncio.wait_for(self.closing, 5)
        for photo, task in zip(self.photos, self.tasks, strict=True):
            if task.cancelled():
                assert photo.hung_up, "somebody was cancelled who did not hang up"
            else:
                self._check_outcome(photo, task)
        self._check_order()

    def _check_outcome(self, photo: Photo, task: asyncio.Task[int]) -> None:
        match task.exception():
            case None:
                assert (task.result(), photo.asked.kind) == (photo.number, "good"), "somebody got another's result"
            case OwnError():
                assert photo.asked.kind == "refused"
            case InferenceFailed():
                assert photo.asked.kind == "poison", "a good item failed with its batch"
            case InferenceStuck():
                assert photo.hung_alone, "somebody was given up without need"
            case DeadlineExceeded():
                assert photo.runs == 0 or photo.company, "an item ran and was said to be too late"
                assert photo.deadline <= self.now, "an item was dropped before its deadline"
            case QueueFull() | Draining():
                assert photo.runs == 0
            case error:
                raise AssertionError(f"nobody promised this outcome: {error!r}")

    def _check_order(self) -> None:
        """Within a lane nobody overtakes; across lanes, nobody who came too late for that."""
        turns: dict[int, int] = {}
        for turn, batch in enumerate(self.batches):
            for photo in batch:
                turns.setdefault(photo.number, turn)
        ran = [photo for photo in self.photos if photo.number in turns]
        for place, first in enumerate(ran):
            for later in ran[place + 1 :]:
                steps = first.asked.urgency - later.asked.urgency
                if steps == 0 or later.since - first.since > steps * AGEING_SECONDS:
                    assert turns[first.number] <= turns[later.number], "somebody was overtaken who should not be"


async def settle() -> None:
    """Let everything happen that can happen on the loop now."""
    for _ in range(10):
        await asyncio.sleep(0)


@dataclass(frozen=True)
class Schedule:
    """What happens; the scheduler is closed before the last few."""

    runners: int
    max_batch: int
    max_beside: int
    background: int
    actions: list[Action]
    last: list[Action]

    async def play(self) -> None:
        world = World(self.runners, self.max_batch, self.max_beside, min(self.background, self.runners))
        for action in [*self.actions, Close(), *self.last]:
            await world.play(action)
        await world.end()


_arrivals = st.builds(
    Arrive,
    kind=st.sampled_from(["good"] * 6 + ["refused", "poison"]),
    urgency=st.sampled_from([0, 3, 3, 5]),
    size=st.sampled_from([1, 1, 1, 1, 1, 20, 60]),
    patience=st.sampled_from([0.5, 1e9, 1e9, 1e9]),
)
_actions = st.one_of(
    *[_arrivals] * 5,
    st.sampled_from([Run(0), Run(1)] * 7 + [Hang(0, returns=True), Hang(1, returns=False), Starve()]),
    st.builds(HangUp, st.integers(0, 20)),
    st.builds(Pass, st.sampled_from([0.25, 3 * AGEING_SECONDS])),
)
schedules = st.builds(
    Schedule,
    runners=st.sampled_from([1, 2]),
    max_batch=st.sampled_from([1, 2, 4]),
    max_beside=st.sampled_from([1, 2, 4, 4]),
    background=st.sampled_from([1, 1, 2]),
    actions=st.lists(_actions, min_size=12, max_size=40),
    last=st.lists(_actions, max_size=3),
)
