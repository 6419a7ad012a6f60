"""What HTTP, validation, queueing and threads add to decode and bare onnxruntime, for one client at a time."""

import http.client
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from urllib.parse import urlsplit

import numpy as np
import onnxruntime as ort
from pydantic import Field

from artifact.command import Options
from artifact.errors import HangtagError
from artifact.pixels import decode
from artifact.repository import Artifact, Repository

CLAIM_MS = 1.5


class OverheadOptions(Options):
    """Time single requests to a running service beside decode + session.run here, interleaved, with the golden photos.

    The service must keep no scores: start it with --cache-bytes 0.

    Example: hangtag bench overhead --model fashion-mnist --url http://127.0.0.1:8000
    """

    model: str = Field("fashion-mnist", description="the model to ask")
    url: str = Field("http://127.0.0.1:8000", description="where the service listens")
    models: Path = Field(Path("models"), description="the model repository, for the run in this process")
    rounds: int = Field(20, ge=1, description="how often the two take turns")
    requests: int = Field(200, ge=2, description="images in each turn")


def run(arguments: Sequence[str]) -> int:
    """Measure; returns 0 when the difference of the medians is within the claim, else 1."""
    options = OverheadOptions.parse("bench overhead", arguments)
    repository = Repository(options.models)
    artifact = repository.open(options.model, repository.versions(options.model)[-1])
    times = measure(artifact, options.url, artifact.golden.images, options.rounds, options.requests)
    for name, values in times.items():
        cuts = statistics.quantiles(values, n=100)
        print(f"{name:7} p50 {cuts[49] * 1e3:.3f} ms   p95 {cuts[94] * 1e3:.3f} ms   p99 {cuts[98] * 1e3:.3f} ms")
    base, whole = (statistics.median(values) * 1e3 for values in times.values())
    added = whole - base
    print(f"a request adds {added:.3f} ms at the median (claimed: at most {CLAIM_MS} ms), {whole / base:.2f} x bare")
    return 0 if added <= CLAIM_MS else 1


def measure(
    artifact: Artifact, url: str, images: Sequence[bytes], rounds: int, requests: int
) -> dict[str, list[float]]:
    """Seconds of each image, `bare` in this process and `served` by the service at a URL, which take turns."""
    ways = {"bare": _bare(artifact), "served": _served(url, artifact.card.name)}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for call in ways.values():
        _time(call, images, requests)
    for _ in range(rounds):
        for name, call in ways.items():
            times[name] += _time(call, images, requests)
    return times


def _time(call: Callable[[bytes], object], images: Sequence[bytes], count: int) -> list[float]:
    times = []
    for index in range(count):
        started = perf_counter()
        call(images[index % len(images)])
        times.append(perf_counter() - started)
    return times


def _bare(artifact: Artifact) -> Callable[[bytes], object]:
    """Decode and run in this thread: the least that an answer can cost."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(artifact.model, options, providers=["CPUExecutionProvider"])
    spec = artifact.card.input
    return lambda image: session.run(None, {"image": decode(image, spec)[np.newaxis]})


def _served(url: str, model: str) -> Callable[[bytes], object]:
    """Ask the service over one kept connection."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    path = f"/v1/models/{model}/classify"

    def ask(image: bytes) -> None:
        try:
            connection.request("POST", path, image, {"Content-Type": "application/octet-stream"})
            response = connection.getresponse()
            body = response.read()
        except OSError as error:
            raise HangtagError(f"{url} does not answer ({error}); is it running?") from error
        if response.getheader("Cache-Status", "").endswith("; hit"):
            raise HangtagError(f"{url} knew the answer from before; start it with --cache-bytes 0.")
        if response.status != http.client.OK:
            raise HangtagError(f"{url}{path} answered {response.status}: {body.decode(errors='replace')}")

    return ask
