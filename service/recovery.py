"""What becomes of a version whose runner is stuck: it proves itself by its golden samples, or the process ends."""

import asyncio
import logging
from collections.abc import Callable

import numpy as np

from artifact.card import ModelCard
from artifact.golden import GoldenSamples
from service.model_metrics import ModelMetrics
from service.runner import Job, Scores
from service.scheduler import Scheduler
from service.stages import Stages

logger = logging.getLogger("hangtag")

_PAUSES = (0, 1, 2)  # seconds before each attempt to prove itself

# Threads of a version that never came back; each may have a core, and holds memory.
_MOST_LOST = 3


class Recovery:
    """Has the stuck runners of one version replaced, and lets the version prove then that it answers.

    It tells `give_up` why, where the version cannot do that, or has lost too many threads: only a new process helps.
    """

    def __init__(
        self,
        scheduler: Scheduler[Job, Scores],
        card: ModelCard,
        golden: GoldenSamples,
        metrics: ModelMetrics,
        give_up: Callable[[str], None],
    ) -> None:
        self._scheduler = scheduler
        self._what = f"model {card.name} {card.version}"
        self._golden = golden
        self._tolerance = card.export.golden_tolerance
        self._metrics = metrics
        self._give_up = give_up
        self._proving: asyncio.Task[None] | None = None
        self._is_closed = False
        self.is_stuck = False

    def look(self) -> None:
        """Replace runners that are stuck or gone; called at each beat of the pulse."""
        replaced = self._scheduler.look_after()
        if replaced:
            logger.error("%s: %d of its runners did not come back; others take their places", self._what, replaced)
            self._metrics.replaced(replaced)
        if self._is_closed:
            return
        if replaced:
            self._proving = self._proving or asyncio.create_task(self._prove())
            if self._scheduler.lost >= _MOST_LOST:
                self._give_up(f"{self._what} has {self._scheduler.lost} threads that do not come back")
        self._say(is_stuck=self._scheduler.is_late or self._proving is not None)

    def close(self) -> None:
        """Prove nothing any more; stuck runners are still replaced, for whoever waits for an answer."""
        self._is_closed = True
        if self._proving:
            self._proving.cancel()

    async def _prove(self) -> None:
        """Answer the golden samples; where that fails, try again after a pause, which grows."""
        for pause in _PAUSES:
            await asyncio.sleep(pause)
            try:
                scores = [await self._scheduler.run(Job(image, Stages())) for image in self._golden.images]
                self._golden.check(np.stack(scores), tolerance=self._tolerance)
            except Exception as error:  # noqa: BLE001 - whatever it is, the version does not answer
                logger.error("%s does not answer its golden samples: %s", self._what, error)  # noqa: TRY400 - all it says
            else:
                self._proving = None
                self._say(is_stuck=self._scheduler.is_late)
                return
        self._give_up(f"{self._what} does not answer its golden samples any more")

    def _say(self, *, is_stuck: bool) -> None:
        """Let everybody know how it is, if that has changed."""
        if is_stuck != self.is_stuck:
            self.is_stuck = is_stuck
            self._metrics.stuck(is_so=is_stuck)
            logger.warning("%s is %s", self._what, "stuck" if is_stuck else "ready again")
