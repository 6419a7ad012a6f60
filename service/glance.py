"""What Linux says of a thread: how much of a core it has had, and whether it wants one."""

import os
import sys
from typing import NamedTuple


class Glance(NamedTuple):
    """A thread at one moment: the seconds of a core that it has had, and whether it runs or waits to run."""

    seconds: float
    is_runnable: bool


def glance(thread: int | None) -> Glance | None:
    """How a thread of this process is, by its native id; None where it is gone, or nobody says, as on other systems."""
    if thread is None or sys.platform != "linux":
        return None
    try:
        with open(f"/proc/self/task/{thread}/stat", "rb", buffering=0) as file:  # noqa: PTH123 - at each beat
            state, *figures = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return Glance((int(figures[10]) + int(figures[11])) / os.sysconf("SC_CLK_TCK"), state == b"R")
