"""The routes of the Open Inference Protocol."""

from fastapi import APIRouter, Request, Response

from artifact import errors
from artifact.errors import Draining, ModelUnavailable
from service.health import readiness
from service.hosting import Hosting
from service.intake import Limits
from service.model import HostedModel
from service.openapi import TERMS, Json, example
from service.routes import REFUSALS, Name, Version
from service.v2 import described, repository
from service.v2.infer import Infer
from service.v2.metadata import metadata_of, versions_of
from service.v2.schemas import InferResponse, Liveness, ModelMetadata, ModelReadiness, Readiness, ServerMetadata

STABLE = "stable"
EXTENSIONS = ["binary_tensor_data", "classification", "model_repository", "schedule_policy"]

_MODEL = {200: example(described.MODEL), **described.refusals(errors.ModelNotFound, ModelUnavailable)}
_VERSION = {200: example(described.MODEL), **described.refusals(errors.VersionNotFound, ModelUnavailable)}
_READY = {200: example(described.MODEL_READY), **described.refusals(errors.ModelNotFound, ModelUnavailable)}


def router(hosting: Hosting, infer: Infer, limits: Limits, release: str) -> APIRouter:
    """The routes under /v2."""
    routes = APIRouter(tags=[described.TAG], responses=described.ANY_ERROR)
    routes.include_router(_server(hosting, release))
    routes.include_router(_models(hosting))
    routes.include_router(_inference(infer))
    routes.include_router(repository.router(hosting, limits))
    return routes


def _server(hosting: Hosting, release: str) -> APIRouter:
    routes = APIRouter(prefix="/v2")

    @routes.get("", summary="What the server is", responses={200: example(described.SERVER), **described.ACCESS})
    @routes.get("/", include_in_schema=False)
    async def get_server_metadata() -> ServerMetadata:
        return ServerMetadata(name="hangtag", version=release, extensions=EXTENSIONS)

    @routes.get("/health/live", summary="The event loop turns", responses={200: example({"live": True})})
    async def is_server_live() -> Liveness:
        return Liveness(live=True)

    @routes.get(
        "/health/ready",
        summary="Every model answers, and the service is not draining",
        responses={200: example({"ready": True}), **described.refusals(Draining, ModelUnavailable)},
    )
    async def is_server_ready() -> Readiness:
        if hosting.draining:
            raise Draining("The service is shutting down; ask another replica.")
        if (status := readiness(hosting).status) != "ready":
            raise ModelUnavailable(f"The service is {status}; /health/ready says more.")
        return Readiness(ready=True)

    return routes


def _models(hosting: Hosting) -> APIRouter:
    routes = APIRouter(prefix="/v2/models/{model}", responses=described.ACCESS)

    @routes.get("", summary="What a model takes and gives", responses=_MODEL)
    async def get_model_metadata(model: Name) -> ModelMetadata:
        return metadata_of(hosting.get(model, STABLE).card, versions_of(hosting.model(model)))

    @routes.get("/versions/{version}", summary="What a certain version takes and gives", responses=_VERSION)
    async def get_version_metadata(model: Name, version: Version) -> ModelMetadata:
        card = hosting.get(model, version).card
        return metadata_of(card, [card.version])

    @routes.get("/ready", summary="A model answers", responses=_READY)
    async def is_model_ready(model: Name) -> ModelReadiness:
        return _readiness(hosting.get(model, STABLE))

    @routes.get("/versions/{version}/ready", summary="A certain version answers", responses=_READY)
    async def is_version_ready(model: Name, version: Version) -> ModelReadiness:
        return _readiness(hosting.get(model, version))

    return routes


def _readiness(hosted: HostedModel) -> ModelReadiness:
    if hosted.is_stuck:
        raise ModelUnavailable(f"A runner of {hosted.name} {hosted.version} does not come back; others answer.")
    return ModelReadiness(name=hosted.name, ready=True)


def _inference(infer: Infer) -> APIRouter:
    routes = APIRouter(prefix="/v2/models/{model}", responses=described.ACCESS)
    what: Json = {
        "response_model": InferResponse,
        "responses": {200: described.INFERENCE, **described.refusals(*REFUSALS)},
        "openapi_extra": {"parameters": TERMS, "requestBody": described.inference_body()},
    }

    @routes.post("/infer", summary="Infer from images", **what)
    async def infer_model(model: Name, request: Request) -> Response:
        return await infer.respond(request.scope, request.receive, model, None)

    @routes.post("/versions/{version}/infer", summary="Infer from images with a certain version", **what)
    async def infer_version(model: Name, version: Version, request: Request) -> Response:
        return await infer.respond(request.scope, request.receive, model, version)

    return routes
