"""The page of a diff: the photos on which two versions disagree, with what each says of them."""

from artifact.card import ModelCard, Split
from artifact.errors import ImageError
from training.diff import Diff, Seen
from training.files import SPLITS
from training.page import render, small_uri

NAMES = 200
TRANSITIONS = 30
_SIDE = 112


def diff_page(found: Diff, pictures: int) -> str:
    """The HTML of a diff, with at most so many pictures; it says how many more there would be."""
    shown = found.gravest[:pictures]
    return render(
        "diff.html",
        diff=found,
        shown=[(seen, _picture(seen)) for seen in shown],
        limits={"names": NAMES, "transitions": TRANSITIONS},
        cards=(found.first, found.second),
        measured=[split for split in SPLITS if _is_measured(split, found.first, found.second)],
    )


def _picture(seen: Seen) -> str | None:
    try:
        return small_uri(seen.path.read_bytes(), _SIDE)
    except (ImageError, OSError):  # it was there a moment ago
        return None


def _is_measured(split: Split, *cards: ModelCard) -> bool:
    return any(split in card.figures for card in cards)
