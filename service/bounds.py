"""How much may be in the service at once, by each of the things that it could run out of."""

from operator import add, sub
from typing import NamedTuple

from artifact.errors import QueueFull
from service.lanes import DEFAULT_URGENCY

# What less urgent items leave free, so that a catalogue's flood sheds no single photo of the shop.
_KEPT_FREE = 0.25


class Load(NamedTuple):
    """Items, the bytes of their encoded images, and the pixels that these declare."""

    items: int = 0
    bytes: int = 0
    pixels: int = 0


_NAMES = Load._make(("places", "bytes", "pixels"))


class Bounds:
    """Counts what was let in, and lets nothing in that would go over a limit.

    Items less urgent than the default get three quarters of each limit. Whoever finds nothing taken, but by himself, is
    let in, whatever it takes, so that no limit can shut the service.
    """

    def __init__(self, limits: Load) -> None:
        self.limits = limits
        self.taken = Load()

    def take(self, load: Load, urgency: int = DEFAULT_URGENCY, held: Load | None = None) -> None:
        """Let a load in, of one who has `held` already; raises QueueFull, and lets nothing in, when it does not fit."""
        share = 1 - _KEPT_FREE if urgency > DEFAULT_URGENCY else 1
        for name, wanted, own, taken, limit in zip(_NAMES, load, held or Load(), self.taken, self.limits, strict=True):
            if wanted and taken > own and taken + wanted > limit * share:
                raise QueueFull(f"All {limit} {name} for this model are taken; try again in a moment.")
        self.taken = Load(*map(add, self.taken, load))

    def give_back(self, load: Load) -> None:
        """Let a load out again."""
        self.taken = Load(*map(sub, self.taken, load))
