"""What the processes of the service take of the machine, as one: processor time, memory, open files."""

from collections.abc import Iterable
from contextlib import suppress
from multiprocessing import current_process, parent_process
from resource import RLIMIT_NOFILE, getrlimit
from typing import NamedTuple, Self

import psutil
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector


class _Taken(NamedTuple):
    """What one process takes: seconds with those of its children that have ended, bytes, and files."""

    seconds: float
    resident: int
    shared: int
    virtual: int
    files: int

    @classmethod
    def of(cls, process: psutil.Process) -> Self:
        """Raises NoSuchProcess."""
        memory = process.memory_info()
        shared = getattr(memory, "shared", 0)  # only Linux tells
        return cls(sum(_seconds(process)), memory.rss, shared, memory.vms, _files(process))


class Processes(Collector):
    """The standard metrics of a process, for the first one and its workers together.

    Seconds of a worker that has ended stay. What processes share is in the resident memory once: to add up what each
    has would count the libraries once per worker.
    """

    def __init__(self) -> None:
        self._first = psutil.Process((parent_process() or current_process()).pid)

    def collect(self) -> Iterable[Metric]:
        """All of them; none when the first process was killed, and its workers are about to stop."""
        with suppress(psutil.NoSuchProcess):
            each = self._each()
            resident = sum(one.resident - one.shared for one in each) + max(one.shared for one in each)
            yield CounterMetricFamily(
                "process_cpu_seconds", "Processor time in seconds, of all processes.", sum(one.seconds for one in each)
            )
            for name, meaning, value in (
                ("resident_memory_bytes", "Resident memory; what processes share counts once.", resident),
                ("virtual_memory_bytes", "Virtual memory of all processes.", sum(one.virtual for one in each)),
                ("open_fds", "Open files of all processes.", sum(one.files for one in each)),
                ("max_fds", "Files that they may open.", len(each) * getrlimit(RLIMIT_NOFILE)[0]),
                ("start_time_seconds", "When the service started, since 1970.", self._first.create_time()),
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


def _files(process: psutil.Process) -> int:
    try:
        return int(process.num_fds())
    except psutil.Error:  # it has ended, and the first process does not know yet
        return 0
