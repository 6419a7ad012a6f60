"""The one ASGI middleware: each request gets its id, is counted and timed, and is answered whatever happens."""

import asyncio
import logging
import re
from time import perf_counter
from uuid import uuid4

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from artifact.errors import Draining, HangtagError, InternalError
from service.hosting import Hosting
from service.metrics import Metrics
from service.problems import answer

logger = logging.getLogger("hangtag")

REQUEST_ID = "X-Request-ID"
UNMATCHED = "unmatched"

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SAFE_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)


class Telemetry:
    """Wraps the app."""

    def __init__(self, app: ASGIApp, metrics: Metrics, hosting: Hosting) -> None:
        self._app = app
        self._metrics = metrics
        self._hosting = hosting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, marked and counted."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        request.state.request_id = _request_id(request)
        exchange = _Exchange(request, self._hosting, receive, send)
        started = perf_counter()
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except asyncio.CancelledError:  # a shutdown ran out of time; nothing else cancels requests
            self._hosting.given_up += 1
            await exchange.fail(scope, Draining("The service stopped before it could answer; send the request again."))
        except Exception:
            logger.exception("request %s failed", request.state.request_id)
            await exchange.fail(scope, InternalError("The service failed; its log says why."))
        finally:
            self._count(scope, exchange.status, perf_counter() - started)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = getattr(scope.get("route"), "path", UNMATCHED)
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.request_seconds.labels(method, route).observe(seconds)


class _Exchange:
    """One request and its answer, as they pass."""

    def __init__(self, request: Request, hosting: Hosting, receive: Receive, send: Send) -> None:
        self._request_id: str = request.state.request_id
        self._body_is_held = request.headers.get("expect", "").lower() == "100-continue"
        self._hosting = hosting
        self._receive = receive
        self._send = send
        self.status = 0

    async def receive(self) -> Message:
        """The next part of the body; asking for the first one lets a client that waits for `100 Continue` send it."""
        self._body_is_held = False
        return await self._receive()

    async def send(self, message: Message) -> None:
        """Send a part of the answer, with the headers that every answer has.

        A client that holds its body back until it is asked for it will not send it now: where its next request begins
        nobody could tell, so the connection ends. While the service drains, clients should find another replica.
        """
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers[REQUEST_ID] = self._request_id
            if self._body_is_held or self._hosting.draining:
                headers["Connection"] = "close"
        await self._send(message)

    async def fail(self, scope: Scope, error: HangtagError) -> None:
        """Answer with an error, unless an answer was begun."""
        if not self.status:
            await answer(error)(scope, self.receive, self.send)


def _request_id(request: Request) -> str:
    """The client's id for the request where it is short and plain, else a new one."""
    given = request.headers.get(REQUEST_ID, "")
    return given if _SAFE_ID.fullmatch(given) else uuid4().hex
