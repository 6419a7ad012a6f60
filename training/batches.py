"""The training photos of each epoch, batch by batch, in an order that only the seed and the epoch decide."""

import keras
import numpy as np
from numpy.typing import NDArray

from artifact.samples import Samples


class Batches(keras.utils.PyDataset):  # type: ignore[misc]  # keras ships no types
    """Batches of pixels float32 [B, H, W, C] and one-hot labels float32 [B, K]; a last, smaller batch is left out.

    The order is a new one in each epoch. A set smaller than one batch is one batch.
    """

    def __init__(self, samples: Samples, labels: int, batch: int, seed: int, first_epoch: int) -> None:
        super().__init__()
        self._samples = samples
        self._labels = labels
        self._batch = min(batch, len(samples.labels))
        self._seed = seed
        self._epoch = first_epoch
        self._shuffle()

    def __len__(self) -> int:
        return len(self._samples.labels) // self._batch

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        chosen = self._order[index * self._batch : (index + 1) * self._batch]
        one_hot = np.eye(self._labels, dtype=np.float32)[self._samples.labels[chosen]]
        return self._samples.pixels[chosen].astype(np.float32), one_hot

    def on_epoch_end(self) -> None:
        """Go on to the next epoch's order."""
        self._epoch += 1
        self._shuffle()

    def _shuffle(self) -> None:
        self._order = np.random.default_rng([self._seed, self._epoch]).permutation(len(self._samples.labels))
