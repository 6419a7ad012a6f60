"""One model in service: loaded, held to its golden samples, and only then asked."""

import asyncio
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from artifact.answer import Answer, answer
from artifact.card import ModelCard
from artifact.containers import declared_pixels
from artifact.device import CPU, Device, best_provider
from artifact.errors import (
    ClientGone,
    DeadlineExceeded,
    HangtagError,
    ImageError,
    ModelUnavailable,
    Refused,
    RequestError,
)
from artifact.repository import MODEL_FILE, Artifact, Repository
from artifact.session import Session
from service.bounds import Load
from service.cache import ScoreCache, Source
from service.intake import Caller
from service.metrics import Metrics, ModelMetrics
from service.runner import Runner, Scores
from service.scheduler import Scheduler
from service.schemas import Status
from service.settings import Settings
from service.way import Way, way_to_run

logger = logging.getLogger("hangtag")

WARM_UP_SAMPLES = 8


class HostedModel:
    """One model version that should be served, and the way of a photo through it."""

    def __init__(
        self,
        name: str,
        version: str,
        settings: Settings,
        metrics: Metrics,
        decoders: ThreadPoolExecutor,
        cache: ScoreCache | None,
    ) -> None:
        self.name = name
        self.version = version
        self.status: Status = "loading"
        self.reason: str | None = None
        self.card: ModelCard | None = None
        self._settings = settings
        self._decoders = decoders
        self._cache = cache
        self._metrics = ModelMetrics(metrics, name, version)
        self._scheduler: Scheduler[bytes, Scores] | None = None

    async def load(self, repository: Repository) -> None:
        """Verify, load and warm up the model in a thread; a failure is logged and kept in `reason`."""
        try:
            artifact, session, way = await asyncio.to_thread(self._open, repository)
        except Exception as error:  # whatever is wrong with one model, the others stay in service
            foreseen = isinstance(error, HangtagError)
            self.reason = str(error) if foreseen else "It failed in a way that was not foreseen; the log says how."
            self.status = "failed"
            logger.exception(
                "model %s %s failed to load: %s", self.name, self.version, self.reason, exc_info=not foreseen
            )
            return
        s = self._settings
        decoders = None if session.provider == CPU else self._decoders
        self._scheduler = Scheduler(
            Runner(session, artifact.card.input, s.max_pixels, self._metrics, decoders).run,
            ThreadPoolExecutor(way.runners, thread_name_prefix="runner"),
            runners=way.runners,
            max_batch=way.max_batch,
            limits=Load(s.max_items, s.max_held_bytes, s.max_held_pixels),
            observer=self._metrics,
        )
        self.card, self.status = artifact.card, "ready"
        self._metrics.loaded(artifact.card.files[MODEL_FILE], artifact.card.labels)
        logger.info(
            "model %s %s is ready on %s: %d runners of %d threads, batches to %d",
            *(self.name, self.version, session.provider, way.runners, way.threads, way.max_batch),
        )

    def _open(self, repository: Repository) -> tuple[Artifact, Session, Way]:
        artifact = repository.open(self.name, self.version)
        card, folder, device = artifact.card, repository.root / self.name / self.version, self._settings.device
        expected = best_provider(device)
        way = way_to_run(self._settings, folder, expected)
        session = self._session(artifact, device, way)
        if session.provider != expected:  # onnxruntime has CUDA and could not start it
            way = way_to_run(self._settings, folder, session.provider)
            session = self._session(artifact, "cpu", way)
        session.warm_up()
        artifact.golden.first(WARM_UP_SAMPLES).verify(session.run, card.input, tolerance=card.export.golden_tolerance)
        return artifact, session, way

    def _session(self, artifact: Artifact, device: Device, way: Way) -> Session:
        return Session(
            artifact.model,
            artifact.card,
            device=device,
            threads=way.threads,
            max_batch=way.max_batch,
            gpu_memory=self._settings.gpu_memory_bytes,
        )

    @property
    def ready_card(self) -> ModelCard:
        """The card of the model; raises ModelUnavailable unless it answers."""
        if self.card is None:
            raise ModelUnavailable(
                f"Model {self.name} {self.version} is {self.status}; /v1/models/{self.name} says more."
            )
        return self.card

    async def classify(self, caller: Caller, top_k: int) -> tuple[Answer, Source | None]:
        """Admit, read, decode and run one image, or know its scores; refuse before the body is read.

        The source is None where no cache is kept.
        """
        with self._counted():
            card, scheduler = self.ready_card, self._scheduler
            assert scheduler is not None  # noqa: S101  (the type: it is there before the card is)
            terms, declared = caller.terms(), caller.declared_bytes()
            with scheduler.seat(declared, terms.urgency, terms.deadline) as seat:
                image = await caller.image()
                if not declared:
                    seat.hold(Load(bytes=len(image)))

                async def run() -> Scores:
                    seat.hold(Load(pixels=declared_pixels(image)))
                    return await seat.run(image)

                with caller.attended():
                    if self._cache is None:
                        scores, source = await run(), None
                    else:
                        scores, source = await self._cache.scores(card.files[MODEL_FILE], image, terms, run)
                        self._metrics.sourced(source, self._cache.size)
            result = answer(scores, card, top_k)
            self._metrics.answered(result)
            return result, source

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
        except DeadlineExceeded:
            outcome = "expired"
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
