"""The scheduler's invariants, over random arrivals, hang-ups, failures, deadlines and shutdowns, in virtual time.

The same check is then put to schedulers with planted bugs, and has to find every one of them.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import Phase, given, settings

from artifact.errors import QueueFull
from played import Schedule, planted, schedules
from service import attempt, lanes, scheduler
from service.bounds import Bounds, Load
from service.company import Company
from service.glance import Glance
from service.lanes import AGEING_SECONDS, Lanes
from service.scheduler import Scheduler


@pytest.fixture(autouse=True, scope="module")
def _asleep_all() -> Iterator[None]:
    """Whoever is looked at sleeps, since there are no threads here."""
    with planted(attempt, "glance", lambda _thread: Glance(0.0, 0.0, is_asleep=True)):
        yield


@settings(max_examples=400, deadline=None)
@given(schedules)
def test_the_promises_hold_whatever_happens(schedule: Schedule):
    asyncio.run(schedule.play())


_first = Lanes.first
_submit, _end, _finish, _next_batch = Scheduler._submit, Scheduler._end, Scheduler._finish, Scheduler._take
_look_after, _put_back = Scheduler.look_after, Scheduler._put_back


def _asleep(self: Any, turn: Any, results: Any) -> None:
    with planted(Scheduler, "_dispatch", lambda _self: None):
        _finish(self, turn, results)


def _runner_lost_on_failure(self: Any, turn: Any, company: int = 0) -> bool:
    is_ended = _end(self, turn, company)
    if company:
        self._idle.pop()
    return is_ended


def _one_lost(self: Any, turn: Any, results: Any) -> None:
    if isinstance(results, BaseException) and len(turn.batch) > 1:
        turn.batch = turn.batch[:-1]
    _finish(self, turn, results)


def _not_replaced(self: Any) -> int:
    before = len(self._idle)
    with planted(Scheduler, "_dispatch", lambda _self: None):
        replaced = _look_after(self)
    while len(self._idle) > before:
        self._idle.pop()
    self._dispatch()
    return replaced


def _mates_forgotten(self: Any) -> int:
    with planted(Scheduler, "_dispatch", lambda _self: None):
        replaced = _look_after(self)
    if replaced:
        for entry in [*self._lanes]:
            if entry.company == 1:
                self._lanes.remove(entry)
    self._dispatch()
    return replaced


def _together_again(self: Any, batch: Any, company: int) -> None:
    _put_back(self, batch, company)
    for entry in batch:
        entry.company = self._company.whole


def _patient(self: Any, batch: Any, company: int) -> None:
    for entry in batch:
        entry.deadline = 1e12
    _put_back(self, batch, company)


def _unguarded(batch: Any, results: Any) -> None:
    for entry, result in zip(batch, results, strict=True):
        (entry.outcome.set_exception if isinstance(result, Exception) else entry.outcome.set_result)(result)


def _one_too_many(self: Any, load: Load, _urgency: int = 3) -> None:
    if self.taken.items > self.limits.items:
        raise QueueFull("full")
    self.taken = Load(*(taken + more for taken, more in zip(self.taken, load, strict=True)))


def _bytes_uncounted(self: Any, load: Load, urgency: int = 3) -> None:
    _bounds_take(self, load._replace(bytes=0, pixels=0), urgency)


def _kept(self: Any, load: Load) -> None:
    _give_back(self, load._replace(items=load.items * (self.taken.items > 1)))


def _last_come(self: Any) -> Any:
    return next(reversed(next(lane for lane in self._lanes if lane)))


async def _deaf(self: Any, item: Any, urgency: int, deadline: float) -> Any:
    return await asyncio.shield(asyncio.ensure_future(_submit(self, item, urgency, deadline)))


def _too_late(self: Any) -> Any:
    entry = _first(self)
    entry.deadline = 1e12
    return entry


def _larger(self: Any) -> Any:
    self._company.whole += 1
    for entry in self._lanes:
        entry.company += 1
    try:
        return _next_batch(self)
    finally:
        self._company.whole -= 1


_bounds_take, _give_back = Bounds.take, Bounds.give_back

BUGS: dict[str, tuple[Any, str, Any]] = {
    "a lost wake-up": (Scheduler, "_finish", _asleep),
    "a runner lost when its batch failed": (Scheduler, "_end", _runner_lost_on_failure),
    "one of a failed batch forgotten": (Scheduler, "_finish", _one_lost),
    "a stuck runner that is not replaced": (Scheduler, "look_after", _not_replaced),
    "those forgotten who were with one that is stuck": (Scheduler, "look_after", _mates_forgotten),
    "those run together again whose batch came to nothing": (Scheduler, "_put_back", _together_again),
    "no deadline for those who wait again": (Scheduler, "_put_back", _patient),
    "a runner that has no core taken for stuck": (attempt, "_own", lambda *_: 1.0),
    "an unguarded set_result": (scheduler, "settle", _unguarded),
    "a bound off by one": (Bounds, "take", _one_too_many),
    "bytes and pixels not counted": (Bounds, "take", _bytes_uncounted),
    "a seat that is not given back": (Bounds, "give_back", _kept),
    "starvation": (lanes, "_place_of", lambda entry: entry.urgency),
    "urgency that means nothing": (lanes, "_place_of", lambda entry: entry.since - entry.urgency * AGEING_SECONDS),
    "the last come is first served": (Lanes, "first", _last_come),
    "who hung up is run": (Scheduler, "_submit", _deaf),
    "who is too late is run": (Lanes, "first", _too_late),
    "no timer for deadlines": (Scheduler, "_watch", lambda _self, _deadline: None),
    "a runner kept for nobody": (Company, "keeps_room", lambda *_: True),
    "a whole batch beside more urgent ones": (Company, "of", lambda self, *_: self.whole),
    "a batch that is too large": (Scheduler, "_take", _larger),
}


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(bug: str):
    @settings(max_examples=1000, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
    @given(schedules)
    def search(schedule: Schedule) -> None:
        asyncio.run(schedule.play())

    with planted(*BUGS[bug]), pytest.raises((AssertionError, TimeoutError, ExceptionGroup)):
        search()
