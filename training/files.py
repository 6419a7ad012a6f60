"""Labelled photos that are files in a folder; where they come without a split, it is made here."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from artifact.card import Split
from artifact.errors import DataError, ImageError
from training.data import Photo
from training.near import fingerprint, near_groups
from training.split import deal

SPLITS: tuple[Split, ...] = get_args(Split)


@dataclass(frozen=True)
class Holding:
    """How splits are made where the photos bring none: the shares of all photos that may be held out, and the seed."""

    validation: float = 0.1
    test: float = 0.1
    seed: int = 0

    def shares(self, brought: set[Split]) -> dict[Split, float]:
        """The shares of the splits that were not brought."""
        wanted: dict[Split, float] = {"test": self.test, "validation": self.validation}
        return {split: share for split, share in wanted.items() if split not in brought}


@dataclass(frozen=True)
class PhotoFile:
    """One labelled file: its path below the folder, and its split, `train` where others may be held out of it."""

    name: str
    label: str
    split: Split = "train"


def printable(name: str) -> str:
    """A file name that any program can write down, whatever bytes it is of."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


class PhotoFiles:
    """Files of a folder as a dataset; what is held out depends on the files' content, not on their names or order."""

    def __init__(
        self,
        folder: Path,
        files: Sequence[PhotoFile],
        labels: Sequence[str],
        *,
        source: str,
        licence: str,
        holding: Holding,
        strays: Sequence[str] = (),
    ) -> None:
        self.source = source
        self.licence = licence
        self.labels = tuple(labels)
        self.strays = tuple(strays)
        self._folder = folder
        self._listed = sorted(files, key=lambda file: (file.label, file.name))
        self._holding = holding

    def photos(self, split: Split) -> Iterator[Photo]:
        """The photos of one split, by label and then by name."""
        for file in self._files:
            if file.split == split:
                yield Photo(self._read(file), self.labels.index(file.label), printable(file.name))

    @cached_property
    def _files(self) -> list[PhotoFile]:
        """All files, each in its split; those that cannot be decoded are left for training, which names them."""
        shares = self._holding.shares({file.split for file in self._listed})
        training = [file for file in self._listed if file.split == "train"]
        if not shares or not training:
            return self._listed
        seen = [self._look(file) for file in tqdm(training, desc="near-duplicates", unit="photo", disable=None)]
        readable = [(file, *found) for file, found in zip(training, seen, strict=True) if found]
        if not readable:
            return self._listed
        files, digests, prints = zip(*readable, strict=True)
        labels = [self.labels.index(file.label) for file in files]
        splits = deal(labels, near_groups(np.stack(prints)).tolist(), digests, shares, self._holding.seed)
        moved = {file: replace(file, split=split) for file, split in zip(files, splits, strict=True)}
        return [moved.get(file, file) for file in self._listed]

    def _look(self, file: PhotoFile) -> tuple[str, NDArray[np.uint64]] | None:
        data = self._read(file)
        try:
            return sha256(data).hexdigest(), fingerprint(data)
        except ImageError:
            return None

    def _read(self, file: PhotoFile) -> bytes:
        path = self._folder / file.name
        try:
            return path.read_bytes()
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror}); it should be a photo.") from error
