"""Whatever is sent, the service answers, in time, with one of the answers that it describes, and does not grow.

`make fuzz` runs all of it longer, with other examples each time.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from random import Random

import httpx
import psutil
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from requests import Session
from schemathesis.specs.openapi import checks as conformance

from mutated import pictures
from support import CLASSIFY, OPERATOR, Service, eventually, operated, png
from test_openapi import DOCUMENT

TIMES = int(os.environ.get("FUZZ", "1"))
SEED = int.from_bytes(os.urandom(4)) if TIMES > 1 else 1
CLIENTS = 4
SLOWEST = 10  # seconds that an answer may take
MOST_GROWTH = 32 * 2**20  # bytes, with every picture of a million pixels that was ever decoded at once


@pytest.fixture(scope="module")
def fuzzed(models: Path) -> Iterator[Service]:
    """A service for nothing but this."""
    options = ("--max-body-bytes", "200000", "--max-pixels", "1000000")
    with Service(models, *options, *operated(models)) as running:
        yield running


def answers(running: Service, sent: list[bytes], folder: Path) -> Counter[int]:
    """The statuses of one client's pictures; one that is not answered as it should be is kept in the folder."""
    address, seen = httpx.URL(running.url), Counter[int]()
    with closing(HTTPConnection(address.host, address.port, timeout=SLOWEST)) as connection:
        for number, data in enumerate(sent):
            try:
                connection.request("POST", CLASSIFY, data, {"Content-Type": "application/octet-stream"})
                answer = connection.getresponse()
                body = json.loads(answer.read())
                assert answer.status in (200, 400, 413, 422), body
            except BaseException:
                (folder / f"{number}.bin").write_bytes(data)
                raise
            seen[answer.status] += 1
    return seen


def send(running: Service, sent: list[bytes], folder: Path) -> Counter[int]:
    with ThreadPoolExecutor(CLIENTS) as clients:
        parts = [sent[client::CLIENTS] for client in range(CLIENTS)]
        return sum(clients.map(lambda part: answers(running, part, folder), parts), Counter())


def test_5000_damaged_pictures_are_answered_without_an_error_of_ours_and_without_growth(
    fuzzed: Service, tmp_path: Path
):
    random, process = Random(SEED), psutil.Process(fuzzed.pid)  # noqa: S311 - the same pictures each time
    send(fuzzed, [*pictures(random, 500)], tmp_path)
    before, files = process.memory_info().rss, process.num_fds()
    seen = sum((send(fuzzed, [*pictures(random, 5_000)], tmp_path) for _ in range(TIMES)), Counter())
    assert {200, 413, 422} <= seen.keys(), seen
    assert seen[200] > 200 * TIMES
    assert process.memory_info().rss - before < MOST_GROWTH, SEED
    eventually(lambda: process.num_fds() <= files)
    assert fuzzed.metric("hangtag_queue_items") == 0
    assert fuzzed.metric("hangtag_items_total", outcome="failed") == 0
    assert fuzzed.classify(png(255)).json()["predictions"][0]["label"] == "light"
    assert "Traceback" not in fuzzed.log


def no_error_of_ours(_: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case) -> None:
    """Only whose own deadline has passed is told so with a 5xx."""
    assert response.status_code < 500 or (response.status_code == 504 and "X-Request-Deadline-Ms" in case.headers)


CHECKS = [
    no_error_of_ours,
    conformance.status_code_conformance,
    conformance.content_type_conformance,
    conformance.response_schema_conformance,
    conformance.response_headers_conformance,
]
DESCRIBED, DESCRIBED_FOR_STRANGERS = (schemathesis.openapi.from_dict(DOCUMENT) for _ in range(2))
DESCRIBED_FOR_STRANGERS.config.phases.coverage.enabled = TIMES > 1  # hundreds of ways to be told 404
EXAMPLES = settings(
    max_examples=5 * TIMES,
    derandomize=TIMES == 1,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),  # how fast examples are made is not what is tested
)


@schemathesis.serializer("application/zip", "image/bmp", "image/tiff")
def as_it_is(_: schemathesis.SerializationContext, value: object) -> object:
    """Schemathesis knows how to send the other types of image."""
    return value


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with Session() as kept:
        yield kept


@DESCRIBED_FOR_STRANGERS.parametrize()
@EXAMPLES
def test_a_stranger_is_answered_as_is_described(case: schemathesis.Case, fuzzed: Service, session: Session):
    case.call_and_validate(fuzzed.url, session, checks=CHECKS)


@DESCRIBED.parametrize()
@EXAMPLES
def test_who_knows_a_model_and_the_key_is_answered_as_is_described(
    case: schemathesis.Case, fuzzed: Service, session: Session
):
    known = {"model": "tiny", "version": "1"}
    case.path_parameters = {name: known[name] for name in case.path_parameters}
    case.call_and_validate(fuzzed.url, session, OPERATOR, checks=CHECKS)
