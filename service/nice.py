"""Threads that step back behind those that must not wait, where all cores are busy."""

import os
import sys
from threading import get_native_id


def step_back(steps: int) -> None:
    """Let this thread, and those that it starts, have less of a busy core than the process has; Linux only."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, get_native_id(), os.getpriority(os.PRIO_PROCESS, os.getpid()) + steps)
