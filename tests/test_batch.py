"""Many images in one request: each is answered as it would be alone, whatever becomes of the others."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from zipfile import ZIP_STORED

import pytest
from PIL import Image

from batching import BATCH, END, FORM, LINES, ZIP, Batch, ask, form, items, part, told
from connected import Connection
from support import Service, code, encoded, packed, png

MIXED = {
    "dark.png": png(0),
    "notes.txt": b"no image",
    "light.png": png(255),
    "torn.png": png(0, (64, 64))[:-20],
    "nothing": b"",
    "middle.png": png(128),
}
TOLD = [
    ("dark.png", 200, "dark"),
    ("notes.txt", 422, "image_type_unsupported"),
    ("light.png", 200, "light"),
    ("torn.png", 422, "image_truncated"),
    ("nothing", 400, "image_empty"),
    ("middle.png", 200, "middle"),
]


@pytest.mark.parametrize(("pack", "kind"), [(form, FORM), (packed, ZIP)])
@pytest.mark.parametrize("accept", [{}, LINES])
def test_each_image_has_its_own_answer(service: Service, pack: Callable[..., bytes], kind: dict, accept: dict):
    found = items(ask(service, pack(MIXED), kind, accept))
    assert told(sorted(found, key=lambda item: item["index"])) == TOLD


def test_what_is_said_of_an_image_is_what_a_request_of_its_own_is_told(service: Service):
    for item, image in zip(items(ask(service, form(MIXED))), MIXED.values(), strict=True):
        alone = service.classify(image)
        said = alone.json()
        assert item["status"] == alone.status_code
        assert {name: item[name] for name in said if name in item and name != "status"} == {
            name: value for name, value in said.items() if name not in ("model", "version", "id", "status")
        }


def test_each_image_is_counted_by_what_became_of_it_and_the_batch_as_one_request(service: Service):
    def counts() -> list[float]:
        return [
            *(service.metric("hangtag_items_total", outcome=outcome) for outcome in ("ok", "invalid", "cancelled")),
            service.metric("hangtag_predictions_total", label="middle", decision="accept"),
            service.metric("http_requests_total", route="/v1/models/{model}/classify-batch", status="200"),
            service.metric("http_requests_total", route="/v1/models/{model}/classify-batch", status="413"),
        ]

    before = counts()
    for accept in ({}, LINES):
        assert ask(service, form(MIXED), accept).status_code == 200
    assert ask(service, END).status_code == 400  # which is as one image that was no good
    assert [now - then for now, then in zip(counts(), before, strict=True)] == [6, 7, 0, 2, 2, 0]


def test_the_document_says_who_answered_and_each_line_does(service: Service):
    document = ask(service, form(MIXED), {"X-Request-ID": "order-17"}).json()
    assert (document["model"], document["version"], document["id"]) == ("tiny", "1", "order-17")
    response = ask(service, form(MIXED), LINES, {"X-Request-ID": "order-17"})
    assert response.headers["x-request-id"] == "order-17"
    assert {(item["model"], item["version"]) for item in items(response)} == {("tiny", "1")}


def test_who_speaks_http_1_0_which_has_no_chunks_gets_the_document(service: Service):
    body = form(MIXED)
    headers = FORM | LINES | {"Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with Connection(service.url) as connection:
        connection.send(f"POST {BATCH} HTTP/1.0\r\n{head}\r\n".encode() + body)
        status, document = connection.answer()
    assert (status, told(document["items"])) == (200, TOLD)


def test_a_version_can_be_named_and_so_many_labels_are_answered_as_are_asked_for(service: Service):
    response = ask(service, form(MIXED), path="/v1/models/tiny/versions/1/classify-batch", top_k="2")
    assert {len(item["predictions"]) for item in items(response) if item["status"] == 200} == {2}


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        (b'; filename="../../etc/passwd"', "../../etc/passwd"),
        ('; filename="größe 尺.png"'.encode(), "größe 尺.png"),
        ('; filename="größe.png"'.encode("latin-1"), "größe.png"),
        (b'; filename="a\\"b.png"', 'a"b.png'),
        (b'; filename=""', ""),
        (b"", None),
    ],
)
def test_names_are_kept_as_they_came(service: Service, sent: bytes, name: str | None):
    body = part(png(0), None).replace(b'name="images"', b'name="images"' + sent) + END
    [item] = items(ask(service, body))
    assert (item["name"], item["status"]) == (name, 200)


def test_no_name_ends_a_line(service: Service):
    name = "a\u2028{'index': 1}\u2029\x85.png"
    [item] = items(ask(service, form({name: png(0)}), LINES))
    assert item["name"] == name


def test_an_image_of_a_wrong_type_or_with_too_many_bytes_disturbs_no_other(service: Service):
    noise = encoded(Image.effect_noise((600, 600), 99), "PNG")
    body = part(png(0)) + part(b"a,b", "a.csv", "text/csv") + part(noise, "noise.png") + part(png(255), "b.png") + END
    assert told(items(ask(service, body))) == [
        ("a.png", 200, "dark"),
        ("a.csv", 415, "content_type_unsupported"),
        ("noise.png", 413, "image_too_many_bytes"),
        ("b.png", 200, "light"),
    ]


def test_no_zip_file_does_harm(service: Service):
    bomb = {"bomb.png": bytes(190_000), "large.png": bytes(200_001), "good.png": png(0)}
    assert told(items(ask(service, packed(bomb), ZIP))) == [
        ("bomb.png", 422, "archive_entry_unreadable"),
        ("large.png", 413, "image_too_many_bytes"),
        ("good.png", 200, "dark"),
    ]
    nested = packed({"nested.zip": packed({"a.png": png(0)}), "__MACOSX/._a.png": b"", "a/": b""}, ZIP_STORED)
    assert told(items(ask(service, nested, ZIP))) == [("nested.zip", 422, "image_type_unsupported")]


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({"Content-Type": "image/png"}, png(0), (415, "content_type_unsupported")),
        ({"Content-Type": "multipart/form-data"}, form(MIXED), (400, "request_malformed")),
        (FORM, b"", (400, "request_malformed")),
        (FORM, b"no form", (400, "request_malformed")),
        (FORM, END, (400, "request_malformed")),
        (FORM, form(MIXED)[:-9], (400, "request_malformed")),
        (FORM, part(b"1", None, field="number") + END, (400, "request_malformed")),
        (FORM, part(png(0), field="image") + END, (400, "request_malformed")),
        (FORM, part(png(0)) + part(b"1", None, field="number") * 17 + END, (400, "request_malformed")),
        (FORM, b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n" + END, (400, "request_malformed")),
        (ZIP, b"", (422, "archive_invalid")),
        (ZIP, packed(MIXED)[:-9], (422, "archive_invalid")),
        (ZIP, packed({"shop/": b"", ".DS_Store": b"1"}), (400, "request_malformed")),
        (FORM | {"X-Request-Deadline-Ms": "soon"}, form(MIXED), (400, "request_malformed")),
    ],
)
@pytest.mark.usefixtures("still_good")
def test_a_request_that_is_wrong_is_told_so_as_a_whole(
    service: Service, headers: dict[str, str], body: bytes, expected: tuple[int, str]
):
    assert code(ask(service, body, headers)) == expected


def test_who_asks_for_what_is_not_there_is_told_so(service: Service):
    assert code(ask(service, form(MIXED), path="/v1/models/none/classify-batch")) == (404, "model_not_found")
    named = "/v1/models/tiny/versions/7/classify-batch"
    assert code(ask(service, form(MIXED), path=named)) == (404, "version_not_found")
    assert code(ask(service, form(MIXED), top_k="0")) == (400, "request_malformed")


@pytest.fixture(scope="module")
def small(models: Path) -> Iterator[Service]:
    """A service that takes small batches."""
    options = ["--max-batch-items", "3", "--max-batch-bytes", "20000", "--max-zip-bytes", "9000"]
    with Service(models, *options, "--body-timeout-seconds", "0.5") as running:
        yield running


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        (FORM, part(png(0)) * 4 + END, "too_many_items"),
        (FORM, part(bytes(20_000)) + END, "body_too_large"),
        (ZIP, packed(dict.fromkeys("abcd", png(0))), "too_many_items"),
        (ZIP, packed({f"{number}/": b"" for number in range(13)}), "archive_too_many_entries"),
        (ZIP, packed({"a": bytes(9_000)}, ZIP_STORED), "body_too_large"),
    ],
)
def test_too_much_is_refused(small: Service, kind: dict[str, str], body: bytes, expected: str):
    assert code(ask(small, body, kind)) == (413, expected)


TOO_SOON = {
    "too_many_items": part(png(0)) * 4,
    "request_malformed": part(png(0)) * 3,
    "body_too_large": part(png(0)) * 2 + part(bytes(20_000)),
    "body_timeout": part(png(0)) * 3,
}


@pytest.mark.parametrize("expected", TOO_SOON)
def test_where_the_whole_goes_wrong_after_lines_have_begun_each_image_that_came_has_one_and_the_last_says_why(
    small: Service, expected: str
):
    with Batch(small) as batch:
        batch.give(TOO_SOON[expected])
        if expected != "body_timeout":
            batch.finish()
        *found, last = map(json.loads, batch.answered().read().splitlines())
    assert [item["status"] for item in found] == [200] * (3 if expected == "too_many_items" else 2)
    assert sorted(item["index"] for item in found) == [*range(len(found))]
    assert "index" not in last
    assert last["code"] == expected
