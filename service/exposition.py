"""The text that is scraped: prometheus_client writes it, and from then on only the values in it are written anew."""

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import chain
from typing import NamedTuple, Self

from cachetools import LRUCache
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString

_VALUE = re.compile(r"^(?!#).* (\S+)$", re.MULTILINE)
_KNOWN = re.compile(r"version=(0\.0\.4|1\.0\.0);")  # of formats; prometheus_client takes 1.2.3, too, and says so itself
_FORMATS = 4  # that are kept; a scraper asks for one


class _Layout(NamedTuple):
    """Which series there are, and what stands before the value of each, and behind the last one."""

    series: list[tuple[str, dict[str, str]]]
    between: list[str]

    @classmethod
    def of(cls, series: list[tuple[str, dict[str, str]]], text: str) -> Self:
        """What is the same in every text of these series."""
        between, end = [], 0
        for value in _VALUE.finditer(text):
            between.append(text[end : value.start(1)])
            end = value.end(1)
        return cls(series, [*between, text[end:]])

    def filled(self, samples: Sequence[Sample]) -> bytes:
        """The text with these values."""
        values = (floatToGoString(sample.value) for sample in samples)  # type: ignore[no-untyped-call]
        return "".join(chain(*zip(self.between[:-1], values, strict=True), self.between[-1:])).encode()


class _Collected(Collector):
    """What was collected already."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


class Exposition:
    """Writes what a registry has now, in any format of prometheus_client's.

    Nearly all of it are names and labels, which are the same each time; to write them takes most of a scrape.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._layouts: LRUCache[str, _Layout] = LRUCache(_FORMATS)

    def text(self, accept: str) -> tuple[bytes, str]:
        """The text that a scraper accepts, and its content type; called in one thread at a time."""
        encode, content_type = encoder(accept)
        metrics = list(self._registry.collect())
        samples = [sample for metric in metrics for sample in metric.samples]
        series = [(sample.name, sample.labels) for sample in samples]
        layout = self._layouts.get(content_type)
        if layout is None or layout.series != series:
            layout = self._layouts[content_type] = _Layout.of(series, encode(_Collected(metrics)).decode())
        return layout.filled(samples), content_type


def encoder(accept: str) -> tuple[Callable[[Collector], bytes], str]:
    """How the scraper wants its metrics, and the content type of that; the plain text format where it is unclear."""
    with suppress(TypeError, ValueError):  # it names a version that is none
        encode, content_type = choose_encoder(accept)
        if _KNOWN.search(content_type):
            return encode, content_type
    return choose_encoder("")
