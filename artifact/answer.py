"""From scores to an answer: labels ranked by score, and whether the best one may be taken without a person's look."""

from dataclasses import dataclass
from operator import itemgetter
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from artifact.card import ModelCard

Decision = Literal["accept", "review"]

_SCORE = itemgetter(1)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model says of one photo: (label, score) pairs, best first, and the decision that the threshold makes."""

    predictions: tuple[tuple[str, float], ...]
    decision: Decision
    threshold: float


def answer(scores: NDArray[np.float32], card: ModelCard, top_k: int) -> Answer:
    """The `top_k` best labels (or all, where fewer) of scores float32 [K]; equal scores keep the card's order."""
    ranked = sorted(zip(card.labels, scores.tolist(), strict=True), key=_SCORE, reverse=True)[:top_k]
    return Answer(
        predictions=tuple(ranked),
        decision="accept" if ranked[0][1] >= card.accept_threshold else "review",
        threshold=card.accept_threshold,
    )
