"""From encoded photos to what a model says of them: decode, inference and decision, all in the thread that asks."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from artifact.answer import Answer, answer
from artifact.device import Device, best_provider, usual_batch
from artifact.errors import HangtagError, ImageError, InferenceFailed
from artifact.pixels import DEFAULT_MAX_PIXELS, decode
from artifact.repository import Artifact
from artifact.session import Session

Pixels = NDArray[np.uint8]
Scores = NDArray[np.float32]


class Classifier:
    """A model version that answers photos; any number of threads may ask, and each uses one core meanwhile.

    It has answered its golden samples before it answers anybody. Who asks in another process makes one there, of the
    same artifact. Raises GoldenMismatch, and what Session raises.
    """

    def __init__(
        self,
        artifact: Artifact,
        *,
        device: Device = "auto",
        max_batch: int | None = None,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        top_k: int = 5,
    ) -> None:
        self.card = artifact.card
        self._max_pixels = max_pixels
        self._top_k = top_k
        batch = max_batch or usual_batch(best_provider(device))
        self._session = Session(artifact.model, self.card, device=device, max_batch=batch)
        self.provider = self._session.provider
        self.max_batch = max_batch or usual_batch(self.provider)  # onnxruntime may have CUDA and not start it
        self._session.warm_up()
        artifact.golden.verify(self._session.run, self.card.input, tolerance=self.card.export.golden_tolerance)

    def answers(self, images: Sequence[bytes]) -> list[Answer | HangtagError]:
        """The answer to each encoded photo, in order, or the ImageError or InferenceFailed that is its own."""
        decoded = [self._decode(image) for image in images]
        pixels = [each for each in decoded if not isinstance(each, ImageError)]
        scores = (
            each
            for start in range(0, len(pixels), self.max_batch)
            for each in self._scores(pixels[start : start + self.max_batch])
        )
        found = [each if isinstance(each, ImageError) else next(scores) for each in decoded]
        return [each if isinstance(each, HangtagError) else answer(each, self.card, self._top_k) for each in found]

    def _decode(self, image: bytes) -> Pixels | ImageError:
        try:
            return decode(image, self.card.input, max_pixels=self._max_pixels)
        except ImageError as error:
            return error

    def _scores(self, pixels: list[Pixels]) -> list[Scores | InferenceFailed]:
        """The scores of each photo; if the model fails on all together, each is tried alone."""
        if not pixels:
            return []
        try:
            found = self._session.run(pixels[0][np.newaxis] if len(pixels) == 1 else np.stack(pixels))
        except Exception:  # noqa: BLE001 - onnxruntime's exceptions have no common base but this
            if len(pixels) == 1:
                return [InferenceFailed("The model failed on this photo.")]
            return [scores for each in pixels for scores in self._scores([each])]
        are_numbers = np.logical_and.reduce(np.isfinite(found), axis=1)  # each of them by itself would take 3 µs
        return [
            each if is_number else InferenceFailed("The model's scores of this photo are no numbers.")
            for each, is_number in zip(found, are_numbers, strict=True)
        ]
