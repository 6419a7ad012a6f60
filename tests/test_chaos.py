"""What goes wrong in operation, done to a real service under load: all others are answered, and it recovers."""

import shutil
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Self

import httpx
import pytest

from support import CLASSIFY, PATIENCE, Service, card, code, deaf_at, endless_at, eventually, graph, png, publish

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
    with Service(tmp_path, "--runners", "2", "--cache-bytes", "0") as running:
        refusals = []
        with Load(running) as load:
            started = time.monotonic()
            asking = threading.Thread(target=lambda: refusals.append(running.classify(BAD)))
            asking.start()
            eventually(lambda: readiness(running) == (503, "stuck"))
            assert running.metric("hangtag_model_ready", model_name="tiny") == 0
            assert httpx.get(f"{running.url}/health/live").status_code == 200
            assert httpx.get(f"{running.url}/v1/models/tiny").json()["status"] == "stuck"
            assert time.monotonic() - started < 5
            eventually(lambda: readiness(running) == (200, "ready"))
            load.goes_on()
        asking.join(PATIENCE)
        assert code(refusals[0]) == (500, "inference_stuck")
        assert load.outcomes.keys() == {200}
        assert running.metric("hangtag_runners_replaced_total", model_name="tiny") == 1
        assert running.metric("hangtag_model_ready", model_name="tiny") == 1
        assert running.metric("hangtag_items_total", model_name="tiny", outcome="failed") == 1
        running.signal(signal.SIGTERM)
        assert running.wait() == 0  # though its thread is still there


def test_runs_that_can_be_broken_off_leave_nothing_behind_however_many(tmp_path: Path):
    publish(tmp_path, model=graph(extra=endless_at(77)))
    with Service(tmp_path, "--runners", "1", "--stuck-seconds", "0.4") as running:
        threads = threads_of(running)
        for _ in range(4):
            assert code(running.classify(BAD)) == (500, "inference_stuck")
            assert running.classify(png(255)).status_code == 200
        assert running.metric("hangtag_runners_replaced_total", model_name="tiny") == 4
        eventually(lambda: readiness(running) == (200, "ready"))
        eventually(lambda: threads_of(running) <= threads + 1)


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
