"""Runners that do not come back: they are replaced, and nobody else fails."""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from math import inf
from time import monotonic

import pytest

from artifact.errors import DeadlineExceeded, InferenceStuck
from scheduled import PATIENCE, Gate, Log, Trap, ask, build, look_for_long, settle, start, until
from service.attempt import Attempt
from service.bounds import Load
from service.company import Company
from service.pulse import BEATS
from service.scheduler import Scheduler, one_thread


async def test_a_runner_that_does_not_come_back_is_replaced_and_only_its_own_item_fails():
    trap = Trap()
    scheduler = build(trap.run)
    (stuck,) = start(scheduler, -1)
    await trap.entered()
    behind = start(scheduler, 1, 2)
    assert look_for_long(scheduler) == 1
    with pytest.raises(InferenceStuck):
        await stuck
    assert await asyncio.gather(*behind) == [2, 4]
    assert scheduler.lost == 1
    trap.returns.set()
    await asyncio.to_thread(trap.left.acquire, timeout=PATIENCE)
    await until(lambda: scheduler.lost == 0)
    assert len(scheduler._idle) == 1
    await scheduler.close()


async def test_batchmates_of_an_item_from_which_no_runner_comes_back_are_answered():
    gate, trap = Gate(), Trap()

    def run(items: list[int]) -> Sequence[int]:
        return gate.run(items) if items == [0] else trap.run(items)

    scheduler = build(run)
    (first,) = start(scheduler, 0)
    await gate.entered()
    *mates, culprit = start(scheduler, 1, 2, -1)
    await settle()
    gate.open()
    await trap.entered()
    assert look_for_long(scheduler) == 1
    assert await asyncio.gather(first, *mates) == [0, 2, 4]
    await trap.entered()
    assert look_for_long(scheduler) == 1
    with pytest.raises(InferenceStuck):
        await culprit
    assert trap.batches == [[1, 2, -1], [1], [2], [-1]]
    trap.returns.set()
    await scheduler.close()


async def test_who_is_run_again_takes_turns_by_urgency_and_not_after_the_deadline():
    trap, moment = Trap(), [0.0]
    first = Gate()

    def run(items: list[int], _attempt: Attempt) -> Sequence[int]:
        return first.run(items) if items == [0] else trap.run(items)

    scheduler: Scheduler[int, int] = Scheduler(
        run,
        runners=1,
        company=Company(4, beside=1, background=9),
        limits=Load(100, 1000, 1000),
        observer=Log(),
        now=lambda: moment[0],
    )

    async def ask_on_terms(item: int, urgency: int, deadline: float) -> int:
        with scheduler.seat(0, urgency, deadline) as seat:
            return await seat.run(item)

    def begin(item: int, urgency: int = 3, deadline: float = inf) -> asyncio.Task[int]:
        return asyncio.create_task(ask_on_terms(item, urgency, deadline))

    opening = begin(0)
    await first.entered()
    mate, late, culprit = begin(1), begin(2, deadline=1.0), begin(-1)
    await settle()
    first.open()
    await trap.entered()
    moment[0] = 2.0
    urgent = begin(3, urgency=0)
    await settle()
    assert look_for_long(scheduler) == 1
    with pytest.raises(DeadlineExceeded):
        await late
    assert await asyncio.gather(opening, urgent, mate) == [0, 6, 2]
    await trap.entered()
    assert look_for_long(scheduler) == 1
    with pytest.raises(InferenceStuck):
        await culprit
    assert trap.batches == [[1, 2, -1], [3], [1], [-1]]
    trap.returns.set()
    await scheduler.close()


async def test_one_who_waits_again_is_told_when_the_deadline_passes_though_all_runners_are_stuck():
    trap, first = Trap(), Gate()
    scheduler = build(lambda items: first.run(items) if items == [0] else trap.run(items))

    async def ask_in_time() -> int:
        with scheduler.seat(deadline=monotonic() + 0.2) as seat:
            return await seat.run(1)

    (opening,) = start(scheduler, 0)
    await first.entered()
    (culprit,) = start(scheduler, -1)
    await settle()
    mate = asyncio.create_task(ask_in_time())
    await settle()
    first.open()
    await trap.entered()
    assert look_for_long(scheduler) == 1
    await trap.entered()
    with pytest.raises(DeadlineExceeded):
        await asyncio.wait_for(mate, PATIENCE)
    assert trap.batches == [[-1, 1], [-1]]
    trap.returns.set()
    assert await asyncio.gather(opening, culprit) == [0, -2]
    await scheduler.close()


async def test_a_runner_whose_thread_is_gone_is_replaced():
    class Gone(Executor):
        def submit(self, *_):
            thread = threading.Thread(target=bool)  # it ends at once, with all that was handed over to it
            thread.start()
            return Future()

    pools = iter([Gone(), one_thread()])
    scheduler = build(lambda items: [item * 2 for item in items], hire=lambda: next(pools))
    lone = asyncio.create_task(ask(scheduler, 1))
    await settle()
    assert look_for_long(scheduler) == 1
    with pytest.raises(InferenceStuck):
        await lone
    assert await ask(scheduler, 2) == 4
    await scheduler.close()


async def test_a_runner_that_gets_on_step_by_step_is_not_stuck_however_long_it_takes():
    go_on, stepped = threading.Semaphore(0), threading.Semaphore(0)

    def run(items: list[int], attempt: Attempt) -> Sequence[int]:
        for _ in items:
            attempt.step()
            stepped.release()
            assert go_on.acquire(timeout=PATIENCE)
        return items

    scheduler: Scheduler[int, int] = Scheduler(
        run, runners=1, company=Company(4, beside=1, background=9), limits=Load(100, 1000, 1000), observer=Log()
    )
    tasks = start(scheduler, 1)
    await asyncio.to_thread(stepped.acquire, timeout=PATIENCE)
    tasks += start(scheduler, 2, 3, 4)
    go_on.release()
    for _ in tasks[1:]:
        await asyncio.to_thread(stepped.acquire, timeout=PATIENCE)
        assert not any(scheduler.look_after() for _ in range(BEATS))
        go_on.release()
    assert await asyncio.gather(*tasks) == [1, 2, 3, 4]
    await scheduler.close()


async def test_who_is_given_up_is_told_at_its_next_step_and_what_it_does_is_broken_off():
    attempt, broken_off = Attempt(), threading.Event()
    attempt.step(broken_off.set)
    attempt.give_up()
    assert broken_off.is_set()
    with pytest.raises(InferenceStuck):
        attempt.step()


async def test_closing_does_not_wait_for_a_runner_that_is_stuck_for_somebody_who_hung_up():
    trap = Trap()
    scheduler = build(trap.run)
    (gone,) = start(scheduler, -1)
    await trap.entered()
    gone.cancel()
    await asyncio.wait_for(scheduler.close(), PATIENCE)
    trap.returns.set()
