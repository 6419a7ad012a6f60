"""The page of an audit: the findings with small pictures of the photos that they are about."""

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
from tqdm import tqdm

from artifact.errors import ImageError
from training.audit import Audit
from training.data import Dataset, Photo
from training.files import SPLITS
from training.near import SIDE
from training.page import render, small_uri

GROUPS = 60
OF_A_GROUP = 8
SUSPECTS = 120
NAMES = 200
_ON_SHEET = 12
_SIDE = 96


def audit_page(name: str, dataset: Dataset, found: Audit) -> str:
    """The HTML of an audit; of long lists it shows the first, which are the gravest, and says how many there are."""
    shown = {photo.name for group in found.exact[:GROUPS] + found.near[:GROUPS] for photo in group.photos[:OF_A_GROUP]}
    shown |= {suspect.photo.name for suspect in (found.suspects or ())[:SUSPECTS]}
    pictures: dict[str, str] = {}
    sheets: dict[str, list[str]] = {label: [] for label in dataset.labels}
    for photo, is_on_sheet in _each(dataset, found):
        if not is_on_sheet and photo.name not in shown:
            continue
        picture = _picture(photo)
        if picture is not None:
            pictures[photo.name] = picture
            if is_on_sheet:
                sheets[dataset.labels[photo.label]].append(photo.name)
    is_small = found.width is not None and found.width.median < SIDE
    limits = {"groups": GROUPS, "of_a_group": OF_A_GROUP, "suspects": SUSPECTS, "names": NAMES}
    context = {"pictures": pictures, "sheets": sheets, "limits": limits, "is_small": is_small}
    return render("audit.html", name=name, audit=found, **context)


def _each(dataset: Dataset, found: Audit) -> Iterator[tuple[Photo, bool]]:
    """Every photo, and whether it is on its label's contact sheet, which has some from all over the label."""
    chosen = {label: _spread_out(total) for label, total in found.totals.items()}
    passed: Counter[str] = Counter()
    for photo in tqdm(_all(dataset), desc="pictures", unit="photo", total=sum(found.totals.values()), disable=None):
        label = dataset.labels[photo.label]
        yield photo, passed[label] in chosen[label]
        passed[label] += 1


def _all(dataset: Dataset) -> Iterable[Photo]:
    return (photo for split in SPLITS for photo in dataset.photos(split))


def _spread_out(total: int) -> set[int]:
    return set(np.linspace(0, total - 1, min(total, _ON_SHEET)).round().astype(int).tolist())


def _picture(photo: Photo) -> str | None:
    try:
        return small_uri(photo.data, _SIDE)
    except ImageError:
        return None
