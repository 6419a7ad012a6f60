"""From a request's body to the bytes of one image, refused as soon as it is known to be wrong."""

import asyncio
from collections.abc import AsyncGenerator

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from artifact.errors import BodyTimeout, BodyTooLarge, ClientGone, ContentTypeUnsupported, MalformedRequest

MULTIPART = "multipart/form-data"
UNNAMED = "application/octet-stream"
IMAGE_TYPES = ("image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp", "image/tiff")
FIELD = "image"


class Intake:
    """Reads the image out of requests: the raw body, or the multipart field `image`.

    A body over `max_bytes`, or one that takes longer than `timeout` seconds to arrive, is not read to its end.
    """

    def __init__(self, max_bytes: int, timeout: float) -> None:
        self._max_bytes = max_bytes
        self._timeout = timeout

    async def image(self, request: Request) -> bytes:
        """The encoded image that a request carries; raises a RequestError that says what would be right."""
        content_type = _content_type(request.headers.get("content-type"))
        if content_type != MULTIPART:
            _check_type(content_type)
        try:
            async with asyncio.timeout(self._timeout):
                if content_type == MULTIPART:
                    return await self._field(request)
                return b"".join([chunk async for chunk in self._body(request)])
        except TimeoutError as error:
            raise BodyTimeout(f"The body did not arrive within {self._timeout:g} seconds.") from error
        except ClientDisconnect as error:
            raise ClientGone("The client hung up while it sent the body.") from error

    async def _body(self, request: Request) -> AsyncGenerator[bytes, None]:
        """The body in pieces as they arrive; raises BodyTooLarge by its declared length, or at the first byte over."""
        declared, received = request.headers.get("content-length", ""), 0
        if declared.isdecimal() and int(declared) > self._max_bytes:
            raise self._too_large(f"has {declared} bytes")
        async for chunk in request.stream():
            received += len(chunk)
            if received > self._max_bytes:
                raise self._too_large("goes on")
            yield chunk

    def _too_large(self, what: str) -> BodyTooLarge:
        return BodyTooLarge(f"The body {what}, and at most {self._max_bytes} bytes are taken; send a smaller image.")

    async def _field(self, request: Request) -> bytes:
        parser = MultiPartParser(request.headers, self._body(request), max_files=1, max_fields=16)
        parser.spool_max_size = self._max_bytes  # in memory: the file system may be read-only
        try:
            form = await parser.parse()
        except MultiPartException as error:
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
