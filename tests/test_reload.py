"""Models are brought in and taken out while the service runs, and nobody who asks notices."""

import shutil
import signal
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from artifact.rollout import Rollout
from graphs import failing_at, graph, slow
from support import CLASSIFY, OPERATOR, Service, card, code, eventually, operated, png, publish


@pytest.fixture
def root(tmp_path: Path) -> Path:
    publish(tmp_path)
    return tmp_path


def serving(root: Path, *options: str) -> Service:
    return Service(root, *options, *operated(root))


def reload(service: Service, headers: dict[str, str] = OPERATOR) -> httpx.Response:
    return httpx.post(f"{service.url}/v1/admin/reload", headers=headers, timeout=30)


def version(service: Service, **headers: str) -> str:
    return service.ask(png(0), headers).json()["version"]


def detail(service: Service) -> dict:
    return httpx.get(f"{service.url}/v1/models/tiny").json()


def test_who_names_no_version_gets_the_newest_where_no_label_says_otherwise(root: Path):
    with serving(root) as service:
        publish(root, card(version="2"))
        assert version(service) == "1"
        assert reload(service).json()["models"][0]["version"] == "2"
        assert version(service) == "2"
        assert service.metric("hangtag_model_ready", model_version="1") == 0
        assert service.metric("hangtag_model_ready", model_version="2") == 1
        assert service.metric("hangtag_model_label", model_version="1", label="stable") == 0
        assert service.metric("hangtag_model_label", model_version="2", label="stable") == 1


def test_who_names_no_version_gets_the_one_that_is_labelled_stable(root: Path):
    publish(root, card(version="2"))
    Rollout(stable="1", canary="2").write(root / "tiny")
    with serving(root) as service:
        assert version(service) == "1"
        for name in ("2", "canary"):
            answer = httpx.post(f"{service.url}/v1/models/tiny/versions/{name}/classify", content=png(0))
            assert answer.json()["version"] == "2"
        assert detail(service)["labels"] == {"stable": "1", "canary": "2"}


def test_a_version_without_a_label_is_not_served(root: Path):
    publish(root, card(version="2"))
    with serving(root) as service:
        for name in ("1", "3", "canary"):
            answer = httpx.post(f"{service.url}/v1/models/tiny/versions/{name}/classify", content=png(0))
            assert code(answer) == (404, "version_not_found")
            assert "those that are: 2 (stable)" in answer.json()["detail"]


def test_a_new_model_comes_in_and_one_that_is_gone_from_the_repository_goes_on(root: Path, tmp_path_factory):
    with serving(root) as service:
        publish(root, card(name="other"))
        (root / "tiny").rename(tmp_path_factory.mktemp("elsewhere") / "tiny")
        assert code(reload(service)) == (422, "reload_failed")
        assert version(service) == "1"
        assert "There is no model 'tiny'" in detail(service)["reason"]
        assert service.classify(png(0), model="other").status_code == 200


def test_an_empty_repository_takes_nothing_away(root: Path, tmp_path_factory):
    with serving(root) as service:
        (root / "tiny").rename(tmp_path_factory.mktemp("elsewhere") / "tiny")
        assert code(reload(service)) == (422, "reload_failed")
        assert version(service) == "1"


def test_a_version_that_fails_leaves_the_old_one_and_says_why(root: Path):
    with serving(root) as service:
        (publish(root, card(version="2")) / "model.onnx").write_bytes(b"another")
        refused = reload(service)
        assert code(refused) == (422, "reload_failed")
        assert "tiny 2 (stable): " in refused.json()["detail"]
        assert version(service) == "1"
        shown = detail(service)
        assert (shown["status"], shown["version"], shown["card"]["version"]) == ("ready", "1", "1")
        assert "has the digest" in shown["reason"]
        assert [failure["version"] for failure in shown["failures"]] == ["2"]
        assert service.metric("hangtag_model_loads_total", model_version="2", outcome="failed") == 1
        assert httpx.get(f"{service.url}/health/ready").status_code == 200
        assert "model tiny 2 failed to load" in service.wait_for(r"(model tiny 2 failed to load.*)")


def test_a_label_on_a_version_that_is_not_there_moves_nothing(root: Path):
    with serving(root) as service:
        Rollout(stable="7").write(root / "tiny")
        refused = reload(service)
        assert code(refused) == (422, "reload_failed")
        assert "has no version '7'" in refused.json()["detail"]
        assert version(service) == "1"


def test_labels_that_cannot_be_read_move_nothing(root: Path):
    with serving(root) as service:
        (root / "tiny" / "rollout.json").write_text('{"stable": ')
        assert code(reload(service)) == (422, "reload_failed")
        assert version(service) == "1"


def test_a_broken_canary_takes_nothing_from_the_stable_version(root: Path):
    (publish(root, card(version="2")) / "card.json").write_text("{}")
    Rollout(stable="1", canary="2", canary_share=1).write(root / "tiny")
    with serving(root) as service:
        assert httpx.get(f"{service.url}/health/ready").status_code == 200
        assert version(service) == "1"
        assert [failure["label"] for failure in detail(service)["failures"]] == ["canary"]


def test_a_version_that_answers_otherwise_than_it_was_trained_never_answers(root: Path):
    with serving(root) as service:
        publish(root, card(version="2"), graph(centres=(255, 128, 0)), trained=graph())
        assert code(reload(service)) == (422, "reload_failed")
        assert version(service) == "1"


def test_what_is_under_way_when_a_version_goes_is_answered_by_it(root: Path):
    with serving(root) as service:
        held = service.begin(png(255))
        publish(root, card(version="2"))
        assert reload(service).status_code == 200
        assert version(service) == "2"
        status, answer = held.finish()
        assert (status, answer["version"]) == (200, "1")
        held.hang_up()


def test_a_signal_reloads(root: Path):
    with serving(root) as service:
        publish(root, card(version="2"))
        service.signal(signal.SIGHUP)
        service.wait_for(r"reloaded: (as labelled)")
        assert version(service) == "2"


def test_a_change_in_the_repository_reloads_where_that_is_wanted(root: Path):
    with serving(root, "--watch") as service:
        publish(root, card(version="2"))
        service.wait_for(r"model tiny: (2 is stable)")
        Rollout(stable="1").write(root / "tiny")
        service.wait_for(r"model tiny: (1 is stable)")
        assert version(service) == "1"


def test_all_workers_reload(root: Path):
    with serving(root, "--workers", "2") as service:
        service.wait_for_workers(2)
        publish(root, card(version="2"))
        service.signal(signal.SIGHUP)
        for _ in range(2):
            service.wait_for(r"(reloaded)")
        assert {version(service) for _ in range(20)} == {"2"}
        publish(root, card(version="3"))
        assert reload(service).status_code == 200
        for _ in range(2):
            service.wait_for(r"(reloaded)")
        assert {version(service) for _ in range(20)} == {"3"}


def test_of_two_reloads_at_once_both_are_told_what_became_of_their_change(root: Path):
    with serving(root) as service:
        publish(root, card(name="slow"), graph(extra=slow(products=4)))
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(reload(service))) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for answer in answers:
            assert [model["status"] for model in answer.json()["models"]] == ["ready", "ready"]
        assert service.metric("hangtag_model_loads_total", model_name="slow", outcome="ok") == 1


def test_a_roll_back_while_the_bad_version_loads_is_so_in_the_end(root: Path):
    with serving(root) as service:
        publish(root, card(version="2"), graph(extra=slow(products=4)))
        rolling_out = threading.Thread(target=reload, args=(service,))
        rolling_out.start()
        Rollout(stable="1").write(root / "tiny")
        assert reload(service).status_code == 200
        rolling_out.join()
        assert version(service) == "1"


def test_a_new_model_is_no_reason_to_turn_not_ready(root: Path):
    with serving(root) as service:
        (publish(root, card(name="broken")) / "model.onnx").write_bytes(b"another")
        refused = reload(service)
        assert code(refused) == (422, "reload_failed")
        assert "broken 1 (stable): " in refused.json()["detail"]
        publish(root, card(name="slow"), graph(extra=slow(products=4)))
        with httpx.Client(base_url=service.url) as probe:
            reloading = threading.Thread(target=reload, args=(service,))
            reloading.start()
            probes = set()
            while reloading.is_alive():
                probes.add(probe.get("/health/ready").status_code)
                probes.add(probe.get("/health/startup").status_code)
        assert probes == {200}
        assert httpx.get(f"{service.url}/health/ready").json()["models"] == {"slow": "ready", "tiny": "ready"}
        assert httpx.get(f"{service.url}/v1/models/broken").status_code == 404


def test_all_workers_reload_what_can_be_loaded_when_something_cannot(root: Path):
    with serving(root, "--workers", "2") as service:
        service.wait_for_workers(2)
        publish(root, card(version="2"))
        Rollout(stable="2", canary="9").write(root / "tiny")
        assert code(reload(service)) == (422, "reload_failed")
        for _ in range(2):
            service.wait_for(r"(reloaded)")
        assert {version(service) for _ in range(20)} == {"2"}


def test_a_signal_at_any_time_of_the_start_ends_nothing(root: Path):
    with Service(root, "--workers", "2", awaited="()") as service:
        for _ in range(20):
            service.signal(signal.SIGHUP)
            with suppress(httpx.HTTPError):
                httpx.get(f"{service.url}/health/live", timeout=1)
        service.wait_for(r"(started): 1 of 1 models are ready")
        assert version(service) == "1"
    assert service.exit_code == 0
    assert "killed" not in service.log


def test_a_reload_while_draining_is_refused(root: Path):
    with serving(root, "--drain-seconds", "30") as service:
        service.signal(signal.SIGTERM)
        service.wait_for(r"(draining)")
        publish(root, card(version="2"))
        assert code(reload(service)) == (503, "draining")
        assert version(service) == "1"
        service.signal(signal.SIGTERM)


def test_another_version_under_the_same_number_is_told_and_not_served(root: Path):
    with serving(root) as service:
        shutil.rmtree(root / "tiny" / "1")
        publish(root, card(), graph(centres=(255, 128, 0)))
        refused = reload(service)
        assert code(refused) == (422, "reload_failed")
        assert "publish it under a number of its own" in refused.json()["detail"]
        assert service.classify(png(0)).json()["predictions"][0]["label"] == "dark"


def test_a_repository_whose_path_has_a_hidden_folder_or_steps_back_is_watched(tmp_path: Path):
    hidden = tmp_path / ".hidden" / "models"
    publish(hidden)
    with serving(hidden / ".." / "models", "--watch") as service:
        publish(hidden, card(version="2"))
        service.wait_for(r"model tiny: (2 is stable)")


def test_a_model_that_memory_cannot_hold_is_not_loaded_and_the_old_one_goes_on(root: Path):
    with serving(root, "--memory-bytes", str(230 * 2**20)) as service:
        assert version(service) == "1"
        publish(root, card(version="2"), graph(extra=slow(products=1, side=2500)))
        refused = reload(service)
        assert code(refused) == (422, "reload_failed")
        assert "tiny 2 needs about " in refused.json()["detail"]
        assert version(service) == "1"


def test_reloads_under_load_fail_no_request(root: Path):
    outcomes: Counter[tuple[int, str]] = Counter()
    stop = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=service.url) as client:
            while not stop.is_set():
                answer = client.post(CLASSIFY, content=png(0))
                outcomes[answer.status_code, answer.json().get("version", "")] += 1

    with serving(root, "--cache-bytes", "0") as service:
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for number in range(2, 8):
                publish(root, card(version=str(number)))
                assert reload(service).status_code == 200
                eventually(lambda number=number: outcomes[200, str(number)] > 10)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert {status for status, _ in outcomes} == {200}
        assert {version for _, version in outcomes} >= {"1", "7"}
        for number in range(1, 8):
            counted = service.metric("hangtag_items_total", model_version=str(number), outcome="ok")
            assert counted == outcomes[200, str(number)]


def test_a_failing_version_is_no_reason_to_reload_what_answers(root: Path):
    with serving(root) as service:
        publish(root, card(version="2"), graph(extra=failing_at(128)), trained=graph())
        assert code(reload(service)) == (422, "reload_failed")
        assert service.metric("hangtag_model_loads_total", model_version="1", outcome="ok") == 1
