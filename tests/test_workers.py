"""Several processes at one port: they count as one, are replaced when they are killed, and stop together."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import HANGTAG, PATIENCE, Service, begun_to_read, eventually, png, publish


@pytest.fixture
def both(models: Path) -> Iterator[Service]:
    """A service of two workers, both ready."""
    with Service(models, "--workers", "2", "--cache-bytes", "0") as running:
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
    assert both.metric("process_start_time_seconds") == started
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
