"""One attempt of a runner at a batch, seen from outside: whether it gets on, and how to let it end."""

from collections.abc import Callable
from threading import get_native_id
from time import monotonic

from artifact.errors import InferenceStuck
from service.glance import Glance, glance
from service.pulse import BEATS, LATE, Still


class Steps:
    """Counts steps, and knows the thread that took the last one."""

    __slots__ = ("count", "thread")

    def __init__(self) -> None:
        self.count = 0
        self.thread: int | None = None

    def take(self) -> None:
        """Take one; called in the thread whose step it is."""
        self.thread = get_native_id()
        self.count += 1


class Attempt:
    """Counts the steps of an attempt, each of which is short where all is well: one photo's decode, or one run.

    `step` and `wait_for` are called in the runner's threads, all else on the event loop.
    """

    __slots__ = ("_beats", "_break_off", "_glance", "_is_given_up", "_looked", "_others", "_own", "_steps", "_still")

    def __init__(self) -> None:
        self._steps = Steps()
        self._others: Steps | None = None
        self._is_given_up = False
        self._break_off: Callable[[], None] | None = None
        self._still = Still()
        self._beats = 0
        self._own = 0.0  # beats of which nobody else had a part
        self._looked = 0.0
        self._glance: Glance | None = None

    def step(self, break_off: Callable[[], None] | None = None) -> None:
        """Begin the next step, which `break_off` can end; raises InferenceStuck where nobody waits for it any more."""
        self._break_off = break_off
        self._steps.take()
        if self._is_given_up:
            raise InferenceStuck("It took too long, and was given up.")

    def wait_for(self, others: Steps | None) -> None:
        """Get on with the steps of others, too, since they have what it needs; with None, no more."""
        self._others = others

    @property
    def is_late(self) -> bool:
        """Whether it has been at the same step for most of the time that it may, or did not begin."""
        return self._beats >= LATE

    @property
    def is_stuck(self) -> bool:
        """Whether it has been at the same step for longer than it may, with a core of its own."""
        return self._own >= BEATS

    def look(self) -> None:
        """See whether it gets on; done at each beat."""
        others, now = self._others, monotonic()
        last, self._glance = self._glance, glance((others or self._steps).thread)
        self._beats = self._still.beats((self._steps.count, others.count if others else 0))
        self._own = self._own + _own(last, self._glance, now - self._looked) if self._beats else 0.0
        self._looked = now

    def give_up(self) -> None:
        """Let it end as soon as it can; nobody waits for that."""
        self._is_given_up = True
        if self._break_off:
            self._break_off()


def _own(last: Glance | None, now: Glance | None, seconds: float) -> float:
    """How much of a beat a thread had for itself: all of it, but for the time in which it waited for a core."""
    if last is None or now is None:
        return 1.0
    own = seconds - (now.starved - last.starved) if now.is_asleep else now.ran - last.ran  # it may be waiting right now
    return min(max(own / seconds, 0.0), 1.0)
