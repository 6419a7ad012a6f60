"""What several workers count, in files that all of them read: whichever is scraped speaks for all.

A worker that takes the place of a killed one goes on in its files. So nothing that was counted is lost or counted
twice, and there are no more files than there are workers: docs/decisions/0016-counts.md.
"""

import json
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from shutil import rmtree
from typing import NamedTuple

from prometheus_client import Metric, multiprocess, values
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # read by prometheus_client when it is imported, and when a file is opened

# No disk that can be full, which would kill who counts, or slow; and there where the root is read-only.
_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of a name that nobody knows is made in it

_USED_BYTES = 4  # at the beginning of a file: how many bytes of it are used


@contextmanager
def counts_in_files() -> Iterator[None]:
    """Give the workers a folder for what they count, for as long as there are workers."""
    place = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="hangtag-", dir=place) as folder:
        os.environ[_FOLDER] = folder
        try:
            yield
        finally:
            del os.environ[_FOLDER]


def shared_folder() -> Path | None:
    """The folder that all workers have for as long as there are workers; None where there is one process."""
    folder = os.environ.get(_FOLDER)
    return Path(folder) if folder else None


def count_as(number: int) -> None:
    """Called in a worker before anything is counted: go on from where the last one of this number was killed."""
    values.ValueClass = values.MultiProcessValue(lambda: number)  # type: ignore[no-untyped-call]


def forget_gauges(number: int) -> None:
    """Called when a worker is gone: what waited in it, or was ready, is so no more."""
    multiprocess.mark_process_dead(number)  # type: ignore[no-untyped-call]


def remove_files() -> None:
    """Called in a worker that was left alone, when it has ended: nobody else is there to do it."""
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
        data = path.read_bytes()
        used, places = self._places.get(path, (b"", []))
        if data[:_USED_BYTES] != used:
            found = MmapedDict.read_all_values_from_file(path)  # type: ignore[no-untyped-call]
            places = [(key, position // 8) for key, _, _, position in found]
            self._places[path] = data[:_USED_BYTES], places
            data = path.read_bytes()  # it may have grown meanwhile
        doubles = memoryview(data).cast("d")
        return ((key, doubles[place]) for key, place in places)


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
