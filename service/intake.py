"""From a request's body to the bytes of one image, refused as soon as it is known to be wrong."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.types import Receive, Scope

from artifact.errors import BodyTimeout, BodyTooLarge, ClientGone, ContentTypeUnsupported, MalformedRequest
from service.lanes import DEFAULT_URGENCY
from service.line import LINE, Line
from service.record import RECORD, Record
from service.terms import Terms, terms_of

MULTIPART = "multipart/form-data"
UNNAMED = "application/octet-stream"
IMAGE_TYPES = ("image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp", "image/tiff")
FIELD = "image"

_KEY = b"x-request-key"

# A body is slow when it is behind one that begins after so many seconds, within which a client on any line has heard
# that it may begin, and then comes at so many bytes a second, which is slower than what a shop's customers wait for.
_GRACE, _SLOWEST = 2.0, 16 * 2**10

# Seconds within which a body should be here if others are to be kept from the room that it does not fill yet, and how
# long it has to show that it will be.
_SOON, _FIRST = 5.0, 0.1


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may be: bytes at most, and seconds until its body must have arrived, and its answer."""

    max_bytes: int
    timeout: float
    deadline: float
    urgency: int = DEFAULT_URGENCY  # of who does not say how urgent it is


class Room(Protocol):
    """Where there is room for a body that arrives."""

    def begin(self, sender: "Caller") -> None:
        """It is on its way; if it is slow, the sender may be put out."""

    def receive(self, size: int) -> None:
        """So many more bytes of it are here; raises QueueFull where no room was kept for them."""

    def end(self) -> None:
        """All of it is here, or no more will come."""


class Caller:
    """Who sent a request: has an image, in the raw body or in the multipart field `image`, and may hang up at any time.

    A body over the limits is not read to its end.
    """

    _awaited = "The body"

    def __init__(self, scope: Scope, receive: Receive, limits: Limits) -> None:
        self._raw_headers: list[tuple[bytes, bytes]] = scope["headers"]
        self._headers: dict[bytes, bytes] = dict(self._raw_headers)
        self.record: Record = scope[RECORD]
        self._line: Line = scope[LINE]
        self._receive = receive
        self._limits = limits
        self._is_put_out = False

    @property
    def content_type(self) -> str:
        """What the body is said to be, with parameters; empty where nothing is said."""
        return self._headers.get(b"content-type", b"").decode("latin-1")

    @property
    def key(self) -> str | None:
        """What the caller wants to be known by when a version is chosen for it."""
        key = self._headers.get(_KEY)
        return None if key is None else key.decode("latin-1")

    def terms(self) -> Terms:
        """How urgent it is, and until when; raises MalformedRequest."""
        return terms_of(self._headers, self._limits.deadline, self._limits.urgency)

    def declared_bytes(self) -> int:
        """How long the body says that it is, 0 where it does not say; raises BodyTooLarge."""
        declared = self._headers.get(b"content-length", b"")
        if not declared.isdigit():
            return 0
        if int(declared) > self._limits.max_bytes:
            raise self._too_large(f"has {int(declared)} bytes")
        return int(declared)

    async def image(self, room: Room) -> bytes:
        """The encoded image; raises a RequestError that says what would be right."""
        media_type = media_type_of(self.content_type)
        if media_type != MULTIPART:
            check_type(media_type, f", or {MULTIPART} with the image in the field `{FIELD}`")
            return await self.body(room)
        async with self._arriving(room):
            return await self._field(room)

    async def body(self, room: Room | None = None) -> bytes:
        """All of the body, of whatever type; raises BodyTooLarge, BodyTimeout or ClientGone, or what `room` does."""
        async with self._arriving(room):
            return b"".join([chunk async for chunk in self._body(room)])

    def attended(self) -> AbstractContextManager[None]:
        """Break off what is inside, and raise ClientGone, when the caller hangs up."""
        return self._line.attended()

    def is_slow(self) -> bool:
        """Whether the body comes so slowly that others may have its room."""
        return is_behind(self.record.body_bytes, perf_counter() - self._since)

    def will_soon_send(self, missing: int) -> bool:
        """Whether so many bytes, the rest of the body, will be here soon, as fast as it came until now."""
        here, seconds = self.record.body_bytes, perf_counter() - self._since
        return here * _SOON >= (here + missing) * (seconds - _FIRST)

    def put_out(self) -> None:
        """The body has no room any more, so break off reading it."""
        self._is_put_out = True
        if not self._time.expired():
            self._time.reschedule(0)

    @asynccontextmanager
    async def _arriving(self, room: Room | None) -> AsyncIterator[None]:
        """Break off what is inside, and raise BodyTimeout, when the body takes too long."""
        self._since = perf_counter()
        try:
            async with asyncio.timeout(self._limits.timeout) as self._time:
                if room:
                    room.begin(self)
                yield
        except TimeoutError as error:
            raise self._too_slow() from error
        finally:
            if room:
                room.end()
            self.record.stages.passed("read", self._since, perf_counter())

    async def _body(self, room: Room | None) -> AsyncGenerator[bytes, None]:
        """The body in pieces as they arrive; raises BodyTooLarge at the first byte over, after those before."""
        more = True
        while more:
            message = await self._receive()
            if self._is_put_out:  # at the same moment
                raise self._too_slow()
            if message["type"] == "http.disconnect":
                raise ClientGone("The client hung up while it sent the body.")
            chunk, more = message.get("body", b""), message.get("more_body", False)
            self.record.body_bytes += len(chunk)
            over = max(0, self.record.body_bytes - self._limits.max_bytes)
            if over:
                chunk = chunk[:-over]
            if room:
                room.receive(len(chunk))
            yield chunk
            if over:
                raise self._too_large("goes on")

    def _too_slow(self) -> BodyTimeout:
        if self._is_put_out:
            return BodyTimeout("The body came so slowly that others were given its place; send it again.")
        return BodyTimeout(f"{self._awaited} did not arrive within {self._limits.timeout:g} seconds.")

    def _too_large(self, what: str) -> BodyTooLarge:
        return BodyTooLarge(f"The body {what}, and at most {self._limits.max_bytes} bytes are taken; send less.")

    async def _field(self, room: Room) -> bytes:
        parser = MultiPartParser(Headers(raw=self._raw_headers), self._body(room), max_files=1, max_fields=16)
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
            check_type(media_type_of(upload.content_type))
            return await upload.read()
        finally:
            await form.close()


def is_behind(size: int, seconds: float) -> bool:
    """Whether so many bytes in so many seconds are so few that others may have the room."""
    return size < _SLOWEST * (seconds - _GRACE)


def media_type_of(header: str | None) -> str:
    """The media type without its parameters; who names none gets the type of unnamed bytes (RFC 9110, 8.3)."""
    return header.partition(";")[0].strip().lower() if header else UNNAMED


def check_type(media_type: str, or_else: str = "") -> None:
    """Raise ContentTypeUnsupported for what is said to be no image."""
    if media_type not in (*IMAGE_TYPES, UNNAMED):
        raise ContentTypeUnsupported(
            f"Content type {media_type!r} is not taken; send one of {', '.join(IMAGE_TYPES)}{or_else}."
        )
