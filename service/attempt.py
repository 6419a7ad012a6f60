"""One attempt of a runner at a batch, seen from outside: whether it gets on, and how to let it end."""

from collections.abc import Callable

from artifact.errors import InferenceStuck
from service.pulse import Still


class Attempt:
    """Counts the steps of an attempt, each of which is short where all is well: one photo's decode, or one run.

    `step` is called in the runner's thread, all else on the event loop.
    """

    __slots__ = ("_break_off", "_is_given_up", "_steps", "_still")

    def __init__(self) -> None:
        self._steps = 0
        self._still = Still()
        self._is_given_up = False
        self._break_off: Callable[[], None] | None = None

    def step(self, break_off: Callable[[], None] | None = None) -> None:
        """Begin the next step, which `break_off` can end; raises InferenceStuck where nobody waits for it any more."""
        self._break_off = break_off
        self._steps += 1
        if self._is_given_up:
            raise InferenceStuck("It took too long, and was given up.")

    def beats(self) -> int:
        """Look at it, as is done at each beat; returns for how many it has been at the same step, or did not begin."""
        return self._still.beats(self._steps)

    def give_up(self) -> None:
        """Let it end as soon as it can; nobody waits for that."""
        self._is_given_up = True
        if self._break_off:
            self._break_off()
