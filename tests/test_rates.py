"""Rates of keys: how much may come at once and in the long run, over all workers, and what clients are told of it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from limits import parse

from connected import Connection
from keyed import Keyed
from open_inference import INFER, image, post
from service.client import Client
from service.rates import Bucket
from support import CLASSIFY, PATIENCE, ROOT, code, png

TIMES = st.lists(st.floats(0, 3), max_size=60)


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def given_at_once(bucket: Bucket) -> int:
    """How many tokens are there, taken one by one."""
    taken = 0
    while not bucket.take():
        taken += 1
    return taken


# A bucket by itself.


@pytest.mark.parametrize("rate", ["1/second", "100/second", "7/minute", "6000 per 2 minutes", "1/day"])
def test_as_many_as_the_rate_names_may_come_at_once_and_then_one_at_a_time(clock: Clock, rate: str):
    bucket, item = Bucket(parse(rate), clock=clock), parse(rate)
    each = item.get_expiry() / item.amount
    assert given_at_once(bucket) == item.amount
    for _ in range(5):
        assert bucket.take() == pytest.approx(each, rel=1e-3)
        clock.now += each
        assert given_at_once(bucket) == 1
    clock.now += 10 * item.get_expiry()
    assert given_at_once(bucket) == item.amount


@given(TIMES, st.lists(st.integers(1, 30), max_size=60))
def test_nobody_gets_more_than_the_rate_nor_waits_for_what_is_there(pauses: list[float], owed: list[int]):
    clock, tokens = Clock(), 10.0
    bucket = Bucket(parse("10/second"), clock=clock)
    for pause, images in zip(pauses, owed, strict=False):
        clock.now += pause
        tokens = min(10.0, tokens + 10 * pause)
        late = bucket.take()
        if abs(tokens - 1) > 0.01:  # where it is not a matter of rounding
            assert bool(late) == (tokens < 1)
        if late:
            assert late == pytest.approx((1 - tokens) / 10, abs=0.01)
        else:
            bucket.owe(images - 1)
            tokens -= images


def test_a_request_that_brings_more_than_is_left_is_paid_for_by_the_next_ones(clock: Clock):
    bucket = Bucket(parse("10/second"), clock=clock)
    assert bucket.take() == 0
    bucket.owe(24)
    assert bucket.state() == b'"images";r=0;t=3'
    assert bucket.take() == pytest.approx(1.6)
    clock.now += 1.6
    assert given_at_once(bucket) == 1


def test_processes_that_take_from_one_bucket_get_exactly_what_is_in_it_together(tmp_path: Path):
    program = (
        "import sys; from pathlib import Path; from limits import parse; from service.rates import Bucket;"
        "bucket = Bucket(parse('20000/day'), Path(sys.argv[1]));"
        "sys.stdin.readline(); print(next(taken for taken in range(20001) if bucket.take()))"
    )
    command = [sys.executable, "-c", program, tmp_path / "bucket"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as one, subprocess.Popen(command, cwd=ROOT, **pipes) as other:
        for process in (one, other):
            process.stdin.write("go\n")
            process.stdin.flush()
        taken = [int(process.communicate()[0]) for process in (one, other)]
    assert sum(taken) == 20000


# A service.


@pytest.fixture(scope="module")
def keyed(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    """Each test has keys of its own in it."""
    with Keyed(models, tmp_path_factory.mktemp("keyed") / "keys.json") as running:
        yield running


def test_beyond_its_rate_a_key_is_refused_and_told_when_to_come_back(keyed: Keyed):
    limited, free = keyed.key("limited", "3/hour"), keyed.key("free")
    answers = [keyed.ask(png(0), limited) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"images";q=3;w=3600'}
    assert [answer.headers["ratelimit"].split(";")[1] for answer in answers] == ["r=2", "r=1", "r=0", "r=0", "r=0"]
    assert code(answers[-1]) == (429, "rate_limited")
    assert 1190 <= int(answers[-1].headers["retry-after"]) <= 1200
    assert keyed.ask(png(0), free).status_code == 200
    assert "ratelimit" not in keyed.ask(png(0), free).headers
    assert keyed.metric("hangtag_key_requests_total", key="limited", outcome="rate") == 2
    assert keyed.metric("hangtag_key_requests_total", key="limited", outcome="accepted") == 3
    with Connection(keyed.url) as connection:  # before anything of its body is asked for
        connection.post(CLASSIFY, Content_Length="9", Expect="100-continue", **limited)
        assert connection.answer()[0] == 429


def test_a_reload_gives_nothing_back_but_where_the_rate_is_another(keyed: Keyed):
    key = keyed.key("changed", "2/hour")
    assert [keyed.ask(png(0), key).status_code for _ in range(3)] == [200, 200, 429]
    keyed.reload().raise_for_status()
    assert keyed.ask(png(0), key).status_code == 429
    keyed.file.write_text(keyed.file.read_text().replace("2/hour", "1/hour"))
    keyed.reload().raise_for_status()
    assert [keyed.ask(png(0), key).status_code for _ in range(2)] == [200, 429]


def test_an_infer_request_takes_as_many_as_it_has_images(keyed: Keyed):
    key = keyed.key("many", "10/hour")

    def infer(*shades: int) -> httpx.Response:
        return post(keyed, {"inputs": [image(*shades)]}, **key)

    assert infer(0, 128, 255).headers["ratelimit"].startswith('"images";r=7;')
    assert infer(0).headers["ratelimit"].startswith('"images";r=6;')
    last = infer(*range(9))  # three more than are left
    assert (last.status_code, last.headers["ratelimit"].split(";")[1]) == (200, "r=0")
    refused = infer(0)
    assert (refused.status_code, refused.json().keys()) == (429, {"error"})
    assert 4 * 360 - 10 <= int(refused.headers["retry-after"]) <= 4 * 360
    assert httpx.get(keyed.url + INFER.removesuffix("/infer"), headers=key).status_code == 429


def test_a_request_that_is_under_way_when_its_key_goes_is_answered(keyed: Keyed):
    key = keyed.key("gone", "9/hour")
    body = json.dumps({"inputs": [image(0, 128, 255)]}).encode()
    with Connection(keyed.url) as connection:
        connection.post(INFER, Content_Length=str(len(body)), Expect="100-continue", **key)
        assert connection.answer() == (100, {})
        keyed.revoke("gone")
        keyed.reload().raise_for_status()
        assert keyed.ask(png(0), key).status_code == 401
        connection.send(body)
        assert connection.answer()[0] == 200


def test_our_client_brings_its_key_and_comes_back_when_it_is_told_to(keyed: Keyed):
    key = keyed.key("client", "2/second")["Authorization"].removeprefix("Bearer ")
    with Client(keyed.url, api_key=key, deadline=PATIENCE) as client:
        outcomes = list(client.classify_many([png(0)] * 4, "tiny", concurrency=4))
    assert [outcome.error for outcome in outcomes] == [None] * 4
    assert keyed.metric("hangtag_key_requests_total", key="client", outcome="rate") >= 1
    assert keyed.metric("hangtag_key_requests_total", key="client", outcome="accepted") == 4
