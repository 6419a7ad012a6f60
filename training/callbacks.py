"""What happens at the end of each epoch and step: checkpoints, history, early stopping, and a word to the user."""

import sys
import time
from typing import Any

import keras
from tqdm import tqdm

from training.augmentation import reseed
from training.checkpoint import Checkpoints, Progress
from training.recipe import Recipe
from training.report import write_history
from training.run_folder import RunFolder


class Keeper(keras.callbacks.Callback):  # type: ignore[misc]  # keras ships no types
    """Saves each finished epoch, so that a kill costs one epoch at most, and stops when nothing gets better."""

    def __init__(self, run: RunFolder, recipe: Recipe, progress: Progress) -> None:
        super().__init__()
        self._run = run
        self._recipe = recipe
        self._progress = progress
        self._started = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002 - keras passes it
        """Start the clock, and make what is random repeatable."""
        reseed(self.model, self._recipe.seed, epoch)
        self._started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002 - keras passes it
        """Save the epoch, and stop if it was the last that is worth it."""
        figures = {key: float(value) for key, value in logs.items()}
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        self._progress.epochs.append(figures | {"rate": rate, "seconds": time.monotonic() - self._started})
        Checkpoints(self._run.checkpoints).save(self.model, self._progress)
        write_history(self._run, self._progress)
        schedule = self._recipe.schedule
        self.model.stop_training = self._progress.is_over(schedule.epochs, schedule.patience)


class Reporter(keras.callbacks.Callback):  # type: ignore[misc]  # keras ships no types
    """Tells how far the whole run is: a bar on a terminal, a plain line for each epoch elsewhere."""

    def __init__(self, epochs: int, steps: int, first_epoch: int) -> None:
        super().__init__()
        self._epochs = epochs
        self._bar = tqdm(
            total=epochs * steps, initial=first_epoch * steps, desc="training", unit="step", disable=None, leave=False
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
            f"epoch {epoch + 1:3}/{self._epochs}  loss {logs['loss']:.4f}  accuracy {logs['accuracy']:.4f}  "
            f"validation {logs['val_accuracy']:.4f}  {each:.0f} s an epoch, {left / 60:.0f} min left",
            file=sys.stdout,
        )
        sys.stdout.flush()

    def close(self) -> None:
        """Take the bar away."""
        self._bar.close()
