"""Who may be run beside whom: whole batches on all runners, but less of it while those come who would have to wait."""

from collections.abc import Sequence
from math import inf

from service.lanes import DEFAULT_URGENCY, LANES

QUIET_SECONDS = 10.0  # without anybody more urgent; then the next one may wait for a whole batch, and is a rare one
ROOM_SECONDS = 0.01  # for which somebody wants a core for the event loop, too, which busy runners are slow to give


class Company:
    """Lets `whole` batches run, but no more than `beside` together while those come who are more urgent, or less.

    Whoever comes when runners have begun batches waits until one is done. The more urgent go in few, too, since the
    next runner will soon be free for the others of them; where a whole batch of them waits, they are run together.
    For a moment after one of the usual urgency came, or of more, the background has no more than so many runners.
    Seconds are those of one clock.
    """

    def __init__(self, whole: int, beside: int, background: int) -> None:
        self.whole = whole
        self._beside = min(beside, whole)
        self._background = background
        self._came = [-inf] * LANES

    def came(self, urgency: int, now: float) -> None:
        """Somebody of this urgency came."""
        self._came[urgency] = now

    def of(self, urgency: int, waiting: int, now: float) -> int:
        """With how many, itself among them, one may be run now; so many are `waiting` who are at least as urgent."""
        is_behind, is_ahead = (
            now - _last(came) < QUIET_SECONDS for came in (self._came[:urgency], self._came[urgency + 1 :])
        )
        return self._beside if is_behind or (is_ahead and waiting < self.whole) else self.whole

    def keeps_room(self, running: int, now: float) -> bool:
        """Whether no more may be run of the background, of which so many batches are `running`."""
        return running >= self._background and now - _last(self._came[: DEFAULT_URGENCY + 1]) < ROOM_SECONDS


def _last(came: Sequence[float]) -> float:
    """When the last of them came."""
    return max(came, default=-inf)
