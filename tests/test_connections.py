"""What clients do with their connections: hang up, stall, offer upgrades, send what is no HTTP, ask again."""

from pathlib import Path

import pytest

from support import (
    CLASSIFY,
    Connection,
    Service,
    code,
    eventually,
    png,
)


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
