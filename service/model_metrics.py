"""The metrics of one version of a model."""

from collections.abc import Sequence

from prometheus_client import Counter

from artifact.answer import Answer
from artifact.expectation import Expectation
from service.metrics import COMPARISONS, DECISIONS, LOADS, OUTCOMES, REASONS, SOURCES, STAGES, Metrics


class ModelMetrics:
    """The metrics of one version, their labels bound once; told of the queue by the version's scheduler."""

    def __init__(self, metrics: Metrics, name: str, version: str) -> None:
        self._metrics = metrics
        self._model = (name, version)
        self._outcomes = {outcome: metrics.items.labels(*self._model, outcome) for outcome in OUTCOMES}
        self._reasons = {reason: metrics.rejected.labels(*self._model, reason) for reason in REASONS}
        self._sources = {source: metrics.cached.labels(*self._model, source) for source in SOURCES}
        self._stages = {stage: metrics.stages.labels(*self._model, stage) for stage in STAGES}
        self._batch_size = metrics.batch_size.labels(*self._model)
        self._confidence = metrics.confidence.labels(*self._model)
        self._queue_items = metrics.queue_items.labels(*self._model)
        self._replaced = metrics.replaced.labels(*self._model)
        self._loads = {outcome: metrics.loads.labels(*self._model, outcome) for outcome in LOADS}
        self._comparisons = {each: metrics.shadow.labels(*self._model, each) for each in COMPARISONS}
        self._shadow_seconds = metrics.shadow_seconds.labels(*self._model)
        self._predictions: dict[tuple[str, str], Counter] = {}

    def loaded(self, digest: str, labels: Sequence[str]) -> None:
        """The model is ready."""
        self._metrics.model_info.labels(*self._model, digest).set(1)
        self._predictions = {
            (label, decision): self._metrics.predictions.labels(*self._model, label, decision)
            for label in labels
            for decision in DECISIONS
        }
        self._say_ready(is_so=True)

    def replaced(self, runners: int) -> None:
        """So many runners were stuck or gone, and were replaced."""
        self._replaced.inc(runners)

    def stuck(self, *, is_so: bool) -> None:
        """The version is stuck, or is ready again."""
        self._say_ready(is_so=not is_so)

    def unready(self) -> None:
        """The version does not answer.

        Of several workers the least counts, so one that does not listen yet, since it loads, must not say so.
        """
        self._say_ready(is_so=False)

    def _say_ready(self, *, is_so: bool) -> None:
        self._metrics.model_ready.labels(*self._model).set(is_so)

    def expect(self, expectation: Expectation) -> None:
        """Say what the answers should look like."""
        for label, share in expectation.labels.items():
            self._metrics.expected_labels.labels(*self._model, label).set(share)
        self._metrics.expected_confidence.labels(*self._model).set(expectation.confidence)
        self._metrics.expected_accepted.labels(*self._model).set(expectation.accepted)

    def retired(self, digest: str) -> None:
        """The version answers no more."""
        self._metrics.model_info.labels(*self._model, digest).set(0)
        self.unready()

    def labelled(self, label: str, *, is_so: bool) -> None:
        """The version should have the label now, or should not any more."""
        self._metrics.model_label.labels(*self._model, label).set(is_so)

    def load_ended(self, outcome: str) -> None:
        """The version was loaded, or could not be."""
        self._loads[outcome].inc()
        if outcome == "failed":
            self.unready()

    def outcome(self, outcome: str, images: int = 1) -> None:
        """Images got their one outcome."""
        self._outcomes[outcome].inc(images)

    def rejected(self, reason: str, images: int = 1) -> None:
        """Images were refused."""
        self._reasons[reason].inc(images)

    def answered(self, answer: Answer) -> None:
        """An image was answered."""
        label, score = answer.predictions[0]
        self._predictions[label, answer.decision].inc()
        self._confidence.observe(score)

    def sourced(self, source: str, cache_bytes: int) -> None:
        """The scores of an image came from the cache, or from somebody who computed the same, or had to be computed."""
        self._sources[source].inc()
        self._metrics.cache_bytes.set(cache_bytes)

    def compared(self, comparison: str, seconds: float | None = None) -> None:
        """A copy came to this version as a shadow, and took so long if it was answered."""
        self._comparisons[comparison].inc()
        if seconds is not None:
            self._shadow_seconds.observe(seconds)

    def decoded(self, seconds: float) -> None:
        """An image became pixels, or failed to."""
        self._stages["decode"].observe(seconds)

    def queued(self, items: int) -> None:
        """So many images wait for a runner now."""
        self._queue_items.set(items)

    def waited(self, seconds: float) -> None:
        """An image left the queue for a runner."""
        self._stages["queue"].observe(seconds)

    def ran(self, size: int, seconds: float) -> None:
        """A batch ran, well or not."""
        self._stages["infer"].observe(seconds)
        self._batch_size.observe(size)
