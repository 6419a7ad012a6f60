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
from mutated import pictures

from support import CLASSIFY, Service, eventually, png

TIMES = int(os.environ.get("FUZZ", "1"))
SEED = int.from_bytes(os.urandom(4)) if TIMES > 1 else 1
CLIENTS = 4
SLOWEST = 10  # seconds that an answer may take
MOST_GROWTH = 32 * 2**20  # bytes, with every picture of a million pixels that was ever decoded at once


@pytest.fixture(scope="module")
def fuzzed(models: Path) -> Iterator[Service]:
    """A service for nothing but this."""
    options = ("--max-body-bytes", "200000", "--max-pixels", "1000000")
    with Service(models, *options, environment={"HANGTAG_ADMIN_KEY": "key"}) as running:
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
    seen = send(fuzzed, [*pictures(random, 5_000 * TIMES)], tmp_path)
    assert {200, 413, 422} <= seen.keys(), seen
    assert seen[200] > 200 * TIMES
    assert process.memory_info().rss - before < MOST_GROWTH, SEED
    eventually(lambda: process.num_fds() <= files)
    assert fuzzed.metric("hangtag_queue_items") == 0
    assert fuzzed.metric("hangtag_items_total", outcome="failed") == 0
    assert fuzzed.classify(png(255)).json()["predictions"][0]["label"] == "light"
    assert "Traceback" not in fuzzed.log
