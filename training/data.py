"""What training learns from: labelled photos in three splits, and the pixels that the model will see of them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from artifact.card import InputSpec, Resize, Split
from artifact.errors import DataError, ImageError
from artifact.pixels import decode
from artifact.samples import Samples

_NAMED_AT_MOST = 10
_TINY = InputSpec(height=8, width=8, channels=3, resize=Resize(fit="stretch"))


@dataclass(frozen=True)
class Photo:
    """One labelled photo: the bytes of an image file, the index of its label, and where it comes from."""

    data: bytes
    label: int
    name: str


class Dataset(Protocol):
    """Labelled photos: each split always has the same photos in the same order."""

    @property
    def source(self) -> str:
        """Where the photos come from, for the card."""

    @property
    def licence(self) -> str:
        """The photos' licence, for the card."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the labels, by index."""

    @property
    def strays(self) -> tuple[str, ...]:
        """The names of what lies among the photos and, by its place, is none of them."""

    def photos(self, split: Split) -> Iterator[Photo]:
        """The photos of one split, in order; raises DataError where they are missing."""


@dataclass(frozen=True)
class Loaded:
    """A split as far as it could be read: its samples, the name of each, and the photos that could not be decoded."""

    samples: Samples
    names: tuple[str, ...]
    skipped: tuple[str, ...]


def load_samples(dataset: Dataset, split: Split, spec: InputSpec) -> Loaded:
    """Decode a whole split; raises DataError where no photo of a label is left, or less than half of them."""
    pixels, labels, names = [], [], []
    skipped: list[list[str]] = [[] for _ in dataset.labels]
    for photo in dataset.photos(split):
        try:
            pixels.append(decode(photo.data, spec))
        except ImageError as error:
            skipped[photo.label].append(f"{photo.name} ({error.code})")
            continue
        labels.append(photo.label)
        names.append(photo.name)
    counts = np.bincount(np.array(labels, np.int64), minlength=len(dataset.labels))
    for label, count, lost in zip(dataset.labels, counts, skipped, strict=True):
        _check_enough(f"{label} in the {split} split of {dataset.source}", int(count), lost)
    return Loaded(
        Samples(np.stack(pixels), np.array(labels, np.int64)),
        tuple(names),
        tuple(name for lost in skipped for name in lost),
    )


def _check_enough(what: str, count: int, lost: list[str]) -> None:
    """Raise DataError where the photos that are left would misrepresent their label."""
    if len(lost) > count:
        raise DataError(
            f"{len(lost)} of the {count + len(lost)} photos of {what} cannot be decoded: {name_some(lost)}; "
            "replace or remove them."
        )
    if not count:
        raise DataError(
            f"There is no photo of {what}; each split needs some of each label, and where they are held out of "
            "others, the label needs three or more that are no near-duplicates."
        )


def name_some(names: Sequence[str]) -> str:
    """The first names of a list that may be long, and how many more there are."""
    more = f" and {len(names) - _NAMED_AT_MOST} more" if len(names) > _NAMED_AT_MOST else ""
    return ", ".join(names[:_NAMED_AT_MOST]) + more


class Photos:
    """The photos of a dataset, decoded once for each input that a network of the run has."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._decoded: dict[InputSpec, dict[Split, Loaded]] = {}

    def splits(self, spec: InputSpec) -> dict[Split, Loaded]:
        """All splits as a network with this input sees them."""
        if spec not in self._decoded:
            self._decoded[spec] = {split: load_samples(self._dataset, split, spec) for split in get_args(Split)}
        return self._decoded[spec]


def digest_samples(splits: Iterable[Samples]) -> str:
    """The digest of every pixel and label of the splits, in order."""
    digest = sha256()
    for samples in splits:
        for image, label in zip(samples.pixels, samples.labels, strict=True):
            digest.update(image.tobytes() + label.astype("<i8").tobytes())
    return "sha256:" + digest.hexdigest()


def first_of_each_label(dataset: Dataset, split: Split, count: int) -> list[Photo]:
    """The first `count` photos of each label that can be decoded, or as many as there are, in the split's order."""
    wanted = dict.fromkeys(range(len(dataset.labels)), count)
    chosen = []
    for photo in dataset.photos(split):
        if wanted[photo.label] and _can_be_decoded(photo):
            wanted[photo.label] -= 1
            chosen.append(photo)
    return chosen


def _can_be_decoded(photo: Photo) -> bool:
    try:
        decode(photo.data, _TINY)
    except ImageError:
        return False
    return True


def hold_out(labels: NDArray[np.int64], share: float, seed: int) -> NDArray[np.bool_]:
    """Which samples to hold out, bool [N]: the same share of each label, at least one, the same for the same seed."""
    held = np.zeros(len(labels), np.bool_)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = max(1, round(share * len(members)))
        held[np.random.default_rng([seed, int(label)]).permutation(members)[:count]] = True
    return held
