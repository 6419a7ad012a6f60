"""One model in service: loaded, held to its golden samples, and only then asked."""

import asyncio
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from artifact.answer import Answer, answer
from artifact.card import ModelCard
from artifact.errors import ClientGone, HangtagError, ImageError, ModelUnavailable, Refused, RequestError
from artifact.pixels import decode
from artifact.repository import MODEL_FILE, Artifact, Repository
from artifact.session import Session
from service.intake import Caller
from service.metrics import Metrics, ModelMetrics
from service.scheduler import Scheduler
from service.schemas import Status
from service.settings import Settings

logger = logging.getLogger("hangtag")

WARM_UP_SAMPLES = 8

Pixels = NDArray[np.uint8]
Scores = NDArray[np.float32]


class HostedModel:
    """One model version that should be served, and the way of a photo through it."""

    def __init__(
        self, name: str, version: str, settings: Settings, metrics: Metrics, decoders: ThreadPoolExecutor
    ) -> None:
        self.name = name
        self.version = version
        self.status: Status = "loading"
        self.reason: str | None = None
        self.card: ModelCard | None = None
        self._settings = settings
        self._decoders = decoders
        self._metrics = ModelMetrics(metrics, name, version)
        self._scheduler: Scheduler[Pixels, Scores] | None = None

    async def load(self, repository: Repository) -> None:
        """Verify, load and warm up the model in a thread; a failure is logged and kept in `reason`."""
        try:
            artifact, session = await asyncio.to_thread(self._open, repository)
        except Exception as error:  # whatever is wrong with one model, the others stay in service
            foreseen = isinstance(error, HangtagError)
            self.reason = str(error) if foreseen else "It failed in a way that was not foreseen; the log says how."
            self.status = "failed"
            logger.exception(
                "model %s %s failed to load: %s", self.name, self.version, self.reason, exc_info=not foreseen
            )
            return
        s = self._settings
        self._scheduler = Scheduler(
            lambda batch: list(session.run(np.stack(batch))),
            self._metrics,
            runners=s.runners,
            max_batch=s.max_batch,
            max_items=s.max_items,
        )
        self.card, self.status = artifact.card, "ready"
        scheduler = self._scheduler
        self._metrics.loaded(artifact.card.files[MODEL_FILE], artifact.card.labels, lambda: scheduler.waiting)
        logger.info("model %s %s is ready on %s", self.name, self.version, session.provider)

    def _open(self, repository: Repository) -> tuple[Artifact, Session]:
        artifact = repository.open(self.name, self.version)
        session = Session(artifact.model, artifact.card, device=self._settings.device, threads=self._settings.threads)
        card = artifact.card
        artifact.golden.first(WARM_UP_SAMPLES).verify(session.run, card.input, tolerance=card.export.golden_tolerance)
        return artifact, session

    @property
    def ready_card(self) -> ModelCard:
        """The card of the model; raises ModelUnavailable unless it answers."""
        if self.card is None:
            raise ModelUnavailable(
                f"Model {self.name} {self.version} is {self.status}; /v1/models/{self.name} says more."
            )
        return self.card

    async def classify(self, caller: Caller, top_k: int) -> Answer:
        """Admit, read, decode and run one image; what is refused is refused before its body is read."""
        with self._counted():
            card, scheduler = self.ready_card, self._scheduler
            assert scheduler is not None  # noqa: S101  (the type: it is there before the card is)
            with scheduler.seat() as submit:
                image = await caller.image()
                async with caller.attended():
                    scores = await submit(await self._decode(image, card))
            result = answer(scores, card, top_k)
            self._metrics.answered(result)
            return result

    async def _decode(self, image: bytes, card: ModelCard) -> Pixels:
        return await asyncio.get_running_loop().run_in_executor(self._decoders, self._decode_timed, image, card)

    def _decode_timed(self, image: bytes, card: ModelCard) -> Pixels:
        """Called in a decoder's thread."""
        started = perf_counter()
        try:
            return decode(image, card.input, max_pixels=self._settings.max_pixels)
        finally:
            self._metrics.decoded(perf_counter() - started)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Count the one outcome of an image."""
        outcome = "failed"
        try:
            yield
            outcome = "ok"
        except (ClientGone, asyncio.CancelledError):
            outcome = "cancelled"
            raise
        except (ImageError, RequestError):
            outcome = "invalid"
            raise
        except Refused as error:
            outcome = "rejected"
            self._metrics.rejected(error.code)
            raise
        finally:
            self._metrics.outcome(outcome)

    async def close(self) -> None:
        """Wait until all accepted images are answered, and take no more."""
        if self._scheduler:
            await self._scheduler.close()
