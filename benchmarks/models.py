"""Every model version beside the others: size, time for an image on one core, and accuracy, float and INT8."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic_settings import CliPositionalArg

from artifact.command import Options
from artifact.repository import Artifact, Repository
from artifact.session import Session
from artifact.table import table

BATCHES = (1, 16)
_HEAD = ("model", "version", "precision", "MB", "parameters", *(f"ms at {batch}" for batch in BATCHES), "test accuracy")


class ModelsOptions(Options):
    """Time every version of every model on one core, interleaved, and show it beside its size and accuracy.

    Example: hangtag bench models fashion-mnist top-bottom/2
    """

    names: CliPositionalArg[list[str]] = Field([], description="models, or versions such as `closet/2`; else all")
    models: Path = Field(Path("models"), description="the model repository")
    rounds: int = Field(30, ge=1, description="how often the versions take turns")


class _Timed:
    """One version, and how long an image took in each batch size."""

    def __init__(self, artifact: Artifact) -> None:
        self.card = artifact.card
        self.size = len(artifact.model)
        self._session = Session(artifact.model, artifact.card)
        self._pixels = artifact.golden.pixels
        self.seconds: dict[int, list[float]] = {batch: [] for batch in BATCHES}

    def take_turn(self) -> None:
        for batch, seconds in self.seconds.items():
            pixels: NDArray[np.uint8] = np.resize(self._pixels, (batch, *self._pixels.shape[1:]))
            started = perf_counter()
            self._session.run(pixels)
            seconds.append((perf_counter() - started) / batch)

    def row(self) -> tuple[str, ...]:
        times = (f"{statistics.median(seconds) * 1e3:.2f}" for seconds in self.seconds.values())
        card, test = self.card, self.card.figures.get("test")
        accuracy = test.accuracy_words if test else "not measured"
        size, parameters = f"{self.size / 1e6:.2f}", f"{card.weights.parameters:,}"
        return card.name, card.version, card.export.precision, size, parameters, *times, accuracy


def run(arguments: Sequence[str]) -> int:
    """Print the table."""
    options = ModelsOptions.parse("bench models", arguments)
    repository = Repository(options.models)
    timed = [_Timed(repository.open(*version)) for version in _versions(repository, options.names)]
    for _ in range(options.rounds):
        for version in timed:
            version.take_turn()
    print(table([_HEAD, *(version.row() for version in timed)]))
    return 0


def _versions(repository: Repository, asked: list[str]) -> list[tuple[str, str]]:
    """The name and version of each model that is asked for, or of all."""
    found = []
    for item in asked or repository.names():
        name, _, version = item.partition("/")
        found += [(name, version)] if version else [(name, each) for each in repository.versions(name)]
    return found
