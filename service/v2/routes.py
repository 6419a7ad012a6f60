"""The routes of the Open Inference Protocol."""

from typing import Any

from fastapi import APIRouter, Request, Response

from artifact.errors import Draining, ModelUnavailable
from service.admin import Admin
from service.health import readiness
from service.hosting import Hosting
from service.intake import Limits
from service.v2 import repository
from service.v2.infer import Infer
from service.v2.metadata import metadata_of, versions_of
from service.v2.request import InferRequest
from service.v2.response import BINARY, JSON
from service.v2.schemas import (
    ErrorResponse,
    InferResponse,
    Liveness,
    ModelMetadata,
    ModelReadiness,
    Readiness,
    ServerMetadata,
)

STABLE = "stable"
EXTENSIONS = ["binary_tensor_data", "classification", "model_repository", "schedule_policy"]

_BINARY = {"schema": {"type": "string", "format": "binary"}}


def router(hosting: Hosting, infer: Infer, limits: Limits, admin: Admin, release: str) -> APIRouter:
    """The routes under /v2."""
    failure = {"description": "What is wrong", "model": ErrorResponse}
    routes = APIRouter(tags=["Open Inference Protocol"], responses={"default": failure})
    routes.include_router(_server(hosting, release))
    routes.include_router(_models(hosting))
    routes.include_router(_inference(infer))
    routes.include_router(repository.router(hosting, limits, admin))
    return routes


def _server(hosting: Hosting, release: str) -> APIRouter:
    routes = APIRouter(prefix="/v2")

    @routes.get("", summary="What the server is")
    @routes.get("/", include_in_schema=False)
    async def server() -> ServerMetadata:
        return ServerMetadata(name="hangtag", version=release, extensions=EXTENSIONS)

    @routes.get("/health/live", summary="The event loop turns")
    async def live() -> Liveness:
        return Liveness(live=True)

    @routes.get("/health/ready", summary="Every model answers, and the service is not draining")
    async def ready() -> Readiness:
        if hosting.draining:
            raise Draining("The service is shutting down; ask another replica.")
        if (status := readiness(hosting).status) != "ready":
            raise ModelUnavailable(f"The service is {status}; /health/ready says more.")
        return Readiness(ready=True)

    return routes


def _models(hosting: Hosting) -> APIRouter:
    routes = APIRouter(prefix="/v2/models/{model}")

    @routes.get("", summary="What a model takes and gives")
    async def model(model: str) -> ModelMetadata:
        return metadata_of(hosting.get(model, STABLE).card, versions_of(hosting.model(model)))

    @routes.get("/versions/{version}", summary="What a certain version takes and gives")
    async def version(model: str, version: str) -> ModelMetadata:
        card = hosting.get(model, version).card
        return metadata_of(card, [card.version])

    @routes.get("/ready", summary="A model answers")
    async def ready(model: str) -> ModelReadiness:
        return ModelReadiness(name=hosting.get(model, STABLE).name, ready=True)

    @routes.get("/versions/{version}/ready", summary="A certain version answers")
    async def version_ready(model: str, version: str) -> ModelReadiness:
        return ModelReadiness(name=hosting.get(model, version).name, ready=True)

    return routes


def _inference(infer: Infer) -> APIRouter:
    routes = APIRouter(prefix="/v2/models/{model}")
    described: dict[str, Any] = {
        "response_model": InferResponse,
        "responses": {200: {"content": {BINARY: _BINARY}}},
        "openapi_extra": {"requestBody": {"required": True, "content": _content()}},
    }

    @routes.post("/infer", summary="Infer from images", **described)
    async def inference(model: str, request: Request) -> Response:
        return await infer.respond(request.scope, request.receive, model, None)

    @routes.post("/versions/{version}/infer", summary="Infer from images with a certain version", **described)
    async def inference_of_version(model: str, version: str, request: Request) -> Response:
        return await infer.respond(request.scope, request.receive, model, version)

    return routes


def _content() -> dict[str, Any]:
    """What an infer request may have as its body."""
    schema = InferRequest.model_json_schema()
    return {JSON: {"schema": _inlined(schema, schema["$defs"])}, BINARY: _BINARY}


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """The schema with definitions in the place of references, which would lead nowhere in an OpenAPI document."""
    if isinstance(schema, list):
        return [_inlined(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {key: _inlined(part, definitions) for key, part in schema.items() if key != "$defs"}
