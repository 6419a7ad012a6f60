"""uvicorn's fast HTTP/1.1 protocol, with two things mended, and with a line to the client for those who work for it.

It would collect the head of a request without limit, and lose the body of a request that offers an upgrade, as Java's
HttpClient does with each first one. Why not h11, which does neither: docs/decisions/0001-serving-stack.md.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.line import LINE, Line
from service.one_write import OneWrite

MAX_HEAD_BYTES = 64 * 2**10

REFUSALS = _BAD_REQUEST, _HEAD_TOO_LARGE = HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE


class Protocol(HttpToolsProtocol):
    """One connection; `refused` hears the status of what is answered here, because it never was a request."""

    def __init__(self, refused: Callable[[int], None], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._refused = refused
        self._fresh_parser()
        self._head_bytes: int | None = 0  # of the head that is being read; None while none is
        self._line = Line()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        self._line.cut()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; a head over the limit, or what is no HTTP, ends the connection with an answer that says so."""
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._decline(data[offer.args[0] :])
        except httptools.HttpParserError:
            self._refuse(_BAD_REQUEST, "This is no HTTP/1.1 request.")
        if self._head_bytes is not None:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(_HEAD_TOO_LARGE, f"Path and headers may have {MAX_HEAD_BYTES} bytes.")

    def on_message_begin(self) -> None:
        """Called by the parser."""
        self._head_bytes = 0
        super().on_message_begin()
        self.scope[LINE] = self._line  # type: ignore[literal-required]  # ours, not ASGI's

    def on_headers_complete(self) -> None:
        """Called by the parser; a request that offers an upgrade is begun when `_decline` has read it again."""
        self._head_bytes = None
        if not self.parser.should_upgrade():
            super().on_headers_complete()
            self.cycle.transport = OneWrite(self.transport)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        if not self.parser.should_upgrade():
            super().on_message_complete()
            if not self.pipeline:  # reading was paused if much of the body came at once, and nobody would see a hang-up
                self.flow.resume_reading()

    def _fresh_parser(self) -> None:
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it

    def _decline(self, rest: bytes) -> None:
        """Read the request again as if it had offered no upgrade, which a server may overlook (RFC 9110, 7.8)."""
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        if method == b"CONNECT":  # to the parser that is an upgrade, too
            self._refuse(_BAD_REQUEST, "This is no proxy.")
            return
        lines = [b"%s %s HTTP/%s" % (method, self.url, version)]
        lines += [
            b"%s: %s" % (name, _without_upgrade(name, value)) for name, value in self.headers if name != b"upgrade"
        ]
        self._fresh_parser()
        self.data_received(b"\r\n".join([*lines, b"", rest]))

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        if self.transport.is_closing():
            return
        if not self._is_in_body():
            self._refused(status)
        phrase = status.phrase.encode()
        body = b'{"title":"%s","status":%d,"detail":"%s","code":"request_malformed"}' % (
            phrase,
            status,
            detail.encode(),
        )
        head = (
            b"HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Type: application/problem+json\r\n"
            b"Content-Length: %d\r\n\r\n" % (status, phrase, len(body))
        )
        self.transport.write(head + body)
        self.transport.close()

    def _is_in_body(self) -> bool:
        """Whether what is read now is the body of a request that the app answers, and counts."""
        return (
            self._head_bytes is None and bool(self.cycle) and self.cycle.more_body and not self.cycle.response_complete
        )


def _without_upgrade(name: bytes, value: bytes) -> bytes:
    """The value of a header, without the offer in `Connection`."""
    if name != b"connection":
        return value
    return b",".join(token for token in value.split(b",") if token.strip().lower() != b"upgrade")
