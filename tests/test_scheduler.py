"""The scheduler's promises, held with runners that a test opens and closes by hand."""

import asyncio
import os
import random
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import monotonic

import pytest

from artifact.errors import DeadlineExceeded, Draining, InferenceFailed, QueueFull
from scheduled import PATIENCE, Gate, Log, ask, build, settle, start
from service.bounds import Load


async def test_a_lone_item_runs_at_once_and_alone():
    gate = Gate()
    gate.open()
    scheduler = build(gate.run)
    assert await ask(scheduler, 21) == 42
    assert gate.batches == [[21]]
    await scheduler.close()


async def test_idle_runners_take_items_without_waiting_for_a_batch():
    gate = Gate()
    scheduler = build(gate.run, runners=2)
    tasks = start(scheduler, 1, 2)
    await gate.entered()
    await gate.entered()
    assert sorted(gate.batches) == [[1], [2]]
    gate.open()
    assert await asyncio.gather(*tasks) == [2, 4]
    await scheduler.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities of threads")
async def test_runners_step_back_behind_the_event_loop():
    scheduler = build(lambda items: [os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) for _ in items])
    assert await ask(scheduler, 1) == os.getpriority(os.PRIO_PROCESS, 0) + 5
    await scheduler.close()


async def test_batches_grow_only_while_all_runners_are_busy_and_keep_their_order():
    gate, log = Gate(), Log()
    scheduler = build(gate.run, max_batch=3, log=log)
    tasks = start(scheduler, 0, 1, 2, 3, 4)
    await gate.entered()
    await settle()
    assert gate.batches == [[0]]
    assert scheduler.waiting == log.waiting == 4
    gate.open()
    assert await asyncio.gather(*tasks) == [0, 2, 4, 6, 8]
    assert gate.batches == [[0], [1, 2, 3], [4]]
    assert len(log.waits) == 5
    assert scheduler.waiting == 0
    await scheduler.close()


async def test_no_more_are_let_in_than_there_are_seats_and_a_free_seat_is_given_again():
    gate = Gate()
    scheduler = build(gate.run, max_items=2)
    tasks = start(scheduler, 1, 2)
    await settle()
    with pytest.raises(QueueFull, match="All 2 places"), scheduler.seat():
        pass
    gate.open()
    await asyncio.gather(*tasks)
    assert await ask(scheduler, 3) == 6
    await scheduler.close()


async def test_a_caller_who_hangs_up_while_waiting_is_never_run():
    gate = Gate()
    scheduler = build(gate.run)
    running, gone, waiting = start(scheduler, 1, 2, 3)
    await gate.entered()
    await settle()
    gone.cancel()
    await settle()
    assert scheduler.waiting == 1
    gate.open()
    assert await asyncio.gather(running, waiting) == [2, 6]
    assert gate.batches == [[1], [3]]
    await scheduler.close()


async def test_a_cancelled_caller_does_not_disturb_its_batchmates():
    gate = Gate()
    scheduler = build(gate.run)
    first, *batch = start(scheduler, 1, 2, 3, 4)
    await gate.entered()
    gate.open()
    assert await first == 2
    batch[1].cancel()
    assert await asyncio.gather(batch[0], batch[2]) == [4, 8]
    assert batch[1].cancelled() or batch[1].done()
    await scheduler.close()


async def test_a_caller_who_hangs_up_while_its_batch_runs_is_let_go():
    gate = Gate()
    scheduler = build(gate.run, runners=1)
    (running,) = start(scheduler, 1)
    await gate.entered()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    gate.open()
    assert await ask(scheduler, 2) == 4
    await scheduler.close()


@pytest.mark.parametrize("position", range(4))
async def test_one_bad_item_fails_alone_wherever_it_stands_in_its_batch(position: int):
    gate = Gate()
    scheduler = build(gate.run)
    blocker = start(scheduler, 7)[0]
    await gate.entered()
    items = [1, 2, 3, 4]
    items[position] = -1
    tasks = start(scheduler, *items)
    await settle()
    gate.open()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert await blocker == 14
    for item, outcome in zip(items, outcomes, strict=True):
        if item == -1:
            assert isinstance(outcome, InferenceFailed)
            assert isinstance(outcome.__cause__, RuntimeError)
        else:
            assert outcome == item * 2
    await scheduler.close()


async def test_a_model_that_gives_too_few_results_fails_its_callers_and_hangs_nobody():
    scheduler = build(lambda _items: [])
    outcomes = await asyncio.gather(*start(scheduler, 1, 2, 3), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [InferenceFailed] * 3
    await scheduler.close()


async def test_a_runner_that_cannot_start_fails_its_callers_and_hangs_nobody():
    gate = Gate()
    scheduler = build(gate.run, runners=2)
    for runner in scheduler._idle:
        runner.shutdown()  # as when the system gives no more threads, its submit raises RuntimeError
    for _ in range(3):
        with pytest.raises(InferenceFailed):
            await asyncio.wait_for(ask(scheduler, 1), PATIENCE)
    assert scheduler.waiting == 0
    await scheduler.close()


async def test_a_batch_that_was_queued_although_no_thread_could_start_is_failed_once_and_never_run():
    class Exhausted(ThreadPoolExecutor):
        def submit(self, fn, /, *args):
            left_behind.append((fn, args))  # as CPython does, before it starts the thread
            raise RuntimeError("can't start new thread")

    left_behind, gate = [], Gate()
    scheduler = build(gate.run, hire=partial(Exhausted, 1))
    with pytest.raises(InferenceFailed):
        await asyncio.wait_for(ask(scheduler, 1), PATIENCE)
    [(run, turn)] = left_behind
    run(*turn)
    assert gate.batches == []
    assert len(scheduler._idle) == 1
    await scheduler.close()


async def test_many_runners_and_callers_who_hang_up_leave_nothing_behind():
    chance = random.Random(1)  # noqa: S311 - not secret

    def double(items: list[int]) -> list[int]:
        time.sleep(0.0002 * chance.random())
        if -1 in items:
            raise RuntimeError("no model can do this")
        return [item * 2 for item in items]

    scheduler = build(double, runners=4, max_items=10_000)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads take turns wherever they can
    try:
        tasks = []
        for number in range(4000):
            tasks += start(scheduler, -1 if number % 97 == 0 else number)
            if number % 5 == 0:
                tasks[chance.randrange(len(tasks))].cancel()
            if number % 20 == 0:
                await asyncio.sleep(0)
        outcomes = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 60)
        await scheduler.close()
    finally:
        sys.setswitchinterval(before)
    for number, outcome in enumerate(outcomes):
        expected = InferenceFailed if number % 97 == 0 else int
        assert isinstance(outcome, (expected, asyncio.CancelledError))
        assert not isinstance(outcome, int) or outcome == number * 2
    assert scheduler.waiting == 0
    assert len(scheduler._idle) == 4


async def test_closing_answers_all_who_have_a_seat_and_takes_nobody_new():
    gate = Gate()
    scheduler = build(gate.run)
    tasks = start(scheduler, 1, 2, 3)
    await gate.entered()
    closing = asyncio.create_task(scheduler.close())
    await settle()
    with pytest.raises(Draining), scheduler.seat():
        pass
    assert not closing.done()
    gate.open()
    assert await asyncio.gather(*tasks) == [2, 4, 6]
    await closing


async def test_one_who_has_a_seat_may_still_submit_while_the_scheduler_closes():
    gate = Gate()
    gate.open()
    scheduler = build(gate.run)
    with scheduler.seat() as seat:
        closing = asyncio.create_task(scheduler.close())
        await settle()
        assert await seat.run(5) == 10
    await closing


async def test_a_flood_with_hang_ups_leaves_no_seat_taken_and_nothing_waiting():
    gate = Gate()
    scheduler = build(gate.run, runners=2, max_batch=5, max_items=200)
    tasks = start(scheduler, *range(200))
    await gate.entered()
    for task in tasks[::3]:
        task.cancel()
    gate.open()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    for item, outcome in enumerate(outcomes):
        assert isinstance(outcome, asyncio.CancelledError) if item % 3 == 0 else outcome == item * 2
    assert scheduler.waiting == 0
    await scheduler.close()  # would wait for ever if a seat were lost


async def test_an_error_in_the_place_of_a_result_is_its_own_items_alone():
    sizes = []

    def run(items: list[int]) -> Sequence[int | Exception]:
        sizes.append(len(items))
        return [ValueError("odd") if item % 2 else item for item in items]

    scheduler = build(run)
    outcomes = await asyncio.gather(*start(scheduler, 0, 1, 2, 3), return_exceptions=True)
    assert [outcome if isinstance(outcome, int) else str(outcome) for outcome in outcomes] == [0, "odd", 2, "odd"]
    assert sum(sizes) == 4  # nothing was halved, and run again
    await scheduler.close()


async def test_one_whose_deadline_passes_while_it_waits_is_told_so_though_all_runners_are_stuck():
    gate = Gate()
    scheduler = build(gate.run)
    (stuck,) = start(scheduler, 1)
    await gate.entered()
    with scheduler.seat(deadline=monotonic() + 0.05) as seat, pytest.raises(DeadlineExceeded):
        await asyncio.wait_for(seat.run(2), PATIENCE)
    assert not stuck.done()
    gate.open()
    assert await stuck == 2
    assert gate.batches == [[1]]
    await scheduler.close()


async def test_more_bytes_or_pixels_than_may_be_held_are_refused_but_a_lone_item_never():
    gate = Gate()
    gate.open()
    scheduler = build(gate.run)
    with scheduler.seat(size=2000) as seat:
        seat.hold(Load(pixels=2000))
        assert await seat.run(1) == 2
        with pytest.raises(QueueFull, match="All 1000 bytes"), scheduler.seat(size=1):
            pass
        with scheduler.seat() as other, pytest.raises(QueueFull, match="All 1000 pixels"):
            other.hold(Load(pixels=1))
    with scheduler.seat(size=1000), pytest.raises(QueueFull), scheduler.seat(size=1):
        pass
    await scheduler.close()
