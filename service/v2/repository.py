"""The model repository as the protocol's extension has it: which versions there are, and models in and out."""

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import Field

from artifact import errors
from artifact.errors import MalformedRequest
from service.hosting import Hosting
from service.intake import Caller, Limits
from service.openapi import Json, example
from service.routes import Name
from service.schemas import Status
from service.served import ServedModel
from service.v2 import described
from service.v2.metadata import versions_of
from service.v2.request import Lenient
from service.v2.schemas import IndexEntry, State

_STATES: dict[Status, State] = {
    "loading": "LOADING",
    "ready": "READY",
    "stuck": "READY",  # its other runners answer
    "failed": "UNAVAILABLE",
    "unloaded": "UNAVAILABLE",
}


class IndexRequest(Lenient):
    """Which versions are asked for."""

    ready: bool = False


class ChangeRequest(Lenient):
    """How a model is to be loaded or unloaded."""

    parameters: dict[str, Any] = Field(default_factory=dict)

    def check(self) -> None:
        """Raises MalformedRequest where it asks for what is not offered."""
        if others := self.parameters.keys() - {"unload_dependents"}:
            given = ", ".join(sorted(others))[:80]
            raise MalformedRequest(f"Parameters such as {given} are not taken; labels say which versions are loaded.")


def router(hosting: Hosting, limits: Limits) -> APIRouter:
    """The routes under /v2/repository."""
    routes = APIRouter(prefix="/v2/repository", responses=described.ACCESS)

    changed: Json = {
        "response_class": Response,
        "responses": described.refusals(
            *(errors.ModelNotFound, errors.LastModel, errors.ManyWorkers, errors.ReloadFailed, errors.Draining)
        ),
    }

    @routes.post(
        "/index",
        summary="Every version of every model, and whether it answers",
        responses={200: example(described.INDEX)},
    )
    async def get_repository_index(request: Request) -> list[IndexEntry]:
        body = await Caller(request.scope, request.receive, limits).body()
        asked = IndexRequest.of_json(body) if body else IndexRequest()
        entries = [entry for model in hosting.models for entry in _entries(model)]
        return [entry for entry in entries if entry.state == "READY" or not asked.ready]

    @routes.post("/models/{model}/load", summary="Load a model as its labels say", **changed)
    async def load_model(model: Name, request: Request) -> Response:
        await _checked(request, limits)
        await hosting.load_model(model)
        return Response()

    @routes.post("/models/{model}/unload", summary="Answer for a model no more", **changed)
    async def unload_model(model: Name, request: Request) -> Response:
        await _checked(request, limits)
        await hosting.unload_model(model)
        return Response()

    return routes


async def _checked(request: Request, limits: Limits) -> None:
    """Read what is asked beside the model's name; raises a RequestError."""
    body = await Caller(request.scope, request.receive, limits).body()
    if body:
        ChangeRequest.of_json(body).check()


def _entries(model: ServedModel) -> list[IndexEntry]:
    """The versions of a model that answer; where there are none, how it is with the one that should."""
    if versions := versions_of(model):
        return [IndexEntry(name=model.name, version=version, state="READY", reason="") for version in versions]
    state = _STATES[model.status]
    return [IndexEntry(name=model.name, version=model.version, state=state, reason=model.reason or "")]
