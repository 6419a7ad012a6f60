"""Where the time of a request went: its body was read, its images waited for a runner, were decoded and inferred."""

from operator import attrgetter
from typing import Literal, NamedTuple

Stage = Literal["read", "queue", "decode", "infer"]


class Passage(NamedTuple):
    """A time that was spent in one stage; in seconds of `perf_counter`."""

    stage: Stage
    started: float
    ended: float


class Stages:
    """The stages of one request; the event loop and runners tell of them, these from their threads."""

    __slots__ = ("_told", "batch_size")

    def __init__(self) -> None:
        self._told: list[tuple[Stage, float, float]] = []
        self.batch_size = 0  # of the largest run that one of its images was in; 0 where none was run

    def passed(self, stage: Stage, started: float, ended: float) -> None:
        """The request, or one of its images, was in a stage."""
        self._told.append((stage, started, ended))

    def ran(self, size: int, started: float, ended: float) -> None:
        """An image was in a run of so many."""
        self.passed("infer", started, ended)
        self.batch_size = max(self.batch_size, size)

    def passages(self) -> list[Passage]:
        """When it was in each stage, by start; several images that were there at the same time count once."""
        merged: list[Passage] = []
        for passage in map(Passage._make, sorted(self._told)):
            last = merged[-1] if merged else None
            if last and last.stage == passage.stage and passage.started <= last.ended:
                merged[-1] = last._replace(ended=max(last.ended, passage.ended))
            else:
                merged.append(passage)
        return sorted(merged, key=attrgetter("started"))

    def seconds(self) -> dict[Stage, float]:
        """How long it was in each stage."""
        total: dict[Stage, float] = {}
        for stage, started, ended in self.passages():
            total[stage] = total.get(stage, 0.0) + ended - started
        return total
