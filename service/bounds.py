"""How much may be in the service at once, by each of the things that it could run out of."""

from operator import add, sub
from typing import NamedTuple, Protocol

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


class Holder(Protocol):
    """Who was let in, and has what it `held` for something that is still on its way."""

    held: Load

    def is_slow(self) -> bool:
        """Whether that comes so slowly that others may have the room."""

    def put_out(self) -> None:
        """Give all of it back."""


class Bounds:
    """Counts what was let in, and lets nothing in that would go over a limit.

    Items less urgent than the default get three quarters of each limit. Whoever finds nothing taken, but by himself, is
    let in, whatever it takes, so that no limit can shut the service. Where there is no room, slow ones of those who
    are `arriving` are put out, but not the only one.
    """

    def __init__(self, limits: Load) -> None:
        self.limits = limits
        self.taken = Load()
        self.arriving: dict[Holder, None] = {}  # in the order in which they came

    def take(self, load: Load, urgency: int = DEFAULT_URGENCY, held: Load | None = None) -> None:
        """Let a load in, of one who has `held` already; raises QueueFull, and lets nothing in, when it does not fit."""
        while (short := self._short_of(load, urgency, held or Load())) is not None:
            slow = next((holder for holder in self.arriving if holder.held[short] and holder.is_slow()), None)
            if slow is None or len(self.arriving) == 1:
                raise QueueFull(
                    f"All {self.limits[short]} {_NAMES[short]} for this model are taken; try again in a moment."
                )
            slow.put_out()
        self.taken = Load(*map(add, self.taken, load))

    def _short_of(self, load: Load, urgency: int, held: Load) -> int | None:
        """Which of the three there is too little of."""
        share = 1 - _KEPT_FREE if urgency > DEFAULT_URGENCY else 1
        for which, (wanted, own, taken, limit) in enumerate(zip(load, held, self.taken, self.limits, strict=True)):
            if wanted and taken > own and taken + wanted > limit * share:
                return which
        return None

    def give_back(self, load: Load) -> None:
        """Let a load out again."""
        self.taken = Load(*map(sub, self.taken, load))
