"""uvicorn's fast HTTP/1.1 protocol, with guards, and with a line to the client for those who work for it.

It would collect heads, trailers and requests without limit, wait for a slow client for ever, and lose the body of a
request that offers an upgrade, as Java's HttpClient does with each first one. Why it is not h11:
docs/decisions/0001-serving-stack.md. What each guard is for: docs/decisions/0021-guards.md.
"""

from array import array
from collections.abc import Callable
from fcntl import ioctl
from termios import FIONREAD
from typing import Any, Literal, NamedTuple

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from artifact.errors import HeadTimeout, MalformedRequest, TooManyConnections
from service.connections import Connections
from service.line import LINE, Line
from service.one_write import OneWrite
from service.refusal import BAD_REQUEST, HEAD_TOO_LARGE, TIMEOUT, UNAVAILABLE, Refusal

MAX_HEAD_BYTES = 64 * 2**10
MAX_HEADERS = 128
MAX_FRAMING_BYTES = 256 * 2**10  # of a body: what the sizes of its chunks, their extensions and its trailers take,
FRAMED_BYTES = 64  # but for one in so many bytes of the body, which may be large
MAX_PIPELINED = 64  # requests that wait on a connection for the answer to the one before
LEAST_TAKEN_BYTES = 16 * 2**10  # of an answer, each time that a client's patience runs out

# What a client may owe us: a request, the rest of its head, the rest of a body that nobody waits for, or to take its
# answer. While a body is waited for, `service.intake` has its own limit.
_Debt = Literal["request", "head", "rest", "answer"]


class Patience(NamedTuple):
    """Seconds: for a client between requests, for one that stopped in the middle, and for a whole body."""

    idle: float
    stalled: float
    body: float


class _Enough(Exception):
    """So many requests wait on this connection that no more of them are read."""


class Protocol(HttpToolsProtocol):
    """One connection; `refused` hears the status of what is answered here, because it never was a request."""

    def __init__(
        self, refused: Callable[[int], None], everyone: Connections, patience: Patience, *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._refused = refused
        self._everyone = everyone
        self._patience = patience
        self._fresh_parser()
        self._line = Line(self._settle)
        self._part: Literal["head", "body"] | None = None  # of a request that is not whole yet
        self._packet = 0  # bytes that are being parsed now
        self._of_bodies = 0  # how many of them are of bodies
        self._beside_body = 0  # bytes of this request that are not its body's
        self._is_first = True  # no request has ended in this packet yet
        self._is_deaf = False
        self._debt: _Debt | None = None
        self._untaken = 0  # bytes of its answer, when we last looked

    def connection_made(self, transport: Any) -> None:
        """Called by the loop."""
        super().connection_made(transport)
        if not self._everyone.opened(self):
            self._refuse(
                Refusal(UNAVAILABLE, TooManyConnections("The service has all the connections that it may have."))
            )
        self._settle()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        self._line.cut()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)
        self._everyone.closed(self)

    @property
    def is_new(self) -> bool:
        """Whether it has had no whole head of a request yet."""
        return self.cycle is None

    def shutdown(self) -> None:
        """Called when the server stops: close, unless a request is on its way, whose answer will end the connection."""
        if self._part != "head" and not _unread(self.transport):
            super().shutdown()
            self._settle()  # who does not take the rest of an answer has no more time for that than ever

    def end(self) -> None:
        """Close the connection, without waiting until the client takes what it was sent."""
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Read on; what is over a limit, or is no HTTP, ends the connection with an answer that says so."""
        if self._is_deaf:
            return
        self._packet, self._of_bodies, self._is_first = len(data), 0, True
        try:
            self.parser.feed_data(data)
            self._check_size(len(data))
        except httptools.HttpParserUpgrade as offer:
            self._decline(data[offer.args[0] :])
        except httptools.HttpParserError as error:
            self._stop_parsing(error.__context__)
        except Refusal as refusal:
            self._refuse(refusal)
        self._settle()

    def pause_writing(self) -> None:
        """Called by the loop: the client takes its answers slower than we write them."""
        super().pause_writing()
        self._settle()

    def resume_writing(self) -> None:
        """Called by the loop."""
        super().resume_writing()
        self._settle()

    def on_message_begin(self) -> None:
        """Called by the parser."""
        if len(self.pipeline) >= MAX_PIPELINED:
            raise _Enough
        self._part = "head"
        self._beside_body = 0 if self._is_first else -self._packet  # most of the packet is of other requests
        super().on_message_begin()
        self.scope[LINE] = self._line  # type: ignore[literal-required]  # ours, not ASGI's

    def on_headers_complete(self) -> None:
        """Called by the parser; a request that offers an upgrade is begun when `_decline` has read it again."""
        self._check_head()
        if not self.parser.should_upgrade():
            super().on_headers_complete()
            self._part = "body"
            self.headers = []  # trailers come here, where nobody takes them for headers (RFC 9110, 6.5.1)
            if self.scope["method"] != "HEAD":
                self.cycle.transport = OneWrite(self.transport)

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        self._of_bodies += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        self._part, self._is_first = None, False
        if not self.parser.should_upgrade():
            super().on_message_complete()
            if not self.pipeline:  # reading was paused if much of the body came at once, and nobody would see a hang-up
                self.flow.resume_reading()

    def on_response_complete(self) -> None:
        """Called when an answer was written."""
        self._line.is_deaf = False
        super().on_response_complete()
        self._debt = None  # uvicorn has stopped the timer, or set its own
        self._everyone.works(self)
        self._settle()

    def timeout_keep_alive_handler(self) -> None:
        """Called when the client has owed us the same for too long."""
        self.timeout_keep_alive_task = None
        debt, self._debt = self._debt, None
        if debt == "answer" and self._untaken - self.transport.get_write_buffer_size() >= LEAST_TAKEN_BYTES:
            self._settle()
        elif debt == "head":
            self._everyone.ended("slow_head")
            seconds = f"{self._patience.stalled:g} seconds"
            self._refuse(Refusal(TIMEOUT, HeadTimeout(f"The head of the request did not arrive within {seconds}.")))
            self._settle()
        else:
            if debt != "request":
                self._everyone.ended("slow_body" if debt == "rest" else "slow_reader")
            self.end()

    def _settle(self) -> None:
        """Let time run out for what the client owes us, by the one timer that uvicorn has for idle connections."""
        owed = self._owed()
        if owed == self._debt:
            return
        if self._debt or owed != "request":  # else uvicorn has just set it
            self._unset_keepalive_if_required()
        self._debt = owed
        if owed is None:
            self._everyone.works(self)
            return
        self._everyone.waits(self)
        if owed == "answer":
            self._untaken = self.transport.get_write_buffer_size()
        if self.timeout_keep_alive_task is None:
            patience = self._patience
            seconds = {"request": patience.idle, "rest": patience.body}.get(owed, patience.stalled)
            self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _owed(self) -> _Debt | None:
        if self.transport.is_closing() or (self.flow.write_paused and not self._is_sending()):
            return "answer"
        if self._is_answering():
            return None
        if self._part == "head":
            return "head"
        return "rest" if self._part else "request"

    def _is_sending(self) -> bool:
        """Whether the client still sends what is answered already, and we read; most take answers only after that."""
        return self._part == "body" and not self.pipeline and self._is_answering() and not self._line.is_deaf

    def _check_head(self) -> None:
        """Raise Refusal if the head, which is whole now, is too large."""
        if len(self.headers) > MAX_HEADERS:
            raise Refusal(HEAD_TOO_LARGE, MalformedRequest(f"A request may have {MAX_HEADERS} headers."))
        if self._packet > MAX_HEAD_BYTES:  # else it was counted as it came
            size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
            if size > MAX_HEAD_BYTES:
                raise _head_too_large()

    def _check_size(self, received: int) -> None:
        """Raise Refusal if what has come of a request, and is not its body, is too large."""
        if self._part is None:
            return
        framing = received - self._of_bodies - self._of_bodies // FRAMED_BYTES
        self._beside_body = max(0, self._beside_body + framing)
        if self._part == "head" and self._beside_body > MAX_HEAD_BYTES:
            raise _head_too_large()
        if self._beside_body > MAX_HEAD_BYTES + MAX_FRAMING_BYTES:
            raise Refusal(BAD_REQUEST, MalformedRequest("The body is in too many chunks, or has too long trailers."))

    def _fresh_parser(self) -> None:
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it

    def _decline(self, rest: bytes) -> None:
        """Read the request again as if it had offered no upgrade, which a server may overlook (RFC 9110, 7.8)."""
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        if method == b"CONNECT":  # to the parser that is an upgrade, too
            self._refuse(Refusal(BAD_REQUEST, MalformedRequest("This is no proxy.")))
            return
        lines = [b"%s %s HTTP/%s" % (method, self.url, version)]
        lines += [
            b"%s: %s" % (name, _without_upgrade(name, value)) for name, value in self.headers if name != b"upgrade"
        ]
        self._fresh_parser()
        self.data_received(b"\r\n".join([*lines, b"", rest]))

    def _stop_parsing(self, cause: BaseException | None) -> None:
        if isinstance(cause, _Enough):
            self._take_no_more()
        elif isinstance(cause, Refusal):
            self._refuse(cause)
        else:
            self._refuse(Refusal(BAD_REQUEST, MalformedRequest("This is no HTTP/1.1 request.")))

    def _refuse(self, refusal: Refusal) -> None:
        """End the connection after the answers that it still owes, and say why where that takes the place of none."""
        if self.transport.is_closing():
            return
        is_in_body = self._part == "body"  # of the newest request
        if not self._is_answering():
            if not is_in_body:  # else it has its answer
                self._refused(refusal.status)
                self.transport.write(refusal.written())
            self.transport.close()
        elif is_in_body and not self.pipeline and not self.cycle.response_started:  # the app sees a hang-up, and counts
            self.transport.write(refusal.written())
            self.transport.close()
        else:
            if is_in_body and self.pipeline:  # the app has not seen it
                self._refused(refusal.status)
                self.pipeline[0] = self.cycle, refusal.response()  # type: ignore[assignment]  # uvicorn only calls it
            self._take_no_more()

    def _take_no_more(self) -> None:
        """Answer those requests that are here, the last of which ends the connection."""
        self.cycle.keep_alive = False
        self._is_deaf = True

    def _is_answering(self) -> bool:
        """Whether there is a request that was not answered yet."""
        return bool(self.cycle) and not self.cycle.response_complete


def _unread(transport: Any) -> int:
    """How many bytes have come that the loop has not read yet."""
    if transport.is_closing():
        return 0
    count = array("i", [0])
    ioctl(transport.get_extra_info("socket").fileno(), FIONREAD, count)
    return count[0]


def _head_too_large() -> Refusal:
    return Refusal(HEAD_TOO_LARGE, MalformedRequest(f"Path and headers may have {MAX_HEAD_BYTES} bytes."))


def _without_upgrade(name: bytes, value: bytes) -> bytes:
    """The value of a header, without the offer in `Connection`."""
    if name != b"connection":
        return value
    return b",".join(token for token in value.split(b",") if token.strip().lower() != b"upgrade")
