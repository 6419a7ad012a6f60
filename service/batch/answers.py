"""The items of a request as they are answered: in one JSON document, or each in a line as soon as it is there."""

from operator import itemgetter
from typing import Protocol

from pydantic_core import to_json
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from artifact.errors import HangtagError
from service.batch.schemas import Batch, ClassifiedItem, RefusedItem, Whose
from service.batch.work import Work
from service.problems import problem_of
from service.record import RECORD, Record

LINES = "application/x-ndjson"


class Answers(Protocol):
    """Where items go."""

    async def take(self, work: Work) -> None:
        """Take each, as soon as it is there."""

    async def end(self, error: HangtagError | None) -> None:
        """Tell the client that there are no more, or what ended the work too soon; may raise that."""


class Document:
    """One JSON document, with all items in order, or with nothing but the error."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._call = scope, receive, send
        self._record: Record = scope[RECORD]
        self._items: list[ClassifiedItem | RefusedItem] = []

    async def take(self, work: Work) -> None:
        """Keep them."""
        self._items = [item async for item in work.items()]

    async def end(self, error: HangtagError | None) -> None:
        """Send all; raises the error."""
        if error:
            raise error
        record = self._record
        self._items.sort(key=itemgetter("index"))
        batch = Batch(**_whose(record), id=record.request_id, items=self._items)
        await Response(to_json(batch), media_type="application/json")(*self._call)


class Lines:
    """A line for each item, sent when it is there and the client takes it; an error is the last line.

    Lines are ASCII: many clients, such as httpx's, end one at U+2028 or U+0085, too, which a name may have.
    """

    def __init__(self, scope: Scope, send: Send) -> None:
        self._record: Record = scope[RECORD]
        self._send = send

    async def take(self, work: Work) -> None:
        """Send them."""
        async for item in work.items():
            await self._line(to_json({**item, **_whose(self._record)}, ensure_ascii=True))

    async def end(self, error: HangtagError | None) -> None:
        """Send the end; raises the error if nothing was sent before."""
        if error and not self._record.status:
            raise error
        if error:
            self._record.code = error.code
            await self._line(problem_of(error).model_dump_json().encode())
        await self._send({"type": "http.response.body"})

    async def _line(self, line: bytes) -> None:
        if not self._record.status:
            await self._send(
                {"type": "http.response.start", "status": 200, "headers": [(b"content-type", LINES.encode())]}
            )
        await self._send({"type": "http.response.body", "body": line + b"\n", "more_body": True})


def _whose(record: Record) -> Whose:
    """Who answers."""
    return Whose(model=record.model or "", version=record.version or "")
