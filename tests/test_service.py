"""The service as its clients see it: a real uvicorn, a real onnxruntime session, requests over a real socket."""

import struct
import zlib
from pathlib import Path

import httpx
import pytest
from PIL import Image

from service.intake import IMAGE_TYPES
from support import LABELS, Connection, Service, encoded, eventually, png

CLASSIFY = "/v1/models/tiny/classify"


def code(response: httpx.Response) -> tuple[int, str]:
    """Status and stable code of a problem, which must be a whole one and hold no trace of the inside."""
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem.keys() == {"type", "title", "status", "detail", "code"}
    assert problem["status"] == response.status_code
    assert "Traceback" not in response.text
    assert ".py" not in response.text
    return response.status_code, problem["code"]


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


def test_multipart_and_raw_body_get_the_same_answer(service: Service):
    files = {"image": ("shirt.png", png(200), "image/png")}
    multipart = httpx.post(service.url + CLASSIFY, files=files)
    assert multipart.status_code == 200, multipart.text
    assert multipart.json()["predictions"] == service.classify(png(200)).json()["predictions"]


def test_a_multipart_photo_larger_than_a_megabyte_stays_in_memory(models: Path):
    noise = Image.effect_noise((1200, 1000), 100)
    with Service(models, environment={"TMPDIR": "/proc/nowhere"}) as running:
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
    replaced = ask("x" * 500)
    assert replaced.headers["x-request-id"] == replaced.json()["id"] != "x" * 500


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
    assert body.keys() == {*IMAGE_TYPES, "multipart/form-data"}


# Bad input: each has its own clear error, and the next good request is answered.


@pytest.fixture
def still_good(service: Service):
    yield
    assert service.classify(png(0)).status_code == 200


def bomb(width: int, height: int) -> bytes:
    """A PNG that declares many pixels in few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(bytes((width + 7) // 8 + 1) * height, 9)
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.usefixtures("still_good")
def test_an_empty_body_is_refused(service: Service):
    assert code(service.classify(b"")) == (400, "image_empty")


@pytest.mark.usefixtures("still_good")
def test_text_that_says_it_is_a_jpeg_is_refused(service: Service):
    assert code(service.classify(b"hello", content_type="image/jpeg")) == (422, "image_type_unsupported")


@pytest.mark.usefixtures("still_good")
def test_a_truncated_jpeg_is_refused(service: Service):
    whole = encoded(Image.effect_noise((64, 64), 60), "JPEG")
    response = service.classify(whole[: len(whole) // 2], content_type="image/jpeg")
    assert code(response) == (422, "image_truncated")


def test_a_png_bomb_is_refused(models: Path):
    picture = bomb(10_000, 6_000)
    assert len(picture) < 20_000
    with Service(models) as with_default_limits:
        response = with_default_limits.classify(picture)
        assert code(response) == (413, "image_too_many_pixels")
        assert with_default_limits.classify(png(0)).status_code == 200


@pytest.mark.usefixtures("still_good")
def test_a_declared_body_over_the_limit_is_refused_before_it_is_sent(service: Service):
    with Connection(service.url) as connection:
        connection.post(CLASSIFY, Content_Type="image/png", Content_Length="200001")
        status, problem = connection.answer()
    assert (status, problem["code"]) == (413, "body_too_large")


@pytest.mark.usefixtures("still_good")
def test_a_body_of_unknown_length_is_refused_while_it_streams_in(service: Service):
    with Connection(service.url) as connection:
        connection.post(CLASSIFY, Content_Type="image/png", Transfer_Encoding="chunked")
        for _ in range(3):  # the last chunk, which would end the body, is never sent
            connection.send(b"%x\r\n" % 100_000 + bytes(100_000) + b"\r\n")
        status, problem = connection.answer()
    assert (status, problem["code"]) == (413, "body_too_large")


@pytest.mark.usefixtures("still_good")
@pytest.mark.parametrize("content_type", ["text/plain", "image/svg+xml", "application/x-www-form-urlencoded"])
def test_a_wrong_content_type_is_refused(service: Service, content_type: str):
    assert code(service.classify(png(0), content_type=content_type)) == (415, "content_type_unsupported")


@pytest.mark.usefixtures("still_good")
def test_an_unknown_model_is_refused_and_the_known_ones_are_named(service: Service):
    response = service.classify(png(0), model="shoes")
    assert code(response) == (404, "model_not_found")
    assert "tiny" in response.json()["detail"]


@pytest.mark.usefixtures("still_good")
def test_a_multipart_body_without_the_field_is_refused_and_its_fields_are_named(service: Service):
    response = httpx.post(service.url + CLASSIFY, files={"photo": ("a.png", png(0))})
    assert code(response) == (400, "request_malformed")
    assert "photo" in response.json()["detail"]


@pytest.mark.usefixtures("still_good")
def test_a_multipart_field_of_a_wrong_type_is_refused(service: Service):
    files = {"image": ("a.svg", b"<svg/>", "image/svg+xml")}
    response = httpx.post(service.url + CLASSIFY, files=files)
    assert code(response) == (415, "content_type_unsupported")


@pytest.mark.usefixtures("still_good")
@pytest.mark.parametrize("body", [b"", b"no boundary here", b"--x\r\nbroken"])
def test_a_malformed_multipart_body_is_refused(service: Service, body: bytes):
    response = service.classify(body, content_type="multipart/form-data; boundary=x")
    assert code(response) == (400, "request_malformed")


@pytest.mark.usefixtures("still_good")
def test_two_files_in_one_multipart_body_are_refused(service: Service):
    files = [("image", ("a.png", png(0))), ("image", ("b.png", png(1)))]
    response = httpx.post(service.url + CLASSIFY, files=files)
    assert code(response) == (400, "request_malformed")


def test_a_client_that_hangs_up_in_its_body_is_counted_and_disturbs_nobody(models: Path):
    with Service(models, "--max-items", "1") as running:
        with running.begin(png(0)):
            refused = running.classify(png(0))
            assert code(refused) == (429, "queue_full")
            assert refused.headers["retry-after"] == "1"
        eventually(lambda: running.classify(png(0)).status_code == 200)
        assert running.metric("hangtag_items_total", outcome="cancelled") == 1


def test_a_body_that_never_arrives_loses_its_place(models: Path):
    with Service(models, "--body-timeout-seconds", "0.2", "--max-items", "1") as running:
        with running.begin(png(0)) as held:
            status, problem = held.answer()
        assert (status, problem["code"]) == (408, "body_timeout")
        assert running.classify(png(0)).status_code == 200


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
        expected = {"ok": 2, "invalid": 1, "rejected": 1, "failed": 0, "cancelled": 0}
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
