"""Classification of many images over HTTP: one request in, an answer for each of them out."""

from asyncio import TaskGroup
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import closing
from functools import partial
from math import inf

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from artifact.errors import ClientGone, ContentTypeUnsupported, HangtagError
from service.batch.answers import LINES, Answers, Document, Lines
from service.batch.form import Form
from service.batch.photos import FIELD, Most, of_form, of_zip
from service.batch.sender import Sender
from service.batch.table import Photo, Table
from service.batch.work import Work
from service.hosting import Hosting
from service.intake import MULTIPART, Caller, Limits, media_type_of
from service.model import HostedModel
from service.problems import status_of
from service.settings import Settings

ZIP = "application/zip"
URGENCY = 5  # of whoever does not say how urgent it is

_ZIPS = (ZIP, "application/x-zip-compressed")  # the second is Windows' name for it

_PhotosAt = Callable[[Table], AsyncGenerator[Photo, None]]


class Reply(Response):
    """A response that is worked out while it is sent; an error before that is answered as any route's is."""

    def __init__(self, work_out: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        super().__init__()
        self._work_out = work_out

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Called by the framework."""
        await self._work_out(scope, receive, send)


class ClassifyBatch:
    """Answers the two routes that classify many images."""

    def __init__(self, hosting: Hosting, settings: Settings) -> None:
        self._hosting = hosting
        self._seconds = settings.deadline_seconds
        self._most = Most(settings.max_batch_items, settings.max_body_bytes, settings.max_zip_ratio)
        timeout = settings.body_timeout_seconds
        self._form = Limits(settings.max_batch_bytes, timeout, inf, URGENCY)
        images = max(1.0, settings.max_zip_bytes / settings.max_body_bytes)  # as large as one may be
        self._zip = Limits(settings.max_zip_bytes, images * timeout, inf, URGENCY)

    def reply(self, model: str, version: str | None, top_k: int) -> Response:
        """The answer to one request."""
        return Reply(partial(self._answer, model, version, top_k))

    async def _answer(
        self, model: str, version: str | None, top_k: int, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer; raises a HangtagError where nothing was sent yet."""
        caller, photos_at = self._understood(scope, receive)
        hosted, record = self._hosting.asked(caller, model, version), caller.record
        record.model, record.version, record.images = hosted.name, hosted.version, 0
        answers = Lines(scope, send) if _wants_lines(scope) else Document(scope, receive, send)
        try:
            with caller.attended():
                await answers.end(await self._classify(hosted, caller, photos_at, answers, scope, top_k))
        except BaseException as error:
            if not record.images:  # that are known, and were counted
                hosted.ended(error)
            if not record.status or not isinstance(error, ClientGone):
                raise
            record.status, record.code = status_of(error), error.code  # nobody reads what else there would be

    async def _classify(
        self, hosted: HostedModel, caller: Caller, photos_at: _PhotosAt, answers: Answers, scope: Scope, top_k: int
    ) -> HangtagError | None:
        """Classify all photos; gives what ended that too soon."""
        terms = caller.terms()
        caller.declared_bytes()  # what declares too many is not begun
        with (
            hosted.joined(terms) as seat,
            closing(Table(hosted, seat, terms, self._seconds, caller.record)) as table,
        ):
            work = Work(table, scope, top_k=top_k, keeps=isinstance(caller, Sender))
            async with TaskGroup() as group:
                group.create_task(work.do(photos_at(table)))
                await answers.take(work)
        return work.error

    def _understood(self, scope: Scope, receive: Receive) -> tuple[Caller, _PhotosAt]:
        """Who asks, and how photos are taken from the body; raises a RequestError."""
        content_type = Headers(scope=scope).get("content-type", "")
        media_type = media_type_of(content_type)
        if media_type == MULTIPART:
            sender, form = Sender(scope, receive, self._form), Form(content_type)
            return sender, partial(of_form, sender, form, most=self._most)
        if media_type in _ZIPS:
            caller = Caller(scope, receive, self._zip)
            return caller, partial(of_zip, caller, most=self._most)
        raise ContentTypeUnsupported(
            f"Content type {media_type!r} is not taken; send {MULTIPART} with the images in the field `{FIELD}`, "
            f"or {ZIP}."
        )


def _wants_lines(scope: Scope) -> bool:
    """Whether it accepts them, and they can be sent: they come in chunks, which HTTP/1.0 does not have."""
    if scope["http_version"] == "1.0":
        return False
    accepted = ",".join(Headers(scope=scope).getlist("accept")).lower()
    return any(each.partition(";")[0].strip() == LINES for each in accepted.split(","))
