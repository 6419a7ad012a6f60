"""The service as its clients see it: a real uvicorn, a real onnxruntime session, requests over a real socket."""

import struct
import threading
import zlib
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from PIL import Image
from starlette.types import Message, Receive, Scope, Send

from service.intake import IMAGE_TYPES
from service.metrics import Metrics
from service.telemetry import Telemetry
from support import (
    LABELS,
    PATIENCE,
    Connection,
    Service,
    encoded,
    eventually,
    failing_at,
    graph,
    png,
    publish,
    slow,
)

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
def test_a_multipart_body_over_the_limit_is_refused(service: Service):
    response = httpx.post(service.url + CLASSIFY, files={"image": ("a.png", bytes(200_001), "image/png")})
    assert code(response) == (413, "body_too_large")


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
@pytest.mark.parametrize("charset", ["utf-8", "punycode", "nonsense"])
def test_a_malformed_multipart_body_is_refused(service: Service, body: bytes, charset: str):
    response = service.classify(body, content_type=f"multipart/form-data; boundary=x; charset={charset}")
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


def test_a_request_that_offers_an_upgrade_keeps_its_body(service: Service):
    """As Java's HttpClient sends it when nobody told it which version to speak."""
    image = png(255)
    with Connection(service.url) as connection:
        connection.post(
            CLASSIFY,
            Connection="Upgrade, HTTP2-Settings",
            Upgrade="h2c",
            HTTP2_Settings="AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
            Content_Type="image/png",
            Content_Length=str(len(image)),
        )
        connection.send(image)
        status, answer = connection.answer()
    assert (status, answer["predictions"][0]["label"]) == (200, "light")


@pytest.mark.usefixtures("still_good")
def test_a_header_without_end_is_refused(service: Service):
    with Connection(service.url) as connection:
        connection.post(CLASSIFY, X_Long="x" * 1_000_000)
        status, problem = connection.answer()
        assert (status, problem["code"]) == (431, "request_malformed")


@pytest.mark.usefixtures("still_good")
@pytest.mark.parametrize("request_line", ["GET", "CONNECT example.org:443 HTTP/1.1", "GET http://[ HTTP/1.1", "\0\1\2"])
def test_what_is_no_request_is_refused(service: Service, request_line: str):
    with Connection(service.url) as connection:
        connection.send(f"{request_line}\r\nHost: x\r\n\r\n".encode())
        status, problem = connection.answer()
        assert (status, problem["code"]) == (400, "request_malformed")


def test_requests_that_follow_on_one_connection_are_answered_in_order_upgrade_or_not(service: Service):
    dark, light = (
        b"POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Type: image/png\r\nContent-Length: %d\r\n\r\n%s"
        % (CLASSIFY.encode(), offer, len(png(grey)), png(grey))
        for grey, offer in ((0, b""), (255, b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"))
    )
    with Connection(service.url) as connection:
        connection.send(dark + light + dark + light[:10])
        answers = [connection.answer() for _ in range(3)]
        connection.send(light[10:])
        answers.append(connection.answer())
    assert [answer["predictions"][0]["label"] for _, answer in answers] == ["dark", "light", "dark", "light"]


def test_a_connection_whose_body_was_not_asked_for_is_closed(service: Service):
    with Connection(service.url) as connection:
        connection.post("/nowhere", Content_Type="image/png", Content_Length="10", Expect="100-continue")
        assert connection.answer()[0] == 404
        assert connection.headers["connection"] == "close"


def arrived(running: Service) -> float:
    """How many images wait for a runner, or did."""
    waited = running.metric("hangtag_stage_duration_seconds_count", stage="queue")
    return running.metric("hangtag_queue_items") + waited


def test_callers_who_hang_up_while_they_wait_are_never_run(tmp_path: Path):
    publish(tmp_path, model=graph(extra=slow(products=8)))
    image = png(255)
    with Service(tmp_path, "--runners", "1", "--max-batch", "1", "--cache-bytes", "0") as running:
        with ExitStack() as hung_up:
            callers = [hung_up.enter_context(Connection(running.url)) for _ in range(6)]
            for caller in callers:
                caller.post(CLASSIFY, Content_Type="image/png", Content_Length=str(len(image)))
                caller.send(image)
            eventually(lambda: arrived(running) == 6)
            assert callers[0].answer()[0] == 200  # by then one more runs, and four wait
        eventually(lambda: running.metric("hangtag_items_total", outcome="cancelled") == 5)
        assert running.metric("hangtag_queue_items") == 0
        assert running.classify(image).status_code == 200
        assert running.metric("hangtag_batch_size_count") <= 4
        assert running.metric("hangtag_items_total", outcome="ok") == 2


def test_a_caller_whose_large_body_came_at_once_may_hang_up_too(tmp_path: Path):
    publish(tmp_path, model=graph(extra=slow(products=8)))
    large = encoded(Image.effect_noise((500, 500), 100), "PNG")
    assert len(large) > 2 * 65536  # uvicorn stops reading at this, until somebody asks for more
    with Service(tmp_path, "--runners", "1", "--max-batch", "1") as running, running.begin(png(0)) as first:
        first.send(png(0))
        eventually(lambda: arrived(running) == 1)
        with running.begin(large) as second:
            second.send(large)
            eventually(lambda: arrived(running) == 2)
        eventually(lambda: running.metric("hangtag_items_total", outcome="cancelled") == 1)
        assert first.answer()[0] == 200
        assert running.metric("hangtag_batch_size_count") == 1


def test_an_image_that_the_model_fails_on_is_answered_500_and_the_log_says_why(tmp_path: Path):
    publish(tmp_path, model=graph(extra=failing_at(77)))
    with Service(tmp_path) as running:
        assert running.classify(png(0)).status_code == 200
        failed = running.classify(png(77))
        assert code(failed) == (500, "inference_failed")
        assert running.classify(png(255)).status_code == 200
        assert running.metric("hangtag_items_total", outcome="failed") == 1
        running.wait_for(f"(request {failed.headers['x-request-id']} failed)")
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


def test_a_deadline_that_passes_while_the_image_waits_is_answered_504(tmp_path: Path):
    publish(tmp_path, model=graph(extra=slow(products=8)))
    with Service(tmp_path, "--runners", "1") as running, running.begin(png(0)) as first:
        first.send(png(0))
        eventually(lambda: arrived(running) == 1)
        late = running.ask(png(255), {"X-Request-Deadline-Ms": "1"})
        assert code(late) == (504, "deadline_exceeded")
        assert first.answer()[0] == 200
        assert running.metric("hangtag_items_total", outcome="expired") == 1
        assert running.metric("hangtag_batch_size_sum") == 1


@pytest.mark.parametrize("deadline", ["", "soon", "-1", "1.5", "1" * 10])
def test_a_deadline_that_is_none_is_refused(service: Service, deadline: str):
    response = service.ask(png(0), {"X-Request-Deadline-Ms": deadline})
    assert code(response) == (400, "request_malformed")
    assert "such as 250" in response.json()["detail"]


@pytest.mark.parametrize("priority", ["u=0", "u=7, i", "i, u=5", "u=9", "nonsense", ""])
def test_any_priority_is_taken(service: Service, priority: str):
    assert service.ask(png(0), {"Priority": priority}).status_code == 200


def test_more_pixels_than_may_be_held_together_are_shed(tmp_path: Path):
    publish(tmp_path, model=graph(extra=slow(products=8)))
    options = ["--runners", "1", "--max-held-pixels", "1", "--cache-bytes", "0"]
    with Service(tmp_path, *options) as running, running.begin(png(0)) as first:
        first.send(png(0))
        eventually(lambda: arrived(running) == 1)
        assert code(running.classify(png(0))) == (429, "queue_full")
        assert first.answer()[0] == 200
