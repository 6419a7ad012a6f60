"""What it costs to refuse: requests that find the only place taken, whose bodies are not read."""

import http.client
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter
from urllib.parse import urlsplit

from pydantic import Field

from artifact.command import Options
from artifact.errors import HangtagError
from benchmarks.serving import Served, serving

CLAIM_MS = 0.3

_BODY_BYTES = 30_000
_LET_IN = b"HTTP/1.1 100 Continue\r\n"


class RefusalOptions(Options):
    """Send requests to a service whose only place is taken, and print what each costs it.

    Example: hangtag bench refusal --model closet
    """

    model: str = Field("closet", description="name of the model")
    models: Path = Field(Path("models"), description="the model repository")
    requests: int = Field(4000, ge=10, description="how many are refused")


def run(arguments: Sequence[str]) -> int:
    """Measure; returns 0 when a refusal costs the service no more of a core than is claimed, else 1."""
    options = RefusalOptions.parse("bench refusal", arguments)
    path = f"/v1/models/{options.model}/classify"
    with (
        serving(options.models, ["--max-items", "1", "--body-timeout-seconds", "3600"]) as service,
        _taken_place(service, path),
    ):
        before, times = service.cpu_seconds(), _refused(service, path, options.requests)
        cost = (service.cpu_seconds() - before) / options.requests * 1e3
    print(f"{options.requests} refusals: p50 {median(times) * 1e3:.3f} ms, as the client sees it")
    print(f"each costs the service {cost:.3f} ms of a core (claimed: at most {CLAIM_MS} ms)")
    return 0 if cost <= CLAIM_MS else 1


@contextmanager
def _taken_place(service: Served, path: str) -> Iterator[None]:
    """Hold the only place by a request whose body never comes."""
    address = urlsplit(service.url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {_BODY_BYTES}\r\nExpect: 100-continue\r\n\r\n"
        connection.sendall(head.encode())
        if not connection.recv(len(_LET_IN)).startswith(_LET_IN):
            raise HangtagError(f"{path} let nobody in; is there such a model?")
        yield


def _refused(service: Served, path: str, count: int) -> list[float]:
    """Seconds until each answer, over one kept connection."""
    connection = http.client.HTTPConnection(urlsplit(service.url).netloc)
    times, image = [], bytes(_BODY_BYTES)
    for _ in range(count):
        started = perf_counter()
        connection.request("POST", path, image, {"Content-Type": "image/jpeg"})
        response = connection.getresponse()
        response.read()
        times.append(perf_counter() - started)
        if response.status != http.client.TOO_MANY_REQUESTS:
            raise HangtagError(f"{path} answered {response.status}, where all places were taken.")
    return times
