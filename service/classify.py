"""Classification over HTTP: one image in, one answer out, on the shortest way there is.

Nearly every request is one of these, so they are found by their path and answered here, before FastAPI's routing, which
takes longer than all the rest of the service. FastAPI documents them, and would answer them by the same handler.
"""

import re
from types import SimpleNamespace

from pydantic import TypeAdapter
from starlette.datastructures import QueryParams
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from artifact.errors import HangtagError, MalformedRequest
from service import problems
from service.cache import Source
from service.hosting import Hosting
from service.intake import Caller, Limits
from service.schemas import Classification

MAX_TOP_K, DEFAULT_TOP_K = 1000, 5

# For the metrics, which know a route by its template.
_ROUTE = SimpleNamespace(path="/v1/models/{model}/classify")
_VERSION_ROUTE = SimpleNamespace(path="/v1/models/{model}/versions/{version}/classify")

_COUNT = re.compile(r"[0-9]{1,4}")
_PATH = re.compile(r"/v1/models/([^/]+)(?:/versions/([^/]+))?/classify")
_CACHE_STATUS: dict[Source, str] = {  # RFC 9211
    "hit": "hangtag; hit",
    "collapsed": "hangtag; fwd=miss; collapsed",
    "miss": "hangtag; fwd=miss; stored",
}
_ANSWER = TypeAdapter(Classification)


class Classify:
    """Answers the two routes that classify one image."""

    def __init__(self, hosting: Hosting, limits: Limits) -> None:
        self._hosting = hosting
        self._limits = limits

    async def respond(self, scope: Scope, receive: Receive, model: str, version: str | None, top_k: int) -> Response:
        """The answer to one request; raises a HangtagError."""
        caller = Caller(scope, receive, self._limits)
        with self._hosting.admitted(caller, model, version) as place:
            image = await caller.image(place)
            with caller.attended():
                answer, source = await place.answer(image, top_k)
        hosted = place.model
        classification: Classification = {
            "model": hosted.name,
            "version": hosted.version,
            "id": scope["state"]["request_id"],
            "predictions": [{"label": label, "score": score} for label, score in answer.predictions],
            "decision": answer.decision,
            "threshold": answer.threshold,
        }
        headers = None if source is None else {"cache-status": _CACHE_STATUS[source]}
        return Response(_ANSWER.dump_json(classification), headers=headers, media_type="application/json")


class Shortcut:
    """Wraps the app: answers what is to be classified itself."""

    def __init__(self, app: ASGIApp, classify: Classify) -> None:
        self._app = app
        self._classify = classify

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, or answer it."""
        found = _PATH.fullmatch(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        model, version = found.groups()
        scope["route"] = _ROUTE if version is None else _VERSION_ROUTE
        try:
            top_k = _top_k(scope["query_string"])
            response = await self._classify.respond(scope, receive, model, version, top_k)
        except HangtagError as error:
            response = problems.respond(error, scope)
        await response(scope, receive, send)


def _top_k(query: bytes) -> int:
    """How many labels are asked for."""
    asked = QueryParams(query).get("top_k") if query else None
    if asked is None:
        return DEFAULT_TOP_K
    if not _COUNT.fullmatch(asked) or not 1 <= int(asked) <= MAX_TOP_K:
        raise MalformedRequest(f"top_k is {asked[:40]!r}; ask for 1 to {MAX_TOP_K} labels.")
    return int(asked)
