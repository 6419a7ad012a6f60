"""The app, put together: each part gets what it needs through its constructor; the lifespan opens and closes them."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version

from fastapi import FastAPI
from starlette.types import ASGIApp

from service import admin, docs, health, openapi, problems, routes
from service.access import Access
from service.classify import Classify, Shortcut
from service.cors import across_origins
from service.gate import Gate
from service.hosting import Hosting
from service.intake import Limits
from service.metrics import Metrics
from service.settings import Settings
from service.telemetry import Telemetry
from service.v2 import routes as v2
from service.v2.infer import Infer
from service.watch import watch, watch_keys
from service.workers import shared_folder, tell_others


def create_app(settings: Settings, *, load_first: bool = False) -> tuple[ASGIApp, Hosting, Access]:
    """The ASGI app, the models that it serves, and who may ask; raises RepositoryEmpty or KeysInvalid.

    It is alive at once, and ready when the models are; with `load_first`, it is not alive before.
    """
    release = version("hangtag")
    metrics = Metrics(release, shared=settings.workers > 1)
    hosting = Hosting(settings, metrics)
    access = Access(settings, metrics, shared_folder())

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
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
        for method in operations:
            metrics.expect(method.upper(), path)
    gate = Gate(Shortcut(app, classify), access, paths)
    return Telemetry(across_origins(gate, settings.cors_origins), metrics, hosting), hosting, access


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
