"""From the repository to a model that answers: verified, loaded, and held to its golden samples first."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from artifact.device import CPU, Device, available_cpus, best_provider
from artifact.errors import Draining
from artifact.repository import MODEL_FILE, Artifact, Repository
from artifact.session import Session
from service.cache import ScoreCache
from service.decoders import Decoders
from service.memory import check_room
from service.metrics import Metrics
from service.model import HostedModel, Loaded
from service.model_metrics import ModelMetrics
from service.nice import step_back
from service.pulse import Pulse
from service.settings import Settings
from service.way import Way, way_to_run

logger = logging.getLogger("hangtag")

Found = TypeVar("Found")

WARM_UP_SAMPLES = 8

_NICE = 5  # by more, whoever waits for the interpreter's lock while the loader has it would wait too long


class Loader:
    """Loads versions of models, which share a cache, and on a GPU the threads that decode.

    All that is read of the repository while it serves is read in its one thread, since storage may hang.
    """

    def __init__(
        self,
        repository: Repository,
        settings: Settings,
        metrics: Metrics,
        pulse: Pulse,
    ) -> None:
        self._repository = repository
        self._settings = settings
        self._metrics = metrics
        self._pulse = pulse
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="loader", initializer=step_back, initargs=(_NICE,))
        self._decoders = Decoders(available_cpus())
        self._reading: asyncio.Future[Any] | None = None
        self._is_stopped = False
        self._cache = ScoreCache(settings.cache_bytes) if settings.cache_bytes else None

    async def load(self, name: str, version: str, give_up: Callable[[str], None]) -> HostedModel:
        """A version that answers, and tells `give_up` why if it cannot go on some day.

        Raises a HangtagError, Draining after `stop`, or whatever else is wrong with it.
        """
        self._check_running()
        metrics = ModelMetrics(self._metrics, name, version)
        try:
            loaded = await self.read(partial(self._open, name, version))
        except Draining:
            raise
        except BaseException:
            metrics.load_ended("failed")
            raise
        metrics.load_ended("ok")
        if loaded.expectation:
            metrics.expect(loaded.expectation)
        logger.info(
            "model %s %s is ready on %s: %d runners of %d threads, batches to %d",
            *(name, version, loaded.session.provider),
            *(loaded.way.runners, loaded.way.threads, loaded.way.max_batch),
        )
        return HostedModel(loaded, self._settings, metrics, self._cache, self._pulse, give_up)

    async def read(self, call: Callable[[], Found]) -> Found:
        """What a call that reads the repository gives; raises as it does, or Draining after `stop`."""
        self._check_running()
        reading: asyncio.Future[Found] = asyncio.get_running_loop().run_in_executor(self._thread, call)
        self._reading = reading
        try:
            return await reading
        except BaseException:
            self._check_running()
            raise

    def stop(self) -> None:
        """Read and load nothing any more; nobody waits for what is being read, which may hang."""
        self._is_stopped = True
        if self._reading:
            self._reading.cancel()

    def _check_running(self) -> None:
        if self._is_stopped:
            raise Draining("The service is shutting down, and loads nothing any more.")

    def close(self) -> None:
        """Load nothing any more, and let the threads end."""
        self.stop()
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._decoders.close()

    def _open(self, name: str, version: str) -> Loaded:
        folder, device = self._repository.root / name / version, self._settings.device
        check_room(self._settings, folder / MODEL_FILE, f"{name} {version}")
        artifact = self._repository.open(name, version)
        card = artifact.card
        expected = best_provider(device)
        way = way_to_run(self._settings, folder, expected)
        session = self._session(artifact, device, way)
        if session.provider != expected:  # onnxruntime has CUDA and could not start it
            way = way_to_run(self._settings, folder, session.provider)
            session = self._session(artifact, "cpu", way)
        session.warm_up()
        golden = artifact.golden.first(WARM_UP_SAMPLES)
        golden.verify(session.run, card.input, tolerance=card.export.golden_tolerance)
        decoders = None if session.provider == CPU else self._decoders
        return Loaded(card, golden, artifact.expectation, session, way, decoders)

    def _session(self, artifact: Artifact, device: Device, way: Way) -> Session:
        return Session(
            artifact.model,
            artifact.card,
            device=device,
            threads=way.threads,
            max_batch=way.max_batch,
            gpu_memory=self._settings.gpu_memory_bytes,
        )
