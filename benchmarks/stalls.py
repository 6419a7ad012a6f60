"""How long the machine itself keeps every program waiting: what no server's tail can be shorter than."""

import os
from collections.abc import Sequence
from multiprocessing import get_context
from time import perf_counter

from pydantic import Field

from artifact.command import Options

LONG_MS = 5.0


class StallsOptions(Options):
    """Let one process spin on each core of an idle machine, and print when its clock jumped.

    Example: hangtag bench stalls --seconds 30
    """

    seconds: float = Field(30, gt=0, description="how long to look")


def run(arguments: Sequence[str]) -> int:
    """Look; returns 0, whatever is seen."""
    options = StallsOptions.parse("bench stalls", arguments)
    cores = sorted(os.sched_getaffinity(0))
    with get_context("spawn").Pool(len(cores)) as pool:
        seen = pool.starmap(_jumps, [(core, options.seconds) for core in cores], chunksize=1)
    for core, jumps in zip(cores, seen, strict=True):
        print(
            f"core {core}: stood still {len(jumps)} times for over {LONG_MS:g} ms in {options.seconds:g} s, "
            f"{sum(jumps):.0f} ms in all, {max(jumps, default=0):.0f} ms at most"
        )
    return 0


def _jumps(core: int, seconds: float) -> list[float]:
    """Milliseconds of each time that this process, with nothing else to do, did not get to read the clock."""
    os.sched_setaffinity(0, {core})
    jumps, before = [], perf_counter()
    end = before + seconds
    while before < end:
        now = perf_counter()
        if (jump := (now - before) * 1e3) > LONG_MS:
            jumps.append(jump)
        before = now
    return jumps
