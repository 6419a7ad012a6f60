"""How much may be in the service at once, by each of the things that it could run out of."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from operator import add, sub
from time import monotonic
from typing import NamedTuple, Protocol

from artifact.errors import QueueFull
from service.lanes import DEFAULT_URGENCY, place

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
    urgency: int

    def keeps_room_empty(self) -> bool:
        """Whether some of the bytes that it holds will not be here soon."""

    def give_ahead(self) -> None:
        """Give those back, and hold what is here."""

    def is_slow(self) -> bool:
        """Whether it comes so slowly that others may have the room."""

    def put_out(self) -> None:
        """Give all of it back."""


@dataclass(order=True, slots=True)
class _Turn:
    """Who waits for room: those first who may have all of it, then whose place would be first in the lanes, too."""

    is_less_urgent: bool
    place: float
    number: int
    urgency: int = field(compare=False)
    load: Load = field(compare=False)
    held: Load = field(compare=False)
    came: asyncio.Future[None] = field(compare=False)


class Bounds:
    """Counts what was let in, and lets nothing in that would go over a limit.

    Items less urgent than the default get three quarters of each limit. Whoever finds nothing taken, but by himself, is
    let in, whatever it takes, so that no limit can shut the service; so is the first of those who wait, if they have
    all that is taken. Where there is no room, those who are `arriving` make some for who is as urgent: who holds bytes
    that will not be here soon gives them back and keeps his place, and if that is not enough, slow ones are put out,
    but not the only one.
    """

    def __init__(self, limits: Load) -> None:
        self.limits = limits
        self.taken = Load()
        self.arriving: dict[Holder, None] = {}  # in the order in which they came
        self._turns: list[_Turn] = []  # a heap; those who do not wait any more are left out when it is their turn
        self._aside: list[_Turn] = []  # the same of those who may be overtaken
        self._numbers = count()
        self._stalled = Load()  # what those hold who wait

    def take(self, load: Load, urgency: int = DEFAULT_URGENCY, held: Load | None = None) -> None:
        """Let a load in, of one who has `held` already; raises QueueFull, and lets nothing in, when it does not fit."""
        while (short := self._short_of(load, urgency, held or Load())) is not None:
            if not self._makes_room(short, urgency):
                raise self._full(short)
        self.taken = Load(*map(add, self.taken, load))

    async def take_in_turn(
        self, load: Load, urgency: int, held: Load, deadline: float, since: float, *, is_aside: bool = False
    ) -> None:
        """The same, but wait for room behind those who wait; raises QueueFull if there is none until the deadline.

        Nobody overtakes one who needs more than there is, but where he waits `is_aside`, and so holds up nobody else.

        Ageing is by `since`, when he came, so that nobody starves who takes room in many small steps. `held` is all
        that he has, and will not give back before; so whoever has more places waits for one at a time.
        """
        turns = self._aside if is_aside else self._turns
        if not turns:
            with suppress(QueueFull):
                self.take(load, urgency, held)
                return
        turn = _Turn(
            urgency > DEFAULT_URGENCY,
            place(since, urgency),
            next(self._numbers),
            urgency,
            load,
            held,
            asyncio.get_running_loop().create_future(),
        )
        self._stalled = Load(*map(add, self._stalled, held))
        heappush(turns, turn)
        self._let_in(makes_room=True)
        try:
            async with asyncio.timeout(deadline - monotonic()):
                await turn.came
        except BaseException as error:
            if turn.came.cancelled():
                self._stalled = Load(*map(sub, self._stalled, held))
            else:  # there was room at the same moment
                self.give_back(load)
            if isinstance(error, TimeoutError):
                raise self._full(self._short_of(load, urgency, held) or 0) from error
            raise

    def _let_in(self, *, makes_room: bool = False) -> None:
        """Let those in who wait, in turn, as long as there is room, or some is made."""
        for turns in (self._turns, self._aside):
            self._let_in_of(turns, makes_room=makes_room)

    def _let_in_of(self, turns: list[_Turn], *, makes_room: bool) -> None:
        while turns:
            turn = turns[0]
            if not turn.came.done():
                if (short := self._short_of(turn.load, turn.urgency, self._stalled)) is not None:
                    if makes_room and self._makes_room(short, turn.urgency):
                        continue
                    return
                self.taken = Load(*map(add, self.taken, turn.load))
                self._stalled = Load(*map(sub, self._stalled, turn.held))
                turn.came.set_result(None)
            heappop(turns)

    def _makes_room(self, short: int, urgency: int) -> bool:
        """Let one of those who are arriving, and are no more urgent, make room; says whether there was one."""
        for each in self.arriving if short == _BYTES else ():
            if each.urgency >= urgency and each.keeps_room_empty():
                each.give_ahead()
                return True
        for each in self.arriving if len(self.arriving) > 1 else ():
            if each.urgency >= urgency and each.held[short] and each.is_slow():
                each.put_out()
                return True
        return False

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
        if self._turns or self._aside:
            self._let_in()

    def _full(self, short: int) -> QueueFull:
        return QueueFull(f"All {self.limits[short]} {_NAMES[short]} for this model are taken; try again in a moment.")
