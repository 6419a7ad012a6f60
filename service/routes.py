"""The REST routes: classification, and what there is to know of the models."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import HTMLResponse

from service.classify import DEFAULT_TOP_K, MAX_TOP_K, Classify
from service.hosting import Hosting
from service.intake import FIELD, IMAGE_TYPES, MULTIPART
from service.problems import PHRASES, PROBLEM_JSON
from service.report import respond
from service.schemas import Classification, ModelDetail, ModelList, ModelSummary, Problem
from service.served import ServedModel

TopK = Annotated[int, Query(ge=1, le=MAX_TOP_K, description="how many labels to answer with, best first")]

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FORM = {
    "schema": {
        "type": "object",
        "required": [FIELD],
        "properties": {FIELD: {"type": "string", "format": "binary"}},
    }
}
_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {**dict.fromkeys(IMAGE_TYPES, _BINARY), MULTIPART: _FORM}}
}


def problems_of(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How the OpenAPI document shows errors of these statuses."""
    content = {PROBLEM_JSON: {"schema": Problem.model_json_schema()}}
    return {status: {"description": PHRASES[status], "content": content} for status in statuses}


def router(hosting: Hosting, handler: Classify) -> APIRouter:
    """The routes under /v1."""
    routes = APIRouter(prefix="/v1/models", tags=["models"])
    refusals = problems_of(400, 404, 408, 413, 415, 422, 429, 500, 503, 504)

    @routes.get("", summary="All models")
    async def models() -> ModelList:
        return ModelList(models=[summary(model) for model in hosting.models])

    @routes.get("/{model}", summary="One model and its card", responses=problems_of(404))
    async def model(model: str) -> ModelDetail:
        served = hosting.model(model)
        routing = served.routing
        stable = routing.by_label.get("stable")
        return ModelDetail(
            **summary(served).model_dump(),
            labels={label: hosted.version for label, hosted in routing.by_label.items()},
            canary_share=routing.canary_share,
            shadow_share=routing.shadow_share,
            failures=served.failures,
            card=stable.card if stable else None,
        )

    @routes.get(
        "/{model}/report",
        summary="The report on the training of the version that is served",
        response_class=HTMLResponse,
        responses={304: {"description": "`If-None-Match` names this page"}, **problems_of(404, 500, 503)},
    )
    async def report(model: str, if_none_match: Annotated[str | None, Header()] = None) -> Response:
        return await respond(hosting.repository, hosting.get(model, "stable").card, if_none_match)

    @routes.post(
        "/{model}/classify",
        summary="Classify one image",
        response_model=Classification,
        responses=refusals,
        openapi_extra=_BODY,
    )
    async def classify(model: str, request: Request, top_k: TopK = DEFAULT_TOP_K) -> Response:
        return await handler.respond(request.scope, request.receive, model, None, top_k)

    @routes.post(
        "/{model}/versions/{version}/classify",
        summary="Classify one image with a certain version",
        response_model=Classification,
        responses=refusals,
        openapi_extra=_BODY,
    )
    async def classify_version(model: str, version: str, request: Request, top_k: TopK = DEFAULT_TOP_K) -> Response:
        return await handler.respond(request.scope, request.receive, model, version, top_k)

    return routes


def summary(model: ServedModel) -> ModelSummary:
    """What every list of models says of one."""
    return ModelSummary(name=model.name, version=model.version, status=model.status, reason=model.reason)
