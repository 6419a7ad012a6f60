"""The scheduler's promises, held with runners that a test opens and closes by hand."""

import asyncio
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from math import inf
from time import monotonic

import pytest

from artifact.errors import DeadlineExceeded, Draining, InferenceFailed, InferenceStuck, QueueFull
from service.attempt import Attempt
from service.bounds import Load
from service.company import QUIET_SECONDS, ROOM_SECONDS, Company
from service.pulse import BEATS
from service.scheduler import Scheduler, one_thread

PATIENCE = 10

Asks = Callable[..., list[asyncio.Task[int]]]  # begins to ask, urgently; gives all who wait


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


async def test_the_urgent_go_first_and_are_let_in_where_others_are_not():
    gate = Gate()
    scheduler = build(gate.run, max_batch=1, max_items=8)

    async def ask_with(item: int, urgency: int) -> int:
        with scheduler.seat(urgency=urgency) as seat:
            return await seat.run(item)

    tasks = [asyncio.create_task(ask_with(item, urgency)) for item, urgency in enumerate([3, 5, 5, 5, 5, 5])]
    await gate.entered()
    await settle()
    with pytest.raises(QueueFull):
        await ask_with(7, 5)
    tasks += [asyncio.create_task(ask_with(6, 3)), asyncio.create_task(ask_with(7, 0))]
    await settle()
    gate.open()
    await asyncio.gather(*tasks)
    assert gate.batches == [[0], [7], [6], [1], [2], [3], [4], [5]]
    await scheduler.close()


async def test_photos_of_several_urgencies_run_by_themselves_but_whole_batches_of_the_most_urgent():
    gate = Gate()
    scheduler = build(gate.run, max_batch=3)

    async def ask_with(item: int, urgency: int) -> int:
        with scheduler.seat(urgency=urgency) as seat:
            return await seat.run(item)

    tasks = [asyncio.create_task(ask_with(item, 5)) for item in range(4)]
    await gate.entered()
    tasks += [asyncio.create_task(ask_with(item, 3)) for item in (4, 5, 6, 7, 8)]
    await settle()
    gate.open()
    await asyncio.gather(*tasks)
    assert gate.batches == [[0], [4, 5, 6], [7], [8], [1], [2], [3]]
    await scheduler.close()


def test_photos_run_in_whole_batches_again_when_nobody_of_another_urgency_came_for_long():
    company = Company(4, beside=1, background=9)
    assert company.of(urgency=5, waiting=4, now=0.0) == 4
    company.came(urgency=4, now=10.0)
    for now, expected in ((10.0 + QUIET_SECONDS / 2, [1, 4, 1, 1]), (10.0 + QUIET_SECONDS, [4, 4, 4, 4])):
        assert [company.of(urgency, 3, now) for urgency in (3, 4, 5, 7)] == expected
    assert company.of(urgency=3, waiting=4, now=10.0) == 4


def test_the_background_has_no_more_than_its_runners_for_a_moment_after_somebody_urgent_came():
    company = Company(4, beside=1, background=2)
    company.came(urgency=4, now=10.0)
    assert not company.keeps_room(running=2, now=10.0)
    company.came(urgency=3, now=10.0)
    assert [company.keeps_room(running, now=10.0) for running in (1, 2, 3)] == [False, True, True]
    assert not company.keeps_room(running=2, now=10.0 + 2 * ROOM_SECONDS)


async def behind_an_urgent_one(gate: Gate, now: Callable[[], float]) -> tuple[Scheduler[int, int], Asks]:
    """Two runners when an urgent photo was answered: one has a photo of the background, and another such one waits."""
    first = Gate()
    scheduler = Scheduler[int, int](
        lambda items, _attempt: (first if items == [0] else gate).run(items),
        runners=2,
        company=Company(4, beside=1, background=1),
        limits=Load(100, 1000, 1000),
        observer=Log(),
        now=now,
    )

    async def ask_with(item: int, urgency: int) -> int:
        with scheduler.seat(urgency=urgency) as seat:
            return await seat.run(item)

    tasks = [asyncio.create_task(ask_with(item, urgency)) for item, urgency in ((0, 3), (1, 5), (2, 5))]
    await first.entered()
    await gate.entered()
    first.open()
    await tasks[0]
    return scheduler, lambda *asked: [asyncio.create_task(ask_with(item, 3)) for item in asked] + tasks[1:]


async def test_a_runner_that_is_kept_from_the_background_is_there_for_the_urgent():
    gate = Gate()
    scheduler, ask_urgently = await behind_an_urgent_one(gate, now=lambda: 10.0)
    assert (gate.batches, scheduler.waiting) == ([[1]], 1)
    tasks = ask_urgently(3)
    await gate.entered()
    gate.open()
    await asyncio.gather(*tasks)
    assert gate.batches == [[1], [3], [2]]
    await scheduler.close()


async def test_the_background_gets_the_runner_after_a_moment_though_nothing_else_happens():
    gate = Gate()
    scheduler, ask_urgently = await behind_an_urgent_one(gate, now=monotonic)
    await gate.entered()
    assert gate.batches == [[1], [2]]
    gate.open()
    await asyncio.gather(*ask_urgently())
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


async def until(holds: Callable[[], bool]) -> None:
    """Let threads get on until it holds, which they tell nobody."""
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0)


class Client:
    """One who sends, as fast or as slowly as it is told."""

    def __init__(self, *, slow: bool, soon: bool = False) -> None:
        self.slow = slow
        self.soon = soon
        self.is_out = False

    def is_slow(self) -> bool:
        return self.slow

    def will_soon_send(self, missing: int) -> bool:
        assert missing > 0
        return self.soon

    def put_out(self) -> None:
        self.is_out = True


async def test_who_sends_slowly_gives_its_seat_to_one_who_needs_it_longest_first_and_never_who_is_alone():
    scheduler = build(Gate().run, max_items=3)
    clients = [Client(slow=False), Client(slow=True), Client(slow=True)]
    with scheduler.seat() as first, scheduler.seat() as second, scheduler.seat() as third:
        for seat, client in zip((first, second, third), clients, strict=True):
            seat.begin_arriving(client)
        with scheduler.seat():
            assert [client.is_out for client in clients] == [False, True, False]
            third.end_arriving()  # all of it is here
            with pytest.raises(QueueFull), scheduler.seat():
                pass
            clients[0].slow = True
            with pytest.raises(QueueFull), scheduler.seat():
                pass
        assert [client.is_out for client in clients] == [False, True, False]
    await scheduler.close()  # would wait for ever if a seat were given back once too few


async def test_nobody_makes_room_for_one_who_is_less_urgent():
    scheduler = build(Gate().run)
    tardy, slow = Client(slow=False), Client(slow=True)
    with scheduler.seat(size=700) as first, scheduler.seat(size=300) as second:
        first.begin_arriving(tardy)
        second.begin_arriving(slow)
        with pytest.raises(QueueFull, match="bytes"), scheduler.seat(size=1, urgency=5):
            pass
        assert (first.held.bytes, second.held.bytes, slow.is_out) == (700, 300, False)
        with scheduler.seat(size=1):
            assert first.held.bytes == 0


async def test_who_sends_slowly_keeps_its_seat_and_holds_only_the_bytes_that_are_there_when_others_need_more():
    scheduler = build(Gate().run)
    quick, tardy = Client(slow=False, soon=True), Client(slow=False)
    with scheduler.seat(size=400) as first, scheduler.seat(size=600) as second:
        first.begin_arriving(quick)
        second.begin_arriving(tardy)
        first.receive(100)
        second.receive(100)
        with scheduler.seat(size=500):
            assert (first.held.bytes, second.held.bytes) == (400, 100)
            with pytest.raises(QueueFull, match="bytes"):
                second.receive(1)
            first.receive(300)
        second.receive(500)
        assert (first.held.bytes, second.held.bytes) == (400, 600)
    assert [quick.is_out, tardy.is_out] == [False, False]
    await scheduler.close()  # would wait for ever if a seat were given back once too few
    assert scheduler._bounds.taken == Load()
