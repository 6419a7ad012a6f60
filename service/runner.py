"""What a runner does with a batch of photos: pixels, one run of the model, scores; all in one thread hop."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from artifact.card import InputSpec
from artifact.errors import ImageError
from artifact.pixels import decode
from artifact.session import Session
from service.attempt import Attempt
from service.decoders import Decoders
from service.model_metrics import ModelMetrics
from service.stages import Stage, Stages

Pixels = NDArray[np.uint8]
Scores = NDArray[np.float32]
Photo = bytes | Pixels  # encoded, or uint8 [H, W, C] as the model wants it


@dataclass(slots=True, eq=False)
class Job:
    """A photo on its way to its scores, and the stages of its request, which its own become a part of."""

    photo: Photo
    stages: Stages
    since: float = field(default_factory=perf_counter)  # when it began to wait
    has_begun: bool = False

    def begin(self, now: float) -> None:
        """It has a runner, for the first time or again."""
        self.stages.passed("queue", self.since, now)
        self.has_begun = True

    def wait_again(self, stage: Stage, started: float) -> None:
        """Its runner did not come back from a stage, and was given up."""
        now = perf_counter()
        self.stages.passed(stage, started, now)
        self.since = now

    def end(self) -> None:
        """Nobody waits for it any more; if it never had a runner, then all of its time was spent in the queue."""
        if not self.has_begun:
            self.begin(perf_counter())


class Runner:
    """Answers photos with their scores, float32 [K], or with what is wrong with them.

    On a CPU the runner's thread decodes, since every core has a runner; `decoders` do it for a device that would wait.
    """

    def __init__(
        self, session: Session, spec: InputSpec, max_pixels: int, metrics: ModelMetrics, decoders: Decoders | None
    ) -> None:
        self._session = session
        self._spec = spec
        self._max_pixels = max_pixels
        self._metrics = metrics
        self._decoders = decoders

    def run(self, jobs: list[Job], attempt: Attempt) -> Sequence[Scores | ImageError]:
        """The scores of each photo, in order, or the ImageError that is its own; called in many threads at once."""
        now = perf_counter()
        for job in jobs:
            job.begin(now)
        decode_one = partial(self._decode, attempt, partial(_wait_again, jobs, "decode", now))
        pool = self._decoders
        decoded = pool.map(decode_one, jobs, attempt) if pool else [decode_one(job) for job in jobs]
        sound = [(job, each) for job, each in zip(jobs, decoded, strict=True) if not isinstance(each, ImageError)]
        scores = iter(self._infer(jobs, sound, attempt) if sound else ())
        return [each if isinstance(each, ImageError) else next(scores) for each in decoded]

    def _decode(self, attempt: Attempt, give_up: Callable[[], None], job: Job) -> Pixels | ImageError:
        attempt.step(give_up)
        if not isinstance(job.photo, bytes):
            return job.photo
        started = perf_counter()
        try:
            return decode(job.photo, self._spec, max_pixels=self._max_pixels)
        except ImageError as error:
            return error
        finally:
            ended = perf_counter()
            job.stages.passed("decode", started, ended)
            self._metrics.decoded(ended - started)

    def _infer(self, jobs: list[Job], sound: list[tuple[Job, Pixels]], attempt: Attempt) -> Scores:
        pixels = [each for _, each in sound]
        options, started = ort.RunOptions(), perf_counter()

        def give_up() -> None:
            options.terminate = True
            _wait_again(jobs, "infer", started)

        attempt.step(give_up)
        try:
            return self._session.run(pixels[0][np.newaxis] if len(pixels) == 1 else np.stack(pixels), options)
        finally:
            ended = perf_counter()
            for job, _ in sound:
                job.stages.ran(len(sound), started, ended)
                job.since = ended  # if the run failed, it waits for another one
            self._metrics.ran(len(sound), ended - started)


def _wait_again(jobs: list[Job], stage: Stage, started: float) -> None:
    for job in jobs:
        job.wait_again(stage, started)
