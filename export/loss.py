"""What a model lost when it was quantised; one that lost too much is not published."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from artifact.card import Quantised, Split, SplitFigures
from artifact.errors import ExportError
from artifact.figures import fit_threshold, split_figures
from artifact.samples import RunSamples
from export.verify import Answer

LOST_ONE_IN = 200  # validation photos; half a point of accuracy
DIFFERING_ONE_IN = 100
_BATCH = 32


@dataclass(frozen=True)
class Measured:
    """How a quantised model answers: its loss, its own figures and its own accept threshold."""

    quantised: Quantised
    figures: dict[Split, SplitFigures]
    threshold: float


def measure(exact: Answer, quantised: Answer, samples: RunSamples, precision: float) -> Measured:
    """Hold a quantised model against the float one; raises ExportError where it loses too much.

    One photo of the validation split may always be lost: of a small split it is more than the shares that are allowed.
    """
    scores = {split: _scores(quantised, part.pixels) for split, part in samples.splits.items()}
    validation = samples.splits["validation"]
    before, after = _scores(exact, validation.pixels).argmax(1), scores["validation"].argmax(1)
    count = len(validation.labels)
    lost = int((before == validation.labels).sum()) - int((after == validation.labels).sum())
    differing = int((before != after).sum())
    most_lost, most_differing = max(1, count // LOST_ONE_IN), max(1, count // DIFFERING_ONE_IN)
    if lost > most_lost or differing > most_differing:
        raise ExportError(
            f"In 8 bits the model gets {lost} more of {count} validation photos wrong and answers {differing} of them "
            f"otherwise; at most {most_lost} and {most_differing} are allowed, so nothing was published. "
            "Export it without --int8."
        )
    threshold = fit_threshold(scores["validation"], validation.labels, precision)
    return Measured(
        Quantised(accuracy_lost=lost / count, agreement=1 - differing / count, photos=len(samples.calibration)),
        {split: split_figures(scores[split], part.labels, threshold) for split, part in samples.splits.items()},
        threshold,
    )


def _scores(answer: Answer, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.concatenate([answer(pixels[start : start + _BATCH]) for start in range(0, len(pixels), _BATCH)])
