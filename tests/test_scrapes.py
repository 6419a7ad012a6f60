"""A crowd of scrapers: they wait for nobody but each other, and cost as much as two of them."""

import asyncio
from collections.abc import Iterable
from threading import Event

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from service.scrapes import Scrapes
from support import PATIENCE

CROWD = 100
OPEN_METRICS = "application/openmetrics-text;version=1.0.0"


class Slow(Collector):
    """Takes as long as the test wants, and says what was counted when it began."""

    def __init__(self) -> None:
        self.counted = 0.0
        self.collections = 0
        self.begun, self.may_end = Event(), Event()

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        self.collections += 1
        yield GaugeMetricFamily("counted", "What was counted.", self.counted)
        self.begun.set()
        assert self.may_end.wait(PATIENCE)


async def test_who_comes_during_a_scrape_shares_the_next_one_and_threads_are_free_for_others():
    registry, slow = CollectorRegistry(), Slow()
    registry.register(slow)
    scrapes = Scrapes(registry)
    async with scrapes.lifespan(None):
        first = asyncio.create_task(scrapes.text(""))
        await asyncio.to_thread(slow.begun.wait, PATIENCE)
        slow.counted = 1
        crowd = [asyncio.create_task(scrapes.text("")) for _ in range(CROWD)]
        odd = [asyncio.create_task(scrapes.text(f"{OPEN_METRICS}.{each}")) for each in range(CROWD)]
        other = asyncio.create_task(scrapes.text(OPEN_METRICS))
        gone = asyncio.create_task(scrapes.text(""))
        await asyncio.sleep(0)
        gone.cancel()
        assert await asyncio.wait_for(asyncio.to_thread(lambda: "free"), PATIENCE) == "free"
        slow.may_end.set()
        assert b"counted 0.0" in (await first)[0]
        for text, content_type in await asyncio.gather(*crowd, *odd):
            assert b"counted 1.0" in text
            assert content_type.startswith("text/plain; version=0.0.4")
        assert (await other)[1].startswith("application/openmetrics-text")
    assert slow.collections == 3
