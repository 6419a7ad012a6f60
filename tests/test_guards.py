"""Each bound of what a client may take: connections, files, heads, chunks, requests at once."""

import resource
import subprocess
import sys
import tomllib
from pathlib import Path

import httpx
import psutil
import pytest

from connected import Connection
from support import CLASSIFY, ROOT, Service, code, eventually, png

POST = b"POST %s HTTP/1.1\r\nHost: x\r\n" % CLASSIFY.encode()
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
GET = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"
LIVE = GET % b"/health/live"

ODD = {  # what is sent, and the status of the answer
    "chunks of a byte": (CHUNKED + b"1\r\nA\r\n" * 200_000, 400),
    "a chunk with an endless extension": (CHUNKED + b"1;" + b"x" * 2_000_000, 400),
    "an endless trailer": (CHUNKED + b"1\r\nA\r\n0\r\nX: " + b"x" * 2_000_000, 400),
    "endless trailers": (CHUNKED + b"1\r\nA\r\n0\r\n" + b"X: y\r\n" * 300_000, 400),
    "a chunk of a negative size": (CHUNKED + b"-1\r\n", 400),
    "a chunk of an enormous size": (CHUNKED + b"f" * 22 + b"\r\n", 400),
    "many headers": (b"GET /health/live HTTP/1.1\r\n" + b"a:b\r\n" * 129 + b"\r\n", 431),
    "a long header": (b"GET /health/live HTTP/1.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", 431),
    "a long path": (GET % (b"/v1/models/" + b"a" * 70_000), 431),
    "a path that is just not too long": (GET % (b"/v1/models/" + b"a" * 60_000), 404),
    "a length and chunks": (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400),
    "two lengths": (POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400),
    "a negative length": (POST + b"Content-Length: -3\r\n\r\n", 400),
    "an enormous length": (POST + b"Content-Length: %d\r\n\r\n" % 10**30, 400),
    "a length that is too large": (POST + b"Content-Length: %d\r\n\r\n" % 10**15, 413),
    "a length that is too small": (POST + b"Content-Length: 1\r\n\r\n" + png(0), 422),
    "an encoding nobody knows": (POST + b"Transfer-Encoding: xchunked\r\n\r\nabc", 400),
    "an empty encoding": (POST + b"Transfer-Encoding: \r\nContent-Length: 3\r\n\r\nabc", 400),
    "an encoding that is not the last": (POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400),
    "lines that end in LF alone": (LIVE.replace(b"\r\n", b"\n"), 400),
    "a space before the colon": (LIVE.replace(b":", b" :"), 400),
    "a folded header": (LIVE[:-2] + b"A: b\r\n c\r\n\r\n", 400),
    "a zero byte in the head": (LIVE.replace(b"x", b"\0"), 400),
    "a zero byte in the path": (GET % b"/v1/models/%00", 404),
    "escapes that are none": (GET % b"/v1/models/%zz%ff%c3", 404),
    "bytes that are no ASCII": (GET % b"/v1/models/\xff", 400),
    "dots": (GET % b"/v1/models/..%2f..%2fetc/report", 404),
    "an absolute URI": (GET % b"http://x/health/live", 200),
    "an absolute URI without a path": (GET % b"http://x", 400),
    "all of the server": (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    "HTTP/1.0": (b"GET /health/live HTTP/1.0\r\n\r\n", 200),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
}


@pytest.mark.usefixtures("still_good")
@pytest.mark.parametrize("kind", ODD)
def test_odd_requests_get_an_answer_and_nothing_of_them_is_left(service: Service, kind: str):
    sent, expected = ODD[kind]
    with Connection(service.url) as connection:
        try:
            connection.send(sent)
        except OSError:  # refused before all of it was sent
            assert expected == 400
        try:
            assert connection.answer()[0] == expected
        except (
            ConnectionResetError
        ):  # the answer was overtaken by the end of the connection, which is so when we still send
            assert len(sent) > 10**6
    eventually(lambda: service.metric("hangtag_connections") == 1)


def test_a_head_of_the_largest_size_is_taken_in_any_pieces(service: Service):
    head = b"GET /health/live HTTP/1.1\r\nX: %s\r\n\r\n" % (b"x" * 64_000)
    with Connection(service.url) as connection:
        for start in range(0, len(head), 9_999):
            connection.send(head[start : start + 9_999])
        assert connection.answer()[0] == 200
        connection.send(LIVE * 3 + head)  # the first ones of a packet do not count for the last one
        assert [connection.answer()[0] for _ in range(4)] == [200] * 4


@pytest.mark.usefixtures("still_good")
def test_of_a_flood_of_requests_at_once_some_are_answered_and_the_rest_not_read(service: Service):
    with Connection(service.url) as connection:
        connection.send(LIVE * 5_000)
        answered, is_last = 0, False
        while not is_last:
            assert connection.answer()[0] == 200
            answered, is_last = answered + 1, connection.headers.get("connection") == "close"
    assert 64 <= answered < 1_000


def test_what_asks_for_an_index_may_not_be_large(service: Service):
    large = httpx.post(f"{service.url}/v2/repository/index", content=b" " * 70_000)
    assert (large.status_code, "65536 bytes" in large.text) == (413, True)


def test_the_longest_idle_connection_gives_way_to_one_more(models: Path):
    with Service(models, "--max-connections", "4") as running:
        active, *idle = (Connection(running.url) for _ in range(4))
        for _ in range(20):
            active.send(LIVE)
            assert active.answer()[0] == 200
            assert httpx.get(f"{running.url}/health/live").status_code == 200
        assert running.metric("hangtag_connections_ended_total", reason="crowded") == 1
        assert running.metric("hangtag_connections") == 4
        for each in (active, *idle):
            each.hang_up()


def test_where_the_service_works_for_all_its_connections_one_more_is_told_to_come_again(models: Path):
    with Service(models, "--max-connections", "2") as running:
        with running.begin(png(0)) as first, running.begin(png(255)):
            refused = httpx.get(f"{running.url}/health/live")
            assert code(refused) == (503, "too_many_connections")
            assert (refused.headers["retry-after"], refused.headers["connection"]) == ("1", "close")
            assert first.finish()[0] == 200
            assert httpx.get(f"{running.url}/health/live").status_code == 200
        assert running.metric("hangtag_connections_ended_total", reason="refused") == 1


def test_a_service_raises_its_limit_of_open_files_as_far_as_it_may(models: Path):
    for hard, expected in (("4096", 1128), ("500", 500)):
        limits = f'ulimit -Sn 200; ulimit -Hn {hard}; exec "$@"'
        with Service(models, "--max-connections", "1000", wrapper=["bash", "-c", limits, "few files"]) as running:
            assert psutil.Process(running.pid).rlimit(resource.RLIMIT_NOFILE)[0] == expected
            assert ("there will be 372 connections at most" in running.log) == (expected == 500)


def test_a_service_that_runs_out_of_files_goes_on_when_there_are_some_again(models: Path):
    with Service(models) as running:
        process = psutil.Process(running.pid)
        resource.prlimit(running.pid, resource.RLIMIT_NOFILE, (process.num_fds() + 5, 4096))
        clients = [Connection(running.url) for _ in range(50)]
        busy = process.cpu_times().user
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{running.url}/health/live")
        assert process.cpu_times().user - busy < 0.5  # nobody tries again and again
        for client in clients:
            client.hang_up()
        eventually(lambda: not clients.clear() and running.metric("hangtag_connections") == 1)
        assert running.classify(png(0)).status_code == 200


def test_no_reader_of_pillow_is_loaded_but_those_of_what_is_taken():
    program = (
        "import sys, service.app; from PIL import ImageFile; assert not ImageFile.LOAD_TRUNCATED_IMAGES;"
        "print(*sorted(name[4:-11] for name in sys.modules if 'PIL.' in name and name.endswith('ImagePlugin')))"
    )
    found = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["Bmp", "Gif", "Jpeg", "Png", "Tiff", "WebP"]


def numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def test_no_release_is_taken_that_a_photo_or_a_request_can_harm():
    """Why these: docs/decisions/0021-guards.md."""
    least = {"pillow": "13", "python-multipart": "0.0.31", "starlette": "1.3.1", "httptools": "0.8"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = dict(each.split(";")[0].split(">=") for each in project["dependencies"])
    assert all(numbers(asked[name]) >= numbers(version) for name, version in least.items())
