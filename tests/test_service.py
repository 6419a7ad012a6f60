"""The service as its clients see it: a real uvicorn, a real onnxruntime session, requests over a real socket."""

import threading
from pathlib import Path

import httpx
import pytest
from PIL import Image
from starlette.types import Message, Receive, Scope, Send

from graphs import failing_at, graph
from service.intake import IMAGE_TYPES
from service.metrics import Metrics
from service.telemetry import Telemetry
from support import CLASSIFY, LABELS, PATIENCE, Service, code, encoded, png, publish


@pytest.mark.parametrize(("shade", "label"), [(0, "dark"), (128, "middle"), (255, "light")])
def test_a_photo_is_answered_with_ranked_labels_and_a_decision(service: Service, shade: int, label: str):
    response = service.classify(png(shade))
    assert response.status_code == 200, response.text
    body = response.json()
    assert (body["model"], body["version"], body["threshold"]) == ("tiny", "1", 0.9)
    assert body["predictions"][0]["label"] == label
    scores = [prediction["score"] for prediction in body["predictions"]]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1, abs=1e-5)
    assert body["decision"] == ("accept" if scores[0] >= 0.9 else "review")


def test_an_unsure_answer_is_for_review(service: Service):
    body = service.classify(png(64)).json()
    assert body["predictions"][0]["score"] < 0.9
    assert body["decision"] == "review"


def test_top_k_says_how_many_labels_to_answer_with(service: Service):
    assert len(service.classify(png(0), top_k="2").json()["predictions"]) == 2
    assert len(service.classify(png(0), top_k="1000").json()["predictions"]) == len(LABELS)
    assert code(service.classify(png(0), top_k="0")) == (400, "request_malformed")
    assert code(service.classify(png(0), top_k="many")) == (400, "request_malformed")
    assert code(service.classify(png(0), top_k="00001" + "0" * 5000)) == (400, "request_malformed")


def test_multipart_and_raw_body_get_the_same_answer(service: Service):
    files = {"image": ("shirt.png", png(200), "image/png")}
    multipart = httpx.post(service.url + CLASSIFY, files=files)
    assert multipart.status_code == 200, multipart.text
    assert multipart.json()["predictions"] == service.classify(png(200)).json()["predictions"]


def test_a_multipart_photo_larger_than_a_megabyte_stays_in_memory(models: Path):
    noise = Image.effect_noise((1200, 1000), 100)
    with Service(models, wrapper=["bash", "-c", 'ulimit -f 0; exec "$@"', "no files"]) as running:
        photo = encoded(noise, "PNG")
        assert len(photo) > 2**20
        response = httpx.post(running.url + CLASSIFY, files={"image": ("a.png", photo)})
        assert response.status_code == 200, response.text


@pytest.mark.parametrize("content_type", [*IMAGE_TYPES, "application/octet-stream", "IMAGE/PNG; charset=binary"])
def test_every_image_type_is_taken(service: Service, content_type: str):
    kind = content_type.lower().removeprefix("image/").split(";")[0]
    image = encoded(Image.new("L", (8, 8), 250), "PNG" if kind.startswith("application") else kind)
    response = service.classify(image, content_type=content_type)
    assert response.status_code == 200, response.text
    assert response.json()["predictions"][0]["label"] == "light"


def test_the_version_may_be_named(service: Service):
    url = f"{service.url}/v1/models/tiny/versions/{{}}/classify"
    headers = {"Content-Type": "image/png"}
    assert httpx.post(url.format(1), content=png(0), headers=headers).json()["version"] == "1"
    response = httpx.post(url.format(2), content=png(0), headers=headers)
    assert code(response) == (404, "version_not_found")


def test_a_request_keeps_its_id_if_it_brings_a_plain_one(service: Service):
    def ask(request_id: str) -> httpx.Response:
        headers = {"Content-Type": "image/png", "X-Request-ID": request_id}
        return httpx.post(service.url + CLASSIFY, content=png(0), headers=headers)

    kept = ask("order-17.a")
    assert kept.headers["x-request-id"] == kept.json()["id"] == "order-17.a"
    for unsafe in ("x" * 129, "two words", 'a"quote', ""):
        replaced = ask(unsafe)
        assert replaced.headers["x-request-id"] == replaced.json()["id"] != unsafe


def test_models_are_listed_with_their_cards(service: Service):
    listed = httpx.get(f"{service.url}/v1/models").json()
    assert listed == {"models": [{"name": "tiny", "version": "1", "status": "ready", "reason": None}]}
    card = httpx.get(f"{service.url}/v1/models/tiny").json()["card"]
    assert card["labels"] == list(LABELS)
    assert code(httpx.get(f"{service.url}/v1/models/nothing")) == (404, "model_not_found")


def test_health_and_docs_answer(service: Service):
    assert httpx.get(f"{service.url}/health/live").json()["status"] == "live"
    assert httpx.get(f"{service.url}/health/startup").json()["status"] == "started"
    ready = httpx.get(f"{service.url}/health/ready").json()
    assert ready == {"status": "ready", "models": {"tiny": "ready"}}
    assert "swagger" in httpx.get(f"{service.url}/docs").text.lower()
    paths = httpx.get(f"{service.url}/openapi.json").json()["paths"]
    body = paths["/v1/models/{model}/classify"]["post"]["requestBody"]["content"]
    assert body.keys() == {*IMAGE_TYPES, "application/octet-stream", "multipart/form-data"}


def test_nothing_else_is_there(service: Service):
    assert code(httpx.get(f"{service.url}/nowhere")) == (404, "route_not_found")
    assert code(httpx.get(service.url + CLASSIFY)) == (405, "method_not_allowed")


def test_every_outcome_is_counted_once(models: Path):
    with Service(models, "--max-items", "1") as running:
        assert running.metric("hangtag_items_total", outcome="ok") == 0
        running.classify(png(0))
        running.classify(b"text")
        with running.begin(png(255)) as held:
            running.classify(png(0))
            held.finish()
        expected = {"ok": 2, "invalid": 1, "rejected": 1, "expired": 0, "failed": 0, "cancelled": 0}
        assert {outcome: running.metric("hangtag_items_total", outcome=outcome) for outcome in expected} == expected
        assert running.metric("hangtag_rejected_total", reason="queue_full") == 1
        assert running.metric("hangtag_predictions_total", label="light", decision="accept") == 1
        assert running.metric("hangtag_predictions_total", label="middle", decision="accept") == 0
        assert running.metric("hangtag_confidence_count") == 2
        assert running.metric("hangtag_batch_size_sum") == 2
        assert running.metric("hangtag_stage_duration_seconds_count", stage="decode") == 3
        assert running.metric("hangtag_queue_items") == 0
        route = "/v1/models/{model}/classify"
        assert running.metric("http_requests_total", method="POST", route=route, status="200") == 2
        assert running.metric("http_requests_total", method="POST", route=route, status="429") == 1


def test_a_path_that_is_not_there_makes_no_series_of_its_own(service: Service):
    httpx.get(f"{service.url}/secret-path-1")
    assert service.metric("http_requests_total", method="GET", route="unmatched", status="404") >= 1
    assert "secret-path" not in httpx.get(f"{service.url}/metrics").text


@pytest.mark.parametrize("accept", ["", "text/plain", "application/openmetrics-text;version=abc", "*/*;q=nonsense"])
def test_metrics_are_given_to_whoever_asks_however_oddly(service: Service, accept: str):
    assert "hangtag_items" in httpx.get(f"{service.url}/metrics", headers={"Accept": accept}).text


def test_an_image_that_the_model_fails_on_is_answered_500_and_the_log_says_why(tmp_path: Path):
    publish(tmp_path, model=graph(extra=failing_at(77)))
    with Service(tmp_path) as running:
        assert running.classify(png(0)).status_code == 200
        failed = running.classify(png(77))
        assert code(failed) == (500, "inference_failed")
        assert running.classify(png(255)).status_code == 200
        assert running.metric("hangtag_items_total", outcome="failed") == 1
        running.wait_for(f"(request failed) .* request_id={failed.headers['x-request-id']}")
        running.wait_for("(indices element out of data bounds)")


def test_the_service_answers_others_while_it_decodes(models: Path):
    large = encoded(Image.new("L", (7000, 7000), 255), "PNG")  # few bytes, and long to decode
    with Service(models) as running, running.begin(large) as held, httpx.Client(base_url=running.url) as client:
        decoding = threading.Thread(target=held.finish)
        decoding.start()
        answered = 0
        while running.metric("hangtag_stage_duration_seconds_count", stage="decode") == 0:
            answered += client.get("/health/live").status_code == 200
        decoding.join(PATIENCE)
    assert answered >= 3


async def test_a_defect_of_ours_is_answered_500_with_the_requests_id():
    async def broken(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ZeroDivisionError("a secret")

    class Idle:
        draining = False

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"x-request-id", b"mine")]}
    await Telemetry(broken, Metrics("1"), Idle())(scope, None, send)
    assert sent[0]["status"] == 500
    assert (b"x-request-id", b"mine") in sent[0]["headers"]
    assert b"internal_error" in sent[1]["body"]
    assert b"secret" not in sent[1]["body"]


@pytest.mark.parametrize(
    "path", ["/health/live", "/health/ready", "/v1/models", "/metrics", "/docs", "/openapi.json", "/"]
)
def test_head_is_answered_as_get_without_its_body(service: Service, path: str):
    response = httpx.head(service.url + path)
    assert response.status_code == 200
    assert response.headers["content-type"] == httpx.get(service.url + path).headers["content-type"]
    assert int(response.headers["content-length"]) > 0
    assert response.content == b""


def test_head_is_refused_where_get_is_and_counted_as_what_it_is(service: Service):
    assert httpx.head(service.url + CLASSIFY).status_code == 405
    assert httpx.head(service.url + "/v1/models/nosuch").status_code == 404
    httpx.head(service.url + "/health/live")
    assert service.metric("http_requests_total", method="HEAD", route="/health/live", status="200") >= 1
