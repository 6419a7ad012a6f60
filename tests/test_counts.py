"""What workers count in files is one count, whoever reads it, and whoever was killed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, values
from prometheus_client.exposition import generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from artifact.expectation import Expectation
from service.counts import Counts, count_as, counts_in_files, forget_gauges
from service.metrics import Metrics
from service.model_metrics import ModelMetrics


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where workers count, which the test plays one after the other."""
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    with counts_in_files(3):
        yield Counts()._folder
        values.close_all_multiprocess_files()


def worker(number: int, version: str = "1") -> ModelMetrics:
    """A model's metrics in a worker that begins to count."""
    count_as(number)
    metrics = ModelMetrics(Metrics("1", shared=True), "tiny", version)
    metrics.loaded("sha256:0", ("dark", 'so "called"\nlight'))
    return metrics


def scraped() -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(Counts())
    return registry


def count(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, {"model_name": "tiny", "model_version": "1"} | labels)


@pytest.mark.parametrize("encode", [generate_latest, generate_openmetrics])
@pytest.mark.usefixtures("folder")
def test_two_workers_read_as_by_prometheus_client(encode):
    one, other, third = worker(0), worker(1), worker(2, version="2")
    for seconds in (0.0004, 0.3, 20):
        one.waited(seconds)
        other.ran(3, seconds)
    for metrics, waiting in ((one, 2), (other, 3), (third, 1)):
        metrics.outcome("ok", waiting)
        metrics.queued(waiting)
    other.retired("sha256:0")
    theirs = CollectorRegistry()
    MultiProcessCollector(theirs)
    assert sorted(encode(scraped()).splitlines()) == sorted(encode(theirs).splitlines())


@pytest.mark.usefixtures("folder")
def test_what_is_scraped_is_openmetrics():
    worker(0).waited(0.3)
    families = {each.name for each in text_string_to_metric_families(generate_openmetrics(scraped()).decode())}
    assert {"hangtag_items", "hangtag_stage_duration_seconds", "hangtag_queue_items"} <= families


def test_who_takes_the_place_of_a_killed_worker_goes_on_in_its_files(folder: Path):
    first, other = worker(0), worker(1)
    first.outcome("ok", 3)
    first.waited(0.3)
    first.queued(5)
    other.queued(1)
    files = {path.name for path in folder.iterdir()}
    registry = scraped()
    assert count(registry, "hangtag_queue_items") == 6
    forget_gauges(0)
    assert count(registry, "hangtag_queue_items") == 1
    assert count(registry, "hangtag_items_total", outcome="ok") == 3
    second = worker(0)
    second.outcome("ok", 4)
    second.waited(0.3)
    assert {path.name for path in folder.iterdir()} == files
    assert count(registry, "hangtag_items_total", outcome="ok") == 7
    assert count(registry, "hangtag_stage_duration_seconds_count", stage="queue") == 2
    assert count(registry, "hangtag_stage_duration_seconds_sum", stage="queue") == 0.6
    assert count(registry, "hangtag_queue_items") == 1
    assert registry.get_sample_value("hangtag_worker_starts_total") == 3


def test_a_worker_counts_where_there_is_room_already_and_makes_no_file_that_is_empty_for_a_moment(folder: Path):
    """Whoever writes where there is no memory any more is killed, and so is who takes its place."""

    def files() -> dict[str, int]:
        return {path.name: path.stat().st_size for path in folder.glob("*.db")}

    before = files()
    assert all(path.stat().st_blocks * 512 >= path.stat().st_size > 0 for path in folder.glob("*.db"))
    assert list(scraped().collect()) == []
    first, other = worker(0), worker(2)
    first.queued(5)
    forget_gauges(0)
    assert list(worker(0)._metrics.registry.collect())
    labels = [f"clothing/{number}" for number in range(100)]
    for number in range(20):
        model = ModelMetrics(other._metrics, f"products-of-{number}", "1")
        model.loaded("sha256:" + 64 * "0", labels)
        model.expect(Expectation(dict.fromkeys(labels, 0.01), 0.9, 0.8))
    assert files() == before
    assert files() == before


@pytest.mark.usefixtures("folder")
def test_a_series_that_begins_between_two_scrapes_is_in_the_second():
    worker(0).outcome("ok")
    registry = scraped()
    assert count(registry, "hangtag_items_total", outcome="ok") == 1
    assert count(registry, "hangtag_items_total", model_version="2", outcome="ok") is None
    worker(1, version="2").outcome("ok", 2)
    assert count(registry, "hangtag_items_total", model_version="2", outcome="ok") == 2
    assert count(registry, "hangtag_items_total", outcome="ok") == 1
