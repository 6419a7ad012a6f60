"""Every counter is what the clients saw, to the last request, whichever worker answered and whichever was killed."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Any

import httpx
import psutil
import pytest
import uvloop
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import Message, Receive, Scope, Send

from benchmarks.client import Target, closed_loop
from connected import Connection
from graphs import graph, slow
from service.line import LINE, Line
from service.metrics import Metrics
from service.telemetry import Telemetry
from support import CLASSIFY, Service, card, eventually, png, publish

ROUTE = "/v1/models/{model}/classify"
OUTCOMES = {200: "ok", 413: "invalid", 422: "invalid", 429: "rejected", 504: "expired"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Two workers with a model that answers at once, and one that takes its time."""
    root = tmp_path_factory.mktemp("models")
    publish(root)
    publish(root, card(name="heavy"), graph(extra=slow(products=40)))
    options = ["--workers", "2", "--runners", "1", "--max-batch", "1", "--max-items", "2", "--max-body-bytes", "9999"]
    with Service(root, *options) as both:
        both.wait_for_workers(2)
        yield both


class Idle:
    """As far as Telemetry asks, a service in which nothing happens."""

    draining = False


def series(name: str, labels: dict[str, str]) -> str:
    return " ".join(
        [name, *(f"{label}={value}" for label, value in sorted(labels.items()) if label != "model_version")]
    )


def counted(running: Service) -> Counter[str]:
    """Everything that was counted, but for what the processes take."""
    text = httpx.get(f"{running.url}/metrics").text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return Counter(
        {
            series(sample.name, sample.labels): int(sample.value)
            for sample in samples
            if sample.name.endswith(("_total", "_count", "batch_size_sum")) and not sample.name.startswith("process_")
        }
    )


class Ledger:
    """Clients that ask certain workers, and write down in `seen` what must have been counted since then."""

    def __init__(self, running: Service) -> None:
        self._running = running
        self._before = counted(running)
        self.seen: Counter[str] = Counter()
        self._answered("GET", "/metrics", 200)

    def note(self, name: str, **labels: str) -> None:
        self.seen[series(name, labels)] += 1

    def now(self) -> Counter[str]:
        """What was counted since the beginning."""
        found = counted(self._running) - self._before
        self.expected = +self.seen
        self._answered("GET", "/metrics", 200)
        return found

    def connect(self, worker: int) -> Connection:
        """A connection to one of the workers; the kernel deals them out, so it may take some."""
        while True:
            connection = Connection(self._running.url)
            port, owners = connection._socket.getsockname()[1], []
            eventually(lambda: owners.extend(self._owners(port)) or owners)  # noqa: B023 - it ends before they change
            if owners == [worker]:
                return connection
            connection.hang_up()

    def _owners(self, port: int) -> list[int]:
        """Who has accepted the connection that comes from this port."""
        connections = ((pid, psutil.Process(pid).net_connections("tcp")) for pid in self._running.workers())
        return [pid for pid, each in connections for one in each if one.raddr and one.raddr.port == port]

    def hold(self, worker: int, image: bytes) -> Connection:
        """Be let in, and do not send the image yet."""
        held = self.connect(worker)
        held.post(CLASSIFY, Content_Length=str(len(image)), Expect="100-continue")
        assert held.answer() == (100, {})
        return held

    def answer(self, connection: Connection, model: str = "tiny", *, decoded: bool = False) -> int:
        """The status of the answer; `decoded` says that the image got as far as a runner, and no further."""
        status, answer = connection.answer()
        self._answered("POST", ROUTE, status)
        if status in OUTCOMES:
            self.note("hangtag_items_total", model_name=model, outcome=OUTCOMES[status])
        if status == 429:
            self.note("hangtag_rejected_total", model_name=model, reason=answer["code"])
        if status == 200:
            best, decision = answer["predictions"][0]["label"], answer["decision"]
            self.note("hangtag_predictions_total", model_name=model, label=best, decision=decision)
            self.note("hangtag_confidence_count", model_name=model)
            is_known = "hit" in connection.headers["cache-status"]
            self.note("hangtag_cache_requests_total", model_name=model, source="hit" if is_known else "miss")
            decoded = not is_known
            if decoded:
                self.note("hangtag_stage_duration_seconds_count", model_name=model, stage="infer")
                self.note("hangtag_batch_size_count", model_name=model)
                self.note("hangtag_batch_size_sum", model_name=model)
        for stage in ("queue", "decode") if decoded else ():
            self.note("hangtag_stage_duration_seconds_count", model_name=model, stage=stage)
        connection.hang_up()
        return status

    def ask(self, worker: int, image: bytes, model: str = "tiny", **more: Any) -> int:
        """Classify an image; gives the status."""
        connection = self.connect(worker)
        send(connection, image, model)
        return self.answer(connection, model, **more)

    def other(self, method: str, path: str, route: str, counted_as: str | None = None) -> int:
        """Ask for something else, of whichever worker; gives the status."""
        status = httpx.request(method, self._running.url + path).status_code
        self._answered(counted_as or method, route, status)
        return status

    def hang_up(self, connection: Connection, model: str) -> None:
        connection.hang_up()
        self._answered("POST", ROUTE, 499)
        self.note("hangtag_items_total", model_name=model, outcome="cancelled")

    def reconcile(self) -> None:
        """What was counted is what was seen, once those who hung up were noticed."""
        with suppress(AssertionError):
            eventually(lambda: self.now() == self.expected)
        assert self.now() == self.expected

    def killed(self, worker: int, *unanswered: Connection) -> int:
        """Kill a worker; those that wait for it hear no more. Gives who takes its place."""
        new = self._running.kill(worker)
        for connection in unanswered:
            with pytest.raises((ConnectionError, IndexError)):
                connection.answer()
            connection.hang_up()
        self.note("hangtag_worker_starts_total")
        for model in ("tiny", "heavy"):
            self.note("hangtag_model_loads_total", model_name=model, outcome="ok")
        return new

    def _answered(self, method: str, route: str, status: int) -> None:
        self.note("http_requests_total", method=method, route=route, status=str(status))
        self.note("http_request_duration_seconds_count", method=method, route=route)


def send(connection: Connection, image: bytes, model: str, **headers: str) -> None:
    connection.post(f"/v1/models/{model}/classify", Content_Length=str(len(image)), **headers)
    connection.send(image)


def send_the_mix(ledger: Ledger, worker: int) -> None:
    """Whatever clients send, to one worker that has not seen it yet."""
    assert [ledger.ask(worker, png(shade)) for shade in (0, 0, 128, 255)] == [200] * 4
    assert ledger.ask(worker, png(77)[:-20], decoded=True) == 422
    assert ledger.ask(worker, b"text", decoded=True) == 422
    assert ledger.ask(worker, bytes(10_000)) == 413
    assert ledger.ask(worker, png(0), "nobody") == 404
    with ExitStack() as let_in:
        held = [let_in.enter_context(ledger.hold(worker, png(255))) for _ in range(2)]
        assert ledger.ask(worker, png(0)) == 429
        for each in held:
            each.send(png(255))
            assert ledger.answer(each) == 200
    runs = series("hangtag_stage_duration_seconds_count", {"model_name": "heavy", "stage": "queue"})
    before = ledger.now()[runs]
    first, late, gone = (ledger.connect(worker) for _ in range(3))
    send(first, png(255), "heavy")
    eventually(lambda: ledger.now()[runs] == before + 1)
    send(late, png(0), "heavy", X_Request_Deadline_Ms="1")
    assert ledger.answer(late, "heavy") == 504
    send(gone, png(0), "heavy")
    ledger.hang_up(gone, "heavy")
    assert ledger.answer(first, "heavy") == 200
    ledger.reconcile()


def test_every_counter_is_what_the_clients_saw_also_after_workers_were_killed(running: Service):
    ledger = Ledger(running)
    one, other = running.workers()
    send_the_mix(ledger, one)
    send_the_mix(ledger, other)
    assert ledger.other("GET", "/secret", "unmatched") == 404
    assert ledger.other("PROPFIND", "/secret", "unmatched", counted_as="other") == 404
    assert ledger.other("GET", CLASSIFY, ROUTE) == 405
    assert ledger.other("GET", "/v2/models/nobody", "/v2/models/{model}") == 404
    cut_off = ledger.hold(other, png(0))
    assert ledger.ask(other, png(128)) == 200
    replacement = ledger.killed(other, cut_off)
    assert ledger.now() == ledger.expected
    send_the_mix(ledger, replacement)
    with ledger.connect(one) as no_request:
        no_request.send(b"\0\1\2\r\n\r\n")
        assert no_request.answer()[0] == 400
    ledger.note("http_requests_total", method="other", route="unmatched", status="400")
    ledger.killed(one)
    for _ in range(4):  # whichever is asked
        assert ledger.now() == ledger.expected


def test_no_answer_is_lost_or_counted_twice_when_a_worker_is_killed_under_load(running: Service):
    good = series("hangtag_items_total", {"model_name": "tiny", "outcome": "ok"})
    answered = series("http_requests_total", {"method": "POST", "route": ROUTE, "status": "200"})
    before, totals, seconds = counted(running), [0], [0.0]

    def look() -> int:
        totals.append((counted(running) - before)[good])
        seconds.append(running.metric("process_cpu_seconds_total"))
        return totals[-1]

    def kill() -> None:
        eventually(lambda: look() > 20)
        running.kill(running.workers()[0])
        look()

    with ThreadPoolExecutor(1) as elsewhere:
        killed = elsewhere.submit(kill)
        load = Target.of(running.url + CLASSIFY, [png(0), png(255)])
        seen = uvloop.run(closed_loop(load, 2, 1.5))
        killed.result()
    look()
    after = counted(running) - before
    # An image is counted when its scores are there, its request when the answer is: the worker may be killed between.
    assert len(seen.latencies) <= after[answered] <= after[good] <= len(seen.latencies) + seen.others[0]
    assert totals == sorted(totals)
    assert seconds == sorted(seconds)


async def test_a_request_is_counted_before_the_end_of_its_answer_is_out():
    metrics = Metrics("1")
    labels = {"method": "GET", "route": "unmatched", "status": "200"}
    counts: list[float | None] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        await send({"type": "http.response.body", "body": b"whole"})

    async def send(_message: Message) -> None:
        counts.append(metrics.registry.get_sample_value("http_requests_total", labels))

    await Telemetry(app, metrics, Idle())({"type": "http", "method": "GET", "headers": []}, None, send)
    assert counts == [None, None, 1]
    assert metrics.registry.get_sample_value("http_requests_total", labels) == 1


async def test_how_long_a_client_is_held_who_came_back_too_soon_is_no_time_that_its_refusal_took():
    metrics, line, crowd = Metrics("1"), Line(), 400

    async def refuse(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 429})
        await send({"type": "http.response.body"})

    async def send(_message: Message) -> None:
        pass

    telemetry = Telemetry(refuse, metrics, Idle())
    began = time.monotonic()
    scopes: list[Scope] = [{"type": "http", "method": "GET", "headers": [], LINE: line} for _ in range(crowd)]
    await asyncio.gather(*(telemetry(scope, None, send) for scope in scopes))
    assert time.monotonic() - began > 0.3
    in_time = {"method": "GET", "route": "unmatched", "le": "0.25"}
    assert metrics.registry.get_sample_value("http_request_duration_seconds_bucket", in_time) == crowd


def test_a_body_that_cannot_be_read_is_counted_with_its_request_and_not_beside_it(service: Service):
    before = counted(service)
    with Connection(service.url) as connection:
        connection.post(CLASSIFY, Transfer_Encoding="chunked", Expect="100-continue")
        assert connection.answer()[0] == 100
        connection.send(b"no length\r\n")
        assert connection.answer()[0] == 400
    gone = series("http_requests_total", {"method": "POST", "route": ROUTE, "status": "499"})
    eventually(lambda: (counted(service) - before)[gone] == 1)
    requests = {name: count for name, count in (counted(service) - before).items() if name.startswith("http_requests")}
    assert {name for name in requests if "/metrics" not in name} == {gone}


def test_what_was_never_asked_is_there_and_is_zero(running: Service):
    found = counted(running)
    for status in (200, 304, 404, 500, 503):
        labels = {"method": "GET", "route": "/v1/models/{model}/report", "status": str(status)}
        assert found.get(series("http_requests_total", labels)) == 0
    for status in (400, 431):
        assert series("http_requests_total", {"method": "other", "route": "unmatched", "status": str(status)}) in found
    for outcome in ("ok", "invalid", "rejected", "expired", "failed", "cancelled"):
        for model in ("tiny", "heavy"):
            assert series("hangtag_items_total", {"model_name": model, "outcome": outcome}) in found
