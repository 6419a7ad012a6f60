"""The REST routes: classification, and what there is to know of the models."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import HTMLResponse

from service.hosting import Hosting
from service.intake import FIELD, IMAGE_TYPES, MULTIPART, Caller, Limits
from service.model import HostedModel
from service.problems import PHRASES, PROBLEM_JSON
from service.report import respond
from service.schemas import Classification, ModelDetail, ModelList, ModelSummary, Prediction, Problem

TopK = Annotated[int, Query(ge=1, le=1000, description="how many labels to answer with, best first")]

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


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    content = {PROBLEM_JSON: {"schema": Problem.model_json_schema()}}
    return {status: {"description": PHRASES[status], "content": content} for status in statuses}


def router(hosting: Hosting, limits: Limits) -> APIRouter:
    """The routes under /v1."""
    routes = APIRouter(prefix="/v1/models", tags=["models"])
    refusals = _problems(400, 404, 408, 413, 415, 422, 429, 500, 503, 504)

    @routes.get("", summary="All models")
    async def models() -> ModelList:
        return ModelList(models=[_summary(model) for model in hosting.models])

    @routes.get("/{model}", summary="One model and its card", responses=_problems(404))
    async def model(model: str) -> ModelDetail:
        hosted = hosting.get(model)
        return ModelDetail(**_summary(hosted).model_dump(), card=hosted.card)

    @routes.get(
        "/{model}/report",
        summary="The report on the training of the version that is served",
        response_class=HTMLResponse,
        responses={304: {"description": "`If-None-Match` names this page"}, **_problems(404, 500, 503)},
    )
    async def report(model: str, if_none_match: Annotated[str | None, Header()] = None) -> Response:
        return await respond(hosting.repository, hosting.get(model).ready_card, if_none_match)

    @routes.post(
        "/{model}/classify",
        summary="Classify one image",
        response_model=Classification,
        responses=refusals,
        openapi_extra=_BODY,
    )
    async def classify(model: str, request: Request, top_k: TopK = 5) -> Response:
        return await _classify(hosting.get(model), Caller(request, limits), top_k)

    @routes.post(
        "/{model}/versions/{version}/classify",
        summary="Classify one image with a certain version",
        response_model=Classification,
        responses=refusals,
        openapi_extra=_BODY,
    )
    async def classify_version(model: str, version: str, request: Request, top_k: TopK = 5) -> Response:
        return await _classify(hosting.get(model, version), Caller(request, limits), top_k)

    return routes


async def _classify(model: HostedModel, caller: Caller, top_k: int) -> Response:
    answer = await model.classify(caller, top_k)
    classification = Classification(
        model=model.name,
        version=model.version,
        id=caller.request.state.request_id,
        predictions=[Prediction(label=label, score=score) for label, score in answer.predictions],
        decision=answer.decision,
        threshold=answer.threshold,
    )
    return Response(classification.model_dump_json(), media_type="application/json")


def _summary(model: HostedModel) -> ModelSummary:
    return ModelSummary(name=model.name, version=model.version, status=model.status, reason=model.reason)
