"""`hangtag bench URL`: what it sends arrives, what it notes is what came back, and nothing is taken for an answer."""

import json
import re
import signal
import subprocess
from pathlib import Path

import pytest

import hangtag
from support import HANGTAG, PATIENCE, Service, eventually, png


def bench(*arguments: str | Path) -> int:
    return hangtag.main(["bench", *map(str, arguments)])


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    path.write_bytes(png(255))
    return path


def test_every_answer_of_a_closed_loop_is_one_that_the_service_counted(models: Path, photo: Path, tmp_path: Path):
    with Service(models) as running:
        url = f"{running.url}/v1/models/tiny/classify"
        files = ("--json-file", tmp_path / "seen.json", "--plot", tmp_path / "seen.png")
        assert bench(url, "--images", photo, "--clients", "3", "--seconds", "0.5", *files) == 0
        [seen] = json.loads((tmp_path / "seen.json").read_text())
        assert seen["good"] == running.metric("hangtag_items_total", outcome="ok") > 3
        assert seen["good_from_cache"] == running.metric("hangtag_cache_requests_total", source="hit") > 3
        assert seen["others_by_status"] == {}
        assert 0 < seen["latency_ms"]["p50"] <= seen["latency_ms"]["p99"]
        assert (tmp_path / "seen.png").read_bytes().startswith(b"\x89PNG")


def test_an_open_loop_keeps_its_rate_and_a_search_stays_within_its_bound(
    models: Path, photo: Path, capsys: pytest.CaptureFixture[str]
):
    with Service(models) as running:
        url = f"{running.url}/v1/models/tiny/classify"
        assert bench(url, "--images", photo, "--rate", "100", "--seconds", "1") == 0
        sent = running.metric("hangtag_items_total", outcome="ok")
        assert 50 < sent < 150  # Poisson with a mean of 100: five standard deviations
        bench(url, "--images", photo, "--clients", "2", "--p99-ms", "5000", "--seconds", "0.2")
        shown = capsys.readouterr().out
        assert re.search(r"100/s: +\d+\.\d/s  p50 \d", shown)
        assert re.search(r"within 5000 ms for 99 %: \d+\.\d/s", shown)


def test_other_statuses_are_counted_apart(models: Path, photo: Path, capsys: pytest.CaptureFixture[str]):
    with Service(models) as running:
        assert bench(f"{running.url}/v1/models/nobody/classify", "--images", photo, "--seconds", "0.2") == 1
    assert re.search(r"32 clients: +0\.0/s .*  404: \d+", capsys.readouterr().out)


def test_a_service_or_an_image_that_is_not_there_is_named(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert bench("http://127.0.0.1:9/v1/models/tiny/classify", "--images", photo) == 1
    assert "127.0.0.1 port 9 does not answer" in capsys.readouterr().err
    assert bench("http://127.0.0.1:9/v1/models/tiny/classify", "--images", tmp_path / "none.png") == 1
    assert "none.png cannot be read" in capsys.readouterr().err


def test_a_service_that_dies_loses_what_was_on_its_way_and_hangs_nobody(models: Path, photo: Path, tmp_path: Path):
    with Service(models) as running:
        options = ["--images", photo, "--clients", "3", "--seconds", "5", "--json-file", tmp_path / "seen.json"]
        load = subprocess.Popen([*HANGTAG, "bench", f"{running.url}/v1/models/tiny/classify", *options])
        eventually(lambda: running.metric("hangtag_items_total", outcome="ok") > 10)
        running.signal(signal.SIGKILL)
        running.wait()
    assert load.wait(PATIENCE) == 1
    [seen] = json.loads((tmp_path / "seen.json").read_text())
    assert seen["good"] > 10
    assert seen["others_by_status"] == {"0": 3}
