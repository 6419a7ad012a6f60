"""Far more clients than there are places: what is answered, how soon others are refused, and how soon it is over."""

import resource
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from math import inf, nan
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from pydantic import Field

from artifact.command import Options
from artifact.repository import Repository
from benchmarks.client import Target
from benchmarks.finding import Finding, report
from benchmarks.flood import Answer, Answers, ComesBack, Flood, answers_to
from benchmarks.serving import Served, serving

LEAST_GOODPUT, MOST_REFUSAL_MS, MOST_RECOVERY_SECONDS, MOST_MEMORY = 0.9, 50, 2, 1.05
RECOVERED = 0.95  # of the peak

_CROWD = 1000
_ASIDE = 20  # clients
_START_SECONDS = 3.0  # until the processes of the clients are there
_WARM_SECONDS = 2.0  # in which the few are not measured yet
_JOINING_SECONDS = 2.0
_SAMPLE_SECONDS = 0.25
_STEP_SECONDS = 0.1  # between the seconds of which one is to be as good as the peak
_MIB = 2**20
_NOT_URGENT = "Priority: u=7\r\n"  # a quarter of the places is not for such requests


class OverloadOptions(Options):
    """Measure the peak with a few clients, then let a thousand come, and then the few again; print what each got.

    The thousand come within two seconds. First those who are refused wait as they are told, as our Python client does;
    then they come back at once. A few more, in a process of their own, wait as they are told, and are so little urgent
    that they find no place: what they wait for is the service, not a thousand clients that share a process.

    Example: hangtag bench overload --model closet --seconds 60
    """

    model: str = Field("closet,fashion-mnist", description="names of the models, each of which is asked for itself")
    models: Path = Field(Path("models"), description="the model repository")
    clients: int = Field(_CROWD, ge=1, description="clients of the flood")
    few: int = Field(32, ge=1, description="clients that bring the service to its peak")
    seconds: float = Field(60, gt=0, description="how long the flood lasts")
    peak_seconds: float = Field(8, gt=0, description="how long the few ask, before and after")


@dataclass(frozen=True)
class Times:
    """When the parts of one measurement begin, in seconds of the monotonic clock."""

    start: float
    few: float
    flood: float
    few_again: float
    end: float

    @classmethod
    def of(cls, options: OverloadOptions) -> "Times":
        """From soon on."""
        start = time.monotonic() + _START_SECONDS
        few = start + _WARM_SECONDS
        flood = few + options.peak_seconds
        again = flood + options.seconds
        return cls(start, few, flood, again, again + MOST_RECOVERY_SECONDS + options.peak_seconds)


@dataclass(frozen=True)
class Found:
    """What came of the requests of each, and memory, in bytes by moment."""

    times: Times
    few: Answers
    flood: Answers
    few_again: Answers
    aside: Answers
    memory: Sequence[tuple[float, int]]

    @property
    def peak(self) -> float:
        """Good answers a second to the few, before and after."""
        times = self.times
        again = _rate(self.few_again.good, times.few_again + MOST_RECOVERY_SECONDS, times.end)
        return (_rate(self.few.good, times.few, times.flood) + again) / 2

    @property
    def goodput(self) -> float:
        """Good answers a second during the flood."""
        return _rate([*self.flood.good, *self.aside.good], self.times.flood, self.times.few_again)

    @property
    def recovery(self) -> float:
        """Seconds from the flood's end until a second begins that is as good as the peak; infinity if none does."""
        good, enough = [*self.flood.good, *self.few_again.good], RECOVERED * self.peak
        begins = np.arange(self.times.few_again, self.times.end - 1, _STEP_SECONDS)
        first = next((begin for begin in begins if _rate(good, begin, begin + 1) >= enough), inf)
        return float(first) - self.times.few_again


def _rate(answers: Sequence[Answer], begin: float, end: float) -> float:
    return sum(begin <= answer.moment < end for answer in answers) / (end - begin)


def run(arguments: Sequence[str]) -> int:
    """Measure; returns 0 when all is as claimed, else 1."""
    options = OverloadOptions.parse("bench overload", arguments)
    _allow_connections()
    repository = Repository(options.models)
    codes = []
    for name in options.model.split(","):
        images = [*repository.open(name, repository.versions(name)[-1]).golden.images]
        for comes_back in ("told", "at once"):
            with serving(options.models, ["--log-level", "error"]) as service:
                url = f"{service.url}/v1/models/{name}/classify"
                found = _measure(options, service, url, images, comes_back)
            print(f"{name}, {options.clients} clients for {options.seconds:g} s that come back {comes_back}:")
            _show(found, options.seconds)
            codes.append(report([*_findings(found)]))
    return max(codes)


def _allow_connections() -> None:
    """Let this process, and those that it starts, open as many files as the system lets them, not its usual 1024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _measure(options: OverloadOptions, service: Served, url: str, images: list[bytes], comes_back: ComesBack) -> Found:
    target, without_haste = Target.of(url, images), Target.of(url, images, _NOT_URGENT)
    times, memory = Times.of(options), list[tuple[float, int]]()
    floods = (
        Flood(target, options.few, times.start, times.flood),
        Flood(target, options.clients, times.flood, times.few_again, comes_back, _JOINING_SECONDS),
        Flood(target, options.few, times.few_again, times.end),
        Flood(without_haste, _ASIDE, times.flood + _JOINING_SECONDS, times.few_again),
    )
    with ProcessPoolExecutor(len(floods), get_context("spawn")) as pool:
        running = [pool.submit(answers_to, flood) for flood in floods]
        while not all(each.done() for each in running):
            memory.append((time.monotonic(), service.resident_bytes()))
            time.sleep(_SAMPLE_SECONDS)
    few, flood, few_again, aside = (each.result() for each in running)
    return Found(times, few, flood, few_again, aside, memory)


def _findings(found: Found) -> Iterator[Finding]:
    """What is claimed."""
    ratio = found.goodput / found.peak
    yield Finding(ratio >= LEAST_GOODPUT, f"goodput {ratio:.2f} of the peak (claimed: {LEAST_GOODPUT})")
    p99 = _milliseconds(found.aside.refused, 99)
    yield Finding(p99 < MOST_REFUSAL_MS, f"p99 of a refusal {p99:.1f} ms (claimed: under {MOST_REFUSAL_MS})")
    yield Finding(
        found.recovery <= MOST_RECOVERY_SECONDS,
        f"at the peak again {found.recovery:.1f} s after the flood (claimed: at most {MOST_RECOVERY_SECONDS})",
    )
    others = found.flood.others + found.aside.others + found.few.others + found.few_again.others
    yield Finding(not others.total(), f"{others.total()} other answers, or none (claimed: 0) {dict(others) or ''}")
    times = found.times
    middle = (times.flood + times.few_again) / 2
    before, early, late, after = (
        max(size for moment, size in found.memory if begin <= moment <= end) / _MIB
        for begin, end in pairwise((0, times.flood, middle, times.few_again, inf))
    )
    yield Finding(
        late <= MOST_MEMORY * early,
        f"memory {before:.0f} MiB before, {early:.0f} and {late:.0f} in the halves of the flood, {after:.0f} after "
        f"(claimed: not over {MOST_MEMORY} times as much in the later half)",
    )


def _show(found: Found, seconds: float) -> None:
    """Print what there is to know beside what is claimed."""
    aside, flood = found.aside, found.flood
    print(f"  peak {found.peak:.0f}/s, goodput {found.goodput:.0f}/s, refusals {len(flood.refused) / seconds:.0f}/s")
    for who, answers in (("those beside the flood", aside), ("the flood's own clients", flood)):
        for what, each in (("refused", answers.refused), ("answered", answers.good)):
            p50, p99 = _milliseconds(each, 50), _milliseconds(each, 99)
            print(f"  {who}, {what}: {len(each)}, p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    print(f"  the flood's clients took {flood.cpu_seconds / seconds:.2f} of a core")


def _milliseconds(answers: Sequence[Answer], percentile: float) -> float:
    return float(np.percentile([answer.seconds for answer in answers], percentile)) * 1e3 if answers else nan
