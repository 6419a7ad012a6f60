"""From scores to an answer: labels ranked by score, and whether the best one may be taken without a person's look."""

from dataclasses import dataclass
from operator import itemgetter
from typing import Literal, NamedTuple

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


class Answers(NamedTuple):
    """What a model says of many photos: for each its best labels, as places in the card's list, with their scores."""

    ranked: NDArray[np.intp]
    scores: NDArray[np.float32]
    is_accepted: NDArray[np.bool_]


def answer(scores: NDArray[np.float32], card: ModelCard, top_k: int) -> Answer:
    """The `top_k` best labels (or all, where fewer) of scores float32 [K]; equal scores keep the card's order."""
    ranked = sorted(zip(card.labels, scores.tolist(), strict=True), key=_SCORE, reverse=True)[:top_k]
    return Answer(
        predictions=tuple(ranked),
        decision="accept" if ranked[0][1] >= card.accept_threshold else "review",
        threshold=card.accept_threshold,
    )


def answers(scores: NDArray[np.float32], card: ModelCard, top_k: int) -> Answers:
    """The same of many photos, scores float32 [N, K]: quicker for hundreds, and slower for one."""
    ranked = np.argsort(-scores, axis=1, kind="stable")[:, :top_k]
    best = np.take_along_axis(scores, ranked, axis=1)
    return Answers(ranked, best, best[:, 0].astype(np.float64) >= card.accept_threshold)
