"""What Linux says of a thread: how long it has run, how long it has waited for a core, and whether it wants one now."""

import sys
from typing import NamedTuple


class Glance(NamedTuple):
    """A thread at one moment: the seconds that it has run, and those that it has waited for a core while awake."""

    ran: float
    starved: float
    is_asleep: bool


def glance(thread: int | None) -> Glance | None:
    """How a thread of this process is, by its native id; None where it is gone, or nobody says, as on other systems."""
    if thread is None or sys.platform != "linux":
        return None
    try:
        ran, starved, _ = _read(thread, "schedstat").split()
        _, _, state = _read(thread, "stat").rpartition(b") ")  # what stands before it is its name
    except OSError:
        return None
    return Glance(int(ran) / 1e9, int(starved) / 1e9, not state.startswith(b"R"))


def _read(thread: int, name: str) -> bytes:
    with open(f"/proc/self/task/{thread}/{name}", "rb", buffering=0) as file:  # noqa: PTH123 - a quarter of the time
        return file.read()
