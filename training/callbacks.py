"""What happens at the end of each epoch and step: checkpoints, history, early stopping, and a word to the user."""

import sys
import time
from typing import Any

import keras
from tqdm import tqdm

from training.augmentation import reseed
from training.checkpoint import Checkpoints, Epoch, Progress
from training.recipe import ScheduleSection
from training.report import write_history
from training.run_folder import TrialFolder


class Keeper(keras.callbacks.Callback):  # type: ignore[misc]  # keras ships no types
    """Saves each finished epoch, so that a kill costs one epoch at most, and stops when nothing gets better."""

    def __init__(self, folder: TrialFolder, seed: int, schedule: ScheduleSection, progress: Progress) -> None:
        super().__init__()
        self._folder = folder
        self._seed = seed
        self._schedule = schedule
        self._progress = progress
        self._started = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002 - keras passes it
        """Start the clock, and make what is random repeatable."""
        reseed(self.model, self._seed, epoch)
        self._started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002 - keras passes it
        """Save the epoch, and stop if it was the last that is worth it."""
        figures = {key: float(value) for key, value in logs.items()}
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        self._progress.epochs.append(figures | {"rate": rate, "seconds": time.monotonic() - self._started})
        Checkpoints(self._folder.checkpoints).save(self.model, self._progress)
        write_history(self._folder.path, self._progress)
        self.model.stop_training = self._progress.is_over(self._schedule)


class Plateau(keras.callbacks.ReduceLROnPlateau):  # type: ignore[misc]  # the same
    """Divides the rate by five when the validation loss stays where it is; resuming goes through the past first."""

    def __init__(self, schedule: ScheduleSection, past: list[Epoch]) -> None:
        super().__init__(monitor="val_loss", factor=0.2, patience=schedule.plateau_patience)
        self._rate = schedule.peak_rate
        self._past = list(past)

    def on_train_begin(self, logs: Any = None) -> None:
        """Come to where the last finished epoch left off."""
        super().on_train_begin(logs)
        self.model.optimizer.learning_rate = self._rate
        for epoch, figures in enumerate(self._past):
            self.on_epoch_end(epoch, dict(figures))


class Reporter(keras.callbacks.Callback):  # type: ignore[misc]  # keras ships no types
    """Tells how far the whole run is: a bar on a terminal, a plain line for each epoch elsewhere."""

    def __init__(self, title: str, epochs: int, steps: int, first_epoch: int) -> None:
        super().__init__()
        self._title = title
        self._epochs = epochs
        self._bar = tqdm(
            total=epochs * steps, initial=first_epoch * steps, desc=title, unit="step", disable=None, leave=False
        )
        self._first_epoch = first_epoch
        self._started = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002 - keras passes them
        """Count the step."""
        self._bar.update()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Tell the epoch's figures and the time left."""
        each = (time.monotonic() - self._started) / (epoch + 1 - self._first_epoch)
        left = each * (self._epochs - epoch - 1)
        self._bar.write(
            f"{self._title}  epoch {epoch + 1:3}/{self._epochs}  loss {logs['loss']:.4f}  "
            f"accuracy {logs['accuracy']:.4f}  validation {logs['val_accuracy']:.4f}  "
            f"{each:.0f} s an epoch, {left / 60:.0f} min left",
            file=sys.stdout,
        )
        sys.stdout.flush()

    def close(self) -> None:
        """Take the bar away."""
        self._bar.close()
