"""The app, put together: each part gets what it needs through its constructor; the lifespan opens and closes them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version

from fastapi import FastAPI

from service import admin, health, openapi, problems, routes
from service.admin import Admin
from service.classify import Classify, Shortcut
from service.hosting import Hosting
from service.intake import Limits
from service.memory import memory_limit
from service.metrics import Metrics
from service.protocol import REFUSALS
from service.record import OTHER, UNMATCHED, Reporter
from service.requestlog import RequestLog
from service.settings import Settings
from service.telemetry import Telemetry
from service.v2 import routes as v2
from service.v2.infer import Infer
from service.watch import watch
from service.workers import tell_others


def create_app(settings: Settings, *, load_first: bool = False) -> tuple[Telemetry, Hosting]:
    """The ASGI app and the models that it serves; raises RepositoryEmpty when there are none.

    It is alive at once, and ready when the models are; with `load_first`, it is not alive before.
    """
    release = version("hangtag")
    metrics = Metrics(release, shared=settings.workers > 1)
    metrics.memory_limit.set(memory_limit(settings))
    hosting = Hosting(settings, metrics)
    reporters = _reporters(settings, release)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        loading = asyncio.create_task(hosting.load())
        if load_first:
            await loading
        watching = asyncio.create_task(watch(hosting)) if settings.watch else None
        yield
        if watching:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
        await loading
        await hosting.close()
        for reporter in reporters:
            await asyncio.to_thread(reporter.close)

    app = FastAPI(
        version=release,
        lifespan=lifespan,
        redoc_url=None,
        redirect_slashes=False,
        **openapi.DESCRIPTION,
    )
    limits = _limits(settings)
    classify = Classify(hosting, limits)
    app.include_router(routes.router(hosting, classify))
    operator = Admin(settings)
    app.include_router(v2.router(hosting, Infer(hosting, limits, settings.max_items), limits, operator, release))
    app.include_router(admin.router(hosting, operator, tell_others if settings.workers > 1 else _nobody))
    app.include_router(health.router(hosting, metrics))
    problems.install(app)
    for path, operations in openapi.complete(app.openapi())["paths"].items():
        for method, operation in operations.items():
            metrics.expect(method.upper(), path, [int(each) for each in operation["responses"] if each != "default"])
    metrics.expect(OTHER, UNMATCHED, REFUSALS)
    return Telemetry(Shortcut(app, classify), metrics, hosting, *reporters), hosting


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
