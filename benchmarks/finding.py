"""What a measurement found, in a sentence, and whether it is as claimed."""

from collections.abc import Sequence
from typing import NamedTuple


class Finding(NamedTuple):
    """One of them."""

    holds: bool
    sentence: str

    def __str__(self) -> str:
        return f"  {self.sentence}{'' if self.holds else ': IT IS NOT SO'}"


def report(found: Sequence[Finding]) -> int:
    """Print them all; returns 0 when all hold, else 1."""
    print(*found, sep="\n", flush=True)
    return 0 if all(finding.holds for finding in found) else 1
