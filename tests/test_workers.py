"""Several processes at one port: they count as one, are replaced when they are killed, and stop together."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import HANGTAG, PATIENCE, Service, eventually, png


@pytest.fixture
def both(models: Path, tmp_path: Path) -> Iterator[Service]:
    """A service of two workers, both ready."""
    with Service(models, "--workers", "2", "--cache-bytes", "0", environment={"TMPDIR": str(tmp_path)}) as running:
        wait_for_workers(running, 2)
        yield running


def wait_for_workers(running: Service, count: int) -> None:
    """Wait until so many workers have joined, since the service was started."""
    for said in ("started: ", "startup complete"):
        while running.log.count(said) < count:
            running.wait_for("(started: |startup complete)")


def workers(running: Service) -> list[int]:
    """The processes of the workers, oldest first."""
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    return sorted(int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes())


def is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_what_workers_count_is_one_count_and_outlives_a_worker_that_was_killed(both: Service, tmp_path: Path):
    for _ in range(20):
        assert both.classify(png(0)).status_code == 200
    before = workers(both)
    os.kill(before[1], signal.SIGKILL)
    both.wait_for(rf"error +\] worker {before[1]} was killed by (signal 9); another one takes its place")
    wait_for_workers(both, 3)
    after = workers(both)
    assert len(after) == 2
    assert before[0] in after
    assert before[1] not in after
    for _ in range(20):
        assert both.classify(png(0)).status_code == 200
    assert both.metric("hangtag_items_total", outcome="ok") == 40
    assert both.metric("http_requests_total", method="POST", status="200") == 40
    assert both.metric("hangtag_stage_duration_seconds_count", stage="infer") == 40
    assert both.metric("hangtag_queue_items") == 0
    assert both.metric("hangtag_model_ready") == 1
    both.signal(signal.SIGTERM)
    assert both.wait() == 0
    assert not any(is_there(pid) for pid in after)
    assert not list(tmp_path.glob("hangtag-*"))  # what they counted


def test_a_worker_that_is_left_alone_stops(both: Service):
    alone = workers(both)
    both.signal(signal.SIGKILL)
    both.wait()
    eventually(lambda: not any(is_there(pid) for pid in alone))


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
