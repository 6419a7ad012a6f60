"""Scrapes: one at a time, in a thread of their own, and one for all who wait.

Whoever asks needs no key. So a crowd of them must not be in the way of what else is done in threads, nor cost more
than one of them does.
"""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client import CollectorRegistry

from service.exposition import Exposition, encoder

_Text = tuple[bytes, str]


class Scrapes:
    """What a registry has now, for any number of scrapers."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._exposition = Exposition(registry)
        self._thread = ThreadPoolExecutor(1, "metrics")
        self._free = asyncio.Lock()
        self._next: dict[str, asyncio.Task[_Text]] = {}  # that have not begun, by their content type

    @asynccontextmanager
    async def lifespan(self, _app: Any) -> AsyncIterator[None]:
        """Let the thread end when the service does."""
        with self._thread:
            yield

    async def text(self, accept: str) -> _Text:
        """The text that a scraper accepts, and its content type; what was counted before the call is in it."""
        _, content_type = encoder(accept)
        scrape = self._next.get(content_type)
        if scrape is None:
            scrape = self._next[content_type] = asyncio.create_task(self._scrape(content_type, accept))
        return await asyncio.shield(scrape)  # who goes away leaves it to the others

    async def _scrape(self, content_type: str, accept: str) -> _Text:
        async with self._free:
            del self._next[content_type]  # who comes from now on may have been counted too late for this one
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._exposition.text, accept)
