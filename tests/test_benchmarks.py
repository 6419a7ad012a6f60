"""The benchmarks run as a user runs them; what they find is asserted where it is no matter of time."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from artifact.repository import Repository
from benchmarks import catalog
from benchmarks.browsing import CHROMIUM
from benchmarks.cataloguing import Catalogue, Ran
from benchmarks.ceiling import Ceiling, Pace
from benchmarks.command import BENCHMARKS
from support import HANGTAG, ROOT, Service, card, png, publish


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*HANGTAG, "bench", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def fashion() -> Iterator[Service]:
    with Service(ROOT / "models", "--cache-bytes", "0") as running:
        yield running


def test_all_test_photos_over_http_are_answered_as_by_keras_and_94_percent_right(fashion: Service, real_root: Path):
    ran = bench("accuracy", "fashion-mnist", "--data", str(real_root), "--url", fashion.url)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    accuracy = re.search(r"of 10000 right, accuracy (0\.\d+)", ran.stdout)
    assert accuracy is not None
    assert float(accuracy[1]) >= 0.94
    assert "labels that differ from Keras: 0 of 10000" in ran.stdout


def test_the_overhead_of_a_request_can_be_measured(fashion: Service):
    ran = bench("overhead", "--url", fashion.url, "--rounds", "2", "--requests", "20")
    assert re.search(r"a request adds \d+\.\d+ ms at the median", ran.stdout), ran.stderr


def test_the_overhead_is_not_measured_on_answers_that_were_known(models: Path):
    with Service(models) as running:
        ran = bench("overhead", "--model", "tiny", "--models", str(models), "--url", running.url, "--requests", "4")
    assert ran.returncode == 1
    assert "start it with --cache-bytes 0" in ran.stderr


def test_a_service_that_is_not_there_is_named(real_root: Path):
    ran = bench("accuracy", "fashion-mnist", "--data", str(real_root), "--url", "http://127.0.0.1:9")
    assert ran.returncode == 1
    assert "http://127.0.0.1:9 did not answer as it should" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_decoding_can_be_measured_beside_its_alternatives():
    ran = bench("decode", "--images", "none of these", "--count", "2", "--sizes", "28,32", "--rounds", "1")
    assert ran.returncode == 0, ran.stderr
    assert "2 photos to 28 x 28" in ran.stdout
    assert "2 photos to 32 x 32" in ran.stdout
    assert ran.stdout.count(" 1.00 x") >= 3


def test_two_versions_of_a_model_can_be_held_against_each_other():
    ran = bench("versions", "closet", "--first", "1", "--second", "2", "--rounds", "1", "--seconds", "0.3")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"closet 2: [1-9]\d* requests/s", ran.stdout)
    assert re.search(r"2 over 1: \d+\.\d\d", ran.stdout)


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_every_benchmark_shows_an_example(benchmark: str):
    shown = bench(benchmark, "--help")
    assert shown.returncode == 0, shown.stderr
    assert f"Example: hangtag bench {benchmark}" in shown.stdout


def test_bench_alone_lists_its_benchmarks():
    assert "accuracy" in bench().stdout
    assert bench("speed").returncode == 2


def test_what_reloads_cost_can_be_measured_and_no_request_fails(tmp_path: Path):
    for version in ("1", "2"):
        publish(tmp_path, card(version=version))
    names = ("--models", str(tmp_path), "--first", "1", "--second", "2")
    ran = bench("reload", "tiny", *names, "--reloads", "6", "--seconds", "0.5", "--load", "0.2", "--warm-seconds", "1")
    assert "6 reloads" in ran.stdout, ran.stderr
    assert re.search(r"requests: \d{2,} answered, 0 failed", ran.stdout)
    assert "memory" in ran.stdout


def test_a_catalogue_and_its_ceiling_can_be_measured(models: Path, tmp_path: Path):
    cores, photos = os.sched_getaffinity(0), [png(0), png(255)]
    assert Ceiling(Repository(models).open("tiny", "1"), photos).pace(cores, 0.1).rate > 0
    ran = Catalogue(tmp_path, photos, 3).classify("tiny", models, cores)
    assert 0 < ran.core_seconds < ran.seconds * len(cores)
    assert 50 * 2**20 < ran.peak < 2**30


def test_a_catalogues_rate_is_without_the_start_and_held_against_the_ceilings_on_both_sides():
    turns = catalog._Turns({0})
    for start, seconds, before in ((1.0, 11.0, 90.0), (1.0, 6.0, 290.0), (3.0, 21.0, 40.0)):
        turns.take(catalog._Turn(Pace(before, 1.0), Pace(before + 20, 1.0), Ran(start, 1, 0), Ran(seconds, 20, 0), 950))
    assert turns.rate == 95
    assert turns.shares == pytest.approx([(190 / 300 + 95 / 100) / 2, 95 / 100, (95 / 100 + 47.5 / 50) / 2])


@pytest.mark.skipif(not CHROMIUM, reason="pages are looked at in Chromium, which is not here")
def test_what_pages_cost_can_be_measured(models: Path):
    ran = bench("pages", "--models", str(models), "--visits", "1", "--photos", "4")
    assert len(re.findall(r"/\w* is seen after \d+ ms", ran.stdout)) == 3, ran.stderr
    assert re.search(r"all pages are [\d,]+ bytes on their way, in \d+ files", ran.stdout)
    assert re.search(r"4 photos of 1600 x 1200 were answered and shown in \d", ran.stdout)


def test_what_a_scrape_costs_can_be_measured(models: Path):
    ran = bench("scrape", "--models", str(models), "--scrapes", "2", "--seconds", "0.2")
    for workers in (1, 2):
        assert re.search(rf"{workers} workers, 1 models: \d+ bytes in p50 \d+\.\d ms", ran.stdout), ran.stderr
