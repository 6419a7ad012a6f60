"""What several workers count, in files that all of them read: whichever is scraped speaks for all.

A worker that takes the place of a killed one goes on in its files. So nothing that was counted is lost or counted
twice, and there are no more files than there are workers: docs/decisions/0016-counts.md.
"""

import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from shutil import rmtree
from typing import NamedTuple

from prometheus_client import Metric, values
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from service.folder import join, made_at, make_folder

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # read by prometheus_client when it is imported, and when a file is opened

# What prometheus_client has a file for, of each worker, and for how many bytes of it there is room from the start: that
# is enough for twenty models with a hundred labels each.
_ROOM = {
    "counter": 2**21,
    "histogram": 2**20,
    "gauge_livemax": 2**19,
    "gauge_livesum": 2**16,
    "gauge_livemin": 2**16,
}
_USED_BYTES = 4  # at the beginning of a file: how many bytes of it are used
_EMPTY = 8  # of them, when there is nothing in it


@contextmanager
def counts_in_files(workers: int) -> Iterator[None]:
    """Give so many workers a folder for what they count, for as long as there are workers."""
    files = {f"{kind}_{number}.db": room for kind, room in _ROOM.items() for number in range(workers)}
    os.environ[_FOLDER] = str(make_folder(files))
    try:
        yield
    finally:
        remove_files()
        del os.environ[_FOLDER]


def shared_folder() -> Path | None:
    """The folder that all workers have for as long as there are workers; None where there is one process."""
    folder = os.environ.get(_FOLDER)
    return Path(folder) if folder else None


def counting_since() -> float | None:
    """When the first process gave the workers their folder, in seconds since 1970; None where there is one process."""
    folder = shared_folder()
    return made_at(folder) if folder else None


def count_as(number: int) -> None:
    """Called in a worker before anything is counted: go on from where the last one of this number was killed."""
    join(Path(os.environ[_FOLDER]))
    values.ValueClass = values.MultiProcessValue(lambda: number)  # type: ignore[no-untyped-call]


def forget_gauges(number: int) -> None:
    """Called when a worker is gone: what waited in it, or was ready, is so no more."""
    for path in Path(os.environ[_FOLDER]).glob(f"gauge_*_{number}.db"):
        with path.open("r+b") as file:  # it stays, since there may be no room for another one
            file.write(_EMPTY.to_bytes(_USED_BYTES, sys.byteorder))


def remove_files() -> None:
    """Called when the last worker has ended, by the first process, or by a worker that was left alone."""
    rmtree(os.environ[_FOLDER], ignore_errors=True)


class _Series(NamedTuple):
    """What the key of a value in a file says; `child` are the labels of its histogram where it is a bucket."""

    family: str
    name: str
    labels: dict[str, str]
    meaning: str
    child: tuple[str, ...] | None


class Counts(Collector):
    """What all workers have counted, as one.

    prometheus_client's own collector does the same, and reads all keys anew each time, which takes twice as long.
    """

    def __init__(self) -> None:
        self._folder = Path(os.environ[_FOLDER])
        self._places: dict[Path, tuple[bytes, list[tuple[str, int]]]] = {}

    def collect(self) -> Iterable[Metric]:
        """Every metric, with the sums over all workers; gauges as each of them says. Called in any thread."""
        gauges = [str(path) for path in self._folder.glob("gauge_*.db")]
        yield from MultiProcessCollector.merge(gauges)  # type: ignore[no-untyped-call]
        for kind in ("counter", "histogram"):
            totals: defaultdict[str, float] = defaultdict(float)
            for path in sorted(self._folder.glob(f"{kind}_*.db")):
                for key, value in self._values(path):
                    totals[key] += value
            yield from _families(kind, totals)

    def _values(self, path: Path) -> Iterable[tuple[str, float]]:
        """Each key of a file, and its value; where a value stands never changes, so it is looked for once."""
        data = _used(path)
        used, places = self._places.get(path, (b"", []))
        if data[:_USED_BYTES] != used:
            found = MmapedDict.read_all_values_from_file(path)  # type: ignore[no-untyped-call]
            places = [(key, position // 8) for key, _, _, position in found]
            self._places[path] = data[:_USED_BYTES], places
            data = _used(path)  # it may have grown meanwhile
        doubles = memoryview(data).cast("d")
        return ((key, doubles[place]) for key, place in places)


def _used(path: Path) -> bytes:
    """What is in a file, without the room that there is for more."""
    with path.open("rb") as file:
        head = file.read(_EMPTY)
        used = int.from_bytes(head[:_USED_BYTES], sys.byteorder)
        return head + file.read(max(used - _EMPTY, 0))  # it is 0 until the worker begins


def _families(kind: str, totals: dict[str, float]) -> Iterable[Metric]:
    """The metrics of one kind; a bucket has in it what is in those before, and the last one makes the count."""
    families: dict[str, Metric] = {}
    below: defaultdict[tuple[str, ...], float] = defaultdict(float)
    for key, value in totals.items():
        family, name, labels, meaning, child = _series(key)
        metric = families.get(family) or families.setdefault(family, Metric(family, meaning, kind))
        if child is None:
            metric.add_sample(name, labels, value)
            continue
        below[child] += value
        metric.add_sample(name, labels, below[child])
        if labels["le"] == "+Inf":
            metric.add_sample(f"{family}_count", {k: v for k, v in labels.items() if k != "le"}, below[child])
    return families.values()


@cache
def _series(key: str) -> _Series:
    family, name, labels, meaning = json.loads(key)
    is_bucket = name == f"{family}_bucket"
    child = (family, *(f"{k}={v}" for k, v in labels.items() if k != "le")) if is_bucket else None
    return _Series(family, name, labels, meaning, child)
