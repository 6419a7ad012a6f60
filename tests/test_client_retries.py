"""When the client sends again, how long it waits, and that no call outlives its deadline."""

import asyncio
import json
import socket
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from answering import ANSWER, OK, answering, refusal, takes
from artifact.errors import AnswerLate, ProblemAnswered, ServiceUnreachable
from connected import HeldRequest
from service.client import AsyncClient, Client
from support import PATIENCE, Service, eventually, png


def finish_when_refused(held: HeldRequest, service: Service) -> threading.Thread:
    """Give the only place free as soon as somebody was refused."""

    def wait_and_finish() -> None:
        eventually(lambda: service.metric("hangtag_rejected_total", reason="queue_full") >= 1)
        held.finish()

    thread = threading.Thread(target=wait_and_finish)
    thread.start()
    return thread


def test_a_photo_that_found_no_place_is_sent_again_and_answered(narrow: Service):
    with Client(narrow.url) as client, narrow.begin(png(255)) as held:
        thread = finish_when_refused(held, narrow)
        assert client.classify(png(0), "tiny")["predictions"][0]["label"] == "dark"
        thread.join(PATIENCE)
    assert narrow.metric("hangtag_rejected_total", reason="queue_full") >= 1


def test_a_refusal_is_raised_when_the_deadline_comes_before_the_next_try(narrow: Service):
    with Client(narrow.url, deadline=0.9) as client, narrow.begin(png(255)), pytest.raises(ProblemAnswered) as caught:
        client.classify(png(0), "tiny")
    assert (caught.value.status, caught.value.code, caught.value.retry_after) == (429, "queue_full", 1)


def test_who_is_told_to_come_back_after_the_deadline_is_not_kept_waiting_until_then():
    late = refusal(Retry_After="10")
    with answering(late) as (url, _), takes(0, 5), Client(url, deadline=9) as client, pytest.raises(ProblemAnswered):
        client.classify(png(0), "tiny")


def test_who_is_refused_comes_back_no_sooner_than_told_in_seconds():
    with answering(refusal(429, Retry_After="1"), OK) as (url, seen), Client(url) as client:
        assert client.classify(png(0), "tiny") == ANSWER
    assert 1 <= seen[1].at - seen[0].at < 5


@pytest.mark.parametrize("skew", [None, timedelta(0), timedelta(days=300)], ids=["no clock", "right", "wrong"])
def test_who_is_refused_comes_back_no_sooner_than_told_by_a_date(skew: timedelta | None):
    now = datetime.now(UTC) + (skew or timedelta(0))
    headers = {} if skew is None else {"Date": format_datetime(now, usegmt=True)}
    told = refusal(503, **headers, Retry_After=format_datetime(now + timedelta(seconds=3), usegmt=True))
    with answering(told, OK) as (url, seen), Client(url) as client:
        assert client.classify(png(0), "tiny") == ANSWER
    assert 1 <= seen[1].at - seen[0].at < 5


@pytest.mark.parametrize("told", ["soon", "", "-1"])
def test_who_is_refused_and_not_told_when_comes_back_soon(told: str):
    with answering(refusal(503, Retry_After=told), OK) as (url, seen), Client(url) as client:
        assert client.classify(png(0), "tiny") == ANSWER
    assert seen[1].at - seen[0].at < 5


def test_each_try_tells_how_much_time_is_left():
    with answering(refusal(Retry_After="1"), OK) as (url, seen), Client(url, deadline=5) as client:
        client.classify(png(0), "tiny")
    first, second = (int(request.headers["X-Request-Deadline-Ms"]) for request in seen)
    assert second <= first - 1000


def test_nobody_listening_is_an_error_once_the_deadline_is_near():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with takes(0, 3), Client(url, deadline=0.5) as client, pytest.raises(ServiceUnreachable, match="service running"):
        client.models()


def test_a_service_that_restarts_between_two_calls_is_not_noticed(models: Path):
    with Service(models) as first, Client(first.url) as client:
        before = client.classify(png(0), "tiny")
        first.__exit__()
        with Service(models, "--port", first.url.rpartition(":")[2]):
            assert client.classify(png(0), "tiny")["predictions"] == before["predictions"]


def test_a_connection_that_breaks_in_the_middle_is_tried_again():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)

        def serve() -> None:
            for answer in (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{", b"", whole):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

        body = json.dumps({"models": []}).encode()
        whole = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        thread = threading.Thread(target=serve)
        thread.start()
        with Client(f"http://127.0.0.1:{listener.getsockname()[1]}") as client:
            assert client.models() == []
        thread.join(PATIENCE)


# Deadlines


def test_a_call_ends_at_its_deadline_when_the_service_never_answers(silent: str):
    with Client(silent) as client, takes(0.3, 3), pytest.raises(AnswerLate, match=r"within 0\.3 seconds"):
        client.classify(png(0), "tiny", deadline=0.3)


def test_a_call_ends_at_its_deadline_when_the_answer_comes_in_drops():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)

        def drip() -> None:
            connection, _ = listener.accept()
            connection.settimeout(0.02)
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-Drops: ")
                while True:
                    try:
                        if not connection.recv(65536):
                            return
                    except TimeoutError:
                        connection.sendall(b"x")

        thread = threading.Thread(target=drip)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with takes(0.3, 3), Client(url, deadline=0.3) as client, pytest.raises(AnswerLate):
            client.models()
        thread.join(PATIENCE)
        assert not thread.is_alive()


async def test_a_cancelled_call_ends_at_once(silent: str):
    async with AsyncClient(silent) as client:
        with pytest.raises(TimeoutError), takes(0, 3):
            await asyncio.wait_for(client.classify(png(0), "tiny"), 0.1)
