"""What a training needs to go on after a crash: the weights, the optimizer's state, and what happened so far."""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from training.recipe import ScheduleSection

_WEIGHTS, _STATE, _PARTIAL = "variables.npz", "state.json", ".partial"

Epoch = dict[str, float]


@dataclass
class Progress:
    """The figures of each finished epoch, in order: loss, accuracy, val_loss, val_accuracy, rate, seconds."""

    epochs: list[Epoch] = field(default_factory=list)

    @property
    def best(self) -> int:
        """The index of the epoch with the best validation accuracy; of equal ones, that with the lowest loss."""
        figures = [(epoch["val_accuracy"], -epoch["val_loss"]) for epoch in self.epochs]
        return figures.index(max(figures))

    def is_over(self, schedule: ScheduleSection) -> bool:
        """Whether all epochs are done, or the last `patience` of them brought nothing better; a head's do not count."""
        done = len(self.epochs)
        if done <= schedule.head_epochs:
            return False
        since = done - 1 - max(self.best, schedule.head_epochs)
        return done >= schedule.total_epochs or since >= schedule.patience


class Checkpoints:
    """A folder with one checkpoint for the newest and one for the best epoch; each is seen whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, model: Any, progress: Progress) -> None:
        """Save the newest epoch, and remove those that are neither the newest nor the best."""
        newest = len(progress.epochs) - 1
        partial = self._folder / (str(newest) + _PARTIAL)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        arrays: dict[str, Any] = {f"{i}": keras.ops.convert_to_numpy(v) for i, v in enumerate(_variables(model))}
        np.savez(partial / _WEIGHTS, **arrays)  # and not by Keras: where the disk is full, HDF5 may crash
        (partial / _STATE).write_text(json.dumps(progress.epochs), encoding="utf-8")
        partial.rename(self._folder / str(newest))
        for old in self._folder.iterdir():
            if old.name not in {str(newest), str(progress.best)}:
                shutil.rmtree(old)

    def progress(self) -> Progress:
        """What happened up to the newest checkpoint; nothing where there is none."""
        newest = max((int(folder.name) for folder in self._folder.iterdir() if folder.name.isdecimal()), default=None)
        if newest is None:
            return Progress()
        return Progress(json.loads((self._folder / str(newest) / _STATE).read_bytes()))

    def restore(self, model: Any, epoch: int) -> None:
        """Set all variables, also those of the optimizer, to what they were after an epoch."""
        with np.load(self._folder / str(epoch) / _WEIGHTS, allow_pickle=False) as arrays:
            for index, variable in enumerate(_variables(model)):
                variable.assign(arrays[str(index)])


def _variables(model: Any) -> list[Any]:
    return [*model.variables, *model.optimizer.variables]
