"""From encoded photos to what a model says of them: decode and inference, all in the thread that asks, and rows."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from artifact.device import Device, best_provider, usual_batch
from artifact.errors import HangtagError, ImageError, InferenceFailed
from artifact.pixels import DEFAULT_MAX_PIXELS, decode
from artifact.repository import Artifact
from artifact.session import Session
from catalog.listed import Listed
from catalog.rows import Found, joined, kept, to_table

_BLOCK = 16  # of several batches, as a photo that cannot be decoded leaves one of them short

Pixels = NDArray[np.uint8]


class Decoded(NamedTuple):
    """Photos that a model can run, uint8 [N, H, W, C], and why others cannot; places count both, from the first."""

    pixels: Pixels
    places: list[int]
    errors: dict[int, HangtagError]


class Classifier:
    """A model version that answers photos; any number of threads may ask, and each uses one core meanwhile.

    Photos run together by their places in the list: of each `block` of them those that can be decoded, in batches. So
    each gets the same scores whoever asks, and for how many. It has answered its golden samples before it answers
    anybody. Who asks in another process makes one there, of the same artifact. Raises GoldenMismatch, and what Session
    raises.
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
        self.block = max(_BLOCK, self.max_batch)
        self._session.warm_up()
        artifact.golden.verify(self._session.run, self.card.input, tolerance=self.card.export.golden_tolerance)

    def decoded(self, images: Iterable[bytes | HangtagError], count: int) -> Decoded:
        """So many photos, the first of which begins a block; in place of one there may be an error.

        Each is decoded before the next one is asked for.
        """
        pixels = np.empty((count, *self.card.input.shape), np.uint8)
        places, errors = list[int](), dict[int, HangtagError]()
        for place, image in enumerate(images):
            if isinstance(image, HangtagError):
                errors[place] = image
                continue
            try:
                pixels[len(places)] = decode(image, self.card.input, max_pixels=self._max_pixels)
                places.append(place)
            except ImageError as error:
                errors[place] = kept(error)
        return Decoded(pixels[: len(places)], places, errors)

    def scores(self, photos: Decoded) -> Found:
        """The scores of photos, or of one the ImageError, InferenceFailed or whatever it came with."""
        pixels, places, errors = photos
        scores = np.zeros((len(places) + len(errors), len(self.card.labels)), np.float32)
        found = Found(scores, dict(errors))
        for batch in self._batches(places):
            scores[places[batch]], failed = self._run(pixels[batch])
            found.errors.update({places[batch][at]: error for at, error in failed.items()})
        return found

    def rows(self, photos: Sequence[Listed], found: Found) -> Any:
        """The rows of photos, a table, from what was found of them."""
        return to_table([listed.path for listed in photos], found, self.card, self._top_k)

    def _batches(self, places: Sequence[int]) -> Iterator[slice]:
        """Those photos together that run together: the next ones of a block, as many as a batch may have."""
        start = 0
        while start < len(places):
            next_block = (places[start] // self.block + 1) * self.block
            stop = min(start + self.max_batch, bisect_left(places, next_block))
            yield slice(start, stop)
            start = stop

    def _run(self, pixels: Pixels) -> Found:
        """What is found of a batch; if the model fails on all together, each photo is tried alone."""
        try:
            scores = self._session.run(pixels)
        except Exception:  # noqa: BLE001 - onnxruntime's exceptions have no common base but this
            if len(pixels) > 1:
                return joined([self._run(each[np.newaxis]) for each in pixels])
            scores = np.zeros((1, len(self.card.labels)), np.float32)
            return Found(scores, {0: InferenceFailed("The model failed on this photo.")})
        if np.isfinite(scores).all():
            return Found(scores, {})
        lost = np.flatnonzero(~np.isfinite(scores).all(axis=1)).tolist()
        return Found(scores, dict.fromkeys(lost, InferenceFailed("The model's scores of this photo are no numbers.")))
