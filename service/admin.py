"""What only an operator may ask for: models in and out while the service runs."""

from collections.abc import Callable

from fastapi import APIRouter

from artifact.errors import Draining, ReloadFailed
from service import examples, openapi
from service.access import Access
from service.hosting import Hosting
from service.routes import summary
from service.schemas import ModelList


def router(hosting: Hosting, access: Access, tell_others: Callable[[], None]) -> APIRouter:
    """The routes under /v1/admin; `tell_others` lets the other workers do what this one did."""
    routes = APIRouter(prefix="/v1/admin", tags=["operations"], responses=openapi.problems(*openapi.ACCESS))

    @routes.post(
        "/reload",
        summary="Let what the labels and the file of keys say be so",
        responses={
            200: openapi.example(examples.MODELS),
            **openapi.problems(ReloadFailed, Draining),
        },
    )
    async def reload_models() -> ModelList:
        try:
            access.reload()
        finally:  # some of it may be so
            try:
                await hosting.reload()
            finally:
                tell_others()
        return ModelList(models=[summary(model) for model in hosting.models])

    return routes
