"""On which photos two versions of a model disagree, and how often they agree."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from artifact.answer import Answer, answer
from artifact.card import ModelCard
from artifact.device import available_cpus
from artifact.errors import DataError, ImageError
from artifact.figures import wilson_interval
from artifact.pixels import decode
from artifact.repository import Artifact
from artifact.session import Session
from training.files import printable

Interval = tuple[float, float]


@dataclass(frozen=True)
class Seen:
    """One photo, its label where it is known, and what the two versions say of it."""

    path: Path
    name: str
    label: str | None
    first: Answer
    second: Answer

    @property
    def labels(self) -> tuple[str, str]:
        """The best label of each version."""
        return self.first.predictions[0][0], self.second.predictions[0][0]

    @property
    def changes_label(self) -> bool:
        """Whether the best labels differ."""
        first, second = self.labels
        return first != second

    @property
    def changes(self) -> bool:
        """Whether the best labels differ, or one version accepts the photo and the other does not."""
        return self.changes_label or self.first.decision != self.second.decision

    @property
    def distance(self) -> float:
        """By how much the scores of a label differ at most; a label that one version lacks has none."""
        first, second = dict(self.first.predictions), dict(self.second.predictions)
        return max(abs(first.get(label, 0.0) - second.get(label, 0.0)) for label in first | second)


@dataclass
class Diff:
    """What is known of all photos: counts, and those on which the versions disagree."""

    first: ModelCard
    second: ModelCard
    photos: int = 0
    judged: int = 0
    right: tuple[int, int] = (0, 0)
    disagreements: list[Seen] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)

    def add(self, seen: Seen) -> None:
        """Count a photo; it is kept only where the versions disagree on it."""
        self.photos += 1
        if seen.label is not None:
            self.judged += 1
            first, second = (best == seen.label for best in seen.labels)
            self.right = self.right[0] + first, self.right[1] + second
        if seen.changes:
            self.disagreements.append(seen)

    @property
    def gravest(self) -> list[Seen]:
        """The disagreements: those on the label before those on the decision, the farthest apart first."""
        return sorted(self.disagreements, key=lambda seen: (not seen.changes_label, -seen.distance))

    @property
    def label_changes(self) -> int:
        """On how many photos the labels differ."""
        return sum(seen.changes_label for seen in self.disagreements)

    @property
    def decision_changes(self) -> int:
        """On how many photos the decision differs, and the label does not."""
        return len(self.disagreements) - self.label_changes

    @property
    def agreed(self) -> int:
        """On how many photos the labels are the same."""
        return self.photos - self.label_changes

    @property
    def agreement_interval(self) -> Interval:
        """The 95 % Wilson interval of their share."""
        return wilson_interval(self.agreed, self.photos)

    @property
    def right_intervals(self) -> tuple[Interval, Interval]:
        """The 95 % Wilson interval of what each version names right of the photos with a known label."""
        first, second = self.right
        return wilson_interval(first, self.judged), wilson_interval(second, self.judged)

    @property
    def transitions(self) -> list[tuple[tuple[str, str], int]]:
        """Which label became which, and how often; the most frequent first."""
        return Counter(seen.labels for seen in self.disagreements if seen.changes_label).most_common()


class _Version:
    """One version, ready to be asked."""

    def __init__(self, artifact: Artifact) -> None:
        self.card = artifact.card
        self._session = Session(artifact.model, artifact.card, threads=available_cpus())

    def ask(self, image: bytes) -> Answer:
        """What it says of a photo, with the scores of all labels; raises an ImageError."""
        pixels = decode(image, self.card.input)
        return answer(self._session.run(pixels[np.newaxis])[0], self.card, len(self.card.labels))


def diff(first: Artifact, second: Artifact, folder: Path) -> Diff:
    """Ask both versions about every photo below a folder; raises DataError where none of them can be decoded.

    What is hidden is left out. The label of a photo is known where its folder is named as a label of either version.
    """
    one, other = _Version(first), _Version(second)
    labels = {*one.card.labels, *other.card.labels}
    found = Diff(one.card, other.card)
    for path in tqdm(list(_files(folder)), desc="photos", unit="photo", disable=None):
        name = printable(path.relative_to(folder).as_posix())
        label = path.parent.name if path.parent.name in labels else None
        try:
            image = path.read_bytes()
            found.add(Seen(path, name, label, one.ask(image), other.ask(image)))
        except ImageError as error:
            found.unreadable.append((name, error.code))
        except OSError as error:
            found.unreadable.append((name, error.strerror or "cannot be read"))
    if not found.photos:
        raise DataError(f"{folder} has no photo that can be decoded ({len(found.unreadable)} other files).")
    return found


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path
