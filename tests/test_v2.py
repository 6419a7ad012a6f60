"""The Open Inference Protocol over REST, as a client sees it that knows nothing else of us."""

import json
import signal
from importlib.metadata import version
from pathlib import Path
from time import monotonic

import httpx
import numpy as np
import pytest
from starlette.types import Message, Receive, Scope, Send

from artifact.rollout import Rollout
from connected import Connection
from graphs import failing_at, graph, slow
from open_inference import (
    INFER,
    JSON_LENGTH,
    ask,
    elements,
    image,
    in_binary,
    photos,
    pixels,
    post,
    refusal,
    scores,
)
from service.metrics import Metrics
from service.telemetry import Telemetry
from service.terms import Terms
from service.v2.request import InferRequest
from support import LABELS, Service, card, eventually, png, publish

SHADES = (0, 128, 255)


def get(service: Service, path: str) -> httpx.Response:
    return httpx.get(f"{service.url}/v2{path}")


def expected(service: Service, *shades: int) -> np.ndarray:
    """What /v1 says of pictures of these greys, in the order of the labels."""
    found = []
    for shade in shades:
        ranked = {p["label"]: p["score"] for p in service.classify(png(shade)).json()["predictions"]}
        found.append([ranked[label] for label in LABELS])
    return np.array(found, np.float32)


def test_the_server_says_what_it_is(service: Service):
    answer = get(service, "").json()
    assert (answer["name"], answer["version"]) == ("hangtag", version("hangtag"))
    assert answer["extensions"] == ["binary_tensor_data", "classification", "model_repository", "schedule_policy"]
    assert get(service, "/").json() == answer


def test_the_server_is_live_and_ready(service: Service):
    assert get(service, "/health/live").json() == {"live": True}
    assert get(service, "/health/ready").json() == {"ready": True}


def test_a_server_whose_model_failed_to_load_is_not_ready_and_says_so(tmp_path: Path):
    (publish(tmp_path) / "model.onnx").write_bytes(b"damaged")
    with Service(tmp_path) as running:
        assert get(running, "/health/live").status_code == 200
        for path in ("/health/ready", "/models/tiny/ready", "/models/tiny"):
            assert refusal(get(running, path))[0] == 503
        [entry] = httpx.post(f"{running.url}/v2/repository/index").json()
        assert (entry["version"], entry["state"]) == ("1", "UNAVAILABLE")
        assert "digest" in entry["reason"]
        assert httpx.post(f"{running.url}/v2/repository/index", json={"ready": True}).json() == []


def test_a_server_that_drains_is_not_ready_and_answers_all_the_same(models: Path):
    with Service(models, "--drain-seconds", "30") as running:
        running.signal(signal.SIGTERM)
        running.wait_for("(draining)")
        assert refusal(get(running, "/health/ready")) == (503, "The service is shutting down; ask another replica.")
        assert scores(ask(running, image(0))).shape == (1, 3)
        running.signal(signal.SIGTERM)  # the second one cuts the draining short


@pytest.mark.parametrize("path", ["/models/tiny", "/models/tiny/versions/1", "/models/tiny/versions/stable"])
def test_a_model_says_what_it_takes_and_gives(service: Service, path: str):
    assert get(service, path).json() == {
        "name": "tiny",
        "versions": ["1"],
        "platform": "onnxruntime_onnx",
        "inputs": [
            {"name": "image", "datatype": "UINT8", "shape": [-1, 8, 8, 1]},
            {"name": "image_bytes", "datatype": "BYTES", "shape": [-1]},
        ],
        "outputs": [{"name": "scores", "datatype": "FP32", "shape": [-1, 3]}],
    }
    assert get(service, f"{path}/ready").json() == {"name": "tiny", "ready": True}


def test_the_repository_lists_every_version(service: Service):
    ready = [{"name": "tiny", "version": "1", "state": "READY", "reason": ""}]
    for body in (b"", b"{}", b'{"ready": true}'):
        assert httpx.post(f"{service.url}/v2/repository/index", content=body).json() == ready
    assert refusal(httpx.post(f"{service.url}/v2/repository/index", content=b"[]"))[0] == 400


def test_pixels_and_photos_get_the_same_scores_however_they_are_sent(service: Service):
    right = expected(service, *SHADES)
    array, encoded = pixels(*SHADES), [png(shade) for shade in SHADES]
    answers = [
        ask(service, image(*SHADES)),
        ask(service, image(*SHADES, data=array.ravel().tolist())),
        ask(service, photos(*encoded)),
        post(service, {"inputs": [in_binary(image(*SHADES), array.tobytes())]}, array.tobytes()),
        post(service, {"inputs": [in_binary(photos(*encoded), elements(encoded))]}, elements(encoded)),
    ]
    for answer in answers:
        np.testing.assert_allclose(scores(answer), right, atol=1e-6)


def test_a_body_without_json_is_one_photo_and_is_answered_in_binary(service: Service):
    answer = post(service, b"", png(255), Content_Type="image/png")
    assert answer.headers["content-type"] == "application/octet-stream"
    np.testing.assert_allclose(scores(answer), expected(service, 255), atol=1e-6)


def test_the_version_may_be_named_by_number_or_label(service: Service):
    for named in ("1", "stable"):
        answer = post(service, {"inputs": [image(0)]}, path=f"/v2/models/tiny/versions/{named}/infer")
        assert (answer.json()["model_name"], answer.json()["model_version"]) == ("tiny", "1")


def test_the_answer_has_the_requests_id_and_none_where_it_had_none(service: Service):
    assert ask(service, image(0), id="order 17").json()["id"] == "order 17"
    assert "id" not in ask(service, image(0)).json()


@pytest.mark.parametrize(
    ("for_all", "for_one", "is_binary"),
    [(None, None, False), (True, None, True), (False, True, True), (True, False, False)],
)
def test_outputs_come_in_binary_where_that_is_asked_for(
    service: Service, *, for_all: bool | None, for_one: bool | None, is_binary: bool
):
    outputs = [] if for_one is None else [{"name": "scores", "parameters": {"binary_data": for_one}}]
    answer = ask(service, image(0, 255), outputs=outputs, parameters={"binary_data_output": for_all})
    assert (JSON_LENGTH in answer.headers) == is_binary
    assert scores(answer).shape == (2, 3)


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (2, 2), (100, 3)])
def test_classification_gives_the_best_labels_as_triton_writes_them(service: Service, count: int, columns: int):
    wanted = {"name": "scores", "parameters": {"classification": count}}
    [output] = ask(service, image(0, 250), outputs=[wanted]).json()["outputs"]
    assert (output["datatype"], output["shape"], len(output["data"])) == ("BYTES", [2, columns], 2 * columns)
    assert output["data"][0] == f"{scores(ask(service, image(0)))[0, 0]:f}:0:dark"
    assert output["data"][columns].endswith(":2:light")
    in_bytes = {"name": "scores", "parameters": {"classification": count, "binary_data": True}}
    answer = ask(service, image(0, 250), outputs=[in_bytes])
    assert answer.content.endswith(elements([text.encode() for text in output["data"]]))


def test_a_canary_answers_its_share_and_who_names_stable_gets_it(tmp_path: Path):
    publish(tmp_path)
    publish(tmp_path, card(version="2"))
    Rollout(stable="1", canary="2", canary_share=0.5).write(tmp_path / "tiny")

    def version_for(key: str) -> str:
        answered: str = post(running, {"inputs": [image(0)]}, X_Request_Key=key).json()["model_version"]
        return answered

    with Service(tmp_path) as running:
        assert get(running, "/models/tiny").json()["versions"] == ["1", "2"]
        assert get(running, "/models/tiny/versions/canary").json()["versions"] == ["2"]
        entries = httpx.post(f"{running.url}/v2/repository/index").json()
        assert [(entry["version"], entry["state"]) for entry in entries] == [("1", "READY"), ("2", "READY")]
        dealt = {str(key): version_for(str(key)) for key in range(30)}
        assert set(dealt.values()) == {"1", "2"}
        assert all(version_for(key) == version for key, version in dealt.items())
        stable = post(running, {"inputs": [image(0)]}, path="/v2/models/tiny/versions/stable/infer")
        assert stable.json()["model_version"] == "1"


@pytest.mark.parametrize(("priority", "urgency"), [(0, 5), (1, 0), (4, 3), (8, 7), (9, 7), (2**62, 7)])
def test_a_priority_counts_from_1_and_none_leaves_it_to_the_header(priority: int, urgency: int):
    asked = InferRequest(inputs=[], parameters={"priority": priority})
    assert asked.terms(Terms(urgency=5, deadline=1.0)).urgency == urgency


def test_a_timeout_is_a_deadline_and_the_earlier_one_holds():
    now = monotonic()
    asked = InferRequest(inputs=[], parameters={"timeout": 2_000_000})
    assert asked.terms(Terms(3, now + 30)).deadline == pytest.approx(now + 2, abs=1)
    assert asked.terms(Terms(3, now + 1)).deadline == now + 1
    assert InferRequest(inputs=[]).terms(Terms(3, now + 30)).deadline == now + 30


def test_keys_that_nobody_knows_and_nulls_are_passed_over(service: Service):
    answer = ask(
        service,
        image(0) | {"parameters": None, "layout": "NHWC"},
        model_name="tiny",
        outputs=None,
        parameters={"sequence_id": 3, "custom": "x"},
    )
    assert scores(answer).shape == (1, 3)


def test_every_image_is_counted(models: Path):
    with Service(models) as running:
        ask(running, image(0, 255))
        ask(running, image(0, shape=[1]))
        assert running.metric("hangtag_items_total", outcome="ok") == 2
        ask(running, image(0), outputs=[{"name": "logits"}])
        assert running.metric("hangtag_items_total", outcome="invalid") == 2
        assert running.metric("hangtag_batch_size_sum") == 2
        assert running.metric("http_requests_total", route="/v2/models/{model}/infer", status="200") == 1
        assert running.metric("http_requests_total", route="/v2/models/{model}/infer", status="400") == 2
        assert running.metric("http_requests_total", route="/v2/health/ready", status="200") == 0


def test_who_hangs_up_is_not_worked_for_any_more(tmp_path: Path):
    publish(tmp_path, model=graph(extra=slow(products=8)))
    body = json.dumps({"inputs": [image(*[0] * 40)]}).encode()
    with Service(tmp_path, "--runners", "1", "--max-batch", "1") as running:
        with Connection(running.url) as caller:
            caller.post(INFER, Content_Length=str(len(body)))
            caller.send(body)
            eventually(lambda: running.metric("hangtag_batch_size_count") > 0)
        eventually(lambda: running.metric("hangtag_items_total", outcome="cancelled") == 40)
        eventually(lambda: running.metric("hangtag_queue_items") == 0)
        assert running.metric("hangtag_batch_size_count") < 40


def test_the_openapi_document_shows_what_is_asked_and_answered(service: Service):
    document = httpx.get(f"{service.url}/openapi.json").json()
    operation = document["paths"]["/v2/models/{model}/infer"]["post"]
    body = operation["requestBody"]["content"]
    assert body.keys() == {"application/json", "application/octet-stream"}
    assert "$ref" not in json.dumps(body)
    assert operation["responses"]["200"]["content"].keys() == body.keys()
    for path in ("/v2/models/{model}", "/v2/models/{model}/infer"):
        [operation] = document["paths"][path].values()
        for status, response in operation["responses"].items():
            if status != "200":  # and none is FastAPI's own
                failure = response["content"]["application/json"]["schema"]
                assert failure == {"$ref": "#/components/schemas/ErrorResponse"}


def test_errors_under_v2_are_the_protocols_whoever_finds_them(service: Service, tmp_path: Path):
    assert refusal(get(service, "/nowhere"))[0] == 404
    assert refusal(get(service, "/models/other"))[0] == 404
    assert refusal(get(service, "/models/tiny/versions/7"))[0] == 404
    assert refusal(get(service, "/models/tiny/infer"))[0] == 405
    assert httpx.get(f"{service.url}/v2x").headers["content-type"] == "application/problem+json"
    publish(tmp_path, model=graph(extra=failing_at(77)))
    with Service(tmp_path) as running:
        assert refusal(ask(running, image(77)))[0] == 500
        assert ask(running, image(0)).status_code == 200


async def test_a_defect_of_ours_is_answered_as_the_protocol_has_it():
    async def broken(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ZeroDivisionError("a secret")

    class Idle:
        draining = False

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/v2", "headers": []}
    await Telemetry(broken, Metrics("1"), Idle())(scope, None, send)
    assert sent[0]["status"] == 500
    assert json.loads(sent[1]["body"]) == {"error": "The service failed; its log says why."}


def test_a_request_that_finds_nothing_else_is_let_in_whole(models: Path):
    held = ("--max-items", "8", "--max-held-pixels", "100")
    with Service(models, *held) as running:
        body = {"inputs": [image(*[0] * 8)]}
        assert post(running, body, Priority="u=5").status_code == 200
        assert post(running, body).status_code == 200


def test_where_one_image_is_none_no_prediction_is_counted(models: Path):
    with Service(models) as running:
        assert ask(running, photos(png(0), png(255), b"none")).status_code == 422
        assert running.metric("hangtag_confidence_count") == 0
        assert running.metric("hangtag_items_total", outcome="invalid") == 3
