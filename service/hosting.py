"""All models in service, as the repository and its labels say; brought up to date while requests flow."""

import asyncio
import gc
import logging
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from functools import partial

from artifact.errors import (
    ArtifactError,
    Draining,
    LastModel,
    ManyWorkers,
    ModelNotFound,
    ModelUnavailable,
    ReloadFailed,
)
from artifact.repository import Repository
from service.ending import ALL_ANSWERED, GAVE_UP_REQUESTS, REPLACE_ME
from service.intake import Caller
from service.loading import Loader
from service.metrics import Metrics
from service.model import HostedModel, Place
from service.pulse import Pulse
from service.served import ServedModel
from service.settings import Settings

logger = logging.getLogger("hangtag")


class Hosting:
    """All models of a repository, in the versions that have a label; raises RepositoryEmpty where there are none.

    `stop` is called where this process cannot go on, and SIGTERM is not how it is stopped.
    """

    def __init__(
        self, settings: Settings, metrics: Metrics, pulse: Pulse, stop: Callable[[], None] | None = None
    ) -> None:
        self._stop = stop or _terminate
        self.repository = Repository(settings.models)
        self._loader = Loader(self.repository, settings, metrics, pulse)
        self._metrics = metrics
        self._models = {name: self._served(name) for name in self.repository.names()}
        self._changing = asyncio.Lock()
        self._is_asked_for = False
        self._reloads: set[asyncio.Task[None]] = set()
        self._is_one_of_many = settings.workers > 1
        self._is_beyond_help = False
        self.draining = False
        self.given_up = 0

    @property
    def models(self) -> list[ServedModel]:
        """Every model that should be served, by name."""
        return [self._models[name] for name in sorted(self._models)]

    def model(self, name: str) -> ServedModel:
        """The model of this name; raises ModelNotFound."""
        model = self._models.get(name)
        if model is None:
            raise ModelNotFound(f"There is no model {name!r}; the models are {', '.join(sorted(self._models))}.")
        return model

    def get(self, name: str, version: str | None = None, key: str | None = None) -> HostedModel:
        """Who answers; raises ModelNotFound, ModelUnavailable or VersionNotFound.

        The version is a number or a label. Where none is named, the same `key` gets the same version.
        """
        return self.model(name).get(version, key)

    def admitted(self, caller: Caller, name: str, version: str | None = None) -> AbstractContextManager[Place]:
        """Take a place for a request before its body is read, as HostedModel.admitted; raises what `get` does, too."""
        return self.asked(caller, name, version).admitted(caller)

    def asked(self, caller: Caller, name: str, version: str | None) -> HostedModel:
        """Who answers a caller; raises what `get` does, and counts who cannot be answered yet."""
        try:
            return self.get(name, version, caller.key)
        except ModelUnavailable as error:
            caller.record.model, caller.record.version = name, self.model(name).version
            metrics = self.model(name).metrics_of(self.model(name).version)
            metrics.outcome("rejected")
            metrics.rejected(error.code)
            raise

    def drain(self) -> None:
        """Turn not ready, and load nothing more; what is asked is answered all the same until `close`."""
        self.draining = True
        self._loader.stop()
        logger.info("draining: not ready any more, still answering")

    def give_up(self, why: str) -> None:
        """Stop as on SIGTERM, and ask by the exit code for another process in the place of this one.

        Where it stops already, it does that as it was asked to, and nobody need take its place.
        """
        if self.draining or self._is_beyond_help:
            logger.error("%s; this process stops already", why)
            return
        logger.error("%s; this process stops, and another one should take its place", why)
        self._is_beyond_help = True
        self._stop()

    @property
    def exit_code(self) -> int:
        """How this process ends."""
        if self._is_beyond_help:
            return REPLACE_ME
        return GAVE_UP_REQUESTS if self.given_up else ALL_ANSWERED

    def announce(self) -> None:
        """Say in the metrics which models do not answer yet, for who asks before they are loaded."""
        for model in self.models:
            model.metrics_of(model.version).unready()

    async def load(self) -> None:
        """Load every model for the first time; one that fails leaves the others in service."""
        with suppress(Draining):
            async with self._changing:
                await self._bring(self.models)
            _leave_out_of_collections()
            ready = sum(model.status == "ready" for model in self.models)
            logger.info("started: %d of %d models are ready", ready, len(self.models))

    def request_reload(self) -> None:
        """Reload soon: at once, or after the change that is under way, which may have read what was there before."""
        if not self._is_asked_for:
            self._is_asked_for = True
            reload = asyncio.create_task(self._reload_when_free())
            self._reloads.add(reload)
            reload.add_done_callback(self._reloads.discard)

    async def _reload_when_free(self) -> None:
        try:
            async with self._changing:
                self._is_asked_for = False
                failures = await self._reload()
        except Draining:
            return
        except Exception:
            logger.exception("the reload failed in a way that was not foreseen")
            return
        logger.info("reloaded: %s", f"{len(failures)} failures; what answered goes on" if failures else "as labelled")

    async def reload(self) -> None:
        """Let what the labels say be so, once what is under way has ended.

        Raises ReloadFailed with all that could not be loaded, or Draining.
        """
        async with self._changing:
            _raise_if_any(await self._reload())

    async def load_model(self, name: str) -> None:
        """Load a model again that was unloaded, or is new; raises as `reload` does, ManyWorkers or ModelNotFound."""
        self._check_worker()
        async with self._changing:
            _raise_if_any(await self._bring([self._models.get(name) or await self._new(name)]))

    async def unload_model(self, name: str) -> None:
        """Answer for a model no more, until it is loaded again.

        Raises ManyWorkers, ModelNotFound, or LastModel where no other one answers.
        """
        self._check_worker()
        async with self._changing:
            model = self.model(name)
            if not any(other.answers for other in self.models if other is not model):
                raise LastModel(f"{name} is the last model in service; load another one first, or stop the service.")
            model.unload()

    def _check_worker(self) -> None:
        """Raises ManyWorkers."""
        if self._is_one_of_many:
            raise ManyWorkers("With several workers a model cannot be loaded or unloaded so; set labels, and reload.")

    async def _reload(self) -> list[str]:
        """Bring each model up to date, and new ones in; a model that is gone from the repository goes on."""
        failures, models = list[str](), [model for model in self.models if model.is_wanted]
        try:
            found = await self._loader.read(self.repository.names)
            models += [await self._new(name) for name in found if name not in self._models]
        except ArtifactError as error:
            logger.error("reload: %s", error)  # noqa: TRY400 - it says all there is
            failures = [str(error)]
        return failures + await self._bring(models)

    async def _bring(self, models: list[ServedModel]) -> list[str]:
        """Let what their labels say be so, one after the other; gives what went wrong, a sentence each.

        A new model is one of ours when it answers: until then it must not turn the service not ready.
        """
        failures: list[str] = []
        for model in models:
            failures += await model.bring()
            if model.answers:
                self._models[model.name] = model
        return failures

    async def _new(self, name: str) -> ServedModel:
        """A model of the repository that is new here; raises an ArtifactError, or Draining."""
        return await self._loader.read(partial(self._served, name))

    def _served(self, name: str) -> ServedModel:
        return ServedModel(name, self.repository, self._loader, self._metrics, self.give_up)

    async def close(self) -> None:
        """Answer what was accepted, and let all threads end."""
        self._loader.close()
        await asyncio.gather(*self._reloads)
        await asyncio.gather(*(model.close() for model in self.models))


def _terminate() -> None:
    signal.raise_signal(signal.SIGTERM)


def _raise_if_any(failures: list[str]) -> None:
    if failures:
        raise ReloadFailed(f"{' '.join(failures)} What answered before goes on.")


def _leave_out_of_collections() -> None:
    """Let the collector never look again at what is there now and stays: modules, models, routes.

    Looking through all of it takes 40 to 60 ms, in which nobody is answered, every few seconds under load.
    """
    gc.collect()
    gc.freeze()
