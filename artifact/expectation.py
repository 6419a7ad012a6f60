"""What a version's answers should look like: its own to the test photos, which whoever watches it compares with."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Self
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from artifact.card import ModelCard
from artifact.errors import ArtifactError

PREDICTIONS_FILE = "report/predictions.npz"


@dataclass(frozen=True)
class Expectation:
    """Of the answers to the test photos: each label's share, the mean best score, and the share that was accepted."""

    labels: Mapping[str, float]
    confidence: float
    accepted: float

    @classmethod
    def read(cls, predictions: bytes, card: ModelCard) -> Self | None:
        """What `predictions.npz` and the card say; None where the card has no test split.

        Scores are those of the trained model: a version in 8 bits answers some photos otherwise, at most one in a
        hundred. Raises ArtifactError where the file has no scores of this model.
        """
        figures = card.figures.get("test")
        if figures is None:
            return None
        try:
            scores = _scores(predictions, len(card.labels))
        except (OSError, ValueError, TypeError, KeyError, EOFError, BadZipFile, zlib.error) as error:
            raise ArtifactError(
                f"{PREDICTIONS_FILE} does not hold scores of {card.name} {card.version}; publish the version anew."
            ) from error
        answered = np.bincount(scores.argmax(axis=1), minlength=len(card.labels)) / len(scores)
        return cls(
            labels=dict(zip(card.labels, answered.tolist(), strict=True)),
            confidence=float(scores.max(axis=1).mean()),
            accepted=figures.accepted_share,
        )


def _scores(predictions: bytes, labels: int) -> NDArray[np.float64]:
    """The scores [N, K] in the file."""
    with np.load(BytesIO(predictions), allow_pickle=False) as arrays:
        scores = np.asarray(arrays["scores"], np.float64)
    if scores.ndim != 2 or len(scores) == 0 or scores.shape[1] != labels:  # noqa: PLR2004 - rows and columns
        raise ValueError(f"{scores.shape} is not the shape of scores of {labels} labels.")
    return scores
