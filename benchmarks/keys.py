"""What the check of a key costs a request, and its rate, beside what the library `limits` has for rates."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter, SlidingWindowCounterRateLimiter
from pydantic import Field
from starlette.types import Receive, Scope, Send

from artifact.command import Options
from service.access import Access
from service.gate import Gate
from service.keys.file import KeysFile
from service.keys.key import make
from service.metrics import Metrics
from service.rates import Bucket
from service.settings import Settings

CLAIM_US = 20  # of a core: the gate, for a key with a rate that workers share

_RATE = "1000000000/second"  # never reached
_WHOLE = "gate: a key with a rate, for all workers"
_PATH = "/v1/models/closet/classify"


class KeysOptions(Options):
    """Time the gate in this process, with keys and without, by turns; and buckets beside the windows of `limits`.

    Example: hangtag bench keys
    """

    rounds: int = Field(20, ge=1, description="how often all take turns")
    calls: int = Field(5000, ge=10, description="calls in each turn")


def run(arguments: Sequence[str]) -> int:
    """Measure; returns 0 when the gate costs no more than is claimed, else 1."""
    options = KeysOptions.parse("bench keys", arguments)
    with TemporaryDirectory() as folder:
        costs = asyncio.run(_measure(options, Path(folder)))
    for name, cost in costs.items():
        print(f"{cost:7.2f} us  {name}")
    print(f"claimed: at most {CLAIM_US} us for {_WHOLE!r}")
    return 0 if costs[_WHOLE] <= CLAIM_US else 1


async def _measure(options: KeysOptions, folder: Path) -> dict[str, float]:
    """Microseconds of a core for each, without what it takes to call them."""
    gates, others = dict(_gates(folder)), dict(_others(parse(_RATE), folder))
    times: dict[str, list[float]] = {name: [] for name in (*gates, *others)}
    for _ in range(options.rounds):
        nothing = await _time_app(_nothing, [], options.calls)
        for name, (gate, headers) in gates.items():
            times[name].append(await _time_app(gate, headers, options.calls) - nothing)
        for name, call in others.items():
            times[name].append(_time(call, options.calls))
    return {name: median(each) * 1e6 for name, each in times.items()}


def _gates(folder: Path) -> Iterator[tuple[str, tuple[Gate, list[tuple[bytes, bytes]]]]]:
    """Gates of services with keys and without, and what a request brings to each."""
    file = folder / "keys.json"
    (plain, plain_text), (limited, limited_text) = make("plain", ("classify",)), make("limited", ("classify",), _RATE)
    KeysFile(keys=(plain, limited)).write(file)

    def gate(keys: Path | None, shared: Path | None, text: str = "") -> tuple[Gate, list[tuple[bytes, bytes]]]:
        headers = [(name, b"x") for name in (b"host", b"user-agent", b"content-type", b"content-length")]
        access = Access(Settings(keys=keys), Metrics("0"), shared)
        return Gate(_nothing, access, [_PATH]), [*headers, (b"authorization", f"Bearer {text}".encode())]

    yield "gate: a service without keys", gate(None, None)
    yield "gate: a key", gate(file, None, plain_text)
    yield "gate: a key with a rate, for one process", gate(file, None, limited_text)
    yield _WHOLE, gate(file, folder, limited_text)


def _others(rate: RateLimitItem, folder: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    """Ways to take one image out of a rate, and to say what is left of it."""
    storage = MemoryStorage()
    for where, file in (("one process", None), ("all workers", folder / "bucket")):
        bucket = Bucket(rate, file)
        yield f"our bucket, for {where}: take", bucket.take
        yield f"our bucket, for {where}: what is left", bucket.state
    for kind in (FixedWindowRateLimiter, SlidingWindowCounterRateLimiter):
        limiter = kind(storage)
        yield f"limits, {kind.__name__}: take", partial(limiter.hit, rate, "shop")
        yield f"limits, {kind.__name__}: what is left", partial(limiter.get_window_stats, rate, "shop")


async def _nothing(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """An app that does nothing."""


async def _time_app(app: Any, headers: list[tuple[bytes, bytes]], calls: int) -> float:
    scopes = [{"type": "http", "path": _PATH, "headers": headers, "state": {}} for _ in range(calls)]
    started = perf_counter()
    for scope in scopes:
        await app(scope, None, None)
    return (perf_counter() - started) / calls


def _time(call: Callable[[], object], calls: int) -> float:
    started = perf_counter()
    for _ in range(calls):
        call()
    return (perf_counter() - started) / calls
