"""Clients that are slow, stop, or go away at any moment: the others notice nothing, and nothing of them is left."""

import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
import pytest

from connected import Connection
from graphs import graph, slow
from support import CLASSIFY, Service, code, eventually, png, publish

PAGE = b"<p>" * 3_000_000  # more than the system keeps for a client that does not read
STALLED = 0.5  # seconds
GET = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"
HEAD = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: " % CLASSIFY.encode()


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that waits for no client for long; its model takes a moment for a picture, and has a large report."""
    models = tmp_path_factory.mktemp("models")
    publish(models, model=graph(extra=slow(products=1, side=500)), report=PAGE)
    options = ["--client-timeout-seconds", str(STALLED), "--keep-alive-seconds", "1", "--cache-bytes", "0"]
    with Service(models, *options, "--runners", "1", "--max-batch", "1") as running:
        yield running


@pytest.fixture
def unharmed(impatient: Service) -> Iterator[None]:
    """After the test nobody waits or has a connection, as many files are open as before, and a photo is answered."""
    eventually(lambda: impatient.metric("hangtag_connections") == 1)
    files = psutil.Process(impatient.pid).num_fds()
    yield
    eventually(lambda: impatient.metric("hangtag_connections") == 1)  # that which asks
    assert impatient.metric("hangtag_queue_items") == 0
    assert impatient.classify(png(0)).status_code == 200
    eventually(lambda: psutil.Process(impatient.pid).num_fds() <= files)


def is_over(connection: Connection) -> bool:
    """Whether the service has closed the connection; waits a moment for it."""
    readable, _, _ = select.select([connection._socket], [], [], 0.05)
    try:
        return bool(readable) and not connection._socket.recv(65536)
    except ConnectionResetError:
        return True


def ended(running: Service, reason: str) -> float:
    return running.metric("hangtag_connections_ended_total", reason=reason)


@pytest.mark.usefixtures("unharmed")
def test_heads_that_stop_are_answered_408_and_the_others_go_on(impatient: Service):
    before = ended(impatient, "slow_head")
    with ExitStack() as attack:
        slow_ones = [attack.enter_context(Connection(impatient.url)) for _ in range(200)]
        for each in slow_ones:
            each.send(HEAD)
        for _ in range(20):
            assert impatient.classify(png(255)).status_code == 200
        answers = [each.answer() for each in slow_ones]
    assert {(status, problem["code"]) for status, problem in answers} == {(408, "head_timeout")}
    assert ended(impatient, "slow_head") - before == 200


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("drop", [b"y", b"y\r\nX: "])
def test_a_head_that_trickles_has_no_more_time(impatient: Service, drop: bytes):
    with Connection(impatient.url) as connection:
        connection.send(HEAD + b"1\r\nX: ")
        while not select.select([connection._socket], [], [], STALLED / 10)[0]:
            connection.send(drop)
        assert connection.answer()[0] == 408


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("said", [b"", b"\r\n" * 9, b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_an_idle_connection_is_closed_whatever_came_before(impatient: Service, said: bytes):
    with Connection(impatient.url) as connection:
        connection.send(said)
        if said.strip():
            assert connection.answer()[0] == 200
            connection.send(b"\r\n")
        eventually(lambda: is_over(connection))


@pytest.mark.usefixtures("unharmed")
def test_300_bodies_that_stop_lose_their_places_to_those_who_need_them(impatient: Service):
    with ExitStack() as attack:
        slow_ones = [attack.enter_context(Connection(impatient.url)) for _ in range(300)]
        for each in slow_ones:
            each.send(HEAD + b"300000\r\n\r\nx")
        eventually(lambda: impatient.classify(png(0)).status_code == 200)
        for _ in range(30):
            assert impatient.classify(png(0)).status_code == 200
        told, _, _ = select.select([each._socket for each in slow_ones], [], [], 0)
        answers = [each.answer() for each in slow_ones if each._socket in told]
        assert {(status, problem["code"]) for status, problem in answers} == {
            (408, "body_timeout"),
            (429, "queue_full"),
        }


@pytest.mark.usefixtures("unharmed")
def test_a_few_slow_bodies_that_declare_much_lose_their_bytes_to_those_who_need_them(impatient: Service):
    photo = png(255) + bytes(9 * 2**20)  # what follows a picture is not looked at
    with ExitStack() as attack:
        for _ in range(20):
            each = attack.enter_context(Connection(impatient.url))
            each.send(HEAD + b"10000000\r\n\r\nx")
        eventually(lambda: impatient.classify(photo).status_code == 200)
        assert impatient.classify(photo).status_code == 200


@pytest.mark.usefixtures("unharmed")
def test_a_few_bodies_that_declare_all_the_bytes_shut_nobody_out_and_are_answered_in_the_end(impatient: Service):
    begun = 300_000  # so much keeps a place for 20 seconds
    photos = [png(0).ljust(size, b"\0") for size in [10 * 2**20] * 12 + [8 * 2**20]]
    with ExitStack() as phones:
        slow_ones = [phones.enter_context(Connection(impatient.url)) for _ in photos]
        for each, photo in zip(slow_ones, photos, strict=True):
            each.send(HEAD + b"%d\r\n\r\n" % len(photo) + photo[:begun])
        eventually(lambda: impatient.classify(png(0)).status_code == 200)
        for each, photo in zip(slow_ones, photos, strict=True):
            each.send(photo[begun:])
            assert each.answer()[0] == 200


def test_who_hears_late_that_it_may_send_keeps_its_place(models: Path):
    with Service(models, "--max-items", "2") as running, running.begin(png(0)) as first, running.begin(png(0)) as other:
        heard = time.monotonic() + 1
        while time.monotonic() < heard:
            assert code(running.classify(png(0))) == (429, "queue_full")
        assert (first.finish()[0], other.finish()[0]) == (200, 200)


def test_a_body_of_unknown_length_takes_its_room_as_it_arrives(models: Path):
    with Service(models, "--max-held-bytes", "100000") as running, Connection(running.url) as connection:
        connection.post(CLASSIFY, Content_Type="image/png", Transfer_Encoding="chunked", Expect="100-continue")
        assert connection.answer()[0] == 100
        connection.send(b"%x\r\n" % 60_000 + bytes(60_000) + b"\r\n")
        large = png(0) + bytes(60_000)
        eventually(lambda: code(running.classify(large)) == (429, "queue_full"))
        connection.hang_up()
        eventually(lambda: running.classify(large).status_code == 200)


def test_the_rest_of_a_refused_body_has_the_time_that_a_body_has(models: Path):
    options = ["--client-timeout-seconds", "0.1", "--body-timeout-seconds", "1"]
    with Service(models, *options) as running, Connection(running.url) as connection:
        connection.post("/nowhere", Content_Length="1000000")
        assert connection.answer()[0] == 404
        since = time.monotonic()
        while not is_over(connection):
            connection.send(b"x")
        assert time.monotonic() - since >= 0.9
        assert ended(running, "slow_body") == 1


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("more", [b"", b"Connection: close\r\n"])
def test_answers_that_nobody_takes_are_given_up(impatient: Service, more: bytes):
    before = ended(impatient, "slow_reader")
    with ExitStack() as attack:
        for _ in range(10):
            each = attack.enter_context(Connection(impatient.url))
            each._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            each.send(b"GET /v1/models/tiny/report HTTP/1.1\r\nHost: x\r\n%s\r\n" % more)
        assert httpx.get(f"{impatient.url}/v1/models/tiny/report").content == PAGE
        eventually(lambda: ended(impatient, "slow_reader") == before + 10)


def test_answers_that_nobody_takes_are_given_up_long_before_an_idle_connection_and_hold_up_no_end(tmp_path: Path):
    publish(tmp_path, report=PAGE)
    options = ["--client-timeout-seconds", str(STALLED), "--keep-alive-seconds", "600", "--shutdown-seconds", "600"]
    with Service(tmp_path, *options) as running, ExitStack() as held:
        clients = [held.enter_context(Connection(running.url)) for _ in range(3)]
        for client in clients:
            client._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for count, client in enumerate(clients[:2], 1):
            client.send(GET % b"/v1/models/tiny/report" * count)
        eventually(lambda: ended(running, "slow_reader") == 2)
        clients[2].send(GET % b"/v1/models/tiny/report" * 2)
        assert clients[2]._answers.readline()
        running.signal(signal.SIGTERM)
        assert running.wait() == 0


STAGES: dict[str, Callable[[Connection], object]] = {
    "connected": lambda _: None,
    "in the head": lambda client: client.send(HEAD),
    "before the body": lambda client: client.send(HEAD + b"99\r\nExpect: 100-continue\r\n\r\n"),
    "in the body": lambda client: client.send(HEAD + b"99\r\n\r\nhalf"),
    "in a chunk": lambda client: client.send(HEAD[:-16] + b"Transfer-Encoding: chunked\r\n\r\n9\r\nhalf"),
    "while it waits or runs": lambda client: client.send(HEAD + b"%d\r\n\r\n" % len(png(0)) + png(0)),
    "while more wait behind it": lambda client: client.send((HEAD + b"%d\r\n\r\n" % len(png(0)) + png(0)) * 9),
    "while the answer is written": lambda client: client.send(GET % b"/v1/models/tiny/report"),
    "while many answers are written": lambda client: client.send(GET % b"/openapi.json" * 20),
}


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("is_rude", [False, True], ids=["closed", "reset"])
def test_many_clients_hang_up_and_leave_nothing_behind(impatient: Service, stage: str, *, is_rude: bool):
    clients = [Connection(impatient.url) for _ in range(30)]
    for client in clients:
        if is_rude:  # closing sends RST
            client._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        STAGES[stage](client)
    assert impatient.classify(png(255)).json()["predictions"][0]["label"] == "light"
    for client in clients:
        client.hang_up()


def test_after_all_of_that_every_place_is_free_and_every_image_was_counted(impatient: Service):
    with ExitStack() as held:
        for each in [held.enter_context(impatient.begin(png(0))) for _ in range(256)]:
            assert each.finish()[0] == 200  # were there one place less, the slowest of them would have lost his
    eventually(lambda: impatient.metric("hangtag_connections") == 1)
    assert impatient.metric("hangtag_items_total", outcome="failed") == 0
    assert "Traceback" not in impatient.log
