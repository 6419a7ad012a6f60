"""Golden samples: what the trained model answered on a few photos; whatever is made of it later is held to that."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Self
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from artifact.card import InputSpec
from artifact.errors import GoldenMismatch, ImageError
from artifact.pixels import decode

GOLDEN_FILE = "golden.npz"


@dataclass(frozen=True)
class GoldenSamples:
    """G photos with what they became.

    `images` are the original encoded bytes, `pixels` uint8 [G, H, W, C] what `artifact.pixels` made of them, and
    `scores` float32 [G, K] the calibrated probabilities that the Keras model gave.
    """

    images: tuple[bytes, ...]
    pixels: NDArray[np.uint8]
    scores: NDArray[np.float32]

    def __post_init__(self) -> None:
        if not len(self.images) == len(self.pixels) == len(self.scores) > 0:
            raise ValueError(
                f"{len(self.images)} images, {len(self.pixels)} pixel arrays and {len(self.scores)} scores "
                "are not the same number of samples, at least one."
            )

    def save(self, path: Path) -> None:
        """Write one compressed .npz without pickles."""
        np.savez_compressed(
            path,
            bytes=np.frombuffer(b"".join(self.images), np.uint8),
            sizes=np.array([len(image) for image in self.images], np.int64),
            pixels=self.pixels,
            scores=self.scores,
        )

    @classmethod
    def load(cls, path: Path | BytesIO) -> Self:
        """Read what `save` wrote; nothing in the file is executed. Raises GoldenMismatch where it is something else."""
        try:
            with np.load(path, allow_pickle=False) as arrays:
                joined, ends = arrays["bytes"].tobytes(), np.cumsum(arrays["sizes"]).tolist()
                starts = [0, *ends[:-1]]
                images = tuple(joined[start:end] for start, end in zip(starts, ends, strict=True))
                return cls(images, arrays["pixels"], arrays["scores"])
        except (OSError, ValueError, TypeError, KeyError, EOFError, BadZipFile, zlib.error) as error:
            raise GoldenMismatch(f"{GOLDEN_FILE} does not hold golden samples; publish the version anew.") from error

    def first(self, count: int) -> Self:
        """The first `count` samples, or all where there are fewer; they do not keep the others in memory."""
        return type(self)(self.images[:count], self.pixels[:count].copy(), self.scores[:count].copy())

    def verify(
        self, run: Callable[[NDArray[np.uint8]], NDArray[np.float32]], spec: InputSpec, *, tolerance: float
    ) -> float:
        """Decode and run each photo by itself, as a request would, and hold the scores against the trained model's.

        Returns the largest absolute difference; raises GoldenMismatch where it exceeds `tolerance`, or where a label
        differs whose lead over the next is too large for that.
        """
        try:
            pixels = [decode(image, spec) for image in self.images]
        except ImageError as error:
            raise GoldenMismatch(f"A golden sample's photo cannot be decoded ({error.code}).") from error
        return self.check(np.concatenate([run(image[np.newaxis]) for image in pixels]), tolerance=tolerance)

    def check(self, scores: NDArray[np.float32], *, tolerance: float) -> float:
        """Hold scores that these photos were given, float32 [G, K], against the trained model's; as `verify`."""
        if scores.shape != self.scores.shape:
            raise GoldenMismatch(
                f"The model gives {scores.shape[1]} scores to a photo, and its golden samples are of another model."
            )
        difference = float(np.abs(scores - self.scores).max())
        second, first = np.sort(self.scores, axis=1)[:, -2:].T
        labels = int(((scores.argmax(1) != self.scores.argmax(1)) & (first - second > 2 * tolerance)).sum())
        if labels or not difference <= tolerance:
            raise GoldenMismatch(
                f"On {len(self.images)} golden samples {labels} labels differ from the trained model's, "
                f"and scores by up to {difference:.2g} (at most {tolerance:.2g} is allowed)."
            )
        return difference
