"""One attempt of a runner at a batch, seen from outside: whether it gets on, and how to let it end."""

from collections.abc import Callable
from threading import get_native_id
from time import monotonic

from artifact.errors import InferenceStuck
from service.glance import Glance, glance

# Who has had less than this share of a core, and wants none, sleeps.
_ASLEEP = 0.05


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

    __slots__ = ("_beats", "_break_off", "_glance", "_is_given_up", "_others", "_seen", "_seen_at", "_steps")

    def __init__(self) -> None:
        self._steps = Steps()
        self._others: Steps | None = None
        self._is_given_up = False
        self._break_off: Callable[[], None] | None = None
        self._beats = 0.0
        self._seen: tuple[int, int] | None = None
        self._seen_at = 0.0
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

    def beats(self) -> float:
        """Look at it, as is done at each beat; returns for how many it has been at the same step, or did not begin."""
        others = self._others
        seen, now = (self._steps.count, others.count if others else 0), monotonic()
        last, self._glance = self._glance, glance((others or self._steps).thread)
        self._beats = self._beats + _counted(last, self._glance, now - self._seen_at) if seen == self._seen else 0.0
        self._seen, self._seen_at = seen, now
        return self._beats

    def give_up(self) -> None:
        """Let it end as soon as it can; nobody waits for that."""
        self._is_given_up = True
        if self._break_off:
            self._break_off()


def _counted(last: Glance | None, now: Glance | None, seconds: float) -> float:
    """How much of a beat counts: all if the thread slept or is gone, else the share of a core that it has had.

    So one that works while others have the cores, or waits for a core, is given all the longer.
    """
    if last is None or now is None:
        return 1.0
    share = min((now.seconds - last.seconds) / seconds, 1.0)
    return share if share >= _ASLEEP or now.is_runnable else 1.0
