"""What a run folder keeps of its photos, so that export can quantise and measure without the data set."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from artifact.card import Split
from artifact.errors import DataError

SAMPLES_FILE = "samples.npz"
MEASURED: tuple[Split, ...] = ("validation", "test")


@dataclass(frozen=True)
class Samples:
    """Photos as the model sees them: pixels uint8 [N, H, W, C] and labels int64 [N]."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class RunSamples:
    """Some training photos, to calibrate a quantised model with, and all of the splits that are measured."""

    calibration: NDArray[np.uint8]
    splits: dict[Split, Samples]

    def save(self, folder: Path) -> None:
        """Write the file into a run folder."""
        arrays = {f"{split}_{field}": getattr(self.splits[split], field) for split in MEASURED for field in _FIELDS}
        np.savez(folder / SAMPLES_FILE, calibration=self.calibration, **arrays)

    @classmethod
    def load(cls, folder: Path) -> "RunSamples":
        """Read the file of a run folder; raises DataError where it is not whole."""
        path = folder / SAMPLES_FILE
        try:
            with np.load(path, allow_pickle=False) as arrays:
                splits = {split: Samples(*(arrays[f"{split}_{field}"] for field in _FIELDS)) for split in MEASURED}
                return cls(arrays["calibration"], splits)
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{path} is not whole ({error}); finish the run again with --resume.") from error


_FIELDS = ("pixels", "labels")
