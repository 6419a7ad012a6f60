"""What probes and scrapers ask: is it alive, has it started, may it have traffic, and what has it counted."""

import asyncio

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from service import examples, openapi
from service.exposition import Exposition
from service.hosting import Hosting
from service.metrics import Metrics
from service.schemas import Health


def router(hosting: Hosting, metrics: Metrics) -> APIRouter:
    """The routes under /health, and /metrics."""
    routes = APIRouter(tags=["operations"])
    exposition = Exposition(metrics.registry)

    @routes.get("/health/live", summary="The event loop turns", responses={200: openapi.example(examples.LIVE)})
    async def is_live() -> Health:
        return Health(status="live")

    @routes.get(
        "/health/startup",
        summary="Every model was loaded, or failed to",
        responses={200: openapi.example(examples.STARTED), 503: openapi.example(examples.STARTING, model=Health)},
    )
    async def has_started(response: Response) -> Health:
        models = {model.name: model.status for model in hosting.models}
        if "loading" not in models.values():
            return Health(status="started", models=models)
        response.status_code = 503
        return Health(status="starting", models=models)

    @routes.get(
        "/health/ready",
        summary="Every model answers, no runner of a stable version is stuck, and the service is not draining",
        responses={200: openapi.example(examples.READY), 503: openapi.example(examples.DRAINING, model=Health)},
    )
    async def is_ready(response: Response) -> Health:
        health = readiness(hosting)
        if health.status != "ready":
            response.status_code = 503
        return health

    @routes.get(
        "/metrics",
        summary="Prometheus metrics",
        response_class=PlainTextResponse,
        responses={200: openapi.example(examples.METRICS, "text/plain")},
    )
    async def get_metrics(request: Request) -> Response:
        accept = request.headers.get("accept", "")
        text, content_type = await asyncio.to_thread(exposition.text, accept)  # it takes as long as ten answers
        return Response(text, headers={"Content-Type": content_type})

    return routes


def readiness(hosting: Hosting) -> Health:
    """Whether every model answers and the service is not draining, and else what is so."""
    models = {model.name: model.status for model in hosting.models if model.is_wanted}
    if hosting.draining:
        return Health(status="draining", models=models)
    for worst, meaning in (("loading", "starting"), ("failed", "failed"), ("stuck", "stuck")):
        if worst in models.values():
            return Health(status=meaning, models=models)
    return Health(status="ready", models=models)
