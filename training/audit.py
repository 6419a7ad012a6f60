"""What there is to know of a dataset before a model is trained on it, and what a trained model doubts of its labels."""

from collections import Counter
from operator import itemgetter
from typing import Self

from artifact.card import Share, Split, Strict
from training.files import SPLITS


class Place(Strict):
    """A photo as a person finds it: its name, its split and its label."""

    name: str
    split: Split
    label: str


class Unreadable(Strict):
    """A photo that cannot be decoded, and the code of the error that says why."""

    photo: Place
    code: str


class Likeness(Strict):
    """Photos that are the same, or nearly; across splits they make figures too good, across labels one is wrong."""

    photos: tuple[Place, ...]
    crosses_splits: bool
    crosses_labels: bool

    @classmethod
    def of(cls, photos: list[Place]) -> Self:
        """The group of these photos; one of each split and label stands first, so that a few show it all."""
        met: Counter[tuple[Split, str]] = Counter()
        ranked = []
        for photo in photos:
            ranked.append((met[photo.split, photo.label], photo))
            met[photo.split, photo.label] += 1
        return cls(
            photos=tuple(photo for _, photo in sorted(ranked, key=itemgetter(0))),
            crosses_splits=len({photo.split for photo in photos}) > 1,
            crosses_labels=len({photo.label for photo in photos}) > 1,
        )


class Spread(Strict):
    """The least, the middle and the greatest of a measure."""

    least: int
    median: int
    greatest: int


class Suspect(Strict):
    """A photo whose label a trained model doubts, the label that it would give, and its score for each of the two."""

    photo: Place
    score: Share
    suggested: str
    suggested_score: Share


class Audit(Strict):
    """The findings, ready for JSON; every list of photos is complete, the gravest first."""

    source: str
    licence: str
    counts: dict[str, dict[Split, int]]
    unreadable: tuple[Unreadable, ...]
    strays: tuple[str, ...]
    exact: tuple[Likeness, ...]
    near: tuple[Likeness, ...]
    near_bits: int
    width: Spread | None
    height: Spread | None
    formats: dict[str, int]
    suspects: tuple[Suspect, ...] | None = None

    @property
    def totals(self) -> dict[str, int]:
        """The number of photos of each label, those that cannot be decoded included."""
        return {label: sum(by_split.values()) for label, by_split in self.counts.items()}

    @property
    def imbalance(self) -> float | None:
        """How many times as many photos the largest label has as the smallest; None where one has none."""
        sizes = self.totals.values()
        return max(sizes) / min(sizes) if min(sizes) else None

    @property
    def gaps(self) -> tuple[str, ...]:
        """Where a label has no photo in a split, or loses more than half of them, so that training will refuse."""
        lost = Counter((item.photo.label, item.photo.split) for item in self.unreadable)
        return tuple(
            f"{label} in {split}"
            for label, by_split in self.counts.items()
            for split in SPLITS
            if 2 * lost[label, split] > by_split[split] or not by_split[split]
        )

    @property
    def likenesses(self) -> tuple[Likeness, ...]:
        """Exact and near-duplicates."""
        return self.exact + self.near
