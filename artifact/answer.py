"""From scores to an answer: labels ranked by score, and whether the best one may be taken without a person's look."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from artifact.card import ModelCard

Decision = Literal["accept", "review"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model says of one photo: (label, score) pairs, best first, and the decision that the threshold makes."""

    predictions: tuple[tuple[str, float], ...]
    decision: Decision
    threshold: float


def answer(scores: NDArray[np.float32], card: ModelCard, top_k: int) -> Answer:
    """The `top_k` best labels (or all, where fewer) of scores float32 [K]; equal scores keep the card's order."""
    order = np.argsort(-scores, kind="stable")[:top_k]
    best = float(scores[order[0]])
    return Answer(
        predictions=tuple((card.labels[index], float(scores[index])) for index in order),
        decision="accept" if best >= card.accept_threshold else "review",
        threshold=card.accept_threshold,
    )
