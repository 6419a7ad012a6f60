"""The one ASGI middleware: each request gets its id, is answered whatever happens, and is counted and told of."""

import asyncio
import logging
import re
from collections.abc import Mapping
from random import Random
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from artifact.errors import Draining, HangtagError, InternalError
from service.hosting import Hosting
from service.metrics import Metrics
from service.problems import answer
from service.record import OTHER, RECORD, UNMATCHED, Record, Reporter, current
from service.trace import TRACEPARENT, trace_of

logger = logging.getLogger("hangtag")

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SAFE_ID = re.compile(rb"[\w.:-]{1,128}")

_ids = Random()  # noqa: S311 - unique, not secret; asking the system for each would take longer than the answer's JSON


class Telemetry:
    """Wraps the app, and tells the reporters of each request when it has ended."""

    def __init__(self, app: ASGIApp, metrics: Metrics, hosting: Hosting, *reporters: Reporter) -> None:
        self._app = app
        self._metrics = metrics
        self._hosting = hosting
        self._reporters = reporters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, marked and counted."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, self._hosting, receive, send)
        current.set(exchange.record)  # for this task alone, and for those that it starts
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except asyncio.CancelledError:  # a shutdown ran out of time; nothing else cancels requests
            self._hosting.given_up += 1
            await exchange.fail(scope, Draining("The service stopped before it could answer; send the request again."))
        except Exception:
            logger.exception("request failed")
            await exchange.fail(scope, InternalError("The service failed; its log says why."))
        finally:
            self._end(scope, exchange.record)

    def _end(self, scope: Scope, record: Record) -> None:
        record.seconds = perf_counter() - record.started
        record.route = route = getattr(scope.get("route"), "path", UNMATCHED)
        self._metrics.requests.labels(record.method, route, str(record.status)).inc()
        self._metrics.request_seconds.labels(record.method, route).observe(record.seconds)
        for reporter in self._reporters:
            reporter.ended(record)


class _Exchange:
    """One request and its answer, as they pass."""

    def __init__(self, scope: Scope, hosting: Hosting, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        self.record = scope[RECORD] = _record(scope, headers)
        scope.setdefault("state", {})["request_id"] = self.record.request_id
        self._body_is_held = headers.get(b"expect", b"").lower() == b"100-continue"
        self._hosting = hosting
        self._receive = receive
        self._send = send

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
            self.record.status = message["status"]
            headers = [*message.get("headers", ()), (b"x-request-id", self.record.request_id.encode())]
            if self._body_is_held or self._hosting.draining:
                headers.append((b"connection", b"close"))
            message["headers"] = headers
        await self._send(message)

    async def fail(self, scope: Scope, error: HangtagError) -> None:
        """Answer with an error, unless an answer was begun."""
        if not self.record.status:
            await answer(error, scope)(scope, self.receive, self.send)


def _record(scope: Scope, headers: Mapping[bytes, bytes]) -> Record:
    """What is known of a request by its head: the client's ids where they are short and plain, else a new one."""
    new = f"{_ids.getrandbits(128):032x}"
    given = headers.get(b"x-request-id", b"")
    trace = trace_of(scope["headers"]) if TRACEPARENT in headers else None
    return Record(
        given.decode() if _SAFE_ID.fullmatch(given) else new,
        trace.trace_id if trace else new,
        trace,
        scope["method"] if scope["method"] in _METHODS else OTHER,
    )
