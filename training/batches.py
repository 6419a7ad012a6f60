"""The training photos of each epoch, batch by batch, in an order that only the seed and the epoch decide."""

import keras
import numpy as np
from numpy.typing import NDArray

from artifact.samples import Samples
from training.recipe import Plan

Floats = NDArray[np.float32]


class Batches(keras.utils.PyDataset):  # type: ignore[misc]  # keras ships no types
    """Batches of pixels [B, H, W, C], one-hot labels [B, K] and weights [B], all float32.

    The order is a new one in each epoch; a last, smaller batch is left out. A set smaller than one batch is one batch.
    """

    def __init__(self, samples: Samples, labels: int, plan: Plan, seed: int, first_epoch: int) -> None:
        super().__init__()
        self._samples = samples
        self._one_hot = np.eye(labels, dtype=np.float32)
        self._batch = min(plan.schedule.batch, len(samples.labels))
        self._alpha = plan.augmentation.mixup
        self._weights = label_weights(samples.labels, labels, equal=plan.schedule.class_weights)
        self._seed = seed
        self._epoch = first_epoch
        self._begin_epoch()

    def __len__(self) -> int:
        return len(self._samples.labels) // self._batch

    def __getitem__(self, index: int) -> tuple[Floats, Floats, Floats]:
        chosen = self._order[index * self._batch : (index + 1) * self._batch]
        labels = self._samples.labels[chosen]
        pixels, targets = self._samples.pixels[chosen].astype(np.float32), self._one_hot[labels]
        if self._alpha:
            mixed = self._mixup({"images": pixels, "labels": targets}, training=True)
            pixels, targets = (keras.ops.convert_to_numpy(mixed[key]) for key in ("images", "labels"))
        return pixels, targets, targets @ self._weights

    def on_epoch_end(self) -> None:
        """Go on to the next epoch's order."""
        self._epoch += 1
        self._begin_epoch()

    def _begin_epoch(self) -> None:
        random = np.random.default_rng([self._seed, self._epoch])
        self._order = random.permutation(len(self._samples.labels))
        if self._alpha:
            self._mixup = keras.layers.MixUp(self._alpha, seed=int(random.integers(2**31)))


def label_weights(labels: NDArray[np.int64], count: int, *, equal: bool) -> Floats:
    """What a photo of each label weighs, float32 [K], 1 on average; `equal` makes all labels weigh the same."""
    if not equal:
        return np.ones(count, np.float32)
    photos = np.bincount(labels, minlength=count)
    return (len(labels) / count / np.maximum(photos, 1)).astype(np.float32)
