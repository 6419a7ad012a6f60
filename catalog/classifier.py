"""From encoded photos to what a model says of them: decode and inference, all in the thread that asks, and rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from artifact.device import Device, best_provider, usual_batch
from artifact.errors import ImageError, InferenceFailed
from artifact.pixels import DEFAULT_MAX_PIXELS, decode
from artifact.repository import Artifact
from artifact.session import Session
from catalog.listed import Listed
from catalog.rows import Found, kept, to_table

Pixels = NDArray[np.uint8]


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

    def scores(self, images: Sequence[bytes]) -> list[Found]:
        """The scores of each encoded photo, in order, or the ImageError or InferenceFailed that is its own."""
        pixels = np.empty((len(images), *self.card.input.shape), np.uint8)
        errors = dict[int, ImageError]()  # by place
        for place, image in enumerate(images):
            try:
                pixels[place - len(errors)] = decode(image, self.card.input, max_pixels=self._max_pixels)
            except ImageError as error:
                errors[place] = kept(error)
        pixels = pixels[: len(images) - len(errors)]
        batches = (pixels[start : start + self.max_batch] for start in range(0, len(pixels), self.max_batch))
        found = [each for batch in batches for each in self._run(batch)]
        for place, each in errors.items():
            found.insert(place, each)
        return found

    def rows(self, photos: Sequence[Listed], found: Sequence[Found]) -> Any:
        """The rows of photos, a table, from what was found of each."""
        return to_table([listed.path for listed in photos], found, self.card, self._top_k)

    def _run(self, pixels: Pixels) -> list[Found]:
        """The scores of each photo of [N, H, W, C]; if the model fails on all together, each is tried alone."""
        try:
            found = self._session.run(pixels)
        except Exception:  # noqa: BLE001 - onnxruntime's exceptions have no common base but this
            if len(pixels) == 1:
                return [InferenceFailed("The model failed on this photo.")]
            return [scores for each in pixels for scores in self._run(each[np.newaxis])]
        are_numbers = np.logical_and.reduce(np.isfinite(found), axis=1)  # each of them by itself would take 3 µs
        return [
            each if is_number else InferenceFailed("The model's scores of this photo are no numbers.")
            for each, is_number in zip(found, are_numbers, strict=True)
        ]
