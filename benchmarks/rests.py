"""What a service holds whenever nobody asks it anything: one that holds more each time leaks."""

import csv
import http.client
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from math import sqrt
from pathlib import Path
from statistics import fmean, linear_regression, pvariance
from urllib.parse import urlsplit

import psutil
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.finding import Finding
from benchmarks.serving import Served

WAITING = ("hangtag_queue_items",)  # gauges of what is under way

MOST_GROWTH = 0.01  # of its memory in an hour: a service that is rolled out anew every month does not double

_PATIENCE, _TICK = 10.0, 0.1  # seconds
_LEAST = 3  # rests through which a line can be drawn that may be off
_BLOCKS = 6  # memory goes by steps that last for several rests, so single ones would make a line seem surer than it is
_MIB, _HOUR = 2**20, 3600


@dataclass(frozen=True)
class Rest:
    """What all processes of a service together held, after so many seconds and requests; `waiting` is the gauges."""

    seconds: float
    asked: int
    memory: int
    files: int
    threads: int
    waiting: float


class Rests:
    """Looks at a service whenever it has come to rest, and keeps what it saw; in a file, too, where a path is given."""

    def __init__(self, service: Served, path: Path | None) -> None:
        self._service = service
        self._path = path
        self._started = time.monotonic()
        self.seen: list[Rest] = []
        if path:
            path.write_text(",".join(field.name for field in fields(Rest)) + "\n")

    def look(self, asked: int) -> Rest:
        """See what is held once no client is connected, nothing waits, and two looks are the same; or after a while."""
        deadline, before = time.monotonic() + _PATIENCE, None
        while True:
            waiting = _waiting(self._service.url)
            clients, files, threads, memory = _held(self._service.pid)
            if (not clients and not waiting and before == (files, threads)) or time.monotonic() > deadline:
                break
            before = files, threads
            time.sleep(_TICK)
        rest = Rest(round(time.monotonic() - self._started, 1), asked, memory, files, threads, waiting)
        self.seen.append(rest)
        if self._path:
            with self._path.open("a", newline="") as file:
                csv.writer(file).writerow(astuple(rest))
        return rest


def findings(rests: Sequence[Rest]) -> list[Finding]:
    """What the later half of the rests says of leaks; what a service takes at first, and then keeps, is none."""
    earlier, later = rests[: len(rests) // 2], rests[len(rests) // 2 :]
    if len(later) < _LEAST:
        return [Finding(holds=False, sentence=f"{len(rests)} rests are too few to tell from; let it last longer")]
    return [_memory(later), _files(rests), _threads(earlier, later), _gauges(rests)]


def _memory(rests: Sequence[Rest]) -> Finding:
    """A line through values that jump may be off by two standard errors, so the least that it may grow by counts."""
    slope, error = _slope(rests)
    hours, asked = (rests[-1].seconds - rests[0].seconds) / _HOUR, rests[-1].asked - rests[0].asked
    return Finding(
        slope - 2 * error < MOST_GROWTH * rests[0].memory,
        f"memory {rests[-1].memory / _MIB:.1f} MiB, growing by {slope / _MIB:.1f} MiB an hour, give or take "
        f"{2 * error / _MIB:.1f}, or {slope * hours / asked:.0f} bytes a request (claimed: under 1 % an hour)",
    )


def _files(rests: Sequence[Rest]) -> Finding:
    counts = [rest.files for rest in rests]
    return Finding(len({*counts}) == 1, f"open files {_range(counts)} (claimed: always as many)")


def _threads(earlier: Sequence[Rest], later: Sequence[Rest]) -> Finding:
    before, since = [rest.threads for rest in earlier], [rest.threads for rest in later]
    return Finding(
        max(since) <= max(before), f"threads {_range(before)}, later {_range(since)} (claimed: no more than before)"
    )


def _gauges(rests: Sequence[Rest]) -> Finding:
    most = max(rest.waiting for rest in rests)
    return Finding(not most, f"gauges of what is under way {most:g} (claimed: 0 at every rest)")


def _slope(rests: Sequence[Rest]) -> tuple[float, float]:
    """How many bytes an hour memory grows by, as least squares have it, and the standard error of that."""
    count = min(len(rests), _BLOCKS)
    blocks = [rests[len(rests) * n // count : len(rests) * (n + 1) // count] for n in range(count)]
    hours = [fmean(rest.seconds for rest in block) / _HOUR for block in blocks]
    memory = [fmean(rest.memory for rest in block) for block in blocks]
    slope, start = linear_regression(hours, memory)
    errors = sum((value - start - slope * moment) ** 2 for moment, value in zip(hours, memory, strict=True))
    return slope, sqrt(errors / (count - 2) / count / pvariance(hours))


def _range(values: Sequence[int]) -> str:
    return f"{min(values)}" if min(values) == max(values) else f"{min(values)} to {max(values)}"


def _waiting(url: str) -> float:
    """The sum of the gauges of what is under way."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    connection.request("GET", "/metrics")
    families = text_string_to_metric_families(connection.getresponse().read().decode())
    connection.close()
    return sum(sample.value for family in families if family.name in WAITING for sample in family.samples)


def _held(pid: int) -> tuple[int, int, int, int]:
    """Connected clients, open files, threads, and bytes of memory of a process and those it started."""
    first = psutil.Process(pid)
    processes = [first, *first.children(recursive=True)]
    connections = (each for process in processes for each in process.net_connections("tcp"))
    return (
        sum(each.status == psutil.CONN_ESTABLISHED for each in connections),
        sum(process.num_fds() for process in processes),
        sum(process.num_threads() for process in processes),
        sum(process.memory_info().rss for process in processes),
    )
