"""`hangtag bench soak`: whoever asks, nothing is left behind; and if something were, it would be found."""

import csv
import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from random import Random

from benchmarks import rests
from benchmarks.rests import Rest, findings
from support import HANGTAG, PATIENCE, eventually

MIB, ROUNDS = 2**20, 5
QUIET = [Rest(10 * n, 500 * n, 200 * MIB, 14, 17, 0) for n in range(1, 101)]


def holds(seen: list[Rest]) -> list[bool]:
    """Of memory, files, threads and gauges."""
    return [finding.holds for finding in findings(seen)]


def test_a_service_that_holds_the_same_at_every_rest_is_sound():
    assert holds(QUIET) == [True] * 4


def test_memory_that_a_service_takes_at_first_and_keeps_is_no_leak():
    assert holds([replace(rest, memory=rest.memory - max(0, 40 - n) * MIB) for n, rest in enumerate(QUIET)])[0]


def test_twenty_bytes_for_each_request_are_found_however_memory_jumps():
    jumps = Random(0)  # noqa: S311 - no secret
    noisy = [replace(rest, memory=rest.memory + jumps.randrange(100_000)) for rest in QUIET]
    assert holds(noisy)[0]
    assert not holds([replace(rest, memory=rest.memory + 20 * rest.asked) for rest in noisy])[0]


def test_a_file_or_a_thread_that_stays_behind_is_found():
    assert holds([replace(rest, files=14 + (n > 90)) for n, rest in enumerate(QUIET)]) == [True, False, True, True]
    assert holds([replace(rest, threads=17 + (n > 90)) for n, rest in enumerate(QUIET)]) == [True, True, False, True]


def test_a_gauge_that_does_not_return_to_zero_is_found():
    assert holds([*QUIET[:-1], replace(QUIET[-1], waiting=1)]) == [True, True, True, False]


def test_a_look_at_a_process_sees_a_file_that_it_opened():
    _, before, *_ = rests._held(os.getpid())
    with Path(os.devnull).open():
        _, during, *_ = rests._held(os.getpid())
    assert during == before + 1


def test_everything_is_asked_versions_change_and_nothing_is_left_behind_until_ctrl_c(shelf: Path, tmp_path: Path):
    noted, drawn = tmp_path / "soak.csv", tmp_path / "soak.svg"
    options = ["--round-seconds", "0.3", "--rate", "300", "--megapixels", "0.1", "--csv", noted, "--plot", drawn]
    command = [*HANGTAG, "bench", "soak", "--models", shelf, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as soak:
        try:
            eventually(lambda: noted.exists() and len(noted.read_text().splitlines()) > ROUNDS)
        finally:
            soak.send_signal(signal.SIGINT)
        said = soak.communicate(timeout=PATIENCE)[0]
    assert soak.returncode == 130
    assert "  0 answers that should not be" in said
    assert "open files" in said
    assert "gauges of what is under way 0 " in said
    rows = list(csv.DictReader(noted.read_text().splitlines()))
    assert len({row["files"] for row in rows}) == 1
    assert {float(row["waiting"]) for row in rows} == {0}
    assert drawn.read_text().lstrip().startswith("<?xml")
