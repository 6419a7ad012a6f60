"""Requests as spans, sent to a collector by OTLP over HTTP; imported only where one is configured.

What OpenTelemetry's SDK reads from `OTEL_*` variables holds: headers and certificates for the collector, the bounds of
the queue, attributes of the resource.
"""

import os
from functools import partial
from random import Random
from threading import Thread

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from service.record import OTHER, SERVER_ERRORS, UNMATCHED, Record

_LAST_SECONDS = 2.0
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_UNSET, _FAILED = Status(StatusCode.UNSET), Status(StatusCode.ERROR)

_ids = Random()  # noqa: S311 - unique, not secret


class Spans:
    """Makes a span of each request that is sampled, and of each stage that it was in, and sends them in batches.

    Whether a request is sampled its caller decides; where none has, a `share` of all traces is. What the collector does
    not take in time is dropped, and the log says so.
    """

    def __init__(self, endpoint: str, share: float, release: str) -> None:
        self._processor = BatchSpanProcessor(OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces"))
        self._bound = TraceIdRatioBased(share).bound
        ours: dict[str, str | int] = {"service.name": "hangtag", "service.version": release, "process.pid": os.getpid()}
        # The SDK's tracer would take ten times as long: its spans are open for a while, and these have ended.
        self._span = partial(
            ReadableSpan,
            resource=Resource.create(ours).merge(OTELResourceDetector().detect()),
            instrumentation_scope=InstrumentationScope("hangtag", release),
        )

    def ended(self, record: Record) -> None:
        """Have the spans of a request sent soon, if it is sampled; the record gets the id of its own one."""
        if record.is_probe or not self._is_sampled(record):
            return
        state = TraceState.from_header([record.trace.state]) if record.trace else None
        whole = _new(record, state)
        record.span_id = f"{whole.span_id:016x}"
        for stage, started, ended in record.stages.passages():
            self._processor.on_end(
                self._span(
                    stage,
                    _new(record, state),
                    whole,
                    attributes={"hangtag.batch_size": record.stages.batch_size} if stage == "infer" else {},
                    start_time=record.nanoseconds(started),
                    end_time=record.nanoseconds(ended),
                )
            )
        self._processor.on_end(
            self._span(
                record.method if record.route == UNMATCHED else f"{record.method} {record.route}",
                whole,
                _caller(record),
                attributes=_attributes(record),
                kind=SpanKind.SERVER,
                status=_FAILED if record.status in SERVER_ERRORS else _UNSET,
                start_time=record.started_ns,
                end_time=record.nanoseconds(record.ended),
            )
        )

    def close(self) -> None:
        """Send what waits, as far as that goes quickly; blocks."""
        closing = Thread(target=self._processor.shutdown, daemon=True)
        closing.start()
        closing.join(_LAST_SECONDS)

    def _is_sampled(self, record: Record) -> bool:
        if record.trace:
            return record.trace.is_sampled
        return int(record.trace_id, 16) & TraceIdRatioBased.TRACE_ID_LIMIT < self._bound


def _caller(record: Record) -> SpanContext | None:
    """The span that called us."""
    if record.trace is None:
        return None
    return SpanContext(int(record.trace_id, 16), int(record.trace.parent_id, 16), is_remote=True, trace_flags=_SAMPLED)


def _new(record: Record, state: TraceState | None) -> SpanContext:
    """A new span in the trace of a request."""
    return SpanContext(int(record.trace_id, 16), _ids.getrandbits(64), False, _SAMPLED, state)  # noqa: FBT003 - not remote


def _attributes(record: Record) -> dict[str, str | int]:
    """What is known of a request, by the names of OpenTelemetry's conventions where they have one."""
    known = {
        "http.request.method": "_OTHER" if record.method == OTHER else record.method,
        "http.route": None if record.route == UNMATCHED else record.route,
        "http.response.status_code": record.status,
        "http.request.body.size": record.body_bytes or None,
        "error.type": record.code if record.status in SERVER_ERRORS else None,
        "hangtag.request.id": record.request_id,
        "hangtag.outcome": record.outcome,
        "hangtag.code": record.code,
        "hangtag.key": record.key,
        "hangtag.model.name": record.model,
        "hangtag.model.version": record.version,
        "hangtag.images": record.images or None,
        "hangtag.cache": record.cache,
    }
    return {name: value for name, value in known.items() if value is not None}
