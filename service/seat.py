"""The place of an item in a scheduler, and the room that it takes there."""

from collections.abc import Awaitable, Callable
from operator import add, sub
from time import monotonic
from typing import Generic, Protocol, TypeVar

from service.bounds import Bounds, Load

Item = TypeVar("Item")
Result = TypeVar("Result")


class Sender(Protocol):
    """Who sends what an item is made of."""

    def is_slow(self) -> bool:
        """Whether it sends so slowly that others may have its place."""

    def will_soon_send(self, missing: int) -> bool:
        """Whether so many bytes, all that are missing, will soon be here."""

    def put_out(self) -> None:
        """It has no place any more."""


class Seat(Generic[Item, Result]):
    """The place of an item, from before any work is done for it until its outcome is known.

    Who takes more room with `hold` may run as many items. Urgency and deadline may change until they run. `is_measured`
    says that the item's pixels are held already.
    """

    def __init__(
        self, bounds: Bounds, submit: Callable[[Item, int, float], Awaitable[Result]], urgency: int, deadline: float
    ) -> None:
        self._bounds = bounds
        self._submit = submit
        self.urgency = urgency
        self.deadline = deadline
        self._since = monotonic()
        self.held = Load()
        self.is_measured = False
        self._ahead = 0

    def hold(self, load: Load) -> None:
        """Take more room, as the item's size comes to be known; raises QueueFull."""
        self._bounds.take(load, self.urgency, self.held)
        self.held = Load(*map(add, self.held, load))

    def beside(self, deadline: float) -> "Seat[Item, Result]":
        """A seat for one more item of the same request, that holds nothing yet; whoever asks for it leaves it."""
        return Seat(self._bounds, self._submit, self.urgency, deadline)

    async def hold_in_turn(self, load: Load, beside: Load, *, is_aside: bool = False) -> None:
        """Take more room when there is some, for a request that holds so much `beside`; no two seats of it may wait.

        Who waits `is_aside` holds up nobody else. Raises QueueFull at the deadline.
        """
        all_held = Load(*map(add, self.held, beside))
        await self._bounds.take_in_turn(load, self.urgency, all_held, self.deadline, self._since, is_aside=is_aside)
        self.held = Load(*map(add, self.held, load))

    def leave(self) -> None:
        """Give back all that is held."""
        self.end_arriving()
        self._bounds.give_back(self.held)
        self.held = Load()

    def begin_arriving(self, sender: Sender) -> None:
        """What the item is made of is on its way; a slow sender is put out when others need the room.

        As many bytes of it as are held now will need no more room.
        """
        self._sender = sender
        self._ahead = self.held.bytes
        self._bounds.arriving[self] = None

    def receive(self, size: int) -> None:
        """So many more bytes of it are here; raises QueueFull where they are not held already."""
        if size <= self._ahead:
            self._ahead -= size
        else:
            self.hold(Load(bytes=size))

    def end_arriving(self) -> None:
        """All of it is here."""
        self._bounds.arriving.pop(self, None)

    def is_slow(self) -> bool:
        """Whether it arrives so slowly that others may have the room."""
        return self._sender.is_slow()

    def keeps_room_empty(self) -> bool:
        """Whether it holds bytes that will not be here soon."""
        return self._ahead > 0 and not self._sender.will_soon_send(self._ahead)

    def give_ahead(self) -> None:
        """Hold only what is here; the rest takes room as it arrives."""
        ahead, self._ahead = Load(bytes=self._ahead), 0
        self._bounds.give_back(ahead)
        self.held = Load(*map(sub, self.held, ahead))

    def put_out(self) -> None:
        """Give back what is held, and tell the sender."""
        self.leave()
        self._sender.put_out()

    async def run(self, item: Item) -> Result:
        """The item's result; raises its own error, InferenceFailed, or DeadlineExceeded."""
        return await self._submit(item, self.urgency, self.deadline)
