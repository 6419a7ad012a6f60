"""What `hangtag classify` makes of the cores it has, and whether its memory grows with the catalogue.

Decode and inference of the same photos in one process are the ceiling; it and the command take turns. The command's
rate is that of all photos but one, from its start to its end: what it takes to start is printed by itself.
"""

import os
from collections.abc import Collection, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from pydantic import Field

from artifact.command import Options
from artifact.repository import Artifact, Repository
from benchmarks.cataloguing import Catalogue
from benchmarks.ceiling import Ceiling, Pace
from benchmarks.decode import drawn_photo
from benchmarks.finding import Finding, report

CLAIMED_SHARE, CLAIMED_GROWTH = 0.95, 1.05

_DRAWN = 8
_SIZES = ((600, 800), (2448, 3264))  # of a web shop's photos, and a phone's


class CatalogOptions(Options):
    """Hold `hangtag classify` against decode and inference alone, on one core and on all; and its memory, by size.

    Example: hangtag bench catalog --rounds 5 --seconds 10
    """

    models: Path = Field(Path("models"), description="the model repository")
    rounds: int = Field(5, ge=1, description="how often ceiling and command take turns")
    seconds: float = Field(10, gt=0, description="about how long each turn lasts")
    counts: list[int] = Field(
        [1_000, 10_000, 40_000, 100_000],
        min_length=2,
        description="photos of the catalogues whose memory is measured; the last is held against the one before",
    )


def run(arguments: Sequence[str]) -> int:
    """Print rates and memory; returns 0 when both are as claimed, else 1."""
    options = CatalogOptions.parse("bench catalog", arguments)
    repository = Repository(options.models)
    grey, closet = (repository.open(name, repository.resolve(name)) for name in ("fashion-mnist", "closet"))
    found = [_rates(grey, "28 x 28 pixels", grey.golden.images, options)]
    for width, height in _SIZES:
        photos = [drawn_photo(seed, width, height) for seed in range(_DRAWN)]
        found.append(_rates(closet, f"{width} x {height} pixels", photos, options))
    return report([*found, _memory(grey, options)])


class _Turns:
    """Ceiling and command by turns, on some cores."""

    def __init__(self, cores: Collection[int]) -> None:
        self.cores = cores
        self._most, self._mine, self._start = list[Pace](), list[Pace](), list[float]()

    def take(self, most: Pace, mine: Pace, start: float) -> None:
        """What one turn of each gave, and how long the command took for a single photo, seconds."""
        self._most.append(most)
        self._mine.append(mine)
        self._start.append(start)

    @property
    def rate(self) -> float:
        """Photos that the command labels in a second."""
        return median(mine.rate for mine in self._mine)

    @property
    def share(self) -> float:
        """How much of the ceiling that is."""
        return median(mine.rate / most.rate for mine, most in zip(self._mine, self._most, strict=True))

    def __str__(self) -> str:
        ceiling = median(most.rate for most in self._most)
        most_ms, mine_ms = (median(pace.core_ms for pace in paces) for paces in (self._most, self._mine))
        return (
            f"on {len(self.cores)} cores {self.rate:.0f} photos/s, ceiling {ceiling:.0f}: {self.share:.2f}; each takes "
            f"{mine_ms:.3f} ms of a core, ceiling {most_ms:.3f}; a single one {median(self._start):.1f} s"
        )


def _rates(artifact: Artifact, kind: str, photos: Sequence[bytes], options: CatalogOptions) -> Finding:
    """Rates on one core and on all of them; what is claimed is that of all."""
    ceiling, every, size = Ceiling(artifact, photos), os.sched_getaffinity(0), sum(map(len, photos)) / len(photos)
    name = f"{artifact.card.name}, {kind}, {size / 1e3:.1f} kB"
    print(f"{name}; the ceiling by batches of {ceiling.batch}", flush=True)
    on_one, on_all = _Turns({min(every)}), _Turns(every)
    with TemporaryDirectory() as folder:
        single = Catalogue(Path(folder), photos, 1)
        catalogue = Catalogue(Path(folder), photos, 1 + round(ceiling.pace(every, 1).rate * options.seconds))
        for turns in [on_one, on_all] * options.rounds:
            most = ceiling.pace(turns.cores, options.seconds)
            start, ran = (
                each.classify(artifact.card.name, options.models, turns.cores) for each in (single, catalogue)
            )
            more, seconds = catalogue.count - 1, ran.seconds - start.seconds
            turns.take(most, Pace(more / seconds, (ran.core_seconds - start.core_seconds) / more * 1e3), start.seconds)
    print(f"  {on_one}\n  {on_all}\n  all cores do {on_all.rate / on_one.rate:.2f} times what one does", flush=True)
    return Finding(
        on_all.share >= CLAIMED_SHARE, f"{name}: {on_all.share:.2f} of the ceiling (claimed: {CLAIMED_SHARE})"
    )


def _memory(artifact: Artifact, options: CatalogOptions) -> Finding:
    """The most memory that the command had at once, for each catalogue.

    It grows until a row group of the output is full, 32,768 photos; what is claimed is that it does not go on.
    """
    peaks = list[int]()
    for count in options.counts:
        with TemporaryDirectory() as folder:
            catalogue = Catalogue(Path(folder), artifact.golden.images, count)
            peaks.append(catalogue.classify(artifact.card.name, options.models, os.sched_getaffinity(0)).peak)
        print(f"{count} photos: {peaks[-1] / 2**20:.0f} MiB at most", flush=True)
    growth = peaks[-1] / peaks[-2]
    words = f"{options.counts[-1]} photos take {growth:.2f} times the memory of {options.counts[-2]}"
    return Finding(growth <= CLAIMED_GROWTH, f"{words} (claimed: {CLAIMED_GROWTH})")
