"""The model repository as the protocol's extension has it: which versions there are, and how each of them is."""

from fastapi import APIRouter, Request

from service.hosting import Hosting
from service.intake import Caller, Limits
from service.schemas import Status
from service.served import ServedModel
from service.v2.metadata import versions_of
from service.v2.request import Lenient
from service.v2.schemas import IndexEntry, State

_STATES: dict[Status, State] = {
    "loading": "LOADING",
    "ready": "READY",
    "failed": "UNAVAILABLE",
    "unloaded": "UNAVAILABLE",
}


class IndexRequest(Lenient):
    """Which versions are asked for."""

    ready: bool = False


def router(hosting: Hosting, limits: Limits) -> APIRouter:
    """The routes under /v2/repository."""
    routes = APIRouter(prefix="/v2/repository")

    @routes.post("/index", summary="Every version of every model, and whether it answers")
    async def index(request: Request) -> list[IndexEntry]:
        body = await Caller(request.scope, request.receive, limits).body()
        asked = IndexRequest.of_json(body) if body else IndexRequest()
        entries = [entry for model in hosting.models for entry in _entries(model)]
        return [entry for entry in entries if entry.state == "READY" or not asked.ready]

    return routes


def _entries(model: ServedModel) -> list[IndexEntry]:
    """The versions of a model that answer; where there are none, how it is with the one that should."""
    if versions := versions_of(model):
        return [IndexEntry(name=model.name, version=version, state="READY", reason="") for version in versions]
    state = _STATES[model.status]
    return [IndexEntry(name=model.name, version=model.version, state=state, reason=model.reason or "")]
