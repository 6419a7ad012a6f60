"""What waits for a runner: a lane for each urgency, in which nobody overtakes, and ageing, so that nobody starves."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Generic, Protocol, TypeVar

LANES = 8  # RFC 9218: urgency 0 is served first, 7 last
DEFAULT_URGENCY = 3

# So that even the least urgent gets its turn before 30 seconds are over, which is how long it may wait by default.
AGEING_SECONDS = 4.0


class Waiting(Protocol):
    """What can wait: since when, how urgent it is, and until when an answer is of use; seconds of one clock."""

    since: float
    urgency: int
    deadline: float


Entry = TypeVar("Entry", bound=Waiting)


class Lanes(Generic[Entry]):
    """Takes the most urgent first, but lets each step of urgency be worth AGEING_SECONDS of waiting and no more.

    So urgent entries overtake one that is less urgent only while they come within so long after it.
    """

    def __init__(self) -> None:
        self._lanes: list[OrderedDict[Entry, None]] = [OrderedDict() for _ in range(LANES)]
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Entry]:
        for lane in self._lanes:
            yield from lane

    def put(self, entry: Entry) -> None:
        """Let an entry wait, behind those of its lane."""
        self._lanes[entry.urgency][entry] = None
        self._length += 1

    def put_back(self, entries: Iterable[Entry]) -> None:
        """Let entries that were taken wait again, in this order before those of their lanes."""
        for entry in reversed([*entries]):
            self.put(entry)
            self._lanes[entry.urgency].move_to_end(entry, last=False)

    def remove(self, entry: Entry) -> bool:
        """Let an entry wait no more; returns whether it did."""
        if entry not in self._lanes[entry.urgency]:
            return False
        del self._lanes[entry.urgency][entry]
        self._length -= 1
        return True

    def first(self) -> Entry:
        """The entry whose turn it is; raises ValueError when none waits."""
        return min((next(iter(lane)) for lane in self._lanes if lane), key=_place_of)

    def as_urgent(self, urgency: int) -> int:
        """How many wait who are at least as urgent."""
        return sum(map(len, self._lanes[: urgency + 1]))

    def earliest_deadline(self) -> float:
        """When the first of those who wait will be too late; infinity when none waits."""
        return min((entry.deadline for entry in self), default=float("inf"))


def place(since: float, urgency: int) -> float:
    """Where one is among those who wait, who came then: the smallest goes first."""
    return since + urgency * AGEING_SECONDS


def _place_of(entry: Waiting) -> float:
    return place(entry.since, entry.urgency)
