"""Several processes at one port: they count as one, are replaced when they are killed, and stop together."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from graphs import deaf_at, graph
from loaded import Load
from support import HANGTAG, PATIENCE, Service, asleep, begun_to_read, eventually, png, publish

BAD = png(77)  # what the model of `two` never comes back from


@pytest.fixture
def both(models: Path) -> Iterator[Service]:
    """A service of two workers, both ready."""
    with Service(models, "--workers", "2", "--cache-bytes", "0") as running:
        running.wait_for_workers(2)
        yield running


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Two workers of five runners; each test leaves two that answer."""
    root = tmp_path_factory.mktemp("models")
    publish(root, model=graph(extra=deaf_at(77)))
    options = ("--workers", "2", "--runners", "5", "--max-batch", "1", "--cache-bytes", "0", "--stuck-seconds", "1.2")
    with Service(root, *options) as running:
        running.wait_for_workers(2)
        yield running


def is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def counts_of(running: Service) -> Path:
    """The folder that its workers count in."""
    [worker, *_] = running.workers()
    environment = dict(
        each.split(b"=", 1) for each in Path(f"/proc/{worker}/environ").read_bytes().split(b"\0") if each
    )
    return Path(environment[b"PROMETHEUS_MULTIPROC_DIR"].decode())


def test_what_workers_count_is_one_count_and_outlives_a_worker_that_was_killed(both: Service):
    for _ in range(20):
        assert both.classify(png(0)).status_code == 200
    before, folder = both.workers(), counts_of(both)
    files, started = set(folder.iterdir()), both.metric("process_start_time_seconds")
    after = [before[0], both.kill(before[1])]
    assert both.workers() == sorted(after)
    assert set(folder.iterdir()) == files
    for _ in range(20):
        assert both.classify(png(0)).status_code == 200
    assert both.metric("hangtag_items_total", outcome="ok") == 40
    assert both.metric("http_requests_total", method="POST", status="200") == 40
    assert both.metric("hangtag_stage_duration_seconds_count", stage="infer") == 40
    assert both.metric("hangtag_queue_items") == 0
    assert both.metric("hangtag_model_ready") == 1
    assert both.metric("hangtag_worker_starts_total") == 3
    assert both.metric("process_start_time_seconds") == started == (folder / "alive").stat().st_mtime
    both.signal(signal.SIGTERM)
    assert both.wait() == 0
    assert not any(is_there(pid) for pid in after)
    assert not folder.exists()


def test_a_model_is_ready_while_a_worker_that_does_not_listen_yet_loads_it(tmp_path: Path):
    model = publish(tmp_path) / "model.onnx"
    with Service(tmp_path, "--workers", "2") as running:
        running.wait_for_workers(2)
        model.unlink()
        os.mkfifo(model)
        os.kill(running.workers()[1], signal.SIGKILL)
        held = begun_to_read(model)
        assert running.metric("hangtag_model_ready") == 1
        os.close(held)  # what it has read is no model
        eventually(lambda: running.metric("hangtag_model_ready") == 0)


def test_a_model_that_the_first_process_loads_is_not_ready_yet(tmp_path: Path):
    model = publish(tmp_path) / "model.onnx"
    model.unlink()
    os.mkfifo(model)
    with Service(tmp_path, awaited=None) as running:
        held = begun_to_read(model)
        assert running.metric("hangtag_model_ready") == 0
        running.signal(signal.SIGTERM)
        assert running.wait() == 0
        os.close(held)


def test_workers_that_are_left_alone_stop_and_leave_nothing(both: Service):
    alone, folder = both.workers(), counts_of(both)
    both.signal(signal.SIGKILL)
    both.wait()
    eventually(lambda: not any(is_there(pid) for pid in alone))
    assert not folder.exists()


def test_a_port_that_workers_have_is_taken(both: Service, models: Path):
    port = both.url.rpartition(":")[2]
    arguments = [*HANGTAG, "serve", "--models", models, "--workers", "2", "--port", port]
    refused = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert refused.returncode == 1
    assert f"Port {port} on 127.0.0.1 is taken by another program" in refused.stderr
    assert both.classify(png(0)).status_code == 200


def test_workers_without_a_model_stop_the_service_with_their_own_words(tmp_path: Path):
    arguments = [*HANGTAG, "serve", "--models", tmp_path, "--workers", "2", "--port", "0"]
    refused = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert refused.returncode == 1
    assert "holds no model" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_workers_are_not_killed_while_they_wait_for_a_collector_that_is_silent(models: Path, silent: str):
    options = ("--workers", "2", "--stuck-seconds", "0.4", "--otlp-endpoint", silent)
    with Service(models, *options) as running:
        running.wait_for_workers(2)
        for _ in range(8):  # so that both have something to tell
            assert running.classify(png(255)).status_code == 200
        running.signal(signal.SIGTERM)
        assert running.wait() == 0
        assert "stands still" not in running.log


def test_when_a_worker_that_was_killed_under_load_is_gone_nobody_loses_anything_more(two: Service):
    killed, other = two.workers()
    joined = two.log.count("startup complete")
    with Load(two, clients=8) as before:
        os.kill(killed, signal.SIGKILL)
        started = time.monotonic()
        two.wait_for(rf"worker {killed} was killed by (signal 9)")
        assert time.monotonic() - started < 5
        with Load(two, clients=8) as after:
            two.wait_for_workers(joined + 1)
            after.goes_on()
    assert other in two.workers()
    assert after.outcomes.keys() == {200}
    # While it was dying, the kernel may have let in who tried again: it closes the sockets of a process one by one.
    assert before.outcomes.keys() <= {200, "ReadError", "RemoteProtocolError", "unconnected"}


def test_a_worker_that_stands_still_is_killed_and_replaced(two: Service):
    stopped = two.workers()[0]
    joined = two.log.count("startup complete")
    os.kill(stopped, signal.SIGSTOP)
    started = time.monotonic()
    two.wait_for(f"worker {stopped} (stands still); it is killed")
    assert time.monotonic() - started < 5
    two.wait_for_workers(joined + 1)
    assert stopped not in two.workers()
    assert len(two.workers()) == 2


def test_a_machine_that_slept_finds_all_its_workers_well(two: Service):
    everybody = [two.pid, *two.workers()]
    for process in everybody:
        os.kill(process, signal.SIGSTOP)
    asleep.wait(1.5)
    for process in everybody:
        os.kill(process, signal.SIGCONT)
    asleep.wait(1.5)  # in which it would be noticed
    assert [two.pid, *two.workers()] == everybody
    assert two.classify(png(255)).status_code == 200


def test_a_worker_that_has_lost_too_many_threads_is_replaced(two: Service):
    joined = two.log.count("startup complete")
    asking = [threading.Thread(target=two.classify, args=(BAD,)) for _ in range(5)]  # so one of the two gets three
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    two.wait_for(r"worker \d+ (gave up); another one takes its place")
    two.wait_for_workers(joined + 1)
    assert two.classify(png(255)).status_code == 200
