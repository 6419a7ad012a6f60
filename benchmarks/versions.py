"""Versions of a model beside each other: requests a second of a service for each, which are loaded in turns."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import uvloop
from pydantic import Field
from pydantic_settings import CliPositionalArg

from artifact.command import Options
from artifact.errors import DataError
from artifact.repository import Repository
from artifact.tuning import TUNING_FILE
from benchmarks.client import Target, closed_loop
from benchmarks.serving import serving


class VersionsOptions(Options):
    """Load a service for each of two versions of a model by turns, and print the ratio of their rates.

    Example: hangtag bench versions closet --first 3 --second 4
    """

    model: CliPositionalArg[str] = Field(description="name of the model")
    first: str = Field(description="a version, such as one in float")
    second: str = Field(description="another version, such as the same in 8 bits")
    models: Path = Field(Path("models"), description="the model repository")
    images: Path | None = Field(None, description="a folder of images; without it the golden samples")
    clients: int = Field(32, ge=1, description="clients that wait for their answer before they ask again")
    rounds: int = Field(5, ge=1, description="how often the versions take turns")
    seconds: float = Field(3, gt=0, description="how long each turn lasts")


def run(arguments: Sequence[str]) -> int:
    """Measure, and print both rates and the ratio; 1 if not every request was answered."""
    options = VersionsOptions.parse("bench versions", arguments)
    versions = (options.first, options.second)
    with ExitStack() as stack:
        targets = {version: stack.enter_context(_served(options, version)) for version in versions}
        rates: dict[str, list[float]] = {version: [] for version in versions}
        for _ in range(options.rounds):
            for version, target in targets.items():
                seen = uvloop.run(closed_loop(target, options.clients, options.seconds))
                rates[version].append(seen.rate)
                if seen.others:
                    print(f"{options.model} {version}: not every request was answered: {dict(seen.others)}")
                    return 1
    for version in versions:
        each = ", ".join(f"{rate:.0f}" for rate in rates[version])
        print(f"{options.model} {version}: {median(rates[version]):.0f} requests/s ({each})")
    ratio = median(second / first for first, second in zip(*rates.values(), strict=True))
    print(f"{options.second} over {options.first}: {ratio:.2f} (median of the rounds)")
    return 0


@contextmanager
def _served(options: VersionsOptions, version: str) -> Iterator[Target]:
    """A service that has this version alone, and what to ask it."""
    artifact = Repository(options.models).open(options.model, version)
    images = [*artifact.golden.images]
    if options.images:
        images = [file.read_bytes() for file in sorted(options.images.rglob("*")) if file.is_file()]
    if not images:
        raise DataError(f"{options.images} holds no image; name a folder of images by --images.")
    with TemporaryDirectory() as folder:
        name = Path(options.model) / version
        shutil.copytree(options.models / name, Path(folder) / name, ignore=shutil.ignore_patterns(TUNING_FILE))
        with serving(Path(folder)) as service:
            yield Target.of(f"{service.url}/v1/models/{options.model}/classify", images)
