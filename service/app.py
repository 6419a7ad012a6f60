"""The app, put together: each part gets what it needs through its constructor; the lifespan opens and closes them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version

from fastapi import FastAPI
from starlette.types import ASGIApp

from artifact.errors import ReloadFailed
from service import admin, docs, health, openapi, problems, routes, website
from service.access import Access
from service.batch import routes as batch
from service.batch.classify import ClassifyBatch
from service.classify import Classify, Shortcut
from service.connections import Connections, files_for
from service.cors import across_origins
from service.counts import shared_folder
from service.ending import Unawaited
from service.gate import Gate
from service.head import Head
from service.hosting import Hosting
from service.intake import Limits
from service.memory import memory_limit
from service.metrics import Metrics
from service.pulse import Pulse
from service.record import OTHER, UNMATCHED, Reporter
from service.refusal import REFUSALS
from service.requestlog import RequestLog
from service.settings import Settings
from service.telemetry import Telemetry
from service.v2 import routes as v2
from service.v2.infer import Infer
from service.watch import watch, watch_keys
from service.workers import tell_others


class App:
    """All of the service but its sockets: `asgi` is what the HTTP server calls.

    It is alive at once, and ready when the models are; with `load_first`, it is not alive before. A `sign_of_life` is
    given at each beat of its pulse; `stop` is as Hosting has it. Raises RepositoryEmpty or KeysInvalid.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        load_first: bool = False,
        sign_of_life: Callable[[], None] | None = None,
        stop: Callable[[], None] | None = None,
    ) -> None:
        self._settings = settings
        self._load_first = load_first
        self._release = version("hangtag")
        self._metrics = Metrics(self._release, shared=settings.workers > 1)
        self._metrics.memory_limit.set(memory_limit(settings))
        self._pulse = Pulse(settings.stuck_seconds)
        if sign_of_life:
            self._pulse.join(sign_of_life)
        self.hosting = Hosting(settings, self._metrics, self._pulse, stop)
        self.connections = Connections(files_for(settings.max_connections), self._metrics)
        self._access = Access(settings, self._metrics, shared_folder() if settings.workers > 1 else None)
        self._reporters = _reporters(settings, self._release)
        self.asgi = Telemetry(self._gated(), self._metrics, self.hosting, *self._reporters)

    def request_reload(self) -> None:
        """Let keys and models be as the files say now, soon; what cannot be read or loaded is logged."""
        with suppress(ReloadFailed):
            self._access.reload()
        self.hosting.request_reload()

    def _gated(self) -> ASGIApp:
        """The routes, and what every request passes before it comes to them."""
        limits = _limits(self._settings)
        classify = Classify(self.hosting, limits)
        app = self._routed(classify, limits)
        paths = openapi.complete(app.openapi())["paths"]
        self._expect(paths)
        gate = Gate(Shortcut(Head(app), classify), self._access, paths)
        return across_origins(gate, self._settings.cors_origins)

    def _routed(self, classify: Classify, limits: Limits) -> FastAPI:
        hosting, access = self.hosting, self._access
        app = FastAPI(
            version=self._release,
            lifespan=self._lifespan,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
            **openapi.DESCRIPTION,
        )
        app.include_router(routes.router(hosting, classify))
        app.include_router(batch.router(ClassifyBatch(hosting, self._settings)))
        app.include_router(v2.router(hosting, Infer(hosting, limits, self._settings.max_items), limits, self._release))
        app.include_router(admin.router(hosting, access, tell_others if self._settings.workers > 1 else _nobody))
        app.include_router(health.router(hosting, self._metrics))
        app.include_router(docs.router(app.title))
        if self._settings.pages:
            app.include_router(website.router())
        problems.install(app)
        return app

    def _expect(self, paths: openapi.Json) -> None:
        """Let the series of all that may be answered exist at zero."""
        for path, operations in paths.items():
            for method, operation in operations.items():
                statuses = [int(status) for status in operation["responses"] if status != "default"]
                self._metrics.expect(method.upper(), path, statuses)
        self._metrics.expect(OTHER, UNMATCHED, REFUSALS)

    @asynccontextmanager
    async def _lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        asyncio.get_running_loop().set_default_executor(Unawaited())
        self._pulse.start()
        if not self._load_first:
            self.hosting.announce()
        loading = asyncio.create_task(self.hosting.load())
        if self._load_first:
            await loading
        watching = [asyncio.create_task(each) for each in self._watches()]
        yield
        for each in watching:
            each.cancel()
            with suppress(asyncio.CancelledError):
                await each
        await loading
        await self.hosting.close()
        for reporter in self._reporters:
            await asyncio.to_thread(reporter.close)
        self._pulse.stop()  # last: while something is waited for, the first process must see that this one is well

    def _watches(self) -> Iterator[Coroutine[None, None, None]]:
        """What watches the files that the service is about, where that is wanted."""
        if self._settings.watch:
            yield watch(self.hosting)
        if self._settings.watch and self._settings.keys:
            yield watch_keys(self._settings.keys.absolute(), self._access)


def _reporters(settings: Settings, release: str) -> list[Reporter]:
    """Who is told of each request: traces first, so that the log can name the spans."""
    log = RequestLog(settings.log_requests_per_second)
    if settings.otlp_endpoint is None:
        return [log]
    from service.spans import Spans  # noqa: PLC0415 - half a second, and the extra `otlp`, that only traces need

    return [Spans(str(settings.otlp_endpoint), settings.otlp_share, release), log]


def _limits(settings: Settings) -> Limits:
    return Limits(settings.max_body_bytes, settings.body_timeout_seconds, settings.deadline_seconds)


def _nobody() -> None:
    """There is no other worker to tell."""
