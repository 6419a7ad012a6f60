"""What probes and scrapers ask: is it alive, has it started, may it have traffic, and what has it counted."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from service.hosting import Hosting
from service.metrics import Metrics
from service.schemas import Health


def router(hosting: Hosting, metrics: Metrics) -> APIRouter:
    """The routes under /health, and /metrics."""
    routes = APIRouter(tags=["operations"])
    unhealthy: dict[int | str, dict[str, Any]] = {503: {"model": Health}}

    @routes.get("/health/live", summary="The event loop turns")
    async def live() -> Health:
        return Health(status="live")

    @routes.get("/health/startup", summary="Every model was loaded, or failed to", responses=unhealthy)
    async def startup(response: Response) -> Health:
        models = {model.name: model.status for model in hosting.models}
        if "loading" not in models.values():
            return Health(status="started", models=models)
        response.status_code = 503
        return Health(status="starting", models=models)

    @routes.get("/health/ready", summary="Every model answers, and the service is not draining", responses=unhealthy)
    async def ready(response: Response) -> Health:
        health = readiness(hosting)
        if health.status != "ready":
            response.status_code = 503
        return health

    @routes.get("/metrics", summary="Prometheus metrics", response_class=Response)
    async def scrape(request: Request) -> Response:
        encode, content_type = _encoder(request.headers.get("accept", ""))
        return Response(encode(metrics.registry), headers={"Content-Type": content_type})

    return routes


def _encoder(accept: str) -> tuple[Callable[[CollectorRegistry], bytes], str]:
    """How the scraper wants its metrics, and the content type of that; the plain text format where it is unclear."""
    try:
        return choose_encoder(accept)
    except (TypeError, ValueError):  # it names a version that is none
        return choose_encoder("")


def readiness(hosting: Hosting) -> Health:
    """Whether every model answers and the service is not draining, and else what is so."""
    models = {model.name: model.status for model in hosting.models if model.is_wanted}
    if hosting.draining:
        return Health(status="draining", models=models)
    for worst, meaning in (("loading", "starting"), ("failed", "failed")):
        if worst in models.values():
            return Health(status=meaning, models=models)
    return Health(status="ready", models=models)
