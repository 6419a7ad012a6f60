"""`hangtag bench URL`: how fast a service answers, under clients that wait or under arrivals that do not."""

import json
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import uvloop
from pydantic import Field
from pydantic_settings import CliPositionalArg

from artifact.command import ApiKey, Options
from artifact.errors import DataError
from benchmarks.client import Seen, Target, closed_loop, open_loop

_PERCENTILES = (50, 90, 95, 99, 99.9)
_HALVINGS = 6  # of the span in which the highest rate is looked for


class LoadOptions(Options):
    """Load a route that classifies one image, and print rates and latencies.

    With `--clients`, that many wait for their answer before they ask again. With `--rate`, requests come at that rate
    whatever became of those before, and latency counts from when each was due. With `--p99-ms`, the highest such rate
    is looked for at which 99 % are answered within that time and none fails. A service that keeps scores knows images
    that come again; to measure its model, start it with --cache-bytes 0.

    Example: hangtag bench http://127.0.0.1:8000/v1/models/closet/classify --images photos --clients 32
    """

    url: CliPositionalArg[str] = Field(description="the route, for instance /v1/models/closet/classify, with its host")
    images: Path = Field(Path("docs/boot.png"), description="an image, or a folder of images, which take turns")
    clients: int = Field(32, ge=1, le=1024, description="clients of the closed loop")
    rate: float | None = Field(None, gt=0, description="requests a second, as an open loop")
    p99_ms: float | None = Field(None, gt=0, description="look for the highest rate of an open loop within this bound")
    api_key: ApiKey | None = Field(
        None, repr=False, description="a key of the service; as HANGTAG_API_KEY it stays out of the list of processes"
    )
    seconds: float = Field(5, gt=0, description="how long each measurement lasts")
    json_file: Path | None = Field(None, description="write the figures there, too")
    plot: Path | None = Field(None, description="draw the latencies there, as a picture (.png or .svg)")


@dataclass(frozen=True)
class Measurement:
    """One load, and what came of it."""

    load: str
    seen: Seen

    def figures(self) -> dict[str, Any]:
        """Requests a second, latencies in ms by percentile, and what was not answered with 200."""
        latencies = self.seen.latencies
        shown = np.percentile(latencies, _PERCENTILES) * 1e3 if latencies else [None] * len(_PERCENTILES)
        return {
            "load": self.load,
            "good": len(latencies),
            "good_from_cache": self.seen.cached,
            "good_per_second": round(self.seen.rate, 1),
            "latency_ms": {
                f"p{name:g}": value and round(float(value), 3) for name, value in zip(_PERCENTILES, shown, strict=True)
            },
            "others_by_status": dict(self.seen.others),
        }

    def is_within(self, p99_ms: float) -> bool:
        """Whether every request was answered, and 99 % in time."""
        figures = self.figures()
        return not self.seen.others and bool(figures["good"]) and figures["latency_ms"]["p99"] <= p99_ms

    def __str__(self) -> str:
        figures = self.figures()
        latencies = "  ".join(f"{name} {value} ms" for name, value in figures["latency_ms"].items())
        others = "".join(f"  {status or 'lost'}: {count}" for status, count in figures["others_by_status"].items())
        cached = f"  from its cache: {self.seen.cached}" if self.seen.cached else ""
        return f"{self.load:>18}: {figures['good_per_second']:8.1f}/s  {latencies}{cached}{others}"


def run(arguments: Sequence[str]) -> int:
    """Measure; returns 0 where every request was answered with 200, else 1."""
    options = LoadOptions.parse("bench", arguments)
    key = f"Authorization: Bearer {options.api_key.get_secret_value()}\r\n" if options.api_key else ""
    target = Target.of(options.url, _images(options.images), key)
    measured = uvloop.run(_measure(options, target))
    if options.json_file:
        options.json_file.write_text(json.dumps([each.figures() for each in measured], indent=2) + "\n")
    if options.plot:
        _draw(measured, options.plot)
    return 1 if any(each.seen.others for each in measured) else 0


def _images(path: Path) -> list[bytes]:
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    try:
        images = [file.read_bytes() for file in files]
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read ({error.strerror}); name an image or a folder.") from error
    if not images:
        raise DataError(f"{path} holds no image; name an image or a folder of images by --images.")
    return images


async def _measure(options: LoadOptions, target: Target) -> list[Measurement]:
    if options.p99_ms is not None:
        return await _search(options, target, options.p99_ms)
    if options.rate is not None:
        return [await _show(f"{options.rate:g}/s", open_loop(target, options.rate, options.seconds))]
    return [await _show(f"{options.clients} clients", closed_loop(target, options.clients, options.seconds))]


async def _show(load: str, measuring: Coroutine[Any, Any, Seen]) -> Measurement:
    measurement = Measurement(load, await measuring)
    print(measurement, flush=True)
    return measurement


async def _search(options: LoadOptions, target: Target, p99_ms: float) -> list[Measurement]:
    """Halve the span between nothing and what a closed loop gets; all that was measured, the rate found last."""
    closed = await _show(f"{options.clients} clients", closed_loop(target, options.clients, options.seconds))
    low, high = 0.0, closed.seen.rate
    measured, found = [closed], None
    for _ in range(_HALVINGS):
        rate = (low + high) / 2
        tried = await _show(f"{rate:.1f}/s", open_loop(target, rate, options.seconds))
        measured.append(tried)
        if tried.is_within(p99_ms):
            low, found = rate, tried
        else:
            high = rate
    print(f"within {p99_ms:g} ms for 99 %: {low:.1f}/s" if found else f"no rate is within {p99_ms:g} ms for 99 %")
    return [*measured, found] if found else measured


def _draw(measured: list[Measurement], path: Path) -> None:
    """Each measurement's latencies by percentile, on axes that show the tail."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - half a second that only a picture needs

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    shares = np.linspace(0, 0.999, 500)
    for each in measured:
        if each.seen.latencies:
            axes.plot(
                1 / (1 - shares),
                np.quantile(each.seen.latencies, shares) * 1e3,
                label=f"{each.load}, {each.seen.rate:.0f}/s",
            )
    axes.set(xscale="log", yscale="log", xlabel="percentile", ylabel="ms until the answer")
    axes.set_xticks([1, 2, 10, 100, 1000], ["0", "50", "90", "99", "99.9"])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path)
