"""Looks at every photo of a dataset, once, and says what it found."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from artifact.card import Split
from artifact.errors import DataError, ImageError
from training.answers import RunAnswers
from training.audit import Audit, Likeness, Place, Spread, Unreadable
from training.data import Dataset, Photo
from training.files import SPLITS
from training.near import NEAR, fingerprint, near_groups
from training.suspects import find_suspects


@dataclass(frozen=True)
class _Seen:
    """What is kept of a photo that can be decoded."""

    photo: Place
    digest: str
    fingerprint: NDArray[np.uint64]
    size: tuple[int, int]
    kind: str


def audit(dataset: Dataset, answers: RunAnswers | None = None) -> Audit:
    """What there is to know of a dataset, and, with a run's answers, which labels are likely wrong.

    Nothing but the findings stays in memory. Raises DataError where there are no photos, or the run saw others.
    """
    seen, unreadable = _look_at_all(dataset)
    places = [item.photo for item in seen] + [item.photo for item in unreadable]
    if not places:
        raise DataError(f"{dataset.source} has no photos; there should be some in the folder of each label.")
    return Audit(
        source=dataset.source,
        licence=dataset.licence,
        counts=_count(dataset.labels, places),
        unreadable=tuple(unreadable),
        strays=dataset.strays,
        exact=_alike((item.digest, item) for item in seen),
        near=_nearly_alike(seen),
        near_bits=NEAR,
        width=_spread([item.size[0] for item in seen]),
        height=_spread([item.size[1] for item in seen]),
        formats=dict(Counter(item.kind for item in seen).most_common()),
        suspects=None if answers is None else find_suspects(dataset, places, answers),
    )


def _look_at_all(dataset: Dataset) -> tuple[list[_Seen], list[Unreadable]]:
    seen, unreadable = [], []
    for split in SPLITS:
        for photo in tqdm(dataset.photos(split), desc=f"audit {split}", unit="photo", disable=None):
            place = Place(name=photo.name, split=split, label=dataset.labels[photo.label])
            try:
                seen.append(_look(photo, place))
            except ImageError as error:
                unreadable.append(Unreadable(photo=place, code=error.code))
    return seen, unreadable


def _look(photo: Photo, place: Place) -> _Seen:
    """Look at one photo; raises an ImageError where it cannot be decoded."""
    found = fingerprint(photo.data)
    with Image.open(BytesIO(photo.data)) as image:  # its header only; that the rest is whole is known by now
        kind = f"{image.format}, {image.mode}"
        return _Seen(place, sha256(photo.data).hexdigest(), found, image.size, kind)


def _count(labels: Sequence[str], places: Iterable[Place]) -> dict[str, dict[Split, int]]:
    counts = Counter((place.label, place.split) for place in places)
    return {label: {split: counts[label, split] for split in SPLITS} for label in labels}


def _alike(keyed: Iterable[tuple[Hashable, _Seen]], least: int = 1) -> tuple[Likeness, ...]:
    """The groups of photos with one key and at least so many different files, the gravest and largest first."""
    groups: dict[Hashable, list[_Seen]] = defaultdict(list)
    for key, item in keyed:
        groups[key].append(item)
    alike = [
        Likeness.of([item.photo for item in group])
        for group in groups.values()
        if len(group) > 1 and len({item.digest for item in group}) >= least
    ]
    return tuple(sorted(alike, key=_gravity, reverse=True))


def _gravity(group: Likeness) -> tuple[int, int]:
    return group.crosses_labels + group.crosses_splits, len(group.photos)


def _nearly_alike(seen: Sequence[_Seen]) -> tuple[Likeness, ...]:
    """The groups of near-duplicates that are not all the very same file."""
    groups = near_groups(np.array([item.fingerprint for item in seen]))
    return _alike(zip(groups.tolist(), seen, strict=True), least=2)


def _spread(values: list[int]) -> Spread | None:
    if not values:
        return None
    return Spread(least=min(values), median=round(float(np.median(values))), greatest=max(values))
