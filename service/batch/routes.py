"""The routes that classify many images."""

from fastapi import APIRouter, Response

from artifact import errors
from service import openapi
from service.batch.classify import ClassifyBatch
from service.batch.described import ASKED, REFUSALS, answered
from service.batch.schemas import Batch
from service.classify import DEFAULT_TOP_K
from service.routes import Name, TopK, Version


def router(handler: ClassifyBatch) -> APIRouter:
    """The routes under /v1."""
    routes = APIRouter(prefix="/v1/models", tags=["models"], responses=openapi.problems(*openapi.ACCESS))

    @routes.post(
        "/{model}/classify-batch",
        summary="Classify many images",
        response_model=Batch,
        responses={200: answered(), **openapi.problems(*REFUSALS)},
        openapi_extra=ASKED,
    )
    async def classify_batch(model: Name, top_k: TopK = DEFAULT_TOP_K) -> Response:
        return handler.reply(model, None, top_k)

    @routes.post(
        "/{model}/versions/{version}/classify-batch",
        summary="Classify many images with a certain version",
        response_model=Batch,
        responses={200: answered(), **openapi.problems(*REFUSALS, errors.VersionNotFound)},
        openapi_extra=ASKED,
    )
    async def classify_batch_version(model: Name, version: Version, top_k: TopK = DEFAULT_TOP_K) -> Response:
        return handler.reply(model, version, top_k)

    return routes
