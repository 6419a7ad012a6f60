"""The photos in a body, one after the other: of a form as they arrive, of a zip file once all of it is here."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from io import BytesIO

from artifact.errors import HangtagError, MalformedRequest, TooManyBytes, TooManyItems
from artifact.zipped import Zipped, check_count
from service.batch.form import Form, Head
from service.batch.sender import Sender
from service.batch.table import Photo, Table
from service.intake import Caller, check_type

FIELD = "images"

_MOST_FIELDS = 16  # that are no photos
_ENTRIES = 4  # of a zip file for each photo that it may have: macOS packs one more with each, and there are folders


@dataclass(frozen=True, slots=True)
class Most:
    """How many photos there may be, of how many bytes, and how many times smaller each may be in a zip file."""

    items: int
    bytes: int
    ratio: int


async def of_form(sender: Sender, form: Form, table: Table, most: Most) -> AsyncGenerator[Photo, None]:
    """The files in the field `images` of a form, which is read as they are taken; raises a RequestError."""
    others: list[str] = []
    count = 0
    arriving: _Arriving | None = None
    async with aclosing(sender.pieces()) as pieces:
        async for piece in pieces:
            for event in form.feed(piece):
                if isinstance(event, Head):
                    if event.field == FIELD and count == most.items:
                        raise _too_many(count + 1, most)
                    arriving = _begin(event, sender, table, others, most)
                elif arriving and event is not None:
                    await arriving.add(event)
                elif arriving:
                    count += 1
                    yield arriving.whole()
                    arriving = None
                    sender.next_photo()
    if not form.is_whole:
        raise MalformedRequest("The multipart body ends before its last boundary.")
    if not count:
        raise MalformedRequest(f"The form has no file in the field `{FIELD}`; its fields are {others or 'none'}.")


def _begin(head: Head, sender: Sender, table: Table, others: list[str], most: Most) -> "_Arriving | None":
    """A photo that is on its way, None if it is something else, whose field is noted; raises MalformedRequest."""
    if head.field == FIELD:
        return _Arriving(head, sender, table, most.bytes)
    if head.name is not None:
        raise MalformedRequest(f"A file is in the field {head.field[:40]!r}; files are taken from `{FIELD}`.")
    others.append(head.field[:40])
    if len(others) > _MOST_FIELDS:
        raise MalformedRequest(f"The form has more than {_MOST_FIELDS} fields that are no files.")
    return None


class _Arriving:
    """A photo that arrives; of one that is no good, nothing more is kept."""

    def __init__(self, head: Head, sender: Sender, table: Table, max_bytes: int) -> None:
        self._table = table
        self._max_bytes = max_bytes
        self._photo = table.expect(head.name)
        self._size = 0
        self._pieces: list[bytes] = []
        self._photo.seat.begin_arriving(sender)
        try:
            check_type(head.media_type)
        except HangtagError as error:
            self._refuse(error)

    async def add(self, piece: bytes) -> None:
        """It goes on, once there is room for so much."""
        if self._photo.error:
            return
        self._size += len(piece)
        try:
            if self._size > self._max_bytes:
                raise TooManyBytes(f"The image has more than {self._max_bytes} bytes; send a smaller one.")
            await self._table.hold(self._photo, len(piece))
        except HangtagError as error:
            self._refuse(error)
        else:
            self._pieces.append(piece)

    def whole(self) -> Photo:
        """All of it is here."""
        self._photo.seat.end_arriving()
        self._photo.data = b"".join(self._pieces)
        self._photo.has_come = True
        return self._photo

    def _refuse(self, error: HangtagError) -> None:
        self._photo.refuse(error)
        self._pieces.clear()


async def of_zip(caller: Caller, table: Table, most: Most) -> AsyncGenerator[Photo, None]:
    """The files in a zip file, each inflated when it is asked for; raises a RequestError or an ArchiveError."""

    def opened(body: bytes) -> Zipped:
        check_count(body, _ENTRIES * most.items)
        return Zipped(BytesIO(body), most.bytes, most.ratio)

    if size := caller.declared_bytes():  # else it takes room as it arrives
        await table.make_room(size)
    zipped = await asyncio.to_thread(opened, await caller.body(table))
    if not zipped.entries:
        raise MalformedRequest(f"The zip file has no images; its {zipped.skipped} entries are folders, or hidden.")
    if len(zipped.entries) > most.items:
        raise _too_many(len(zipped.entries), most)
    for entry in zipped.entries:
        photo = table.expect(entry.filename)
        try:
            zipped.check(entry)
            await table.hold(photo, entry.file_size)
            photo.data = await asyncio.to_thread(zipped.read, entry)
        except HangtagError as error:
            photo.refuse(error)
        photo.has_come = True
        yield photo


def _too_many(count: int, most: Most) -> TooManyItems:
    return TooManyItems(f"The request has at least {count} images, and {most.items} are taken; send several requests.")
