"""What clients do with their connections: hang up, stall, offer upgrades, send what is no HTTP, ask again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from connected import Connection
from support import CLASSIFY, Service, code, eventually, png, publish

PAGE = b"<p>what it was trained on"
REPORT = "/v1/models/tiny/report"
GOOD = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n%s" % (
    CLASSIFY.encode(),
    len(png(0)),
    png(0),
)
CHUNKED = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n" % (
    CLASSIFY.encode()
)
NO_REQUESTS = {
    "junk": b"\0\1\2\r\n\r\n",
    "no URL": b"GET http://[ HTTP/1.1\r\n\r\n",
    "CONNECT": b"CONNECT example.org:443 HTTP/1.1\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\n" + b"a:b\r\n" * 200 + b"\r\n",
}


@pytest.fixture(scope="module")
def reporting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose model has a report."""
    models = tmp_path_factory.mktemp("models")
    publish(models, report=PAGE)
    with Service(models) as running:
        yield running


def refused(running: Service) -> float:
    """How many were answered 400 because they never were a request."""
    return running.metric("http_requests_total", route="unmatched", method="other", status="400")


def head(method: str, path: str, *headers: str) -> bytes:
    """A request without a body."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *headers, "\r\n"]).encode()


def test_a_client_that_hangs_up_in_its_body_is_counted_and_disturbs_nobody(models: Path):
    with Service(models, "--max-items", "1") as running:
        with running.begin(png(0)):
            refused = running.classify(png(0))
            assert code(refused) == (429, "queue_full")
            assert refused.headers["retry-after"] == "1"
        eventually(lambda: running.classify(png(0)).status_code == 200)
        assert running.metric("hangtag_items_total", outcome="cancelled") == 1


def test_a_body_that_never_arrives_loses_its_place(models: Path):
    with Service(models, "--body-timeout-seconds", "0.2", "--max-items", "1") as running:
        with running.begin(png(0)) as held:
            status, problem = held.answer()
        assert (status, problem["code"]) == (408, "body_timeout")
        assert running.classify(png(0)).status_code == 200


def test_a_request_that_offers_an_upgrade_keeps_its_body(service: Service):
    """As Java's HttpClient sends it when nobody told it which version to speak."""
    image = png(255)
    with Connection(service.url) as connection:
        connection.post(
            CLASSIFY,
            Connection="Upgrade, HTTP2-Settings",
            Upgrade="h2c",
            HTTP2_Settings="AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
            Content_Type="image/png",
            Content_Length=str(len(image)),
        )
        connection.send(image)
        status, answer = connection.answer()
    assert (status, answer["predictions"][0]["label"]) == (200, "light")


@pytest.mark.usefixtures("still_good")
def test_a_header_without_end_is_refused(service: Service):
    with Connection(service.url) as connection:
        connection.post(CLASSIFY, X_Long="x" * 1_000_000)
        status, problem = connection.answer()
        assert (status, problem["code"]) == (431, "request_malformed")


@pytest.mark.usefixtures("still_good")
@pytest.mark.parametrize("request_line", ["GET", "CONNECT example.org:443 HTTP/1.1", "GET http://[ HTTP/1.1", "\0\1\2"])
def test_what_is_no_request_is_refused(service: Service, request_line: str):
    with Connection(service.url) as connection:
        connection.send(f"{request_line}\r\nHost: x\r\n\r\n".encode())
        status, problem = connection.answer()
        assert (status, problem["code"]) == (400, "request_malformed")


def test_requests_that_follow_on_one_connection_are_answered_in_order_upgrade_or_not(service: Service):
    dark, light = (
        b"POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Type: image/png\r\nContent-Length: %d\r\n\r\n%s"
        % (CLASSIFY.encode(), offer, len(png(grey)), png(grey))
        for grey, offer in ((0, b""), (255, b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"))
    )
    with Connection(service.url) as connection:
        connection.send(dark + light + dark + light[:10])
        answers = [connection.answer() for _ in range(3)]
        connection.send(light[10:])
        answers.append(connection.answer())
    assert [answer["predictions"][0]["label"] for _, answer in answers] == ["dark", "light", "dark", "light"]


def test_a_connection_whose_body_was_not_asked_for_is_closed(service: Service):
    with Connection(service.url) as connection:
        connection.post("/nowhere", Content_Type="image/png", Content_Length="10", Expect="100-continue")
        assert connection.answer()[0] == 404
        assert connection.headers["connection"] == "close"


@pytest.mark.parametrize("path", ["/health/live", "/docs", "/v1/models", REPORT, "/nowhere"])
def test_the_answer_to_head_is_its_head_and_the_connection_goes_on(reporting: Service, path: str):
    with Connection(reporting.url) as connection:
        connection.send(head("HEAD", path))
        alone = connection.answer_to_head()
        connection.send(GOOD + head("HEAD", path) + GOOD)  # at once
        assert connection.answer()[0] == 200
        assert connection.answer_to_head() == alone
        assert connection.answer()[0] == 200


def test_an_answer_without_a_body_is_not_held_back(reporting: Service):
    with Connection(reporting.url) as connection:
        connection.send(head("GET", REPORT))
        assert connection.answer()[0] == 200
        asks = head("GET", REPORT, f"If-None-Match: {connection.headers['etag']}")
        connection.send(asks)
        assert connection.answer()[0] == 304
        connection.send(asks + GOOD)
        assert [connection.answer()[0] for _ in range(2)] == [304, 200]


def test_trailers_are_no_headers(service: Service):
    whole = b"%x\r\n%s\r\n0\r\nX-Request-ID: trailing\r\n\r\n" % (len(png(0)), png(0))
    with Connection(service.url) as connection:
        connection.send(CHUNKED + whole)
        assert connection.answer()[0] == 200
        assert connection.headers["x-request-id"] != "trailing"


@pytest.mark.parametrize("junk", NO_REQUESTS.values(), ids=NO_REQUESTS)
@pytest.mark.parametrize("count", [1, 3])
def test_what_is_no_request_takes_nobodys_answer(service: Service, count: int, junk: bytes):
    before = refused(service)
    with Connection(service.url) as connection:
        connection.send(GOOD * count + junk + GOOD)  # in one packet
        assert [connection.answer()[0] for _ in range(count)] == [200] * count
        assert connection.headers["connection"] == "close"
        assert connection.is_over()
    assert refused(service) == before


def test_a_malformed_body_is_refused_when_it_is_its_turn(service: Service):
    before = refused(service)
    with Connection(service.url) as connection:
        connection.send(GOOD * 2 + CHUNKED + b"no size\r\n" + GOOD)
        assert [connection.answer()[0] for _ in range(3)] == [200, 200, 400]
        assert connection.is_over()
    assert refused(service) == before + 1


def test_a_malformed_body_that_was_answered_gets_no_second_answer(service: Service):
    before = refused(service)
    with Connection(service.url) as connection:
        connection.send(CHUNKED.replace(CLASSIFY.encode(), b"/nowhere") + b"1\r\nx\r\n")
        assert connection.answer()[0] == 404
        connection.send(b"no size\r\n")
        assert connection.is_over()
    assert refused(service) == before
