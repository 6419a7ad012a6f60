"""The threads that decode for a GPU: who waits for one is not stuck while they get on, and is where they do not."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from artifact.errors import InferenceStuck
from scheduled import until
from service.attempt import Attempt
from service.decoders import Decoders
from service.pulse import BEATS

PATIENCE = 10


def is_stuck(attempt: Attempt) -> bool:
    attempt.look()
    return attempt.is_stuck


class Decode:
    """Decodes when it is told to."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._entered = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)

    def __call__(self, job: int) -> int:
        self._attempt.step()
        self._entered.release()
        assert self.go_on.acquire(timeout=PATIENCE)
        return job * 2

    async def entered(self) -> None:
        await until(lambda: self._entered.acquire(blocking=False))


async def test_who_waits_for_a_decoder_gets_on_with_those_before_him_until_all_of_his_own_have_begun():
    decoders, runners = Decoders(1), ThreadPoolExecutor(2)
    first, second = Attempt(), Attempt()
    before, behind = Decode(first), Decode(second)
    busy = runners.submit(decoders.map, before, [1, 2, 3], first)
    await before.entered()
    waiting = runners.submit(decoders.map, behind, [4], second)
    for _ in range(2):
        assert not any(is_stuck(second) for _ in range(BEATS))
        before.go_on.release()
        await before.entered()
    before.go_on.release()
    assert busy.result(PATIENCE) == [2, 4, 6]
    await behind.entered()
    later = runners.submit(decoders.map, before, [5], first)
    await until(lambda: is_stuck(second))
    behind.go_on.release()
    assert waiting.result(PATIENCE) == [8]
    before.go_on.release()
    assert later.result(PATIENCE) == [10]
    decoders.close()


async def test_who_waits_for_decoders_that_stand_still_is_stuck_and_is_not_decoded_when_they_go_on():
    decoders, runners = Decoders(1), ThreadPoolExecutor(2)
    first, second = Attempt(), Attempt()
    hangs, behind = Decode(first), Decode(second)
    busy = runners.submit(decoders.map, hangs, [1], first)
    await hangs.entered()
    waiting = runners.submit(decoders.map, behind, [2, 3], second)
    await until(lambda: is_stuck(second))
    second.give_up()
    hangs.go_on.release()
    assert busy.result(PATIENCE) == [2]
    with pytest.raises(InferenceStuck):
        waiting.result(PATIENCE)
    decoders.close()
