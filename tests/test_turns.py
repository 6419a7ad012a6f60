"""Who waits for room gets it in turn, in time or not at all, and nobody waits for those who wait for him."""

import asyncio
from time import monotonic

import pytest

from artifact.errors import QueueFull
from service.bounds import Bounds, Load

PATIENCE = 10
ONE = Load(items=1)


def waiting(
    bounds: Bounds, load: Load, urgency: int = 3, held: Load | None = None, already: float = 0
) -> asyncio.Task[None]:
    """Who waits for room, and came so many seconds ago."""
    now = monotonic()
    return asyncio.create_task(bounds.take_in_turn(load, urgency, held or Load(), now + PATIENCE, now - already))


async def turn() -> None:
    """Let all tasks that can go on do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_where_there_is_room_nobody_waits():
    bounds = Bounds(Load(2, 100, 100))
    await bounds.take_in_turn(Load(1, 50, 50), 3, Load(), monotonic() - 1, monotonic())
    assert bounds.taken == Load(1, 50, 50)


async def test_the_most_urgent_comes_first_and_then_who_came_first():
    bounds, came = Bounds(Load(1, 100, 100)), list[str]()
    bounds.take(ONE)
    tasks = {}
    for name, urgency in (("late", 7), ("first", 5), ("second", 5), ("urgent", 1)):
        tasks[name] = waiting(bounds, ONE, urgency)
        tasks[name].add_done_callback(lambda _, name=name: came.append(name))
        await turn()
    while len(came) < 4:
        bounds.give_back(ONE)
        await turn()
    assert came == ["urgent", "first", "second", "late"]


async def test_nobody_starves_behind_more_urgent_ones_who_keep_coming_but_the_default_has_its_quarter_first():
    bounds, came = Bounds(Load(1, 100, 100)), list[str]()
    bounds.take(ONE)
    for name, urgency, already in (("old", 7, 9), ("new", 5, 0), ("younger", 7, 7), ("single", 3, 0)):
        waiting(bounds, ONE, urgency, already=already).add_done_callback(lambda _, name=name: came.append(name))
        await turn()
    while len(came) < 4:
        bounds.give_back(ONE)
        await turn()
    assert came == ["single", "old", "new", "younger"]


async def test_nobody_is_let_in_before_one_who_needs_more():
    bounds = Bounds(Load(9, 100, 100))
    bounds.take(Load(bytes=90))
    large, small = waiting(bounds, Load(bytes=50)), waiting(bounds, Load(bytes=5))
    await turn()
    assert (large.done(), small.done()) == (False, False)
    bounds.give_back(Load(bytes=40))
    await turn()
    assert (large.done(), small.done()) == (True, False)


async def test_who_waits_aside_holds_up_nobody_and_gets_what_the_others_leave():
    bounds = Bounds(Load(9, 100, 100))
    bounds.take(Load(bytes=60))
    now = monotonic()
    whole = asyncio.create_task(bounds.take_in_turn(Load(bytes=50), 5, Load(), now + PATIENCE, now, is_aside=True))
    await turn()
    other = waiting(bounds, Load(bytes=10), urgency=5)
    await turn()
    assert (whole.done(), other.done()) == (False, True)
    bounds.give_back(Load(bytes=60))
    await turn()
    assert whole.done()


async def test_the_first_is_let_in_where_those_who_wait_have_all_that_is_taken_and_then_one_at_a_time():
    bounds = Bounds(Load(9, 100, 100))
    halves = [Load(bytes=50), Load(bytes=50)]
    for half in halves:
        bounds.take(half)
    first = waiting(bounds, Load(bytes=30), held=halves[0])
    await turn()
    assert not first.done()
    second = waiting(bounds, Load(bytes=30), held=halves[1])
    await turn()
    assert (first.done(), second.done()) == (True, False)
    bounds.give_back(Load(bytes=80))  # the first has all that it needed, and ends
    await turn()
    assert second.done()
    bounds.give_back(Load(bytes=80))
    assert bounds.taken == Load()


async def test_who_finds_no_room_until_its_deadline_is_told_so():
    bounds = Bounds(Load(1, 100, 100))
    bounds.take(ONE)
    with pytest.raises(QueueFull, match="All 1 places"):
        await bounds.take_in_turn(ONE, 3, Load(), monotonic() + 0.01, monotonic())
    bounds.give_back(ONE)
    assert bounds.taken == Load()


async def test_who_gives_up_waiting_holds_up_nobody():
    bounds = Bounds(Load(1, 100, 100))
    bounds.take(ONE)
    gone, other = waiting(bounds, ONE, held=Load(bytes=7)), waiting(bounds, ONE)
    await turn()
    gone.cancel()
    await turn()
    bounds.give_back(ONE)
    await turn()
    assert other.done()
    assert (bounds.taken, bounds._stalled, bounds._turns) == (ONE, Load(), [])


async def test_room_that_came_at_the_moment_of_giving_up_is_given_to_the_next():
    bounds = Bounds(Load(1, 100, 100))
    bounds.take(ONE)
    gone, other = waiting(bounds, ONE), waiting(bounds, ONE)
    await turn()
    bounds.give_back(ONE)  # it is let in
    gone.cancel()  # and does not know
    await turn()
    assert gone.cancelled()
    assert other.done()
    bounds.give_back(ONE)
    assert bounds.taken == Load()
