"""Which photos are held out: the same ones wherever the files stand, each label in its share, near-duplicates together.

Why not scikit-learn's splitters: docs/decisions/0006-splits-and-duplicates.md.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from artifact.card import Split


@dataclass
class _Group:
    """Photos that have to stay on one side: how many of each label, and what puts the group in its place in line."""

    labels: Counter[int] = field(default_factory=Counter)
    lot: str = "~"  # sorts behind every hex digit

    def place(self) -> tuple[int, str]:
        """Small groups are held out first, so that shares come out even; which of them, the lot decides."""
        return self.labels.total(), self.lot


def deal(
    labels: Sequence[int], groups: Sequence[int], digests: Sequence[str], shares: Mapping[Split, float], seed: int
) -> list[Split]:
    """The split of each photo: for each label its share, rounded but at least one, held out; the rest is for training.

    A group goes to one side as a whole, so a share can be missed by less than a group. `digests` are those of the
    files' content: they and the seed alone decide, not the order or the names of the files.
    """
    gathered = _gather(labels, groups, digests, seed)
    counts = Counter(labels)
    sides: dict[int, Split] = {}
    for split, share in sorted(shares.items()):
        held: Counter[int] = Counter()
        for label in sorted(counts, key=lambda label: (counts[label], label)):  # the rarest first: it has least choice
            target = max(1, round(share * counts[label]))
            for number in _candidates(gathered, label, sides):
                size = gathered[number].labels[label]
                if held[label] == 0 or held[label] + size <= target:
                    sides[number] = split
                    held += gathered[number].labels
    return [sides.get(group, "train") for group in groups]


def _gather(labels: Sequence[int], groups: Sequence[int], digests: Sequence[str], seed: int) -> dict[int, _Group]:
    gathered: dict[int, _Group] = {}
    for label, number, digest in zip(labels, groups, digests, strict=True):
        group = gathered.setdefault(number, _Group())
        group.labels[label] += 1
        group.lot = min(group.lot, sha256(f"{seed} {digest}".encode()).hexdigest())
    return gathered


def _candidates(gathered: Mapping[int, _Group], label: int, sides: Mapping[int, Split]) -> list[int]:
    """The groups with photos of a label that are on no side yet, in their places."""
    free = (number for number, group in gathered.items() if group.labels[label] and number not in sides)
    return sorted(free, key=lambda number: gathered[number].place())
