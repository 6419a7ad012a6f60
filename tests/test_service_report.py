"""The report page as a browser gets it: from a real service, whose model was published with a page."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import hangtag
from artifact.digest import digest_bytes
from artifact.repository import REPORT_FILE
from support import Service, card, publish

PAGE = "<!doctype html><title>drawn</title><p>94.6 % in Größe</p>".encode()
ETAG = f'"{digest_bytes(PAGE)}"'


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    publish(root, report=PAGE)
    publish(root, card(name="without"))
    publish(root, card(name="broken"))
    (root / "broken" / "1" / "model.onnx").write_bytes(b"")
    publish(root, card(name="changed"), report=PAGE)
    return root


@pytest.fixture(scope="module")
def running(models: Path) -> Iterator[Service]:
    with Service(models) as service:
        yield service


def ask(running: Service, model: str = "tiny", **headers: str) -> httpx.Response:
    return httpx.get(f"{running.url}/v1/models/{model}/report", headers=headers)


def code(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


def test_the_page_comes_as_it_was_published_and_may_load_nothing(running: Service):
    response = ask(running)
    assert (response.status_code, response.content) == (200, PAGE)
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"
    policy = [part.strip() for part in response.headers["content-security-policy"].split(";")]
    assert policy[:3] == ["default-src 'none'", "img-src data:", "style-src 'unsafe-inline'"]
    assert {"base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"} == set(policy[3:])


@pytest.mark.parametrize("known", [ETAG, f"W/{ETAG}", f'"another", {ETAG}', "*"])
def test_a_client_that_has_the_page_is_told_so(running: Service, known: str):
    assert ask(running).headers["etag"] == ETAG
    response = ask(running, **{"If-None-Match": known})
    assert (response.status_code, response.content) == (304, b"")
    assert response.headers["etag"] == ETAG


@pytest.mark.parametrize("known", ["", '"another"', digest_bytes(PAGE), "W/"])
def test_a_client_that_has_another_page_gets_this_one(running: Service, known: str):
    assert ask(running, **{"If-None-Match": known}).content == PAGE


def test_what_has_no_page_says_so(running: Service):
    assert code(ask(running, "without")) == (404, "report_not_found")
    assert code(ask(running, "nothing")) == (404, "model_not_found")
    unavailable = ask(running, "broken")
    assert code(unavailable) == (503, "model_unavailable")
    assert unavailable.headers["retry-after"] == "1"


def test_a_page_that_was_changed_after_the_model_was_loaded_is_never_sent(running: Service, models: Path):
    assert ask(running, "changed").status_code == 200
    (models / "changed" / "1" / REPORT_FILE).write_bytes(b"<script>alert(1)</script>")
    response = ask(running, "changed")
    assert code(response) == (500, "internal_error")
    assert str(models) not in response.text
    running.wait_for(r"(DigestMismatch: .*report\.html has the digest)")


def test_a_page_that_does_not_fit_its_card_keeps_the_model_out_of_service(tmp_path: Path):
    folder = publish(tmp_path, report=PAGE)
    (folder / REPORT_FILE).write_bytes(PAGE + b" ")
    with Service(tmp_path) as service:
        assert code(ask(service)) == (503, "model_unavailable")
        assert "report.html has the digest" in httpx.get(f"{service.url}/v1/models/tiny").json()["reason"]


def test_a_trained_model_is_served_with_the_page_that_its_training_wrote(drawn_run: Path, tmp_path: Path):
    assert hangtag.main(["export", str(drawn_run), "--models", str(tmp_path)]) == 0
    with Service(tmp_path) as service:
        assert ask(service, "drawn").content == (drawn_run / REPORT_FILE).read_bytes()
