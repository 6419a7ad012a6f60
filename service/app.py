"""The app, put together: each part gets what it needs through its constructor; the lifespan opens and closes them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version

from fastapi import FastAPI

from service import admin, docs, health, openapi, problems, routes
from service.access import Access
from service.classify import Classify, Shortcut
from service.cors import across_origins
from service.counts import shared_folder
from service.gate import Gate
from service.hosting import Hosting
from service.intake import Limits
from service.memory import memory_limit
from service.metrics import Metrics
from service.protocol import REFUSALS
from service.pulse import Pulse
from service.record import OTHER, UNMATCHED, Reporter
from service.requestlog import RequestLog
from service.settings import Settings
from service.telemetry import Telemetry
from service.v2 import routes as v2
from service.v2.infer import Infer
from service.watch import watch, watch_keys
from service.workers import tell_others


def create_app(
    settings: Settings, *, load_first: bool = False, sign_of_life: Callable[[], None] | None = None
) -> tuple[Telemetry, Hosting, Access]:
    """The ASGI app, the models that it serves, and who may ask; raises RepositoryEmpty or KeysInvalid.

    It is alive at once, and ready when the models are; with `load_first`, it is not alive before. A `sign_of_life` is
    given at each beat of its pulse.
    """
    release = version("hangtag")
    metrics = Metrics(release, shared=settings.workers > 1)
    metrics.memory_limit.set(memory_limit(settings))
    pulse = Pulse(settings.stuck_seconds)
    if sign_of_life:
        pulse.join(sign_of_life)
    hosting = Hosting(settings, metrics, pulse)
    access = Access(settings, metrics, shared_folder())
    reporters = _reporters(settings, release)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        pulse.start()
        loading = asyncio.create_task(hosting.load())
        if load_first:
            await loading
        watching = [asyncio.create_task(each) for each in _watches(settings, hosting, access)]
        yield
        for each in watching:
            each.cancel()
            with suppress(asyncio.CancelledError):
                await each
        await loading
        await hosting.close()
        pulse.stop()
        for reporter in reporters:
            await asyncio.to_thread(reporter.close)

    app = FastAPI(
        version=release,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        **openapi.DESCRIPTION,
    )
    limits = _limits(settings)
    classify = Classify(hosting, limits)
    app.include_router(routes.router(hosting, classify))
    app.include_router(v2.router(hosting, Infer(hosting, limits, settings.max_items), limits, release))
    app.include_router(admin.router(hosting, access, tell_others if settings.workers > 1 else _nobody))
    app.include_router(health.router(hosting, metrics))
    app.include_router(docs.router(app.title))
    problems.install(app)
    paths = openapi.complete(app.openapi())["paths"]
    for path, operations in paths.items():
        for method, operation in operations.items():
            metrics.expect(method.upper(), path, [int(each) for each in operation["responses"] if each != "default"])
    metrics.expect(OTHER, UNMATCHED, REFUSALS)
    gate = across_origins(Gate(Shortcut(app, classify), access, paths), settings.cors_origins)
    return Telemetry(gate, metrics, hosting, *reporters), hosting, access


def _reporters(settings: Settings, release: str) -> list[Reporter]:
    """Who is told of each request: traces first, so that the log can name the spans."""
    log = RequestLog(settings.log_requests_per_second)
    if settings.otlp_endpoint is None:
        return [log]
    from service.spans import Spans  # noqa: PLC0415 - half a second, and the extra `otlp`, that only traces need

    return [Spans(str(settings.otlp_endpoint), settings.otlp_share, release), log]


def _watches(settings: Settings, hosting: Hosting, access: Access) -> Iterator[Coroutine[None, None, None]]:
    """What watches the files that the service is about, where that is wanted."""
    if settings.watch:
        yield watch(hosting)
    if settings.watch and settings.keys:
        yield watch_keys(settings.keys.absolute().parent, access)


def _limits(settings: Settings) -> Limits:
    return Limits(settings.max_body_bytes, settings.body_timeout_seconds, settings.deadline_seconds)


def _nobody() -> None:
    """There is no other worker to tell."""
