"""Whether an exported model answers as the trained one did; if it does not, nothing is published."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from artifact.card import InputSpec
from artifact.errors import ExportError
from artifact.golden import GoldenSamples
from artifact.pixels import decode

TOLERANCE = 1e-4
BATCHES = (1, 16)

Answer = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def check_pixels(golden: GoldenSamples, spec: InputSpec) -> None:
    """Hold today's decoding of the golden images against the pixels that training saw; raises ExportError."""
    for index, (image, pixels) in enumerate(zip(golden.images, golden.pixels, strict=True)):
        if not np.array_equal(decode(image, spec), pixels):
            raise ExportError(
                f"Golden image {index} no longer decodes to the pixels that training saw; "
                "train again with this version of Hangtag and its libraries, or export with the earlier one."
            )


def largest_difference(answer: Answer, golden: GoldenSamples) -> float:
    """The largest absolute difference from the golden scores, over every batch size.

    Raises ExportError when it is over the tolerance, or when a label differs.
    """
    return max(_difference(answer, golden, batch) for batch in BATCHES)


def _difference(answer: Answer, golden: GoldenSamples, batch: int) -> float:
    count = len(golden.pixels)
    pixels = golden.pixels[np.arange(-(-count // batch) * batch) % count]  # whole batches, by repetition
    parts = [answer(pixels[start : start + batch]) for start in range(0, len(pixels), batch)]
    scores = np.concatenate(parts)[:count]
    if scores.shape != golden.scores.shape:
        raise ExportError(f"The golden scores are {golden.scores.shape}, but the exported model's {scores.shape}.")
    difference = float(np.abs(scores - golden.scores).max())
    if not difference <= TOLERANCE:  # NaN is no agreement
        raise ExportError(
            f"At batch {batch} the exported model's scores differ from the trained model's by up to {difference:.2g}; "
            f"at most {TOLERANCE:.0e} is allowed, so nothing was published."
        )
    if not np.array_equal(scores.argmax(axis=1), golden.scores.argmax(axis=1)):
        raise ExportError(f"At batch {batch} the exported model answers other labels than the trained model.")
    return difference
