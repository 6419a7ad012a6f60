"""The test photos that a report shows: some right answers, and the wrong ones that were the surest."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.findings import Findings
from training.page import photo_uri
from training.shown import shown_file

_SIDE = 112
_RIGHT, _WRONG = 12, 24
_AUGMENTED_SIDE = 84


@dataclass(frozen=True)
class Shown:
    """One photo and what was answered."""

    uri: str
    file: str
    label: str
    answer: str
    score: float
    is_accepted: bool


@dataclass(frozen=True)
class Gallery:
    """What is shown, and of how many wrong answers."""

    right: tuple[Shown, ...]
    wrong: tuple[Shown, ...]
    wrong_in_all: int


def choose(findings: Findings) -> Gallery:
    """The first right answer for each label, and all wrong ones, or the surest of them if they are many."""
    test = findings.published.answers["test"]
    answers, top = test.scores.argmax(axis=1), test.scores.max(axis=1)
    wrong = np.flatnonzero(answers != test.labels)
    surest = wrong[np.argsort(-top[wrong], kind="stable")]
    right = np.flatnonzero(answers == test.labels)
    first = np.sort(right[np.unique(test.labels[right], return_index=True)[1]])
    return Gallery(_show(findings, first[:_RIGHT]), _show(findings, surest[:_WRONG]), len(wrong))


def _show(findings: Findings, places: NDArray[np.intp]) -> tuple[Shown, ...]:
    ours = findings.published
    test, names = ours.answers["test"], findings.labels
    return tuple(
        Shown(
            uri=photo_uri(findings.pixels[place], _SIDE),
            file=shown_file(test.names[place]),
            label=names[test.labels[place]],
            answer=names[test.scores[place].argmax()],
            score=float(test.scores[place].max()),
            is_accepted=bool(test.scores[place].max() >= ours.threshold),
        )
        for place in places.tolist()
    )


def varied(findings: Findings) -> list[list[str]]:
    """The augmentation samples as data URIs: for each photo, one per epoch."""
    return [[photo_uri(pixels, _AUGMENTED_SIDE) for pixels in photo] for photo in findings.augmented]
