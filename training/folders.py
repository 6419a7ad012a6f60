"""A folder of photos, one folder per label, with or without a split of its own."""

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import numpy as np

from artifact.card import Split
from artifact.errors import DataError
from training.data import Photo, hold_out

SPLITS: tuple[Split, ...] = get_args(Split)


class Folders:
    """Photos in `<root>/<label>/*`, or in `<root>/{train,validation,test}/<label>/*`.

    Without folders for the splits, `validation` and `test` are the shares held out of each label, the same ones as
    long as the files keep their names. Hidden files are left out; everything else must be a photo.
    """

    def __init__(
        self, root: Path, *, licence: str = "not stated", validation: float = 0.1, test: float = 0.1, seed: int = 0
    ) -> None:
        self.source = root.name
        self.licence = licence
        self._root = root
        self._shares = {"validation": validation, "test": test / (1 - validation)}
        self._seed = seed
        self._is_split = all((root / split).is_dir() for split in SPLITS)
        labelled = root / "train" if self._is_split else root
        self.labels = tuple(folder.name for folder in _listing(labelled) if folder.is_dir())
        if len(self.labels) < 2:  # noqa: PLR2004 - one label is nothing to choose from
            raise DataError(f"{root} has {len(self.labels)} folders; it needs one per label, and at least two labels.")

    def photos(self, split: Split) -> Iterator[Photo]:
        """The photos of one split, by label and then by file name."""
        files = self._files(self._root / split) if self._is_split else self._held(split)
        for path, label in files:
            yield Photo(_read(path), label, str(path))

    def _files(self, folder: Path) -> list[tuple[Path, int]]:
        unknown = {entry.name for entry in _listing(folder)} - set(self.labels)
        if unknown:
            raise DataError(
                f"{folder} has {', '.join(sorted(unknown))}, which are not labels; they are {', '.join(self.labels)}."
            )
        return [(path, index) for index, label in enumerate(self.labels) for path in _photos(folder / label)]

    def _held(self, split: Split) -> list[tuple[Path, int]]:
        """Hold validation out of all photos, then test out of the rest."""
        files = self._files(self._root)
        for label, count in enumerate(np.bincount([label for _, label in files])):
            if count < len(SPLITS):
                raise DataError(f"{self._root / self.labels[label]} has {count} photos; each split needs at least one.")
        for held_split, share in self._shares.items():
            held = hold_out(np.array([label for _, label in files], np.int64), share, self._seed)
            if split == held_split:
                return [file for file, is_held in zip(files, held, strict=True) if is_held]
            files = [file for file, is_held in zip(files, held, strict=True) if not is_held]
        return files


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); it should be a photo.") from error


def _photos(folder: Path) -> list[Path]:
    found = _listing(folder)
    if not found:
        raise DataError(f"{folder} has no photos; each label needs some in each split.")
    return found


def _listing(folder: Path) -> list[Path]:
    """What stands in a folder, sorted, but for hidden files."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder} cannot be read ({error.strerror}); it should be a folder of photos.") from error
