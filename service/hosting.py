"""All models in service."""

import asyncio
import gc
import logging
from concurrent.futures import ThreadPoolExecutor

from artifact.device import available_cpus
from artifact.errors import ModelNotFound, VersionNotFound
from artifact.repository import Repository
from service.cache import ScoreCache
from service.metrics import Metrics
from service.model import HostedModel
from service.settings import Settings

logger = logging.getLogger("hangtag")


class Hosting:
    """All models of a repository, each in its newest version; raises RepositoryEmpty where there are none."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self.repository = Repository(settings.models)
        self._decoders = ThreadPoolExecutor(available_cpus(), thread_name_prefix="decoder")
        cache = ScoreCache(settings.cache_bytes) if settings.cache_bytes else None
        self._models = {
            name: HostedModel(name, self.repository.versions(name)[-1], settings, metrics, self._decoders, cache)
            for name in self.repository.names()
        }
        self.draining = False
        self.given_up = 0

    @property
    def models(self) -> list[HostedModel]:
        """Every model that should be served, by name."""
        return list(self._models.values())

    def get(self, name: str, version: str | None = None) -> HostedModel:
        """The model of this name, in this version if one is named; raises ModelNotFound or VersionNotFound."""
        model = self._models.get(name)
        if model is None:
            raise ModelNotFound(f"There is no model {name!r}; the models are {', '.join(self._models)}.")
        if version not in (None, model.version):
            raise VersionNotFound(f"Model {name!r} is served in version {model.version}, not in {version!r}.")
        return model

    def drain(self) -> None:
        """Turn not ready; what is asked is answered all the same until `close`."""
        self.draining = True
        logger.info("draining: not ready any more, still answering")

    async def load(self) -> None:
        """Load every model, one after the other; one that fails leaves the others in service."""
        for model in self.models:
            if self.draining:
                return
            await model.load(self.repository)
        _leave_out_of_collections()
        ready = sum(model.status == "ready" for model in self.models)
        logger.info("started: %d of %d models are ready", ready, len(self.models))

    async def close(self) -> None:
        """Answer what was accepted, and end all threads."""
        for model in self.models:
            await model.close()
        await asyncio.to_thread(self._decoders.shutdown)


def _leave_out_of_collections() -> None:
    """Let the collector never look again at what is there now and stays: modules, models, routes.

    Looking through all of it takes 40 to 60 ms, in which nobody is answered, every few seconds under load.
    """
    gc.collect()
    gc.freeze()
