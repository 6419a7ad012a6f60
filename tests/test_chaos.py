"""What goes wrong in operation, done to a real service under load: all others are answered, and it recovers."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Self

import httpx
import pytest

from artifact.repository import REPORT_FILE
from artifact.rollout import Rollout
from graphs import deaf_at, endless_at, graph
from service.closing import let_nobody_knock, waiting
from service.hosting import Hosting
from service.metrics import Metrics
from service.pulse import Pulse
from service.settings import Settings
from support import CLASSIFY, PATIENCE, ROOT, Connection, Service, begun_to_read, card, code, eventually, png, publish

asleep = threading.Event()  # nobody sets it: where time itself is what is waited for

BAD = png(77)  # what the models below never come back from


class Load:
    """Clients that ask for good images one after the other, each on its own connection, and what became of each."""

    def __init__(self, service: Service, clients: int = 4) -> None:
        self.outcomes: Counter[int | str] = Counter()
        self._service = service
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def _ask(self) -> None:
        with httpx.Client(base_url=self._service.url, timeout=PATIENCE) as client:
            while not self._stop.is_set():
                try:
                    self.outcomes[client.post(CLASSIFY, content=png(255)).status_code] += 1
                except httpx.ConnectError:  # it was not begun
                    self.outcomes["unconnected"] += 1
                except httpx.HTTPError as error:
                    self.outcomes[type(error).__name__] += 1

    def goes_on(self) -> None:
        """Wait until some more good answers have come."""
        before = self.outcomes[200]
        eventually(lambda: self.outcomes[200] > before + 10)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        self.goes_on()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)


def threads_of(service: Service) -> int:
    return len([*Path(f"/proc/{service.pid}/task").iterdir()])


def readiness(service: Service) -> tuple[int, str]:
    answer = httpx.get(f"{service.url}/health/ready")
    return answer.status_code, answer.json()["status"]


def test_a_runner_that_hangs_turns_ready_to_503_within_5_seconds_and_is_replaced_while_others_are_answered(
    tmp_path: Path,
):
    publish(tmp_path, model=graph(extra=deaf_at(77)))
    with Service(tmp_path, "--runners", "2", "--max-batch", "1", "--cache-bytes", "0") as running:
        refusals = []
        with Load(running) as load:
            started = time.monotonic()
            asking = threading.Thread(target=lambda: refusals.append(running.classify(BAD)))
            asking.start()
            with httpx.Client(base_url=running.url) as probe:
                eventually(lambda: probe.get("/health/ready").status_code == 503)
                assert time.monotonic() - started < 5
                assert probe.get("/health/ready").json() == {"status": "stuck", "models": {"tiny": "stuck"}}
                assert probe.get("/v2/models/tiny/ready").status_code == 503
                assert probe.get("/health/live").status_code == 200
            eventually(lambda: readiness(running) == (200, "ready"))
            load.goes_on()
        asking.join(PATIENCE)
        assert code(refusals[0]) == (500, "inference_stuck")
        assert load.outcomes.keys() == {200}
        assert running.metric("hangtag_runners_replaced_total", model_name="tiny") == 1
        assert "model tiny 1 is stuck" in running.wait_for("(.*is stuck)")
        assert running.metric("hangtag_model_ready", model_name="tiny") == 1
        assert running.metric("hangtag_items_total", model_name="tiny", outcome="failed") == 1
        running.signal(signal.SIGTERM)
        assert running.wait() == 0  # though its thread is still there


def test_runs_that_can_be_broken_off_leave_nothing_behind_however_many(tmp_path: Path):
    publish(tmp_path, model=graph(extra=endless_at(77)))
    with Service(tmp_path, "--runners", "1", "--stuck-seconds", "0.4") as running:
        assert running.metric("hangtag_runners_replaced_total", model_name="tiny") == 0  # in a thread, which stays
        threads = threads_of(running)
        for tail in range(4):
            assert code(running.classify(BAD + bytes(tail))) == (500, "inference_stuck")
            assert running.classify(png(255)).status_code == 200
        assert running.metric("hangtag_runners_replaced_total", model_name="tiny") == 4
        eventually(lambda: readiness(running) == (200, "ready"))
        eventually(lambda: threads_of(running) <= threads + 1)
        assert code(running.classify(BAD)) == (500, "inference_stuck")
        assert running.metric("hangtag_runners_replaced_total", model_name="tiny") == 4  # it is known


def test_a_process_that_has_lost_too_many_threads_answers_the_others_and_asks_to_be_replaced(tmp_path: Path):
    publish(tmp_path, model=graph(extra=deaf_at(77)))
    options = ("--runners", "4", "--max-batch", "1", "--cache-bytes", "0", "--stuck-seconds", "0.8")
    with Service(tmp_path, *options) as running:
        held = running.begin(png(255))
        refused = []
        asking = [threading.Thread(target=lambda: refused.append(running.classify(BAD))) for _ in range(3)]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()
        assert [code(answer) for answer in refused] == [(500, "inference_stuck")] * 3
        running.wait_for(r"(Waiting for connections to close)")
        assert held.finish()[0] == 200
        held.hang_up()
        assert running.wait() == 75


@pytest.fixture
def on_trial(tmp_path: Path) -> Path:
    """A sound version, and one that hangs on an image; labels are up to the test."""
    publish(tmp_path)
    publish(tmp_path, card(version="2"), graph(extra=deaf_at(77)), trained=graph())
    return tmp_path


def hanging(root: Path) -> Service:
    options = ("--runners", "4", "--max-batch", "1", "--cache-bytes", "0", "--stuck-seconds", "0.8")
    return Service(root, *options)


def failures(service: Service) -> list[tuple[str, str]]:
    found = httpx.get(f"{service.url}/v1/models/tiny").json()["failures"]
    return [(each["label"], each["version"]) for each in found]


def labels(service: Service) -> dict[str, str]:
    return httpx.get(f"{service.url}/v1/models/tiny").json()["labels"]


def test_a_shadow_that_hangs_is_nothing_to_those_who_ask_and_is_given_up_until_it_is_labelled_anew(on_trial: Path):
    Rollout(stable="1", shadow="2", shadow_share=1).write(on_trial / "tiny")
    with hanging(on_trial) as running:
        for _ in range(3):
            assert running.classify(BAD).json()["version"] == "1"
        seen = set()
        while not failures(running):
            seen.add(readiness(running))
        assert seen == {(200, "ready")}
        assert failures(running) == [("shadow", "2")]
        assert "3 threads that do not come back" in running.wait_for(r"(.*goes on without it)")
        assert running.metric("hangtag_model_loads_total", model_version="2", outcome="failed") == 1
        assert labels(running) == {"stable": "1"}
        assert running.classify(BAD).status_code == 200
        running.signal(signal.SIGHUP)
        running.wait_for(r"reloaded: (1 failures)")
        assert labels(running) == {"stable": "1"}
        Rollout(stable="1").write(on_trial / "tiny")
        running.signal(signal.SIGHUP)
        running.wait_for("reloaded: (as labelled)")
        Rollout(stable="1", shadow="2", shadow_share=1).write(on_trial / "tiny")
        running.signal(signal.SIGHUP)
        running.wait_for("(2 is shadow)")
        assert failures(running) == []
        running.signal(signal.SIGTERM)
        assert running.wait() == 0


def test_requests_of_a_canary_that_hangs_go_to_the_stable_version(on_trial: Path):
    Rollout(stable="1", canary="2", canary_share=1).write(on_trial / "tiny")
    with hanging(on_trial) as running:
        assert running.classify(png(255)).json()["version"] == "2"
        asking = [threading.Thread(target=running.classify, args=(BAD,)) for _ in range(3)]
        for thread in asking:
            thread.start()
        eventually(lambda: failures(running) == [("canary", "2")])
        for thread in asking:
            thread.join()
        for image in (png(255), BAD):
            assert running.classify(image).json()["version"] == "1"
        assert readiness(running) == (200, "ready")
        running.signal(signal.SIGTERM)
        assert running.wait() == 0


@pytest.fixture
def hosting(models: Path) -> Iterator[tuple[Hosting, list[int]]]:
    """All models, and the SIGTERMs that the process has sent itself."""
    sent = list[int]()
    before = signal.signal(signal.SIGTERM, lambda number, _: sent.append(number))
    yield Hosting(Settings(models=models), Metrics("test"), Pulse(4)), sent
    signal.signal(signal.SIGTERM, before)


def test_a_process_that_gives_up_twice_stops_once(hosting: tuple[Hosting, list[int]]):
    given_up, sent = hosting
    given_up.give_up("one model")
    given_up.give_up("another model")
    assert sent == [signal.SIGTERM]
    assert given_up.exit_code == 75


def test_whoever_runs_the_process_may_stop_it_in_a_way_of_its_own(models: Path):
    stopped = list[str]()
    given_up = Hosting(Settings(models=models), Metrics("test"), Pulse(4), lambda: stopped.append("once"))
    given_up.give_up("a model")
    assert stopped == ["once"]
    assert given_up.exit_code == 75


def test_a_process_that_was_asked_to_stop_needs_nobody_in_its_place(hosting: tuple[Hosting, list[int]]):
    given_up, sent = hosting
    given_up.drain()
    given_up.give_up("a model")
    assert sent == []
    assert given_up.exit_code == 0


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


def test_workers_are_not_killed_while_they_wait_for_a_collector_that_is_silent(models: Path, silent: str):
    options = ("--workers", "2", "--stuck-seconds", "0.4", "--otlp-endpoint", silent)
    with Service(models, *options) as running:
        running.wait_for_workers(2)
        for _ in range(8):  # so that both have something to tell
            assert running.classify(png(255)).status_code == 200
        running.signal(signal.SIGTERM)
        assert running.wait() == 0
        assert "stands still" not in running.log


def test_a_stop_does_not_wait_for_a_model_that_hangs_while_it_is_loaded(tmp_path: Path):
    publish(tmp_path)
    with Service(tmp_path) as running:
        publish(tmp_path, card(version="2"), graph(extra=endless_at(128)), trained=graph())
        running.signal(signal.SIGHUP)
        assert running.classify(png(255)).json()["version"] == "1"
        running.signal(signal.SIGTERM)
        assert running.wait() == 0


def test_what_is_loaded_goes_on_when_the_repository_is_removed(tmp_path: Path):
    publish(tmp_path / "models")
    with Service(tmp_path / "models", "--cache-bytes", "0") as running, Load(running) as load:
        shutil.rmtree(tmp_path / "models")
        load.goes_on()
        running.signal(signal.SIGHUP)
        assert "holds no model" in running.wait_for(r"reload: (.*)")
        load.goes_on()
        assert readiness(running) == (200, "ready")
        publish(tmp_path / "models", card(version="2"))
        running.signal(signal.SIGHUP)
        running.wait_for(r"model tiny: (2 is stable)")
        load.goes_on()
    assert load.outcomes.keys() == {200}


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


HEAD = f"POST {CLASSIFY} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(png(255))}\r\n\r\n".encode()


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


def test_a_full_disk_changes_nothing(models: Path, full_disk: Path):
    environment = {"TMPDIR": str(full_disk), "HOME": str(full_disk)}
    with Service(models, "--workers", "2", "--cache-bytes", "0", environment=environment) as running:
        running.wait_for_workers(2)
        with Load(running) as load:
            load.goes_on()
        assert load.outcomes.keys() == {200}
        assert running.metric("hangtag_items_total", outcome="ok") == load.outcomes[200]


def test_alive_is_answered_at_once_while_a_thousand_wait(models: Path):
    with Service(models, "--cache-bytes", "0") as running:
        crowd = [Connection(running.url) for _ in range(1000)]
        for each in crowd:
            each.post(CLASSIFY, Content_Type="image/png", Content_Length=str(len(png(255))))
            each.send(png(255))
        assert httpx.get(f"{running.url}/health/live", timeout=1).status_code == 200
        assert {each.answer()[0] for each in crowd} <= {200, 429}
        for each in crowd:
            each.hang_up()


@pytest.fixture(scope="session")
def jumping_clock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library to preload, which lets the wall clock jump."""
    library = tmp_path_factory.mktemp("clock") / "clock.so"
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, ROOT / "tests" / "clock.c", "-ldl"], check=True)
    return library


def test_a_clock_that_jumps_changes_nothing(models: Path, tmp_path: Path, jumping_clock: Path):
    ahead = tmp_path / "ahead"
    ahead.write_text("0")
    environment = {"LD_PRELOAD": str(jumping_clock), "CLOCK_AHEAD": str(ahead)}
    options = ("--cache-bytes", "0", "--stuck-seconds", "0.6", "--deadline-seconds", "5")
    with Service(models, *options, environment=environment) as running, Load(running) as load:
        for days in (400, -400):
            ahead.write_text(str(days * 86400))
            eventually(lambda days=days: abs(days_ahead(running) - days) < 1)
            load.goes_on()
            asleep.wait(0.8)  # in which a runner would be said to be stuck
            load.goes_on()
            assert readiness(running) == (200, "ready")
    assert load.outcomes.keys() == {200}
    assert "stuck" not in running.log


def days_ahead(service: Service) -> float:
    """How far the service's wall clock is ahead of ours, as the dates of its answers have it."""
    date = parsedate_to_datetime(httpx.get(f"{service.url}/health/live").headers["date"])
    return (date - datetime.now(UTC)).total_seconds() / 86400


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Two workers of five runners; each test leaves two that answer."""
    root = tmp_path_factory.mktemp("models")
    publish(root, model=graph(extra=deaf_at(77)))
    options = ("--workers", "2", "--runners", "5", "--max-batch", "1", "--cache-bytes", "0", "--stuck-seconds", "1.2")
    with Service(root, *options) as running:
        running.wait_for_workers(2)
        yield running


def test_a_worker_that_is_killed_under_load_costs_nobody_anything_who_asks_when_it_is_gone(two: Service):
    killed = two.workers()[0]
    joined = two.log.count("startup complete")
    with Load(two, clients=8) as before:
        os.kill(killed, signal.SIGKILL)
        two.wait_for(rf"worker {killed} was killed by (signal 9)")
        with Load(two, clients=8) as after:
            two.wait_for_workers(joined + 1)
            after.goes_on()
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
