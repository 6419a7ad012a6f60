"""`hangtag tune`: finds how a model runs best on this machine, and notes it beside the model."""

import asyncio
import os
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from time import perf_counter

import numpy as np
import uvloop
from pydantic import Field
from pydantic_settings import CliPositionalArg
from tqdm import tqdm

from artifact.command import Options
from artifact.device import CPU, Device, available_cpus
from artifact.errors import HangtagError
from artifact.pixels import DEFAULT_MAX_PIXELS
from artifact.repository import Artifact, Repository
from artifact.session import Session
from artifact.tuning import Machine, Measured, Tuning
from service.bounds import Load
from service.company import Company
from service.decoders import Decoders
from service.metrics import Metrics
from service.model_metrics import ModelMetrics
from service.runner import Job, Runner
from service.scheduler import Scheduler
from service.stages import Stages
from service.way import SWITCH_SECONDS

_BATCHES_CPU, _BATCHES_GPU = (1, 2, 4, 8, 16), (1, 4, 8, 16, 32, 64, 128)
_ROUNDS = 3  # in which the ways to run take turns, so that a busy moment hits all
_EQUAL = 0.97  # of the best rate: what is over it is as good, and the shortest tail decides
_UNBOUNDED = Load(2**30, 2**60, 2**60)


class TuneOptions(Options):
    """Measure ways to run a model here (batches at once, cores of each, images in each), and note the best beside it.

    `hangtag serve` takes what was noted on a machine of the same kind, unless an option says otherwise.

    Example: hangtag tune closet --seconds 60 --plot closet.png
    """

    model: CliPositionalArg[str] = Field(description="the model; its newest version is tuned")
    models: Path = Field(Path("models"), description="the model repository")
    device: Device = Field("auto", description="where the model runs; auto is cuda where onnxruntime has it, else cpu")
    seconds: float = Field(60, gt=0, description="time for all measurements together")
    plot: Path | None = Field(None, description="draw throughput over latency there, as a picture (.png or .svg)")


def run(arguments: Sequence[str]) -> int:
    """Measure, print all ways, and write the choice."""
    options = TuneOptions.parse("tune", arguments)
    repository = Repository(options.models)
    version = repository.versions(options.model)[-1]
    artifact = repository.open(options.model, version)
    machine = Machine.here(Session(artifact.model, artifact.card, device=options.device).provider)
    folder = options.models / options.model / version
    if not os.access(folder, os.W_OK):
        raise HangtagError(f"{folder} cannot be written to, so what is found could not be noted there.")
    sys.setswitchinterval(SWITCH_SECONDS)  # as it is in service
    measured = measure(artifact, options, machine)
    chosen = choose(measured)
    for each in measured:
        mark = "  <- chosen" if each is chosen else ""
        print(
            f"{each.runners} runners x {each.threads} threads, batches to {each.max_batch:3}: "
            f"{each.images_per_second:8.1f} images/s  p50 {each.p50_ms:.1f} ms  p99 {each.p99_ms:.1f} ms{mark}"
        )
    tuning = Tuning(machine=machine, created=datetime.now(UTC), chosen=chosen, measured=measured)
    print(f"{tuning.write(folder)}: for {machine.cores} cores of {machine.processor}")
    if options.plot:
        _draw(measured, chosen, options.plot)
    return 0


def measure(artifact: Artifact, options: TuneOptions, machine: Machine) -> list[Measured]:
    """How each way does, as the median of rounds in which they take turns."""
    ways = list(_ways(machine))
    slice_seconds = options.seconds / len(ways) / _ROUNDS
    rates: dict[tuple[int, int, int], list[tuple[float, float, float]]] = {way: [] for way in ways}
    for runners, threads, max_batch in tqdm(ways * _ROUNDS, desc=f"tuning {artifact.card.name}", unit="run"):
        session = Session(artifact.model, artifact.card, device=options.device, threads=threads, max_batch=max_batch)
        session.warm_up()
        seen = uvloop.run(_closed_loop(artifact, session, runners, max_batch, slice_seconds))
        rates[runners, threads, max_batch].append(seen)
    return [
        Measured(
            runners=runners,
            threads=threads,
            max_batch=max_batch,
            images_per_second=round(float(np.median([rate for rate, _, _ in seen])), 1),
            p50_ms=round(float(np.median([p50 for _, p50, _ in seen])), 3),
            p99_ms=round(float(np.median([p99 for _, _, p99 in seen])), 3),
        )
        for (runners, threads, max_batch), seen in rates.items()
    ]


def choose(measured: list[Measured]) -> Measured:
    """Of those that are as good as the fastest, the one with the shortest tail."""
    best = max(each.images_per_second for each in measured)
    return min((each for each in measured if each.images_per_second >= _EQUAL * best), key=lambda each: each.p99_ms)


def _ways(machine: Machine) -> Iterator[tuple[int, int, int]]:
    """Runners, threads and largest batch: on a CPU, the cores dealt out in each even way."""
    if machine.provider != CPU:
        yield from ((runners, 1, batch) for runners in (1, 2) for batch in _BATCHES_GPU)
        return
    for threads in range(1, machine.cores + 1):
        if machine.cores % threads == 0:
            yield from ((machine.cores // threads, threads, batch) for batch in _BATCHES_CPU)


async def _closed_loop(
    artifact: Artifact, session: Session, runners: int, max_batch: int, seconds: float
) -> tuple[float, float, float]:
    """Images a second, p50 and p99 in ms, with callers that keep every runner's batch full and one more waiting."""
    card = artifact.card
    metrics = ModelMetrics(Metrics("tune"), card.name, card.version)
    decoders = None if session.provider == CPU else Decoders(available_cpus())
    scheduler = Scheduler(
        Runner(session, card.input, DEFAULT_MAX_PIXELS, metrics, decoders).run,
        runners=runners,
        company=Company(max_batch, beside=max_batch, background=runners),
        limits=_UNBOUNDED,
        observer=metrics,
    )
    images, latencies = cycle(artifact.golden.images), list[float]()
    started = perf_counter()

    async def ask() -> None:
        while (asked := perf_counter()) < started + seconds:
            with scheduler.seat() as seat:
                await seat.run(Job(next(images), Stages()))
            latencies.append(perf_counter() - asked)

    await asyncio.gather(*(ask() for _ in range(2 * runners * max_batch)))
    rate = len(latencies) / (perf_counter() - started)
    await scheduler.close()
    if decoders:
        decoders.close()
    p50, p99 = np.percentile(latencies, (50, 99)) * 1e3
    return rate, float(p50), float(p99)


def _draw(measured: list[Measured], chosen: Measured, path: Path) -> None:
    from matplotlib.figure import Figure  # noqa: PLC0415 - half a second that only a picture needs

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for runners, threads in dict.fromkeys((each.runners, each.threads) for each in measured):
        line = [each for each in measured if (each.runners, each.threads) == (runners, threads)]
        tails, rates = [each.p99_ms for each in line], [each.images_per_second for each in line]
        axes.plot(tails, rates, marker="o", label=f"{runners} runners x {threads} threads")
        for each in line:
            axes.annotate(f" {each.max_batch}", (each.p99_ms, each.images_per_second))
    axes.plot(chosen.p99_ms, chosen.images_per_second, marker="o", markersize=14, fillstyle="none", color="black")
    axes.set(xlabel="p99, ms (numbers: images in a batch at most; ringed: chosen)", ylabel="images a second", ylim=0)
    axes.legend()
    figure.savefig(path)
