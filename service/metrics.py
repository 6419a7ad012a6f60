"""Every metric of the service, named once; a model's series exist at zero from when it is known.

Only whether a version is ready is not said by a worker that is still loading it.
"""

from collections.abc import Iterable
from platform import python_version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from service.counts import Counts, counting_since
from service.processes import Processes

_MODEL = ("model_name", "model_version")
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SHARES = tuple(step / 20 for step in range(1, 21))
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)

OUTCOMES = ("ok", "invalid", "rejected", "expired", "failed", "cancelled")
REASONS = ("queue_full", "model_unavailable", "draining")
SOURCES = ("hit", "collapsed", "miss")
STAGES = ("decode", "queue", "infer")
DECISIONS = ("accept", "review")
LOADS = ("ok", "failed")
ENDS = ("crowded", "refused", "slow_head", "slow_body", "slow_reader")
KEY_OUTCOMES = ("accepted", "missing", "unknown", "expired", "scope", "rate")
COMPARISONS = ("same", "other_label", "other_decision", "failed", "skipped")


class Metrics:
    """The service's metrics, and the registry to scrape: their own, or what all workers wrote to files."""

    def __init__(self, build_version: str, *, shared: bool = False) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # as it is with several workers; they would be a third
        self.registry = r = CollectorRegistry()
        if shared:
            self.registry = CollectorRegistry()
            self.registry.register(Counts())
        self.registry.register(Processes(counting_since() if shared else None))
        self.items = Counter("hangtag_items_total", "Images, by what became of them.", (*_MODEL, "outcome"), registry=r)
        self.rejected = Counter(
            "hangtag_rejected_total", "Images that were refused, by reason.", (*_MODEL, "reason"), registry=r
        )
        self.stages = Histogram(
            "hangtag_stage_duration_seconds",
            "Time that an image (decode, queue) or a batch (infer) spent in each stage.",
            (*_MODEL, "stage"),
            buckets=_SECONDS,
            registry=r,
        )
        self.batch_size = Histogram("hangtag_batch_size", "Images in one run.", _MODEL, buckets=_SIZES, registry=r)
        self.queue_items = Gauge(
            "hangtag_queue_items", "Images that wait for a runner.", _MODEL, registry=r, multiprocess_mode="livesum"
        )
        self.predictions = Counter(
            "hangtag_predictions_total", "Answers, by best label.", (*_MODEL, "label", "decision"), registry=r
        )
        self.confidence = Histogram(
            "hangtag_confidence", "Score of the best label.", _MODEL, buckets=_SHARES, registry=r
        )
        self.expected_labels = Gauge(
            "hangtag_expected_predictions_ratio",
            "Share of the test photos that have this best label.",
            (*_MODEL, "label"),
            registry=r,
            multiprocess_mode="livemax",
        )
        self.expected_confidence = Gauge(
            "hangtag_expected_confidence",
            "Mean score of the best label on the test photos.",
            _MODEL,
            registry=r,
            multiprocess_mode="livemax",
        )
        self.expected_accepted = Gauge(
            "hangtag_expected_accepted_ratio",
            "Share of the test photos whose answer was accepted.",
            _MODEL,
            registry=r,
            multiprocess_mode="livemax",
        )
        self.cached = Counter(
            "hangtag_cache_requests_total", "Images, by where their scores came from.", (*_MODEL, "source"), registry=r
        )
        self.cache_bytes = Gauge(
            "hangtag_cache_bytes", "Memory that kept scores take.", registry=r, multiprocess_mode="livesum"
        )
        self.memory_limit = Gauge(
            "hangtag_memory_limit_bytes",
            "Memory that the whole service may take; 0 without a limit.",
            registry=r,
            multiprocess_mode="livemax",
        )
        self.model_info = Gauge(
            "hangtag_model_info",
            "1, with the digest of the loaded model.",
            (*_MODEL, "digest"),
            registry=r,
            multiprocess_mode="livemax",
        )
        self.model_ready = Gauge(
            "hangtag_model_ready",
            "1 while the version answers, 0 when it does not, or not any more.",
            _MODEL,
            registry=r,
            multiprocess_mode="livemin",
        )
        self.model_label = Gauge(
            "hangtag_model_label",
            "1 for the version that should have the label now.",
            (*_MODEL, "label"),
            registry=r,
            multiprocess_mode="livemax",
        )
        self.replaced = Counter(
            "hangtag_runners_replaced_total",
            "Runners that were stuck or gone, and were replaced.",
            _MODEL,
            registry=r,
        )
        self.loads = Counter(
            "hangtag_model_loads_total", "Loads of a version, by how they ended.", (*_MODEL, "outcome"), registry=r
        )
        self.shadow = Counter(
            "hangtag_shadow_comparisons_total",
            "Images that a shadow version was asked, too, by how its answer compares to the one returned.",
            (*_MODEL, "comparison"),
            registry=r,
        )
        self.shadow_seconds = Histogram(
            "hangtag_shadow_duration_seconds",
            "Time that a shadow version took for its copy.",
            _MODEL,
            buckets=_SECONDS,
            registry=r,
        )
        self.build = Gauge(
            "hangtag_build_info",
            "The version of Hangtag and of Python.",
            ("version", "python"),
            registry=r,
            multiprocess_mode="livemax",
        )
        self.build.labels(build_version, python_version()).set(1)
        self.connections = Gauge(
            "hangtag_connections", "Connections of clients.", registry=r, multiprocess_mode="livesum"
        )
        self.connections_ended = Counter(
            "hangtag_connections_ended_total",
            "Connections that the service broke off, by why.",
            ("reason",),
            registry=r,
        )
        for reason in ENDS:
            self.connections_ended.labels(reason)
        Counter("hangtag_worker_starts_total", "Worker processes that were started.", registry=r).inc()
        self.key_requests = Counter(
            "hangtag_key_requests_total", "Requests, by the name of their key.", ("key", "outcome"), registry=r
        )
        self.key_loads = Counter(
            "hangtag_key_loads_total", "Loads of the file of keys, by how they ended.", ("outcome",), registry=r
        )
        for outcome in LOADS:
            self.key_loads.labels(outcome)
        self.requests = Counter(
            "http_requests_total", "HTTP requests, by route template.", ("method", "route", "status"), registry=r
        )
        self.request_seconds = Histogram(
            "http_request_duration_seconds",
            "Time from a request's headers to the end of its answer.",
            ("method", "route"),
            buckets=_SECONDS,
            registry=r,
        )
        self._answers: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def expect(self, method: str, route: str, statuses: Iterable[int]) -> None:
        """Let the series of a route exist at zero."""
        for status in statuses:
            self._answer(method, route, status)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request is answered, as soon as the end of its answer is out."""
        answers, durations = self._answers.get((method, route, status)) or self._answer(method, route, status)
        answers.inc()
        durations.observe(seconds)

    def _answer(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        series = self.requests.labels(method, route, str(status)), self.request_seconds.labels(method, route)
        self._answers[method, route, status] = series
        return series
