"""What a second worker on a second core is worth: a service on one core and one on two, which are loaded in turns."""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import uvloop
from pydantic import Field

from artifact.command import Options
from artifact.repository import Repository
from benchmarks.client import Target, closed_loop
from benchmarks.serving import serving


class WorkersOptions(Options):
    """Load one worker on one core, one worker on two, and two workers on two by turns, and print rates and ratios.

    Example: hangtag bench workers --model fashion-mnist
    """

    model: str = Field("fashion-mnist", description="name of the model")
    models: Path = Field(Path("models"), description="the model repository")
    clients: int = Field(32, ge=1, description="clients that wait for their answer before they ask again")
    rounds: int = Field(5, ge=1, description="how often the services take turns")
    seconds: float = Field(3, gt=0, description="how long each turn lasts")


def run(arguments: Sequence[str]) -> int:
    """Measure, and print; 1 if not every request was answered."""
    options = WorkersOptions.parse("bench workers", arguments)
    repository = Repository(options.models)
    golden = repository.open(options.model, repository.versions(options.model)[-1]).golden.images
    two = set(sorted(os.sched_getaffinity(0))[:2])
    ways = {"1 worker, 1 core": (1, {min(two)}), "1 worker, 2 cores": (1, two), "2 workers, 2 cores": (2, two)}
    rates: dict[str, list[float]] = {name: [] for name in ways}
    with ExitStack() as stack:
        targets = {}
        for name, (workers, cores) in ways.items():
            service = stack.enter_context(serving(options.models, ["--workers", str(workers)], cores))
            targets[name] = Target.of(f"{service.url}/v1/models/{options.model}/classify", [*golden])
        for _ in range(options.rounds):
            for name, target in targets.items():
                seen = uvloop.run(closed_loop(target, options.clients, options.seconds))
                rates[name].append(seen.rate)
                if seen.others:
                    print(f"{name}: not every request was answered: {dict(seen.others)}")
                    return 1
    alone = rates["1 worker, 1 core"]
    for name, each in rates.items():
        ratio = median(rate / base for rate, base in zip(each, alone, strict=True))
        print(f"{name:18} {median(each):6.0f} requests/s, {ratio:.2f} times one worker on one core")
    return 0
