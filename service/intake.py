"""From a request's body to the bytes of one image, refused as soon as it is known to be wrong."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from time import perf_counter

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.types import Receive, Scope

from artifact.errors import BodyTimeout, BodyTooLarge, ClientGone, ContentTypeUnsupported, MalformedRequest
from service.line import LINE, Line
from service.record import RECORD, Record
from service.terms import Terms, terms_of

MULTIPART = "multipart/form-data"
UNNAMED = "application/octet-stream"
IMAGE_TYPES = ("image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp", "image/tiff")
FIELD = "image"

_KEY = b"x-request-key"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may be: bytes at most, and seconds until its body must have arrived, and its answer."""

    max_bytes: int
    timeout: float
    deadline: float


class Caller:
    """Who sent a request: has an image, in the raw body or in the multipart field `image`, and may hang up at any time.

    A body over the limits is not read to its end.
    """

    def __init__(self, scope: Scope, receive: Receive, limits: Limits) -> None:
        self._raw_headers: list[tuple[bytes, bytes]] = scope["headers"]
        self._headers = dict(self._raw_headers)
        self.record: Record = scope[RECORD]
        self._line: Line = scope[LINE]
        self._receive = receive
        self._limits = limits

    @property
    def key(self) -> str | None:
        """What the caller wants to be known by when a version is chosen for it."""
        key = self._headers.get(_KEY)
        return None if key is None else key.decode("latin-1")

    def terms(self) -> Terms:
        """How urgent it is, and until when; raises MalformedRequest."""
        return terms_of(self._headers, self._limits.deadline)

    def declared_bytes(self) -> int:
        """How long the body says that it is, 0 where it does not say; raises BodyTooLarge."""
        declared = self._headers.get(b"content-length", b"")
        if not declared.isdigit():
            return 0
        if int(declared) > self._limits.max_bytes:
            raise self._too_large(f"has {int(declared)} bytes")
        return int(declared)

    async def image(self) -> bytes:
        """The encoded image; raises a RequestError that says what would be right."""
        content_type = _content_type(self._headers.get(b"content-type", b"").decode("latin-1"))
        if content_type != MULTIPART:
            _check_type(content_type)
            return await self.body()
        async with self._in_time():
            return await self._field()

    async def body(self) -> bytes:
        """All of the body, of whatever type it is; raises BodyTooLarge, BodyTimeout or ClientGone."""
        async with self._in_time():
            return b"".join([chunk async for chunk in self._body()])

    def attended(self) -> AbstractContextManager[None]:
        """Break off what is inside, and raise ClientGone, when the caller hangs up."""
        return self._line.attended()

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        """Break off what is inside, and raise BodyTimeout, when the body takes too long."""
        started = perf_counter()
        try:
            async with asyncio.timeout(self._limits.timeout):
                yield
        except TimeoutError as error:
            raise BodyTimeout(f"The body did not arrive within {self._limits.timeout:g} seconds.") from error
        finally:
            self.record.stages.passed("read", started, perf_counter())

    async def _body(self) -> AsyncGenerator[bytes, None]:
        """The body in pieces as they arrive; raises BodyTooLarge at the first byte over."""
        received, more = 0, True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone("The client hung up while it sent the body.")
            chunk, more = message.get("body", b""), message.get("more_body", False)
            self.record.body_bytes = received = received + len(chunk)
            if received > self._limits.max_bytes:
                raise self._too_large("goes on")
            yield chunk

    def _too_large(self, what: str) -> BodyTooLarge:
        return BodyTooLarge(
            f"The body {what}, and at most {self._limits.max_bytes} bytes are taken; send a smaller image."
        )

    async def _field(self) -> bytes:
        parser = MultiPartParser(Headers(raw=self._raw_headers), self._body(), max_files=1, max_fields=16)
        parser.spool_max_size = self._limits.max_bytes  # in memory: the file system may be read-only
        try:
            form = await parser.parse()
        except (MultiPartException, UnicodeError) as error:
            raise MalformedRequest("The multipart body is malformed, or has more than one file.") from error
        try:
            upload = form.get(FIELD)
            if not isinstance(upload, UploadFile):
                raise MalformedRequest(
                    f"The multipart body has no file in the field `{FIELD}`; its fields are {sorted(form) or 'none'}."
                )
            _check_type(_content_type(upload.content_type))
            return await upload.read()
        finally:
            await form.close()


def _content_type(header: str | None) -> str:
    """The media type without its parameters; who names none gets the type of unnamed bytes (RFC 9110, 8.3)."""
    return header.partition(";")[0].strip().lower() if header else UNNAMED


def _check_type(content_type: str) -> None:
    if content_type not in (*IMAGE_TYPES, UNNAMED):
        raise ContentTypeUnsupported(
            f"Content type {content_type!r} is not taken; send one of {', '.join(IMAGE_TYPES)}, "
            f"or {MULTIPART} with the image in the field `{FIELD}`."
        )
