"""What counts as a hang: a thread that sleeps, spins or is gone, and not one that has no core."""

import asyncio
import hashlib
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from artifact.device import available_cpus
from artifact.errors import InferenceStuck
from scheduled import Log, until
from service.attempt import Attempt
from service.bounds import Load
from service.company import Company
from service.glance import Glance, glance
from service.pulse import BEATS, LATE, Pulse
from service.scheduler import Scheduler
from service.way import SWITCH_SECONDS

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")

STUCK_SECONDS = 0.4
BLOCK = bytes(2**23)  # takes as long as a picture does


def work(until: Callable[[], bool]) -> None:
    """Use a core, and leave the interpreter to others meanwhile, as a decoder does."""
    while not until():
        hashlib.sha256(BLOCK)


def work_for(seconds: float) -> None:
    end = time.thread_time() + seconds
    work(lambda: time.thread_time() >= end)


@pytest.fixture(autouse=True)
def _hand_over_soon() -> Iterator[None]:
    """Have the interpreter's lock handed over as a service has it."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    yield
    sys.setswitchinterval(before)


class Worker:
    """A thread that is in the first step of an attempt."""

    def __init__(self, does: Callable[[], object]) -> None:
        self.attempt = Attempt()
        self._does = does
        self._stepped = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        assert self._stepped.wait(10)

    def _run(self) -> None:
        self.attempt.step()
        self._stepped.set()
        self._does()

    def now(self) -> Glance:
        assert self.thread.native_id
        seen = glance(self.thread.native_id)
        assert seen
        return seen


def looks(attempt: Attempt) -> int:
    """How many looks it takes until it is said to be stuck."""
    count = 0
    while not attempt.is_stuck:
        attempt.look()
        count += 1
    return count


@linux_only
async def test_a_thread_that_sleeps_counts_every_beat():
    over = threading.Event()
    sleeper = Worker(over.wait)
    await until(lambda: sleeper.now().is_asleep)
    assert looks(sleeper.attempt) == BEATS + 1
    over.set()
    sleeper.thread.join()


@linux_only
async def test_a_thread_that_is_gone_counts_every_beat():
    gone = Worker(bool)
    gone.thread.join()
    await until(lambda: glance(gone.thread.native_id) is None)
    assert looks(gone.attempt) == BEATS + 1


@linux_only
async def test_a_thread_that_works_counts_what_it_has_of_a_core():
    over = threading.Event()
    worker = Worker(lambda: work(over.is_set))
    worker.attempt.look()
    began, asked = worker.now().ran, time.monotonic()
    await until(lambda: worker.now().ran > began + 0.2)
    assert not worker.now().is_asleep
    used, passed = worker.now().ran - began, time.monotonic() - asked
    worker.attempt.look()
    assert worker.attempt._own == pytest.approx(min(used / passed, 1), rel=0.2)
    over.set()
    worker.thread.join()


@linux_only
async def test_a_thread_that_works_is_late_when_the_time_is_whatever_it_has_of_a_core():
    over = threading.Event()
    worker = Worker(lambda: work(over.is_set))
    late = []
    for _ in range(LATE + 1):
        worker.attempt.look()
        late.append(worker.attempt.is_late)
    assert late == [False] * LATE + [True]
    assert not worker.attempt.is_stuck
    worker.attempt.step()
    worker.attempt.look()
    assert not worker.attempt.is_late
    over.set()
    worker.thread.join()


def test_what_has_not_begun_counts_every_beat():
    assert looks(Attempt()) == BEATS + 1


@linux_only
def test_a_glance_at_the_thread_that_runs_and_at_none():
    seen = glance(threading.get_native_id())
    assert seen
    assert seen.ran == pytest.approx(time.thread_time(), abs=0.05)
    assert not seen.is_asleep
    assert glance(2**30) is None
    assert glance(None) is None


async def outcomes(run: Callable[[list[int], Attempt], list[int]], models: int, items: int) -> Counter[str]:
    """What becomes of many items of several models, of two runners each, while the pulse looks after all of them."""
    schedulers = [
        Scheduler(
            run, runners=2, company=Company(1, beside=1, background=9), limits=Load(100, 1000, 1000), observer=Log()
        )
        for _ in range(models)
    ]
    pulse = Pulse(STUCK_SECONDS)
    for each in schedulers:
        pulse.join(lambda each=each: each.look_after())  # type: ignore[misc]
    pulse.start()

    async def ask(scheduler: Scheduler[int, int]) -> str:
        with scheduler.seat() as seat:
            try:
                await seat.run(1)
            except InferenceStuck:
                return "stuck"
            return "ok"

    counted = Counter(await asyncio.gather(*(ask(each) for each in schedulers for _ in range(items))))
    pulse.stop()
    for each in schedulers:
        await each.close()
    return counted


@linux_only
async def test_photos_that_are_good_are_no_hang_where_many_share_few_cores():
    def run(items: list[int], attempt: Attempt) -> list[int]:
        attempt.step()
        work_for(STUCK_SECONDS / 4)
        return items

    models = 4 * available_cpus()  # so each step takes twice what a hang may
    assert await outcomes(run, models, items=2) == {"ok": 2 * models}


@linux_only
async def test_a_loop_that_never_ends_is_a_hang_where_many_share_few_cores():
    over = threading.Event()
    threads = set[int]()

    def run(items: list[int], attempt: Attempt) -> list[int]:
        attempt.step()
        threads.add(threading.get_native_id())
        work(over.is_set)
        return items

    models = available_cpus()
    assert await outcomes(run, models, items=2) == {"stuck": 2 * models}
    assert len(threads) == 2 * models
    over.set()
