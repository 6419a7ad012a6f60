"""What only an operator may ask for: models in and out while the service runs."""

import hmac
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from artifact.errors import Draining, KeyMissing, KeyWrong, ReloadFailed
from service import examples, openapi
from service.hosting import Hosting
from service.routes import summary
from service.schemas import ModelList
from service.settings import Settings

Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]


class Admin:
    """Lets in whoever brings the admin key; nobody where none is set."""

    def __init__(self, settings: Settings) -> None:
        self._key = settings.admin_key.get_secret_value().encode() if settings.admin_key else None

    async def __call__(self, credentials: Credentials) -> None:
        """Raises KeyMissing or KeyWrong; a coroutine, or FastAPI would take a thread for it."""
        if self._key is None:
            raise KeyWrong("This service has no admin key, so nobody may do this; set HANGTAG_ADMIN_KEY.")
        if credentials is None:
            raise KeyMissing("This route asks for a key; send it as `Authorization: Bearer <key>`.")
        if not hmac.compare_digest(credentials.credentials.encode(), self._key):
            raise KeyWrong("The key is not the admin key of this service.")


def router(hosting: Hosting, admin: Admin, tell_others: Callable[[], None]) -> APIRouter:
    """The routes under /v1/admin; `tell_others` lets the other workers do what this one did."""
    routes = APIRouter(prefix="/v1/admin", tags=["operations"], dependencies=[Depends(admin)])

    @routes.post(
        "/reload",
        summary="Let what the labels say be so",
        responses={
            200: openapi.example(examples.MODELS),
            **openapi.problems(KeyMissing, KeyWrong, ReloadFailed, Draining),
        },
    )
    async def reload_models() -> ModelList:
        try:
            await hosting.reload()
        finally:
            tell_others()  # some of it may be so
        return ModelList(models=[summary(model) for model in hosting.models])

    return routes
