"""Labels that are likely wrong, by confident learning: Northcutt, Jiang and Chuang, 2021, as cleanlab has it."""

from collections.abc import Collection, Iterator

import numpy as np

from artifact.errors import DataError
from training.answers import RunAnswers, SplitAnswers
from training.audit import Place, Suspect
from training.data import Dataset, name_some


def find_suspects(dataset: Dataset, places: Collection[Place], answers: RunAnswers) -> tuple[Suspect, ...]:
    """The photos whose label a run's model doubts, the worst first; raises DataError unless it was trained on these.

    Each split is looked at by itself: scores of photos that the model has learnt are higher than of those it has not.
    """
    if answers.labels != dataset.labels:
        raise DataError(
            f"{answers.run} has the labels {', '.join(answers.labels)}, and {dataset.source} has "
            f"{', '.join(dataset.labels)}; audit the recipe of the run."
        )
    found = [suspect for split in answers.splits for suspect in _of_split(split, dataset.labels)]
    _check_known(answers, {(place.name, place.label) for place in places}, dataset)
    return tuple(sorted(found, key=lambda suspect: suspect.score))


def _of_split(answers: SplitAnswers, labels: tuple[str, ...]) -> Iterator[Suspect]:
    from cleanlab.filter import find_label_issues  # noqa: PLC0415 - takes seconds, and only a run's answers need it

    worst = find_label_issues(answers.labels, answers.scores, return_indices_ranked_by="self_confidence", n_jobs=1)
    for index in worst:
        scores, given = answers.scores[index], answers.labels[index]
        suggested = int(np.argmax(scores))
        yield Suspect(
            photo=Place(name=str(answers.names[index]), split=answers.split, label=labels[given]),
            score=min(1.0, float(scores[given])),
            suggested=labels[suggested],
            suggested_score=min(1.0, float(scores[suggested])),
        )


def _check_known(answers: RunAnswers, known: set[tuple[str, str]], dataset: Dataset) -> None:
    """Raise DataError where the run saw photos, or labels of them, that the dataset has not."""
    unknown = [
        str(name)
        for split in answers.splits
        for name, label in zip(split.names, split.labels, strict=True)
        if (str(name), dataset.labels[label]) not in known
    ]
    if unknown:
        raise DataError(
            f"{answers.run} was trained on {len(unknown)} photos that {dataset.source} has not, or not so labelled: "
            f"{name_some(unknown)}; audit the recipe of the run, or train it again."
        )
