"""How a run's model answers every photo that it was trained and measured on, as the run folder keeps it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from artifact.card import RunCard, Split
from artifact.errors import DataError
from training.files import SPLITS
from training.run_folder import SCORES_FILE

_FIELDS = ("names", "labels", "scores")


@dataclass(frozen=True)
class SplitAnswers:
    """One split: the photos' names, their labels int64 [N], and the scores float32 [N, K]."""

    split: Split
    names: NDArray[np.str_]
    labels: NDArray[np.int64]
    scores: NDArray[np.float32]


@dataclass(frozen=True)
class RunAnswers:
    """All splits of a run, and the names of its labels."""

    run: str
    labels: tuple[str, ...]
    splits: tuple[SplitAnswers, ...]

    @classmethod
    def load(cls, run: Path) -> "RunAnswers":
        """Read a finished run; raises DataError where its scores are not there or not whole."""
        path = run / SCORES_FILE
        labels = RunCard.read(run).labels
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return cls(str(run), labels, tuple(_splits(arrays)))
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise DataError(f"{path} is not whole ({error}); finish the run again with --resume.") from error


def _splits(arrays: np.lib.npyio.NpzFile) -> Iterator[SplitAnswers]:
    for split in SPLITS:
        names, labels, scores = (arrays[f"{split}_{field}"] for field in _FIELDS)
        if not len(names) == len(labels) == len(scores):
            raise ValueError(f"{split} has {len(names)} names, {len(labels)} labels and {len(scores)} scores")
        yield SplitAnswers(split, names, labels, scores)
