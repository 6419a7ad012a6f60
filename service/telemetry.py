"""The one ASGI middleware: each request gets its id, is counted and timed, and is answered whatever happens."""

import asyncio
import logging
import re
from collections.abc import Mapping
from random import Random
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from artifact.errors import Draining, HangtagError, InternalError
from service.hosting import Hosting
from service.line import LINE
from service.metrics import Metrics
from service.pace import Pace
from service.problems import answer

logger = logging.getLogger("hangtag")

UNMATCHED = "unmatched"

_REFUSED = 429  # asking http.HTTPStatus takes a microsecond
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SAFE_ID = re.compile(rb"[\w.:-]{1,128}")

_ids = Random()  # noqa: S311 - unique, not secret; asking the system for each would take longer than the answer's JSON


class Telemetry:
    """Wraps the app."""

    def __init__(self, app: ASGIApp, metrics: Metrics, hosting: Hosting) -> None:
        self._app = app
        self._metrics = metrics
        self._hosting = hosting
        self._pace = Pace()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, marked and counted."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, self._hosting, self._pace, receive, send)
        started = perf_counter()
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except asyncio.CancelledError:  # a shutdown ran out of time; nothing else cancels requests
            self._hosting.given_up += 1
            await exchange.fail(scope, Draining("The service stopped before it could answer; send the request again."))
        except Exception:
            logger.exception("request %s failed", exchange.request_id)
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

    def __init__(self, scope: Scope, hosting: Hosting, pace: Pace, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        self.request_id = scope.setdefault("state", {})["request_id"] = _request_id(headers)
        self._body_is_held = headers.get(b"expect", b"").lower() == b"100-continue"
        self._hosting = hosting
        self._pace = pace
        self._scope = scope
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
            if self.status == _REFUSED:
                await self._pace.turn(self._scope[LINE])
            headers = [*message.get("headers", ()), (b"x-request-id", self.request_id.encode())]
            if self._body_is_held or self._hosting.draining:
                headers.append((b"connection", b"close"))
            message["headers"] = headers
        await self._send(message)

    async def fail(self, scope: Scope, error: HangtagError) -> None:
        """Answer with an error, unless an answer was begun."""
        if not self.status:
            await answer(error, scope)(scope, self.receive, self.send)


def _request_id(headers: Mapping[bytes, bytes]) -> str:
    """The client's id for the request where it is short and plain, else a new one."""
    given = headers.get(b"x-request-id", b"")
    return given.decode() if _SAFE_ID.fullmatch(given) else f"{_ids.getrandbits(128):032x}"
