"""Who goes first, who runs with whom, and what is kept free for the urgent."""

import asyncio
from collections.abc import Callable
from time import monotonic

import pytest

from artifact.errors import QueueFull
from scheduled import Gate, Log, build, settle
from service.bounds import Load
from service.company import QUIET_SECONDS, ROOM_SECONDS, Company
from service.scheduler import Scheduler

Asks = Callable[..., list[asyncio.Task[int]]]  # begins to ask, urgently; gives all who wait


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
