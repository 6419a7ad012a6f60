"""Models go out of service and come in again through the protocol's own routes; only an operator may ask for it."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from artifact.rollout import Rollout
from support import OPERATOR, PATIENCE, Service, card, code, operated, png, publish


@pytest.fixture
def root(tmp_path: Path) -> Path:
    publish(tmp_path)
    publish(tmp_path, card(name="other"))
    return tmp_path


@pytest.fixture
def service(root: Path) -> Iterator[Service]:
    with Service(root, *operated(root)) as running:
        yield running


def change(service: Service, what: str, model: str = "tiny", **request: object) -> httpx.Response:
    url = f"{service.url}/v2/repository/models/{model}/{what}"
    return httpx.post(url, **({"headers": OPERATOR, "timeout": PATIENCE} | request))


def is_ready(service: Service, model: str = "tiny") -> bool:
    return httpx.get(f"{service.url}/v2/models/{model}/ready").status_code == 200


def refusal(response: httpx.Response) -> tuple[int, str]:
    assert response.json().keys() == {"error"}
    return response.status_code, response.json()["error"]


def test_an_unloaded_model_answers_nobody_until_it_is_loaded_again(service: Service):
    assert change(service, "unload").status_code == 200
    assert not is_ready(service)
    assert code(service.classify(png(0))) == (503, "model_unavailable")
    assert httpx.get(f"{service.url}/v1/models/tiny").json()["status"] == "unloaded"
    states = {each["name"]: each["state"] for each in httpx.post(f"{service.url}/v2/repository/index").json()}
    assert states == {"other": "READY", "tiny": "UNAVAILABLE"}
    assert httpx.get(f"{service.url}/health/ready").status_code == 200
    assert change(service, "load", content=b'{"parameters": {}}').status_code == 200
    assert is_ready(service)
    assert service.classify(png(0)).status_code == 200
    assert service.metric("hangtag_model_ready", model_name="tiny") == 1


def test_a_reload_leaves_an_unloaded_model_out(service: Service):
    assert change(service, "unload").status_code == 200
    assert httpx.post(f"{service.url}/v1/admin/reload", headers=OPERATOR, timeout=PATIENCE).status_code == 200
    assert not is_ready(service)


def test_what_is_under_way_when_a_model_is_unloaded_is_answered(service: Service):
    held = service.begin(png(255))
    assert change(service, "unload", content=b'{"parameters": {"unload_dependents": true}}').status_code == 200
    assert held.finish()[0] == 200
    held.hang_up()


def test_a_model_that_is_new_in_the_repository_is_loaded(service: Service, root: Path):
    publish(root, card(name="new"))
    assert change(service, "load", "new").status_code == 200
    assert is_ready(service, "new")


def test_a_load_is_a_reload_of_what_the_labels_say(service: Service, root: Path):
    publish(root, card(version="2"))
    Rollout(stable="1", canary="2").write(root / "tiny")
    assert change(service, "load").status_code == 200
    assert httpx.get(f"{service.url}/v1/models/tiny").json()["labels"] == {"stable": "1", "canary": "2"}


def test_the_last_model_is_not_unloaded(service: Service):
    assert change(service, "unload", "other").status_code == 200
    status, message = refusal(change(service, "unload"))
    assert (status, "tiny is the last model in service" in message) == (409, True)
    assert is_ready(service)


def test_a_model_that_cannot_be_loaded_says_why_and_the_old_one_goes_on(service: Service, root: Path):
    (publish(root, card(version="2")) / "model.onnx").write_bytes(b"another")
    status, message = refusal(change(service, "load"))
    assert (status, "tiny 2 (stable): " in message) == (422, True)
    assert service.classify(png(0)).json()["version"] == "1"


@pytest.mark.parametrize("what", ["load", "unload"])
def test_who_names_no_model_that_is_there_is_told(service: Service, what: str):
    for name in ("nobody", "..", "NO"):
        assert change(service, what, name).status_code == 404


@pytest.mark.parametrize("what", ["load", "unload"])
def test_only_an_operator_changes_what_is_served(service: Service, what: str):
    assert refusal(change(service, what, headers={}))[0] == 401
    assert refusal(change(service, what, headers={"Authorization": "Bearer b"}))[0] == 401
    assert is_ready(service)


@pytest.mark.parametrize("body", [b"[]", b'{"parameters": 3}', b'{"parameters": {"config": "{}"}}', b"no JSON"])
def test_what_is_not_offered_is_refused(service: Service, body: bytes):
    assert refusal(change(service, "load", content=body))[0] == 400


def test_with_several_workers_labels_say_what_is_loaded(root: Path):
    with Service(root, "--workers", "2", *operated(root)) as service:
        status, message = refusal(change(service, "unload"))
        assert (status, "set labels" in message) == (409, True)


def test_a_model_is_not_unloaded_where_the_other_one_is_broken(root: Path):
    (root / "other" / "1" / "model.onnx").write_bytes(b"another")
    with Service(root, *operated(root)) as service:
        assert refusal(change(service, "unload"))[0] == 409
        assert is_ready(service)


def test_a_model_that_fails_to_load_again_stays_unloaded_and_the_others_ready(service: Service, root: Path):
    assert change(service, "unload").status_code == 200
    (root / "tiny" / "1" / "model.onnx").write_bytes(b"another")
    assert refusal(change(service, "load"))[0] == 422
    assert httpx.get(f"{service.url}/v1/models/tiny").json()["status"] == "unloaded"
    assert httpx.get(f"{service.url}/health/ready").status_code == 200
