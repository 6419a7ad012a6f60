"""The client: what it sends, answers and raises."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from answering import OK, Answer, answering, refusal, takes
from artifact.errors import AnswerInvalid, PhotoUnreadable, ProblemAnswered
from service.client import AsyncClient, Client
from support import LABELS, PATIENCE, ROOT, Service, card, png

# Answers


def test_a_photo_is_answered_as_over_http_whether_bytes_or_a_path(service: Service, tmp_path: Path):
    (tmp_path / "light.png").write_bytes(png(255))
    with Client(service.url) as client:
        answers = [client.classify(photo, "tiny") for photo in (png(255), tmp_path / "light.png")]
        answers.append(client.classify(str(tmp_path / "light.png"), "tiny", version="1"))
    expected = service.classify(png(255)).json()
    assert [answer | {"id": ""} for answer in answers] == [expected | {"id": ""}] * 3


async def test_the_same_with_asyncio(service: Service):
    async with AsyncClient(service.url) as client:
        answer = await client.classify(png(0), "tiny", top_k=2, request_id="order-17")
        assert (await client.readiness()).status == "ready"
        assert [model.name for model in await client.models()] == ["tiny"]
        detail = await client.model("tiny")
    assert answer["id"] == "order-17"
    assert [prediction["label"] for prediction in answer["predictions"]] == ["dark", "middle"]
    assert detail.card
    assert detail.card.labels == LABELS


def test_models_and_readiness_are_told_without_asyncio(service: Service):
    with Client(service.url) as client:
        assert [(model.name, model.status) for model in client.models()] == [("tiny", "ready")]
        assert client.model("tiny").card == card().model_copy(update={"files": client.model("tiny").card.files})
        assert client.readiness().models == {"tiny": "ready"}


def test_what_is_asked_for_is_sent():
    with answering(OK) as (url, seen), Client(url, headers={"Authorization": "Bearer x"}) as client:
        client.classify(b"", "a b", version="canary", top_k=3, urgency=6, deadline=2, request_id="r", key="shop-1")
        client.classify(b"", "tiny", version=None, urgency=None)
    full, bare = seen
    assert full.path == "/v1/models/a%20b/versions/canary/classify?top_k=3"
    assert full.headers["Authorization"] == "Bearer x"
    names = ("Content-Type", "Priority", "X-Request-Key", "X-Request-ID")
    assert [full.headers[name] for name in names] == ["application/octet-stream", "u=6", "shop-1", "r"]
    assert 1500 < int(full.headers["X-Request-Deadline-Ms"]) <= 2000
    assert bare.path == "/v1/models/tiny/classify"
    assert [bare.headers[name] for name in names] == ["application/octet-stream", None, None, None]
    assert 29000 < int(bare.headers["X-Request-Deadline-Ms"]) <= 30000


def test_what_is_misspelt_is_not_passed_over(service: Service):
    with Client(service.url) as client:
        with pytest.raises(TypeError, match="no topk"):
            client.classify(png(0), "tiny", topk=3)
        with pytest.raises(TypeError, match="no topk"):
            list(client.classify_many([png(0)], "tiny", topk=3))


def test_a_service_that_is_not_ready_says_so_without_being_asked_again():
    draining = Answer(503, {}, json.dumps({"status": "draining", "models": {"tiny": "ready"}}))
    with answering(draining) as (url, seen), Client(url) as client:
        assert client.readiness().status == "draining"
    assert len(seen) == 1


def test_keys_of_a_newer_service_are_passed_over(service: Service):
    with Client(service.url) as client:
        known = client.model("tiny")
    newer = json.loads(known.model_dump_json())
    newer["since"] = newer["card"]["colour"] = "2030"
    with answering(Answer(200, {}, json.dumps(newer))) as (url, _), Client(url) as client:
        assert client.model("tiny") == known


def test_importing_the_client_loads_neither_the_server_nor_onnxruntime():
    program = "import sys, service.client; print({'fastapi', 'starlette', 'uvicorn', 'onnxruntime'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


def test_a_program_that_does_not_close_its_client_ends_all_the_same(service: Service):
    program = "import sys, service.client; client = service.client.Client(sys.argv[1]); client.models()"
    subprocess.run([sys.executable, "-c", program, service.url], cwd=ROOT, check=True, timeout=PATIENCE)


def test_closing_breaks_off_what_is_asked(silent: str):
    with takes(0, 5), Client(silent) as client:
        asked = client._start(client._client.models())
    assert asked.done()
    client.close()


# Errors


@pytest.mark.parametrize(
    ("photo", "model", "how", "expected"),
    [
        (png(0), "shoes", {}, (404, "model_not_found")),
        (png(0), "tiny", {"version": "7"}, (404, "version_not_found")),
        (png(0), "tiny", {"top_k": 0}, (400, "request_malformed")),
        (b"", "tiny", {}, (400, "image_empty")),
        (png(0)[:-20], "tiny", {}, (422, "image_truncated")),
        (bytes(200_001), "tiny", {}, (413, "body_too_large")),
    ],
)
def test_a_problem_is_raised_with_its_status_code_and_detail(
    service: Service, photo: bytes, model: str, how: dict, expected: tuple[int, str]
):
    with Client(service.url) as client, pytest.raises(ProblemAnswered) as caught:
        client.classify(photo, model, request_id="bad-1", **how)
    error = caught.value
    assert (error.status, error.code, error.request_id, error.retry_after) == (*expected, "bad-1", None)
    assert str(error) == error.detail
    assert error.detail.endswith(".")


@pytest.mark.parametrize("status", [400, 404, 413, 422, 500, 504])
def test_what_would_fail_again_is_sent_once(status: int):
    with answering(refusal(status)) as (url, seen), Client(url) as client, pytest.raises(ProblemAnswered) as caught:
        client.classify(png(0), "tiny")
    assert caught.value.status == status
    assert len(seen) == 1


def test_somebody_elses_error_page_is_a_problem_too():
    page = Answer(502, {}, "<h1>Bad gateway</h1>")
    with answering(page) as (url, _), Client(url) as client, pytest.raises(ProblemAnswered) as caught:
        client.classify(png(0), "tiny")
    assert (caught.value.status, caught.value.code) == (502, "http_error")
    assert "502 Bad Gateway" in caught.value.detail


def test_an_answer_that_is_none_says_that_the_address_may_be_wrong():
    page = Answer(200, {}, "<h1>It works!</h1>")
    with answering(page) as (url, _), Client(url) as client, pytest.raises(AnswerInvalid, match="the address of one"):
        client.classify(png(0), "tiny")


def test_a_file_that_is_not_there_is_an_error_of_the_client(service: Service, tmp_path: Path):
    with Client(service.url) as client, pytest.raises(PhotoUnreadable, match="No such file"):
        client.classify(tmp_path / "missing.png", "tiny")


def test_errors_survive_the_way_between_processes():
    error = ProblemAnswered(429, "queue_full", "Not now.", "a", 1.5)
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert vars(copy) == vars(error)
    assert str(copy) == "Not now."
