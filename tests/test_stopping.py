"""Stopping: whoever was let in is answered, and nothing that hangs can hold it back."""

import os
import shutil
import signal
import socket
import time
from pathlib import Path

import httpx
import pytest

from artifact.repository import REPORT_FILE
from connected import Connection
from graphs import endless_at, graph
from loaded import Load
from service.closing import let_nobody_knock, waiting
from support import CLASSIFY, Service, asleep, begun_to_read, card, eventually, png, publish

HEAD = f"POST {CLASSIFY} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(png(255))}\r\n\r\n".encode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_on_a_signal_ready_turns_503_while_requests_are_still_answered_and_the_exit_code_is_0(
    models: Path, number: signal.Signals
):
    with Service(models, "--drain-seconds", "30") as running:
        running.signal(number)
        eventually(lambda: httpx.get(f"{running.url}/health/ready").status_code == 503)
        assert httpx.get(f"{running.url}/health/ready").json()["status"] == "draining"
        assert httpx.get(f"{running.url}/health/live").status_code == 200
        answered = running.classify(png(0))
        assert answered.status_code == 200
        assert answered.headers["connection"] == "close"
        running.signal(number)  # the second one cuts the draining short
        assert running.wait() == 0


def test_a_request_that_was_let_in_is_answered_though_the_service_stops(models: Path):
    with Service(models) as running, running.begin(png(255)) as held:
        running.signal(signal.SIGTERM)
        running.wait_for(r"(Waiting for connections to close)")
        with pytest.raises(httpx.ConnectError):
            running.classify(png(0))
        status, answer = held.finish()
        assert status == 200
        assert answer["predictions"][0]["label"] == "light"
        assert running.wait() == 0


def test_a_client_that_never_ends_its_request_cannot_keep_the_service_from_stopping(models: Path):
    with Service(models, "--shutdown-seconds", "0.3") as running, running.begin(png(255)) as held:
        running.signal(signal.SIGTERM)
        status, problem = held.answer()
        assert (status, problem["code"]) == (503, "draining")
        assert running.wait() == 1
    assert "Traceback" not in running.log


@pytest.mark.parametrize("count", ["1", "2"])
def test_a_stop_at_full_load_loses_nothing_that_was_accepted(models: Path, count: str):
    with Service(models, "--cache-bytes", "0", "--workers", count, "--drain-seconds", "0.3") as running:
        running.wait_for_workers(int(count))
        with Load(running, clients=16) as load:
            running.signal(signal.SIGTERM)
            assert running.wait() == 0
    assert load.outcomes[200]
    assert load.outcomes.keys() <= {200, "unconnected"}


def test_who_knocks_while_the_door_closes_is_not_let_in_and_who_is_in_is_heard():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        address = listener.getsockname()
        with socket.create_connection(address) as early:
            let_nobody_knock(listener)
            with pytest.raises(TimeoutError):
                socket.create_connection(address, timeout=0.2)
            early.sendall(b"hello")
            [accepted] = waiting(listener)
            with accepted:
                assert accepted.recv(5) == b"hello"


def test_a_request_that_has_begun_when_the_service_stops_is_answered(models: Path):
    with Service(models) as running, Connection(running.url) as asking:
        asking.send(HEAD[:20])
        running.signal(signal.SIGTERM)
        running.wait_for("(Waiting for connections to close)")
        asking.send(HEAD[20:] + png(255))
        assert asking.answer()[0] == 200
        assert running.wait() == 0


def test_a_client_that_has_just_connected_when_the_service_stops_has_time_to_ask(models: Path):
    with Service(models) as running, Connection(running.url) as asking:
        running.signal(signal.SIGTERM)
        running.wait_for("(draining)")
        asleep.wait(0.5)
        asking.send(HEAD + png(255))
        assert asking.answer()[0] == 200
        assert running.wait() == 0


def test_a_third_signal_gives_up_what_still_runs_at_once_and_the_exit_code_says_so(models: Path):
    with Service(models, "--drain-seconds", "30") as running, running.begin(png(255)):
        running.signal(signal.SIGTERM)
        running.wait_for("(draining)")
        running.signal(signal.SIGTERM)
        running.wait_for(r"(Waiting for connections to close)")
        started = time.monotonic()
        running.signal(signal.SIGTERM)
        assert running.wait() == 1
        assert time.monotonic() - started < 5


def test_a_stop_does_not_wait_for_storage_that_hangs_in_a_reload(models: Path, tmp_path: Path):
    shutil.copytree(models, tmp_path / "models")
    with Service(tmp_path / "models") as running:
        labels_file = tmp_path / "models" / "tiny" / "rollout.json"
        os.mkfifo(labels_file)
        running.signal(signal.SIGHUP)
        held = begun_to_read(labels_file)
        running.signal(signal.SIGTERM)
        assert running.wait() == 0
        os.close(held)


def test_a_stop_does_not_wait_for_a_report_that_cannot_be_read(tmp_path: Path):
    report = publish(tmp_path, report=b"a page") / REPORT_FILE
    with Service(tmp_path, "--shutdown-seconds", "0.2") as running, Connection(running.url) as asking:
        report.unlink()
        os.mkfifo(report)
        asking.send(b"GET /v1/models/tiny/report HTTP/1.1\r\nHost: x\r\n\r\n")
        held = begun_to_read(report)
        running.signal(signal.SIGTERM)
        assert running.wait() == 1
        os.close(held)


def test_a_stop_does_not_wait_for_a_model_that_hangs_while_it_is_loaded(tmp_path: Path):
    publish(tmp_path)
    with Service(tmp_path) as running:
        publish(tmp_path, card(version="2"), graph(extra=endless_at(128)), trained=graph())
        running.signal(signal.SIGHUP)
        assert running.classify(png(255)).json()["version"] == "1"
        running.signal(signal.SIGTERM)
        assert running.wait() == 0
