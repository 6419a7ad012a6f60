"""What is known of one request: told by whoever learns of it, and read by the log and by spans when it has ended."""

from contextvars import ContextVar
from time import perf_counter, time_ns
from typing import Protocol

from service.cache import Source
from service.stages import Stages
from service.trace import Trace

RECORD = "hangtag.record"  # where a request's scope has it

UNMATCHED, OTHER = "unmatched", "other"  # the route of a path that is none of ours, and the method that is none of HTTP
SERVER_ERRORS = range(500, 600)

_GOOD = range(100, 400)
_OUTCOMES = {429: "rejected", 499: "cancelled", 503: "rejected", 504: "expired"}
_PROBES = ("/live", "/ready", "/startup", "/metrics")


class Record:
    """One request; the model's version is the one that answered, or would have.

    `trace` is what its caller says of the trace that it is a part of, and None where it says nothing.
    """

    route = UNMATCHED  # its template
    status = 0
    code: str | None = None  # of the problem that it ended in
    key: str | None = None  # the name of the one that it brought
    model: str | None = None
    version: str | None = None
    images = 0
    cache: Source | None = None  # of several images, the farthest
    body_bytes = 0
    seconds = 0.0
    span_id: str | None = None  # where a span of it is exported

    def __init__(self, request_id: str, trace_id: str, trace: Trace | None, method: str) -> None:
        self.request_id = request_id
        self.trace_id = trace_id
        self.trace = trace
        self.method = method
        self.stages = Stages()
        self.started = perf_counter()
        self.started_ns = time_ns()  # the same, since 1970

    @property
    def outcome(self) -> str:
        """What became of it, in the words of the metrics."""
        if self.status in _GOOD:
            return "ok"
        return _OUTCOMES.get(self.status, "failed" if self.status in SERVER_ERRORS else "invalid")

    @property
    def is_probe(self) -> bool:
        """Whether a machine asked how the service is, as it does all day."""
        return self.method == "GET" and self.route.endswith(_PROBES)

    @property
    def ended(self) -> float:
        """When its answer was out, in seconds of `perf_counter`."""
        return self.started + self.seconds

    def nanoseconds(self, moment: float) -> int:
        """A moment of `perf_counter` in nanoseconds since 1970; a clock that is set meanwhile changes nothing."""
        return self.started_ns + int((moment - self.started) * 1e9)


class Reporter(Protocol):
    """Who is told of every request that has ended."""

    def ended(self, record: Record) -> None:
        """It was answered, or given up."""

    def close(self) -> None:
        """No more requests will come; may block for a moment."""


# The request that is being answered: whatever is logged on its way has its ids.
current: ContextVar[Record] = ContextVar("current")
