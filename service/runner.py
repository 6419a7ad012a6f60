"""What a runner does with a batch of photos: pixels, one run of the model, scores; all in one thread hop."""

from collections.abc import Sequence
from concurrent.futures import Executor
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
from service.metrics import ModelMetrics

Pixels = NDArray[np.uint8]
Scores = NDArray[np.float32]
Photo = bytes | Pixels  # encoded, or uint8 [H, W, C] as the model wants it


class Runner:
    """Answers photos with their scores, float32 [K], or with what is wrong with them.

    On a CPU the runner's thread decodes, since every core has a runner; `decoders` do it for a device that would wait.
    """

    def __init__(
        self, session: Session, spec: InputSpec, max_pixels: int, metrics: ModelMetrics, decoders: Executor | None
    ) -> None:
        self._session = session
        self._spec = spec
        self._max_pixels = max_pixels
        self._metrics = metrics
        self._map = decoders.map if decoders else map

    def run(self, photos: list[Photo], attempt: Attempt) -> Sequence[Scores | ImageError]:
        """The scores of each photo, in order, or the ImageError that is its own; called in many threads at once."""
        decoded = list(self._map(partial(self._decode, attempt), photos))
        pixels = [each for each in decoded if not isinstance(each, ImageError)]
        scores = iter(self._infer(pixels, attempt) if pixels else ())
        return [each if isinstance(each, ImageError) else next(scores) for each in decoded]

    def _decode(self, attempt: Attempt, photo: Photo) -> Pixels | ImageError:
        attempt.step()
        if not isinstance(photo, bytes):
            return photo
        started = perf_counter()
        try:
            return decode(photo, self._spec, max_pixels=self._max_pixels)
        except ImageError as error:
            return error
        finally:
            self._metrics.decoded(perf_counter() - started)

    def _infer(self, pixels: list[Pixels], attempt: Attempt) -> Scores:
        options = ort.RunOptions()
        attempt.step(lambda: setattr(options, "terminate", True))
        started = perf_counter()
        try:
            return self._session.run(pixels[0][np.newaxis] if len(pixels) == 1 else np.stack(pixels), options)
        finally:
            self._metrics.ran(len(pixels), perf_counter() - started)
