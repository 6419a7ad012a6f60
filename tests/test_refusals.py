"""Bad input over HTTP: each has its own clear error, and the next good request is answered."""

import struct
import zlib
from pathlib import Path

import httpx
import pytest
from PIL import Image

from connected import Connection
from support import CLASSIFY, Service, code, encoded, png


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


@pytest.mark.usefixtures("still_good")
def test_a_jpeg_with_a_head_in_thousands_of_parts_is_refused(service: Service):
    whole = encoded(Image.new("RGB", (64, 64)), "JPEG")
    response = service.classify(whole[:2] + b"\xff\xfe\0\2" * 2_000 + whole[2:], content_type="image/jpeg")
    assert code(response) == (422, "image_undecodable")


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


@pytest.mark.parametrize("deadline", ["", "soon", "-1", "1.5", "1" * 10])
def test_a_deadline_that_is_none_is_refused(service: Service, deadline: str):
    response = service.ask(png(0), {"X-Request-Deadline-Ms": deadline})
    assert code(response) == (400, "request_malformed")
    assert "such as 250" in response.json()["detail"]
