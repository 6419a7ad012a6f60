"""What goes wrong in operation, done to a real service under load: all others are answered, and it recovers."""

import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import pytest

from artifact.rollout import Rollout
from connected import Connection
from graphs import deaf_at, endless_at, graph
from loaded import Load
from service.hosting import Hosting
from service.metrics import Metrics
from service.pulse import Pulse
from service.settings import Settings
from support import CLASSIFY, PATIENCE, ROOT, Service, asleep, card, code, eventually, png, publish

BAD = png(77)  # what the models below never come back from


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
