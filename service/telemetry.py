"""The one ASGI middleware: each request gets its id, is answered whatever happens, and is counted and told of."""

import asyncio
import logging
import re
from collections.abc import Iterable, Mapping
from random import Random
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from artifact.errors import Draining, HangtagError, InternalError
from service.access import HEADERS
from service.hosting import Hosting
from service.line import LINE
from service.metrics import Metrics
from service.pace import Pace
from service.problems import answer
from service.record import OTHER, RECORD, UNMATCHED, Record, Reporter, current
from service.trace import TRACEPARENT, trace_of

logger = logging.getLogger("hangtag")

_REFUSED = 429  # asking http.HTTPStatus takes a microsecond
_RETRY_AFTER = b"retry-after"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_NO_SNIFFING = (b"x-content-type-options", b"nosniff")
_SAFE_ID = re.compile(rb"[\w.:-]{1,128}")

_ids = Random()  # noqa: S311 - unique, not secret; asking the system for each would take longer than the answer's JSON


class Telemetry:
    """Wraps the app, and tells the reporters of each request when it has ended."""

    def __init__(self, app: ASGIApp, metrics: Metrics, hosting: Hosting, *reporters: Reporter) -> None:
        self._app = app
        self._metrics = metrics
        self._hosting = hosting
        self._reporters = reporters
        self._pace = Pace()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, marked and counted."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, self._metrics, self._hosting, self._pace, receive, send)
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
            exchange.count()
            for reporter in self._reporters:
                reporter.ended(exchange.record)

    def refused(self, status: int) -> None:
        """Count what was answered before there was a request."""
        self._metrics.requests.labels(OTHER, UNMATCHED, str(status)).inc()


class _Exchange:
    """One request and its answer, as they pass."""

    def __init__(
        self, scope: Scope, metrics: Metrics, hosting: Hosting, pace: Pace, receive: Receive, send: Send
    ) -> None:
        headers = dict(scope["headers"])
        self._scope = scope
        self._metrics = metrics
        self._is_counted = False
        self._held_seconds = 0.0
        self.record = scope[RECORD] = _record(scope, headers)
        self._state = scope.setdefault("state", {})
        self._state["request_id"] = self.record.request_id
        self._body_is_held = headers.get(b"expect", b"").lower() == b"100-continue"
        self._hosting = hosting
        self._pace = pace
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
            headers = [
                *await self._paced(message.get("headers", ())),
                *self._state.get(HEADERS, ()),
                (b"x-request-id", self.record.request_id.encode()),
                _NO_SNIFFING,
            ]
            if self._body_is_held or self._hosting.draining:
                headers.append((b"connection", b"close"))
            message["headers"] = headers
        elif not message.get("more_body"):
            self.count()
        await self._send(message)

    async def _paced(self, headers: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[bytes, bytes]]:
        """The headers of an answer when it is time for it; a refusal asks for a pause as long as the crowd is."""
        if self.record.status != _REFUSED:
            return headers
        self._held_seconds, told = await self._pace.wait(self._scope[LINE])
        return [(name, b"%d" % max(told, int(value)) if name == _RETRY_AFTER else value) for name, value in headers]

    def count(self) -> None:
        """Count it once, before the client can know that its answer is whole: who looks then finds it counted.

        How long a client was held who came back too soon is no time that we took.
        """
        if self._is_counted:
            return
        self._is_counted = True
        record = self.record
        record.seconds = perf_counter() - record.started - self._held_seconds
        record.route = getattr(self._scope.get("route"), "path", UNMATCHED)
        self._metrics.answered(record.method, record.route, record.status, record.seconds)

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
