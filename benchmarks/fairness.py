"""What a shop has of a catalogue that is classified beside it: how long single photos take while batches want all."""

import http.client
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from math import nan
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Literal
from urllib.parse import urlsplit

import numpy as np
import uvloop
from prometheus_client.parser import text_string_to_metric_families
from pydantic import Field

from artifact.command import Options
from artifact.repository import Repository
from benchmarks.client import Seen, Target, closed_loop, open_loop
from benchmarks.finding import Finding, report
from benchmarks.flood import Flood, answers_to
from benchmarks.serving import serving

MOST_P99 = 2.0  # times that of single photos alone

Way = Literal["alone", "beside batches", "Priority ignored", "batches alone"]
_AS_URGENT = "Priority: u=3\r\n"  # as single photos
WAYS: dict[Way, str | None] = {  # the headers of the batches; none are sent where it is None
    "alone": None,
    "beside batches": "",  # which the service takes for less urgent
    "Priority ignored": _AS_URGENT,
    "batches alone": _AS_URGENT,  # less urgent ones would be run one by one for a while after single photos came
}

_WARM_SECONDS, _MORE_SECONDS = 1.0, 0.5  # for which batches come before single photos do, and after them
_BOUNDARY = "boundary"


class FairnessOptions(Options):
    """Send single photos at a fifth of the peak, alone and beside clients that send batch after batch.

    Four ways take turns: single photos alone, beside batches, beside batches with the same `Priority`, and batches
    alone. Batches come from a process of their own, single photos at moments of chance (an open loop).

    Example: hangtag bench fairness --model closet --rounds 9
    """

    model: str = Field("closet,fashion-mnist", description="names of the models, each of which is asked for itself")
    models: Path = Field(Path("models"), description="the model repository")
    share: float = Field(0.2, gt=0, lt=1, description="single photos a second, as a share of the peak")
    clients: int = Field(4, ge=1, description="clients that send batches")
    photos: int = Field(64, ge=1, description="photos in a batch")
    rounds: int = Field(7, ge=1, description="how often the four ways take turns")
    seconds: float = Field(5, gt=0, description="how long each turn lasts")
    peak_seconds: float = Field(4, gt=0, description="how long the peak is measured, with 32 clients")


@dataclass(frozen=True)
class Turn:
    """What came of the single photos, and how many photos were answered a second, these and those of batches."""

    singles: Seen
    photos: float

    @property
    def batched(self) -> float:
        """Photos of batches that were answered a second."""
        return self.photos - (self.singles.rate if self.singles.latencies else 0)

    def milliseconds(self, percentile: float) -> float:
        """How long so many of the single photos took at most."""
        latencies = self.singles.latencies
        return float(np.percentile(latencies, percentile)) * 1e3 if latencies else nan


Round = dict[Way, Turn]


def run(arguments: Sequence[str]) -> int:
    """Measure; returns 0 when all is as claimed, else 1."""
    options = FairnessOptions.parse("bench fairness", arguments)
    repository = Repository(options.models)
    codes = []
    for name in options.model.split(","):
        images = [*repository.open(name, repository.versions(name)[-1]).golden.images]
        quiet = ["--log-level", "error"]
        with serving(options.models, quiet) as service, ProcessPoolExecutor(1, get_context("spawn")) as aside:
            pair = _Pair(options, service.url, name, images, aside)
            pair.turn("beside batches")  # which does not count: processes begin, and memory is taken
            rounds = [{way: pair.turn(way) for way in WAYS} for _ in range(options.rounds)]
        print(f"{name}, {pair.rate:.0f} single photos a second, {options.clients} clients with batches:")
        _show(rounds)
        codes.append(report([*_findings(rounds)]))
    return max(codes)


class _Pair:
    """Who sends single photos, at `rate` a second, and who sends batches."""

    def __init__(self, options: FairnessOptions, url: str, model: str, images: list[bytes], aside: Executor) -> None:
        self._options = options
        self._url = url
        self._path = f"{url}/v1/models/{model}/classify"
        self._singles = Target.of(self._path, images)
        self._batch = _form([*islice(cycle(images), options.photos)])
        self._aside = aside
        self.rate = options.share * uvloop.run(closed_loop(self._singles, 32, options.peak_seconds)).rate

    def turn(self, way: Way) -> Turn:
        """Ask in one of the ways."""
        seen, seconds = Seen(), self._options.seconds
        with self._batches(WAYS[way]):
            answered, started = _answered(self._url), time.monotonic()
            if way == "batches alone":
                time.sleep(seconds)
            else:
                seen = uvloop.run(open_loop(self._singles, self.rate, seconds))
            answered, seconds = _answered(self._url) - answered, time.monotonic() - started
        return Turn(seen, answered / seconds)

    @contextmanager
    def _batches(self, headers: str | None) -> Iterator[None]:
        """Let batches come meanwhile."""
        if headers is None:
            yield
            return
        target = Target.of(f"{self._path}-batch", [self._batch], headers, f"multipart/form-data; boundary={_BOUNDARY}")
        start = time.monotonic()
        end = start + _WARM_SECONDS + self._options.seconds + _MORE_SECONDS
        flood = Flood(target, self._options.clients, start, end)
        flowing = self._aside.submit(answers_to, flood)
        time.sleep(_WARM_SECONDS)
        yield
        flowing.result()


def _form(images: Sequence[bytes]) -> bytes:
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="images"; filename="{{}}"\r\n\r\n'
    parts = (f"{head.format(number)}".encode() + image + b"\r\n" for number, image in enumerate(images))
    return b"".join(parts) + f"--{_BOUNDARY}--\r\n".encode()


def _answered(url: str) -> float:
    """How many photos the service has answered."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    connection.request("GET", "/metrics")
    families = text_string_to_metric_families(connection.getresponse().read().decode())
    connection.close()
    samples = (sample for family in families for sample in family.samples if sample.name == "hangtag_items_total")
    return sum(sample.value for sample in samples if sample.labels["outcome"] == "ok")


def _show(rounds: Sequence[Round]) -> None:
    """Print the medians of the rounds."""
    for way in WAYS:
        turns = [each[way] for each in rounds]
        p50, p99 = (median(turn.milliseconds(percentile) for turn in turns) for percentile in (50, 99))
        singles = "" if way == "batches alone" else f"p50 {p50:6.1f} ms, p99 {p99:6.1f} ms"
        batched = "" if way == "alone" else f"{median(turn.batched for turn in turns):6.0f} photos/s of batches"
        print(f"  {way:16}  {singles:28}  {batched}".rstrip())
    p50 = _ratio(rounds, "beside batches", 50)
    taken = median(each["beside batches"].photos / each["batches alone"].photos for each in rounds)
    print(
        f"  p50 beside batches {p50:.2f} times that alone; {taken:.2f} of the photos/s that batches alone get, in all"
    )


def _findings(rounds: Sequence[Round]) -> Iterator[Finding]:
    """What is claimed; ratios are of turns of one round, since the machine is not always as fast."""
    beside, ignored = (_ratio(rounds, way, 99) for way in ("beside batches", "Priority ignored"))
    yield Finding(
        beside <= MOST_P99, f"p99 beside batches {beside:.2f} times that alone (claimed: at most {MOST_P99:g})"
    )
    yield Finding(ignored > MOST_P99, f"p99 with Priority ignored {ignored:.2f} times (claimed: over {MOST_P99:g})")
    others = sum(each[way].singles.others.total() for each in rounds for way in ("alone", "beside batches"))
    yield Finding(not others, f"{others} single photos not answered, with Priority (claimed: 0)")


def _ratio(rounds: Sequence[Round], way: Way, percentile: float) -> float:
    """How many times as long single photos take as alone."""
    return median(each[way].milliseconds(percentile) / each["alone"].milliseconds(percentile) for each in rounds)
