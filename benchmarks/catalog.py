"""What `hangtag classify` makes of the cores it has, and whether its memory grows with the catalogue.

Decode and inference of the same photos in one process are the ceiling, measured just before and just after each run of
the command. The command's rate is that of all photos but one, from its start to its end: what it takes to start is
printed by itself.
"""

import os
from collections.abc import Collection, Sequence
from pathlib import Path
from statistics import mean, median, quantiles
from tempfile import TemporaryDirectory
from typing import NamedTuple

from pydantic import Field

from artifact.command import Options
from artifact.repository import Artifact, Repository
from benchmarks.cataloguing import Catalogue, Ran
from benchmarks.ceiling import Ceiling, Pace
from benchmarks.decode import drawn_photo
from benchmarks.finding import Finding, report

CLAIMED_SHARE, CLAIMED_GROWTH = 0.95, 1.05

_DRAWN = 8
_SIZES = ((600, 800), (2448, 3264))  # of a web shop's photos, and a phone's
_MEMORY_RUNS = 3  # of each catalogue


class CatalogOptions(Options):
    """Hold `hangtag classify` against decode and inference alone, on one core and on all; and its memory, by size.

    Example: hangtag bench catalog --rounds 5 --seconds 4
    """

    models: Path = Field(Path("models"), description="the model repository")
    rounds: int = Field(9, ge=2, description="how often ceiling and command take turns")
    seconds: float = Field(8, gt=0, description="about how long each lasts in a turn")
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


class _Turn(NamedTuple):
    """The ceiling before and after the command's runs: of a single photo, and of `more` besides."""

    before: Pace
    after: Pace
    single: Ran
    whole: Ran
    more: int


class _Turns:
    """What the command makes of some cores, turn by turn."""

    def __init__(self, cores: Collection[int]) -> None:
        self.cores = cores
        self._turns = list[_Turn]()

    def take(self, turn: _Turn) -> None:
        """One turn more."""
        self._turns.append(turn)

    @property
    def rate(self) -> float:
        """Photos that the command labels in a second."""
        return median(self._rates)

    @property
    def shares(self) -> list[float]:
        """How much of the ceiling that is: the quartiles over the turns, the second of which is the median."""
        ceilings = (mean((turn.before.rate, turn.after.rate)) for turn in self._turns)
        return quantiles([rate / most for rate, most in zip(self._rates, ceilings, strict=True)], method="inclusive")

    @property
    def _rates(self) -> list[float]:
        return [turn.more / (turn.whole.seconds - self._start) for turn in self._turns]

    @property
    def _start(self) -> float:
        return median(turn.single.seconds for turn in self._turns)

    def __str__(self) -> str:
        paces = [pace for turn in self._turns for pace in (turn.before, turn.after)]
        most, most_ms = median(pace.rate for pace in paces), median(pace.core_ms for pace in paces)
        mine_ms = median((turn.whole.core_seconds - turn.single.core_seconds) / turn.more * 1e3 for turn in self._turns)
        low, share, high = self.shares
        return (
            f"on {len(self.cores)} cores {self.rate:.0f} photos/s, ceiling {most:.0f}: {share:.3f} (half of the turns "
            f"{low:.3f} to {high:.3f}); each takes {mine_ms:.3f} ms of a core, ceiling {most_ms:.3f}; "
            f"a single one {self._start:.1f} s"
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
            before = ceiling.pace(turns.cores, options.seconds / 2)
            start, whole = (
                each.classify(artifact.card.name, options.models, turns.cores) for each in (single, catalogue)
            )
            after = ceiling.pace(turns.cores, options.seconds / 2)
            turns.take(_Turn(before, after, start, whole, catalogue.count - 1))
    print(f"  {on_one}\n  {on_all}\n  all cores do {on_all.rate / on_one.rate:.2f} times what one does", flush=True)
    _, share, _ = on_all.shares
    return Finding(share >= CLAIMED_SHARE, f"{name}: {share:.3f} of the ceiling (claimed: {CLAIMED_SHARE})")


def _memory(artifact: Artifact, options: CatalogOptions) -> Finding:
    """The most memory that the command had at once, for each catalogue.

    It grows until a row group of the output is full, 32,768 photos; what is claimed is that it does not go on. From run
    to run it is a twentieth more or less, as threads take turns.
    """
    peaks = list[float]()
    for count in options.counts:
        with TemporaryDirectory() as folder:
            catalogue = Catalogue(Path(folder), artifact.golden.images, count)
            runs = (
                catalogue.classify(artifact.card.name, options.models, os.sched_getaffinity(0))
                for _ in range(_MEMORY_RUNS)
            )
            peaks.append(median(run.peak for run in runs))
        print(f"{count} photos: {peaks[-1] / 2**20:.0f} MiB at most", flush=True)
    growth = peaks[-1] / peaks[-2]
    words = f"{options.counts[-1]} photos take {growth:.2f} times the memory of {options.counts[-2]}"
    return Finding(growth <= CLAIMED_GROWTH, f"{words} (claimed: {CLAIMED_GROWTH})")
