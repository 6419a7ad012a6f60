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
_BYTES = Load._fields.index("bytes")


class Holder(Protocol):
    """Who was let in, and has what it `held` for something that is still on its way."""

    held: Load

    def keeps_room_empty(self) -> bool:
        """Whether some of the bytes that it holds will not be here soon."""

    def give_ahead(self) -> None:
        """Give those back, and hold what is here."""

    def is_slow(self) -> bool:
        """Whether it comes so slowly that others may have the room."""

    def put_out(self) -> None:
        """Give all of it back."""


class Bounds:
    """Counts what was let in, and lets nothing in that would go over a limit.

    Items less urgent than the default get three quarters of each limit. Whoever finds nothing taken, but by himself, is
    let in, whatever it takes, so that no limit can shut the service. Where there is no room, those who are `arriving`
    make some: who holds bytes that will not be here soon gives them back and keeps his place, and if that is not
    enough, slow ones are put out, but not the only one.
    """

    def __init__(self, limits: Load) -> None:
        self.limits = limits
        self.taken = Load()
        self.arriving: dict[Holder, None] = {}  # in the order in which they came

    def take(self, load: Load, urgency: int = DEFAULT_URGENCY, held: Load | None = None) -> None:
        """Let a load in, of one who has `held` already; raises QueueFull, and lets nothing in, when it does not fit."""
        while (short := self._short_of(load, urgency, held or Load())) is not None:
            if not self._makes_room(short):
                raise QueueFull(
                    f"All {self.limits[short]} {_NAMES[short]} for this model are taken; try again in a moment."
                )
        self.taken = Load(*map(add, self.taken, load))

    def _makes_room(self, short: int) -> bool:
        """Let one of those who are arriving make room, the first who can; says whether there was one."""
        if short == _BYTES and (empty := next((each for each in self.arriving if each.keeps_room_empty()), None)):
            empty.give_ahead()
            return True
        slow = next((each for each in self.arriving if each.held[short] and each.is_slow()), None)
        if slow is None or len(self.arriving) == 1:
            return False
        slow.put_out()
        return True

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
