"""What a scrape costs: how long it takes when every model has answered, and how long it holds up who asks meanwhile."""

import http.client
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from time import perf_counter
from urllib.parse import urlsplit

import numpy as np
import uvloop
from pydantic import Field

from artifact.command import Options
from artifact.errors import HangtagError
from artifact.repository import Repository
from benchmarks.client import Seen, Target, closed_loop
from benchmarks.serving import Served, serving

CLAIM_MS = 20

_TOUCHING_CLIENTS, _TOUCHING_SECONDS = 8, 0.5
_PERCENTILES = (50, 99)


class ScrapeOptions(Options):
    """Scrape a service of all models, with one worker and with two, at rest and while a client asks; print times.

    Example: hangtag bench scrape --scrapes 200
    """

    models: Path = Field(Path("models"), description="the model repository")
    scrapes: int = Field(200, ge=2, description="how many at rest")
    seconds: float = Field(5, gt=0, description="how long a client asks, once without scrapes and once with them")


def run(arguments: Sequence[str]) -> int:
    """Measure; returns 0 when the median scrape takes no longer than is claimed with any number of workers, else 1."""
    options = ScrapeOptions.parse("bench scrape", arguments)
    targets = _targets(options.models)
    are_as_claimed = [_is_as_claimed(options, targets, workers) for workers in (1, 2)]
    return 0 if all(are_as_claimed) else 1


def _targets(models: Path) -> dict[str, list[bytes]]:
    """The path of each model, and photos for it."""
    repository = Repository(models)
    newest = ((name, repository.versions(name)[-1]) for name in repository.names())
    return {f"/v1/models/{name}/classify": [*repository.open(name, version).golden.images] for name, version in newest}


def _is_as_claimed(options: ScrapeOptions, targets: dict[str, list[bytes]], workers: int) -> bool:
    with serving(options.models, ["--workers", str(workers)]) as service:
        asked = [Target.of(service.url + path, images) for path, images in targets.items()]
        for target in asked:
            _ask(target, _TOUCHING_CLIENTS, _TOUCHING_SECONDS)
        times, size = _scraped(service, options.scrapes)
        alone = _ask(asked[0], 1, options.seconds)
        ended = Event()
        with ThreadPoolExecutor(1) as scraper:
            busy = scraper.submit(_scraped_until, service, ended)
            try:
                beside = _ask(asked[0], 1, options.seconds)
            finally:
                ended.set()
    print(f"{workers} workers, {len(targets)} models: {size} bytes in {_shown(times)} (claimed: p50 {CLAIM_MS})")
    print(f"  one scrape after the other while a client asks: {_shown(busy.result())}")
    print(f"  the client's requests: {_shown(alone.latencies)}, and beside that {_shown(beside.latencies)}")
    return float(np.median(times)) * 1e3 <= CLAIM_MS


def _ask(target: Target, clients: int, seconds: float) -> Seen:
    """Raises HangtagError if something was not answered."""
    seen = uvloop.run(closed_loop(target, clients, seconds))
    if seen.others:
        raise HangtagError(f"Not every request was answered with 200: {dict(seen.others)}.")
    return seen


def _scraped(service: Served, scrapes: int) -> tuple[list[float], int]:
    """Seconds of each scrape, and the bytes of the last one."""
    connection = http.client.HTTPConnection(urlsplit(service.url).netloc)
    times, body = [], b""
    for _ in range(scrapes):
        started = perf_counter()
        connection.request("GET", "/metrics")
        body = connection.getresponse().read()
        times.append(perf_counter() - started)
    connection.close()
    return times, len(body)


def _scraped_until(service: Served, ended: Event) -> list[float]:
    times: list[float] = []
    while not ended.is_set():
        times += _scraped(service, 1)[0]
    return times


def _shown(seconds: list[float]) -> str:
    p50, p99 = np.percentile(seconds, _PERCENTILES) * 1e3
    return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms"
