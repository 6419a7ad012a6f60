"""What the processes of the service take of the machine, as one: processor time, memory, open files."""

from collections.abc import Iterable
from contextlib import suppress
from math import inf
from multiprocessing import current_process, parent_process
from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit
from typing import NamedTuple, Self

import psutil
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

_DIGITS = 6  # of a second; systems count in hundredths


class _Taken(NamedTuple):
    """What one process takes: seconds with those of its children that have ended, bytes, and files of how many."""

    seconds: float
    resident: int
    shared: int
    virtual: int
    files: int
    most_files: float

    @classmethod
    def of(cls, process: psutil.Process) -> Self:
        """Raises NoSuchProcess."""
        memory = process.memory_info()
        shared = getattr(memory, "shared", 0)  # only Linux tells
        return cls(sum(_seconds(process)), memory.rss, shared, memory.vms, *_files(process))

    @property
    def full(self) -> float:
        """Share of the files that it may open; 0 of a process that has just ended, and may open none."""
        return self.files / self.most_files if self.most_files else 0.0


class Processes(Collector):
    """The standard metrics of a process, for the first one and its workers together.

    Seconds of a worker that has ended stay. What processes share is in the resident memory once: to add up what each
    has would count the libraries once per worker. A process has a limit of open files, and not the service: the fullest
    one says whether that is near.
    """

    def __init__(self, started: float | None = None) -> None:
        """Workers are told when the service `started`; each would reckon it from a clock that may have been set."""
        self._first = psutil.Process((parent_process() or current_process()).pid)
        self._started = self._first.create_time() if started is None else started

    def collect(self) -> Iterable[Metric]:
        """All of them; none when the first process was killed, and its workers are about to stop."""
        with suppress(psutil.NoSuchProcess):
            each = self._each()
            resident = sum(one.resident - one.shared for one in each) + max(one.shared for one in each)
            # Sums of other parts differ in their last bits, and a counter that falls is one that began anew.
            seconds = round(sum(one.seconds for one in each), _DIGITS)
            yield CounterMetricFamily("process_cpu_seconds", "Processor time in seconds, of all processes.", seconds)
            for name, meaning, value in (
                ("resident_memory_bytes", "Resident memory; what processes share counts once.", resident),
                ("virtual_memory_bytes", "Virtual memory of all processes.", sum(one.virtual for one in each)),
                ("open_fds", "Open files of all processes.", sum(one.files for one in each)),
                ("max_fds", "Files that all processes may open.", sum(one.most_files for one in each)),
                ("open_fds_ratio", "Share of its files that the fullest process has open.", max(o.full for o in each)),
                ("start_time_seconds", "When the service started, since 1970.", self._started),
            ):
                yield GaugeMetricFamily(f"process_{name}", meaning, value)

    def _each(self) -> list[_Taken]:
        """Of each process; looked at again if one ended meanwhile, whose seconds would be there twice or not at all."""
        while True:
            _, before = _seconds(self._first)
            each = [_Taken.of(self._first)]
            for child in self._first.children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    each.append(_Taken.of(child))
            if _seconds(self._first)[1] == before:
                return each


def _seconds(process: psutil.Process) -> tuple[float, float]:
    """A process's own, and those of its children that have ended."""
    times = process.cpu_times()
    return times.user + times.system, times.children_user + times.children_system


def _files(process: psutil.Process) -> tuple[int, float]:
    """How many it has open, and how many it may; none where it has ended, and the first process does not know yet."""
    try:
        return process.num_fds(), _limit(process)
    except psutil.Error:
        return 0, 0


def _limit(process: psutil.Process) -> float:
    """A process may have raised its own; where the system does not tell, it is ours."""
    limits = process.rlimit(RLIMIT_NOFILE) if hasattr(process, "rlimit") else getrlimit(RLIMIT_NOFILE)
    return inf if limits[0] == RLIM_INFINITY else limits[0]
