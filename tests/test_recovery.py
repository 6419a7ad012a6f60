"""A version whose runner was stuck is ready when it has proved itself, and where it cannot, the process is given up."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from artifact.errors import InferenceStuck
from artifact.golden import GoldenSamples
from scheduled import Log, settle, until
from service import recovery
from service.attempt import Attempt
from service.bounds import Load
from service.company import Company
from service.metrics import Metrics
from service.model_metrics import ModelMetrics
from service.pulse import BEATS
from service.recovery import Recovery
from service.runner import Job, Photo, Scores
from service.scheduler import Scheduler
from service.stages import Stages
from support import card, png

GOLDEN = GoldenSamples((png(0), png(255)), np.zeros((2, 8, 8, 1), np.uint8), np.eye(3, dtype=np.float32)[:2])
RIGHT = dict(zip(GOLDEN.images, GOLDEN.scores, strict=True))
STUCK = b"an image from which no runner comes back"


def job(photo: Photo) -> Job:
    return Job(photo, Stages())


@dataclass
class Ward:
    """A version with one runner, whose answers to its golden samples a test decides on."""

    answer: Callable[[Photo], Scores] = lambda photo: RIGHT[bytes(photo)]
    given_up: list[str] = field(default_factory=list)
    entered: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.scheduler: Scheduler[Job, Scores] = Scheduler(
            self._run, runners=1, company=Company(1, beside=1, background=9), limits=Load(9, 9999, 9999), observer=Log()
        )
        metrics = ModelMetrics(Metrics("test"), "tiny", "1")
        self.recovery = Recovery(self.scheduler, card(), GOLDEN, metrics, self.given_up.append)

    def _run(self, jobs: list[Job], _attempt: Attempt) -> Sequence[Scores]:
        if jobs[0].photo == STUCK:
            self.entered.release()
            self.over.wait()
        return [self.answer(each.photo) for each in jobs]

    async def begin_to_hang(self) -> asyncio.Task[Scores]:
        task = asyncio.create_task(self.scheduler.run(job(STUCK)))
        await until(lambda: self.entered.acquire(blocking=False))
        return task

    async def lose_a_runner(self) -> None:
        task = await self.begin_to_hang()
        for _ in range(BEATS + 1):
            self.recovery.look()
        with pytest.raises(InferenceStuck):
            await task


@pytest.fixture
async def ward(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ward]:
    monkeypatch.setattr(recovery, "_PAUSES", (0, 0, 0))
    ward = Ward()
    yield ward
    ward.recovery.close()
    ward.over.set()
    await ward.scheduler.close()


async def test_it_is_stuck_before_its_runner_is_given_up_and_ready_when_it_has_answered_its_golden_samples(ward: Ward):
    task = await ward.begin_to_hang()
    said = []
    for _ in range(BEATS):
        ward.recovery.look()
        said.append(ward.recovery.is_stuck)
    assert said == [False] * (BEATS - 2) + [True] * 2
    assert ward.scheduler.lost == 0
    ward.recovery.look()
    assert ward.scheduler.lost == 1
    await until(lambda: not ward.recovery.is_stuck)
    assert ward.given_up == []
    with pytest.raises(InferenceStuck):
        await task


async def test_a_runner_that_comes_back_late_is_no_loss(ward: Ward):
    task = await ward.begin_to_hang()
    ward.answer = lambda _photo: GOLDEN.scores[0]
    for _ in range(BEATS):
        ward.recovery.look()
    assert ward.recovery.is_stuck
    ward.over.set()
    assert np.array_equal(await task, GOLDEN.scores[0])
    ward.recovery.look()
    assert not ward.recovery.is_stuck
    assert (ward.scheduler.lost, ward.given_up) == (0, [])


@pytest.mark.parametrize("wrong", [lambda _photo: GOLDEN.scores[1], lambda _photo: 1 / 0, lambda _photo: None])
async def test_who_does_not_answer_as_it_was_trained_is_given_up_after_some_attempts(ward: Ward, wrong):
    ward.answer = wrong
    await ward.lose_a_runner()
    await until(lambda: bool(ward.given_up))
    assert ward.given_up == ["model tiny 1 does not answer its golden samples any more"]
    assert ward.recovery.is_stuck


async def test_who_loses_too_many_threads_is_given_up(ward: Ward):
    for _ in range(2):
        await ward.lose_a_runner()
        await until(lambda: not ward.recovery.is_stuck)
    assert ward.given_up == []
    await ward.lose_a_runner()
    assert ward.given_up == ["model tiny 1 has 3 threads that do not come back"]


async def test_who_is_closed_has_its_runners_replaced_and_proves_nothing(ward: Ward):
    ward.recovery.close()
    ward.answer = lambda _photo: GOLDEN.scores[1]
    for _ in range(3):
        await ward.lose_a_runner()
    await settle()
    assert ward.given_up == []
