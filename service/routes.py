"""The REST routes: classification, and what there is to know of the models."""

from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from artifact import errors
from artifact.repository import FIGURES_FILE, REPORT_FILE
from service import examples, openapi
from service.classify import DEFAULT_TOP_K, MAX_TOP_K, Classify
from service.history import history
from service.hosting import Hosting
from service.report import respond
from service.schemas import Classification, ModelDetail, ModelList, ModelSummary, VersionList
from service.served import ServedModel

Name = Annotated[str, Path(description="a model's name", examples=["fashion-mnist"])]
Version = Annotated[str, Path(description="a number, or a label such as `canary`", examples=["2"])]
TopK = Annotated[
    int, Query(ge=1, le=MAX_TOP_K, description="how many labels to answer with, best first", examples=[DEFAULT_TOP_K])
]
Known = Annotated[str | None, Header(description="ETags of the pages that the client has", examples=['"sha256:5ab1"'])]

# What can go wrong with an image; with a version, it may not be there, too.
REFUSALS = (
    errors.MalformedRequest,
    errors.EmptyImage,
    errors.ModelNotFound,
    errors.BodyTimeout,
    errors.HeadTimeout,
    errors.BodyTooLarge,
    errors.TooManyPixels,
    errors.ContentTypeUnsupported,
    errors.UnsupportedImageType,
    errors.TruncatedImage,
    errors.UndecodableImage,
    errors.QueueFull,
    errors.RateLimited,
    errors.InferenceFailed,
    errors.InferenceStuck,
    errors.InternalError,
    errors.ModelUnavailable,
    errors.Draining,
    errors.TooManyConnections,
    errors.DeadlineExceeded,
)


def router(hosting: Hosting, handler: Classify) -> APIRouter:
    """The routes under /v1."""
    routes = APIRouter(prefix="/v1/models", tags=["models"], responses=openapi.problems(*openapi.ACCESS))
    classified: openapi.Responses = {200: openapi.example(examples.CLASSIFICATION, headers=openapi.CACHE_STATUS)}

    @routes.get("", summary="All models", responses={200: openapi.example(examples.MODELS)})
    async def list_models() -> ModelList:
        return ModelList(models=[summary(model) for model in hosting.models])

    @routes.get(
        "/{model}",
        summary="One model and its card",
        responses={200: openapi.example(examples.MODEL), **openapi.problems(errors.ModelNotFound)},
    )
    async def get_model(model: Name) -> ModelDetail:
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
        responses={
            200: openapi.example(examples.REPORT, "text/html", headers=openapi.ETAG),
            304: {"description": "`If-None-Match` names this page.", "headers": openapi.ETAG},
            **openapi.problems(
                errors.ModelNotFound, errors.ReportNotFound, errors.InternalError, errors.ModelUnavailable
            ),
        },
    )
    async def get_report(model: Name, if_none_match: Known = None) -> Response:
        return await respond(hosting.repository, hosting.get(model, "stable").card, REPORT_FILE, if_none_match)

    @routes.get(
        "/{model}/figures",
        summary="All figures of that report",
        response_class=JSONResponse,
        responses={
            200: openapi.example(examples.FIGURES, headers=openapi.ETAG),
            304: {"description": "`If-None-Match` names these figures.", "headers": openapi.ETAG},
            **openapi.problems(
                errors.ModelNotFound, errors.ReportNotFound, errors.InternalError, errors.ModelUnavailable
            ),
        },
    )
    async def get_figures(model: Name, if_none_match: Known = None) -> Response:
        return await respond(hosting.repository, hosting.get(model, "stable").card, FIGURES_FILE, if_none_match)

    @routes.get(
        "/{model}/versions",
        summary="All published versions of a model, in service or not",
        responses={200: openapi.example(examples.VERSIONS), **openapi.problems(errors.ModelNotFound)},
    )
    async def list_versions(model: Name) -> VersionList:
        return await history(hosting.repository, hosting.model(model))

    @routes.post(
        "/{model}/classify",
        summary="Classify one image",
        response_model=Classification,
        responses={**classified, **openapi.problems(*REFUSALS)},
        openapi_extra=openapi.CLASSIFICATION,
    )
    async def classify(model: Name, request: Request, top_k: TopK = DEFAULT_TOP_K) -> Response:
        return await handler.respond(request.scope, request.receive, model, None, top_k)

    @routes.post(
        "/{model}/versions/{version}/classify",
        summary="Classify one image with a certain version",
        response_model=Classification,
        responses={**classified, **openapi.problems(*REFUSALS, errors.VersionNotFound)},
        openapi_extra=openapi.CLASSIFICATION,
    )
    async def classify_version(
        model: Name, version: Version, request: Request, top_k: TopK = DEFAULT_TOP_K
    ) -> Response:
        return await handler.respond(request.scope, request.receive, model, version, top_k)

    return routes


def summary(model: ServedModel) -> ModelSummary:
    """What every list of models says of one."""
    return ModelSummary(name=model.name, version=model.version, status=model.status, reason=model.reason)
