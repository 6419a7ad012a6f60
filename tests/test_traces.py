"""Traces: `traceparent` in, spans out by OTLP to a real collector, and nothing of all that where none is configured."""

import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span, Status

from graphs import failing_at, graph
from open_inference import INFER, photos, post
from service.trace import Trace, trace_of
from support import HANGTAG, PATIENCE, Service, png, publish

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED, NOT_SAMPLED = f"00-{TRACE}-{CALLER}-01", f"00-{TRACE}-{CALLER}-00"
SOON = {"OTEL_BSP_SCHEDULE_DELAY": "50"}


class Collector(ThreadingHTTPServer):
    """What collects spans by OTLP."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Collecting)
        self.batches: list[ResourceSpans] = []
        self.came = threading.Condition()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def spans(self) -> list[Span]:
        return [span for batch in self.batches for scope in batch.scope_spans for span in scope.spans]

    def of(self, request_id: str) -> tuple[Span, dict[str, Span]]:
        """The span of a request, and those of its stages, once all of them have come."""

        def found() -> list[Span]:
            return [span for span in self.spans if attributes(span).get("hangtag.request.id") == request_id]

        with self.came:
            assert self.came.wait_for(found, PATIENCE)
        [whole] = found()
        return whole, {span.name: span for span in self.spans if span.parent_span_id == whole.span_id}


class Collecting(BaseHTTPRequestHandler):
    """One connection to it."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path == "/v1/traces"
        assert self.headers["Content-Type"] == "application/x-protobuf"
        with self.server.came:
            self.server.batches += ExportTraceServiceRequest.FromString(body).resource_spans
            self.server.came.notify_all()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(ExportTraceServiceResponse().SerializeToString())

    def log_message(self, *_: object) -> None:
        pass


def attributes(span: Span | Any) -> dict[str, str | int]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes}


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Service]:
    """A service whose spans are collected; its model fails on one shade."""
    root = tmp_path_factory.mktemp("traced")
    publish(root, model=graph(extra=failing_at(77)))
    with Service(root, "--otlp-endpoint", collector.url, "--log-format", "json", environment=SOON) as running:
        yield running


def request_id(answer: httpx.Response) -> str:
    return answer.headers["x-request-id"]


def test_a_request_is_a_span_of_its_caller_with_its_stages_inside(traced: Service, collector: Collector):
    headers = {"traceparent": SAMPLED, "tracestate": "shop=checkout"}
    whole, stages = collector.of(request_id(traced.ask(png(1), headers)))
    assert (whole.trace_id.hex(), whole.parent_span_id.hex(), whole.trace_state) == (TRACE, CALLER, "shop=checkout")
    assert (whole.name, whole.kind) == ("POST /v1/models/{model}/classify", Span.SPAN_KIND_SERVER)
    assert whole.status.code == Status.STATUS_CODE_UNSET
    said = attributes(whole)
    assert said["http.request.method"] == "POST"
    assert said["http.route"] == "/v1/models/{model}/classify"
    assert said["http.response.status_code"] == 200
    assert (said["hangtag.model.name"], said["hangtag.model.version"], said["hangtag.cache"]) == ("tiny", "1", "miss")
    assert stages.keys() == {"read", "queue", "decode", "infer"}
    assert attributes(stages["infer"]) == {"hangtag.batch_size": 1}
    in_order = [stages[stage] for stage in ("read", "queue", "decode", "infer")]
    assert {span.trace_id.hex() for span in in_order} == {TRACE}
    moments = [(span.start_time_unix_nano, span.end_time_unix_nano) for span in in_order]
    assert list(chain(*moments)) == sorted(chain(*moments))
    assert whole.start_time_unix_nano <= moments[0][0]
    assert moments[-1][1] <= whole.end_time_unix_nano


def test_what_sends_the_spans_says_what_it_is(traced: Service, collector: Collector):
    collector.of(request_id(traced.classify(png(2))))
    said = attributes(collector.batches[-1].resource)
    assert (said["service.name"], said["process.pid"]) == ("hangtag", traced.pid)


def test_who_brings_no_trace_begins_one_that_the_log_names(traced: Service, collector: Collector):
    answer = traced.classify(png(3))
    whole, _ = collector.of(request_id(answer))
    assert whole.parent_span_id == b""
    traced.wait_for(f"({request_id(answer)})")
    [line] = [line for line in traced.said if line.get("request_id") == request_id(answer)]
    assert (line["trace_id"], line["span_id"]) == (whole.trace_id.hex(), whole.span_id.hex())


def test_who_does_not_want_spans_gets_none_but_a_line_with_his_trace(traced: Service, collector: Collector):
    unwanted = traced.ask(png(4), {"traceparent": NOT_SAMPLED, "X-Request-ID": "unwanted"})
    collector.of(request_id(traced.ask(png(4), {"traceparent": SAMPLED})))
    assert request_id(unwanted) not in {attributes(span).get("hangtag.request.id") for span in collector.spans}
    traced.wait_for("(unwanted)")
    [line] = [line for line in traced.said if line.get("request_id") == "unwanted"]
    assert (line["trace_id"], line["parent_id"]) == (TRACE, CALLER)
    assert "span_id" not in line


def test_a_failure_is_one_in_its_span(traced: Service, collector: Collector):
    whole, stages = collector.of(request_id(traced.classify(png(77))))
    assert whole.status.code == Status.STATUS_CODE_ERROR
    assert attributes(whole)["error.type"] == "inference_failed"
    assert stages.keys() == {"read", "queue", "decode", "infer"}
    whole, stages = collector.of(request_id(traced.classify(b"none")))
    assert whole.status.code == Status.STATUS_CODE_UNSET  # the client's mistake
    assert attributes(whole)["hangtag.code"] == "image_type_unsupported"
    assert "infer" not in stages


def test_a_path_that_is_none_is_no_name_of_a_span(traced: Service, collector: Collector):
    whole, stages = collector.of(request_id(httpx.get(f"{traced.url}/{'x' * 5000}")))
    assert whole.name == "GET"
    assert "http.route" not in attributes(whole)
    assert not stages


def test_a_tracestate_that_is_none_is_dropped_and_not_repeated_in_the_log(traced: Service, collector: Collector):
    answer = traced.ask(png(6), {"traceparent": SAMPLED, "tracestate": "hush-hush"})
    whole, _ = collector.of(request_id(answer))
    assert (whole.trace_id.hex(), whole.trace_state) == (TRACE, "")
    traced.wait_for(f"({request_id(answer)})")
    assert "hush-hush" not in traced.log


def test_many_images_make_no_span_each(traced: Service, collector: Collector):
    answer = post(traced, {"inputs": [photos(*map(png, range(100, 164)))]})
    whole, stages = collector.of(request_id(answer))
    assert whole.name == f"POST {INFER.replace('tiny', '{model}')}"
    assert attributes(whole)["hangtag.images"] == 64
    of_it = [span for span in collector.spans if span.parent_span_id == whole.span_id]
    assert stages.keys() == {"read", "queue", "decode", "infer"}
    assert len(of_it) < 2 * 64


def test_probes_make_no_spans(traced: Service, collector: Collector):
    for path in ("/health/ready", "/metrics"):
        assert httpx.get(traced.url + path, headers={"traceparent": SAMPLED, "X-Request-ID": "probe"}).is_success
    collector.of(request_id(traced.classify(png(5))))
    assert "probe" not in {attributes(span).get("hangtag.request.id") for span in collector.spans}


def test_every_worker_writes_its_lines_and_sends_its_spans_to_the_last(models: Path, collector: Collector):
    traced = ("--otlp-endpoint", f"{collector.url}/", "--otlp-share", "0", "--log-format", "json")
    with Service(models, *traced, "--workers", "2", environment={"OTEL_SERVICE_NAME": "shop"}) as running:
        running.wait_for_workers(2)
        unasked = {request_id(running.classify(png(0))) for _ in range(4)}
        asked = {request_id(running.ask(png(0), {"traceparent": SAMPLED})) for _ in range(4)}
        running.signal(signal.SIGTERM)
        assert running.wait() == 0
    lines = {line["request_id"]: line for line in running.said if line["event"] == "request"}
    assert lines.keys() == unasked | asked
    assert all(("span_id" in lines[each]) == (each in asked) for each in lines)
    sent = {attributes(span).get("hangtag.request.id") for span in collector.spans}
    assert sent >= asked
    assert not sent & unasked  # a share of 0 leaves it to callers
    said = attributes(collector.batches[-1].resource)
    assert said["service.name"] == "shop"
    assert said["process.pid"] in {line["pid"] for line in lines.values()}


def test_a_collector_that_never_answers_harms_nobody(models: Path, silent: str):
    small = SOON | {"OTEL_BSP_MAX_QUEUE_SIZE": "8", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "8"}
    with Service(models, "--otlp-endpoint", silent, environment=small) as running:
        for shade in range(8):
            assert running.classify(png(shade)).status_code == 200
        running.wait_for("(Queue full, dropping Span)")
        assert running.classify(png(0)).status_code == 200
        running.signal(signal.SIGTERM)
        assert running.wait() == 0


def test_a_collector_that_is_not_there_is_told_of_in_the_log(models: Path):
    with Service(models, "--otlp-endpoint", "http://127.0.0.1:9", "--log-format", "json", environment=SOON) as running:
        assert running.classify(png(0)).status_code == 200
        running.wait_for("(while exporting spans batch|Failed to export spans batch)")
        assert running.classify(png(0)).status_code == 200
        running.signal(signal.SIGTERM)
        assert running.wait() == 0
    assert {line["logger"].split(".")[0] for line in running.said} >= {"hangtag", "opentelemetry"}


def test_what_sends_spans_is_imported_only_where_a_collector_is_configured(models: Path, collector: Collector):
    def imported(*options: str) -> set[str]:
        with Service(models, *options, environment={"PYTHONPROFILEIMPORTTIME": "1"}) as running:
            assert running.ask(png(0), {"traceparent": SAMPLED}).status_code == 200
            running.signal(signal.SIGTERM)
            assert running.wait() == 0
        return set(re.findall(r"^import time: .* ([\w.]+)$", running.log, re.MULTILINE))

    # FastAPI imports OpenTelemetry's API, which is a shell without its SDK, for itself.
    sending = {"opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http", "google.protobuf", "service.spans"}
    assert not sending & imported()
    assert sending <= imported("--otlp-endpoint", collector.url)


def test_without_the_extra_the_service_says_so_and_does_not_start(models: Path, tmp_path: Path):
    (tmp_path / "sitecustomize.py").write_text('import sys; sys.modules["opentelemetry.exporter"] = None')
    refused = subprocess.run(
        [*HANGTAG, "serve", "--models", models, "--otlp-endpoint", "http://127.0.0.1:9"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert refused.returncode == 2
    assert "--otlp-endpoint: Value error, traces need the extra `otlp`: pip install 'hangtag[otlp]'" in refused.stderr


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (SAMPLED, Trace(TRACE, CALLER, is_sampled=True)),
        (NOT_SAMPLED, Trace(TRACE, CALLER, is_sampled=False)),
        (f"00-{TRACE}-{CALLER}-ff", Trace(TRACE, CALLER, is_sampled=True)),
        (f"cc-{TRACE}-{CALLER}-01", Trace(TRACE, CALLER, is_sampled=True)),
        (f"cc-{TRACE}-{CALLER}-01-of-times-to-come", Trace(TRACE, CALLER, is_sampled=True)),
        (f"cc-{TRACE}-{CALLER}-01.of-times-to-come", None),
        (f"00-{TRACE}-{CALLER}-01-more", None),
        (f"00-{TRACE}-{CALLER}-01-", None),
        (f"00-{TRACE}-{CALLER}-1", None),
        (f"00-{TRACE}-{CALLER}", None),
        (f"ff-{TRACE}-{CALLER}-01", None),
        (f"0-{TRACE}-{CALLER}-01", None),
        (f"00-{TRACE.upper()}-{CALLER}-01", None),
        (f"00-{TRACE[1:]}-{CALLER}-01", None),
        (f"00-{'0' * 32}-{CALLER}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE}-{CALLER}-01\n", None),
        (f" {SAMPLED}", None),
        ("", None),
    ],
)
def test_a_traceparent_is_believed_only_if_it_is_one(header: str, found: Trace | None):
    assert trace_of([(b"traceparent", header.encode())]) == found


def test_two_traceparents_are_none_and_the_parts_of_a_tracestate_are_one():
    both = [(b"traceparent", SAMPLED.encode())] * 2
    assert trace_of(both) is None
    assert trace_of([both[0], (b"tracestate", b"a=1"), (b"tracestate", b"b=2")]) == Trace(
        TRACE, CALLER, is_sampled=True, state="a=1,b=2"
    )
