"""The work on one request: its photos are let in one after the other, and classified so many at once."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.types import Scope

from artifact.errors import HangtagError
from service.access import charge
from service.batch.items import classified, refused
from service.batch.schemas import ClassifiedItem, Item, RefusedItem
from service.batch.table import Photo, Table
from service.record import RECORD, Record


class Work:
    """Classifies the photos of a request; `error` is what ended it before they did.

    Where it `keeps` items, it goes on whether somebody takes them or not; else only as fast as they are taken.
    """

    def __init__(self, table: Table, scope: Scope, *, top_k: int, keeps: bool) -> None:
        self.error: HangtagError | None = None
        self._table = table
        self._scope = scope
        self._record: Record = scope[RECORD]
        self._top_k = top_k
        self._keeps = keeps
        self._free = asyncio.Semaphore(table.model.abreast)
        self._ready: asyncio.Queue[ClassifiedItem | RefusedItem | None] = asyncio.Queue()

    async def do(self, photos: AsyncGenerator[Photo, None]) -> None:
        """Classify all photos."""
        async with asyncio.TaskGroup() as group, aclosing(photos):
            try:
                async for photo in photos:
                    await self._begin(photo, group)
            except HangtagError as error:
                self.error = error
        self._ready.put_nowait(None)

    async def items(self) -> AsyncGenerator[ClassifiedItem | RefusedItem, None]:
        """Each as soon as it is there; who asks for the next one has taken it."""
        while (item := await self._ready.get()) is not None:
            yield item
            if not self._keeps:
                self._free.release()

    async def _begin(self, photo: Photo, group: asyncio.TaskGroup) -> None:
        which = Item(index=self._record.images, name=photo.name)
        self._record.images += 1
        if which["index"]:  # the first one was paid at the gate
            charge(self._scope, 1)
        await self._free.acquire()
        await self._table.let_in(photo)
        group.create_task(self._finish(which, photo))
        await asyncio.sleep(0)  # a piece of the body may have many photos, and others want the event loop, too

    async def _finish(self, which: Item, photo: Photo) -> None:
        try:
            item: ClassifiedItem | RefusedItem = classified(which, await self._table.answer(photo, self._top_k))
        except HangtagError as error:
            item = refused(which, error)
        self._ready.put_nowait(item)
        if self._keeps:
            self._free.release()
