"""A catalogue of any length, made of a few photos, and `hangtag classify` at work on it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Sequence
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import hangtag
from artifact.errors import HangtagError

_IN_A_FOLDER = 10_000

# A program's peak has in it what its process had before it became that program; of this one, that is little.
_MEASURED = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
sys.exit(code)
"""


class Ran(NamedTuple):
    """What a run took: seconds from its start to its end, seconds of cores, and the most memory at once, bytes."""

    seconds: float
    core_seconds: float
    peak: int


class Catalogue:
    """So many photos in a folder, each on the disk once, under as many names as it takes."""

    def __init__(self, folder: Path, photos: Sequence[bytes], count: int) -> None:
        self.count = count
        self._folder = folder / str(count)
        originals = folder / "originals"
        originals.mkdir(exist_ok=True)
        for number, photo in enumerate(photos):
            (originals / str(number)).write_bytes(photo)
        for number, original in enumerate(islice(cycle(sorted(originals.iterdir())), count)):
            into = self._folder / str(number // _IN_A_FOLDER)
            into.mkdir(parents=True, exist_ok=True)
            (into / f"{number}.jpg").hardlink_to(original)

    def classify(self, model: str, models: Path, cores: Collection[int]) -> Ran:
        """Label all of it, from the beginning, on these cores; raises HangtagError where a photo has no label."""
        out = self._folder.with_suffix(".parquet")
        program = [sys.executable, str(Path(hangtag.__file__).resolve()), "classify", str(self._folder)]
        options = ["--model", model, "--models", str(models), "--out", str(out), "--device", "cpu"]
        started = perf_counter()
        process = subprocess.Popen(  # noqa: S603 - ourselves
            [sys.executable, "-c", _MEASURED, *program, *options], stdout=subprocess.PIPE, text=True
        )
        os.sched_setaffinity(process.pid, cores)
        said, _ = process.communicate()
        seconds = perf_counter() - started
        if process.returncode:
            raise HangtagError(f"hangtag classify ended with {process.returncode}; what it said stands above.")
        out.unlink()
        shutil.rmtree(out.with_name(f"{out.name}.job"))
        core_seconds, peak = said.split()
        return Ran(seconds, float(core_seconds), int(peak) * 1024)
