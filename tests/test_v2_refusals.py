"""What is no good infer request is refused over HTTP, by one clear error, in bounded time and memory."""

import json
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from artifact.errors import RequestError
from connected import Connection
from graphs import SPEC
from open_inference import INFER, JSON_LENGTH, ask, elements, image, in_binary, photos, pixels, post, refusal, scores
from service.v2.images import images_of
from service.v2.request import InferRequest
from support import Service, png

PHOTO = png(0)
NESTED = pixels(0).tolist()
FLAT = pixels(0).ravel().tolist()


def changed(value: object) -> list[object]:
    """The pixels of one picture, one of them replaced."""
    return [*FLAT[:-1], value]


BAD_INPUTS: dict[str, tuple[list[dict[str, Any]], str]] = {
    "none": ([], "The inputs are none; send exactly one, image or image_bytes."),
    "both": ([image(0), photos(PHOTO)], "The inputs are image, image_bytes; send exactly one"),
    "the same twice": ([image(0), image(0)], "The inputs are image, image; send exactly one"),
    "another name": ([image(0, name="pixels")], "The inputs are pixels; send exactly one"),
    "far too many": ([image(0)] * 17, "inputs: List should have at most 16 items"),
    "no name": ([image(0, name=None)], "inputs.0.name: Field required"),
    "no shape": ([image(0, shape=None)], "inputs.0.shape: Field required"),
    "no datatype": ([image(0, datatype=None)], "inputs.0.datatype: Field required"),
    "no data": ([image(0, data=None)], "has neither data nor binary_data_size; send one of them."),
    "data that are no list": ([image(0, data=7)], "inputs.0.data: Input should be a valid list"),
    "another datatype": ([image(0, datatype="FP32")], "has datatype 'FP32'; send UINT8."),
    "photos as UINT8": ([photos(PHOTO, datatype="UINT8")], "has datatype 'UINT8'; send BYTES."),
    "another size": ([image(0, shape=[1, 9, 8, 1])], "has shape [1, 9, 8, 1]; send [-1, 8, 8, 1], with 1 or more"),
    "channels first": ([image(0, shape=[1, 1, 8, 8])], "has shape [1, 1, 8, 8]; send [-1, 8, 8, 1]"),
    "no batch": ([image(0, shape=[8, 8, 1])], "has shape [8, 8, 1]; send [-1, 8, 8, 1]"),
    "an empty batch": ([image(0, shape=[0, 8, 8, 1], data=[])], "with 1 or more for -1."),
    "an empty batch of photos": ([photos()], "has shape [0]; send [-1], with 1 or more for -1."),
    "a negative dimension": ([image(0, shape=[-1, 8, 8, 1])], "inputs.0.shape.0: Input should be greater than"),
    "a huge batch": ([image(0, shape=[2**62, 8, 8, 1])], "has 4611686018427387904 images; send at most 256 at once."),
    "a dimension beyond 64 bits": ([image(0, shape=[10**30, 8, 8, 1])], "inputs.0.shape.0: Input should be less than"),
    "a dimension that is a fraction": (
        [image(0, shape=[1.0, 8, 8, 1])],
        "inputs.0.shape.0: Input should be a valid int",
    ),
    "a dimension that is a boolean": (
        [image(0, shape=[True, 8, 8, 1])],
        "inputs.0.shape.0: Input should be a valid int",
    ),
    "too many dimensions": ([image(0, shape=[1] * 17)], "inputs.0.shape: List should have at most 16 items"),
    "more images than at once": ([photos(*[b""] * 257)], "has 257 images; send at most 256 at once."),
    "too few elements": ([image(0, data=FLAT[1:])], "have 63 elements, and the shape [1, 8, 8, 1] has 64."),
    "too many elements": ([image(0, data=[*FLAT, 0])], "have 65 elements, and the shape [1, 8, 8, 1] has 64."),
    "too many rows": ([image(0, data=NESTED * 2)], "have 128 elements, and the shape [1, 8, 8, 1] has 64."),
    "uneven rows": ([image(0, data=[[[*NESTED[0][0], [1]], *NESTED[0][1:]]])], "are nested otherwise than the shape"),
    "rows and numbers mixed": ([image(0, data=[[*NESTED[0][1:], 7]])], "are nested otherwise than the shape"),
    "pixels above 255": ([image(0, data=changed(256))], "has numbers out of 0 to 255 in it"),
    "pixels below 0": ([image(0, data=changed(-1))], "has numbers out of 0 to 255 in it"),
    "pixels beyond 64 bits": ([image(0, data=changed(10**30))], "has numbers out of 0 to 255 in it"),
    "pixels with fractions": ([image(0, data=changed(1.5))], "has fractions in it; send whole numbers from 0 to 255."),
    "pixels that are booleans": ([image(0, data=changed(True))], "has booleans in it; send whole numbers"),  # noqa: FBT003
    "pixels that are strings": ([image(0, data=changed("7"))], "has strings in it; send whole numbers"),
    "pixels that are null": ([image(0, data=changed(None))], "has nulls in it; send whole numbers"),
    "pixels that are lists": ([image(0, data=changed([7]))], "has arrays in it; send whole numbers"),
    "pixels that are objects": ([image(0, data=changed({}))], "has objects in it; send whole numbers"),
    "photos that are numbers": ([photos(PHOTO, data=[7])], "has numbers in it; send strings, which are base64."),
    "photos that are text": ([photos(PHOTO, data=["boot.jpg"])], "that is not base64 (RFC 4648, 4"),
    "photos that are beyond ASCII": ([photos(PHOTO, data=["ÿØÿà"])], "that is not base64 (RFC 4648, 4"),
    "too few photos": ([photos(PHOTO, shape=[2])], "have 1 elements, and the shape [2] has 2."),
    "data and binary data": ([image(0, parameters={"binary_data_size": 64})], "has both data and binary_data_size"),
    "binary data that are not there": ([in_binary(image(0), bytes(64))], "a binary_data_size of 64; 0 bytes came."),
    "a negative binary_data_size": (
        [image(0, data=None, parameters={"binary_data_size": -1})],
        "inputs.0.parameters.binary_data_size: Input should be greater than",
    ),
    "shared memory": (
        [image(0, data=None, parameters={"shared_memory_region": "mine"})],
        "inputs.0.parameters.shared_memory_region: shared memory is not offered, send the data in the body.",
    ),
}


@pytest.mark.usefixtures("still_good")
@pytest.mark.parametrize("case", BAD_INPUTS)
def test_a_bad_input_is_refused_with_what_would_be_right(service: Service, case: str):
    inputs, sentence = BAD_INPUTS[case]
    status, error = refusal(ask(service, *inputs))
    assert (status, sentence in error) == (400, True), error


BAD_REQUESTS: dict[str, tuple[dict[str, Any], str]] = {
    "an output that is not there": ({"outputs": [{"name": "logits"}]}, "The outputs are logits; ask for scores once"),
    "an output twice": ({"outputs": [{"name": "scores"}] * 2}, "The outputs are scores, scores; ask for scores once"),
    "an output without a name": ({"outputs": [{}]}, "outputs.0.name: Field required"),
    "a classification of text": (
        {"outputs": [{"name": "scores", "parameters": {"classification": "3"}}]},
        "outputs.0.parameters.classification: Input should be a valid integer",
    ),
    "a classification below zero": (
        {"outputs": [{"name": "scores", "parameters": {"classification": -1}}]},
        "outputs.0.parameters.classification: Input should be greater than",
    ),
    "an output to shared memory": (
        {"outputs": [{"name": "scores", "parameters": {"shared_memory_region": "mine"}}]},
        "shared memory is not offered",
    ),
    "an id that is a number": ({"id": 7}, "id: Input should be a valid string"),
    "a priority below zero": ({"parameters": {"priority": -1}}, "parameters.priority: Input should be greater than"),
    "a timeout of a fraction": ({"parameters": {"timeout": 0.5}}, "parameters.timeout: Input should be a valid int"),
    "a binary_data_output of text": (
        {"parameters": {"binary_data_output": "yes"}},
        "parameters.binary_data_output: Input should be a valid boolean",
    ),
    "parameters that are no object": ({"parameters": []}, "parameters: Input should be a valid dictionary"),
}


@pytest.mark.usefixtures("still_good")
@pytest.mark.parametrize("case", BAD_REQUESTS)
def test_a_bad_request_is_refused_with_what_would_be_right(service: Service, case: str):
    more, sentence = BAD_REQUESTS[case]
    status, error = refusal(ask(service, image(0), **more))
    assert (status, sentence in error) == (400, True), error


GOOD = json.dumps({"inputs": [image(0)]}).encode()
BAD_JSON = {
    "no body": b"",
    "an image": PHOTO,
    "half of it": GOOD[:-10],
    "more behind it": GOOD + b"{}",
    "NaN": GOOD.replace(b"[0]", b"[NaN]", 1),
    "infinity": GOOD.replace(b"[0]", b"[-Infinity]", 1),
    "a number of many digits": GOOD.replace(b"[0]", b"[" + b"9" * 100_000 + b"]", 1),
    "deep nesting": GOOD.replace(b"[0]", b"[" * 90_000, 1),
    "deep nesting that is closed": GOOD.replace(b"[0]", b"[" * 50_000 + b"]" * 50_000, 1),
    "a lone surrogate": b'{"inputs": [], "id": "\\ud800"}',
    "bytes that are no text": b'{"inputs": [], "id": "\xff"}',
    "another encoding": GOOD.decode().encode("utf-16"),
}


@pytest.mark.usefixtures("still_good")
@pytest.mark.parametrize("case", BAD_JSON)
def test_what_is_no_json_is_refused(service: Service, case: str):
    status, error = refusal(post(service, BAD_JSON[case]))
    assert (status, error.startswith("The request is not JSON: ")) == (400, True), error


@pytest.mark.usefixtures("still_good")
@pytest.mark.parametrize("body", [b"[]", b'"infer"', b"7", b"null"])
def test_json_that_is_no_object_is_refused(service: Service, body: bytes):
    status, error = refusal(post(service, body))
    assert (status, error.startswith("The request does not keep to the protocol: the request: ")) == (400, True), error


BAD_BINARIES: dict[str, tuple[dict[str, Any], bytes, str]] = {
    "size beyond the body": (in_binary(image(0), bytes(64), 65), bytes(64), "a binary_data_size of 65; 64 bytes came."),
    "bytes left over": (in_binary(image(0), bytes(64), 64), bytes(65), "a binary_data_size of 64; 65 bytes came."),
    "bytes that are nobody's": (image(0), bytes(64), "64 bytes follow the JSON; say whose they are"),
    "too few pixels": (in_binary(image(0), bytes(63)), bytes(63), "63 bytes of binary data are no UINT8 tensor of"),
    "too many pixels": (in_binary(image(0), bytes(65)), bytes(65), "65 bytes of binary data are no UINT8 tensor of"),
    "no length of a photo": (in_binary(photos(PHOTO), b"\0"), b"\0", "ends within element 0 of 1"),
    "a photo that ends too soon": (in_binary(photos(PHOTO), b"\2\0\0\0x"), b"\2\0\0\0x", "ends within element 0 of 1"),
    "a photo of 4 GB": (in_binary(photos(PHOTO), b"\xff" * 8), b"\xff" * 8, "ends within element 0 of 1"),
    "a photo that is missing": (
        in_binary(photos(PHOTO, PHOTO), elements([PHOTO])),
        elements([PHOTO]),
        "ends within element 1 of 2",
    ),
    "a photo too many": (
        in_binary(photos(PHOTO), elements([PHOTO, b"xyz"])),
        elements([PHOTO, b"xyz"]),
        "7 bytes follow the 1 elements of BYTES",
    ),
}


@pytest.mark.usefixtures("still_good")
@pytest.mark.parametrize("case", BAD_BINARIES)
def test_binary_data_that_do_not_fit_are_refused(service: Service, case: str):
    given, binary, sentence = BAD_BINARIES[case]
    status, error = refusal(post(service, {"inputs": [given]}, binary))
    assert (status, sentence in error) == (400, True), error


@pytest.mark.usefixtures("still_good")
@pytest.mark.parametrize("length", ["-1", "+1", "many", "", "1.5", "1e3", "99999999999999999999", str(len(GOOD) + 1)])
def test_a_length_of_json_that_is_none_is_refused(service: Service, length: str):
    status, error = refusal(post(service, GOOD, Inference_Header_Content_Length=length))
    assert status == 400
    assert error.startswith(JSON_LENGTH)


@pytest.mark.usefixtures("still_good")
def test_a_compressed_body_is_refused(service: Service):
    status, error = refusal(post(service, GOOD, Content_Encoding="gzip"))
    assert (status, error) == (415, "Content-Encoding 'gzip' is not taken; send the body as it is.")


@pytest.mark.usefixtures("still_good")
def test_a_photo_that_is_none_is_refused_with_what_is_wrong_with_it(service: Service):
    assert refusal(ask(service, photos(PHOTO, b"text"))) == (
        422,
        "This is no JPEG, PNG, WebP, GIF, BMP or TIFF file; send one of these.",
    )
    assert refusal(ask(service, photos(PHOTO[:-20])))[0] == 422
    assert refusal(ask(service, photos(b"")))[0] == 400
    assert refusal(post(service, b"", b"text"))[0] == 422
    assert refusal(post(service, b"", b""))[0] == 400


@pytest.mark.usefixtures("still_good")
def test_a_body_over_the_limit_is_refused(service: Service):
    assert refusal(post(service, GOOD + b" " * 200_000))[0] == 413
    with Connection(service.url) as connection:
        connection.post(INFER, Content_Length="1000000", Expect="100-continue")
        status, answer = connection.answer()
    assert status == 413
    assert answer.keys() == {"error"}
    assert refusal(post(service, b" " * 300_000, path="/v2/repository/index"))[0] == 413


def test_json_of_too_many_values_is_refused(models: Path):
    with Service(models) as running:
        status, error = refusal(ask(running, image(*[0] * 256, data=[0] * 600_000)))
        assert (status, "send pixels behind it, as binary data." in error) == (413, True)
        assert scores(ask(running, image(*[0] * 256))).shape == (256, 3)


@pytest.mark.usefixtures("still_good")
def test_an_unknown_model_or_version_is_refused(service: Service):
    assert refusal(post(service, GOOD, path="/v2/models/other/infer"))[0] == 404
    for version in ("2", "canary", "latest"):
        assert refusal(post(service, GOOD, path=f"/v2/models/tiny/versions/{version}/infer"))[0] == 404


def test_who_finds_no_place_is_refused_before_the_body_and_told_when_to_come_again(models: Path):
    with Service(models, "--max-items", "1") as running, running.begin(PHOTO) as held:
        refused = post(running, GOOD)
        assert refusal(refused)[0] == 429
        assert refused.headers["retry-after"] == "1"
        held.finish()
        assert scores(post(running, GOOD)).shape == (1, 3)


def test_an_answer_that_would_come_too_late_is_refused(models: Path):
    with Service(models) as running:
        status, error = refusal(ask(running, image(0), parameters={"timeout": 1}))
        assert (status, "deadline" in error) == (504, True)
        assert scores(ask(running, image(0), parameters={"timeout": 30_000_000})).shape == (1, 3)


def one(name: str, datatype: str, shape: bytes, data: bytes) -> bytes:
    """A request for what is in JSON already."""
    head = f'{{"inputs": [{{"name": "{name}", "datatype": "{datatype}", "shape": ['.encode()
    return head + shape + b'], "data": [' + data + b"]}]}"


BOMBS = {
    "inputs": b'{"inputs": [' + b"1," * 500_000 + b"1]}",
    "dimensions": one("image", "UINT8", b"1," * 500_000 + b"1", b""),
    "dimensions that are text": one("image", "UINT8", b'"x",' * 500_000 + b"1", b""),
    "huge dimensions": one("image", "UINT8", b"9000000000000000000, 8, 8, 1", b"1"),
    "a batch that is not sent": one("image", "UINT8", b"256, 8, 8, 1", b"1"),
    "a batch of lists": one("image", "UINT8", b"256, 8, 8, 1", b"[]," * 250_000 + b"[]"),
    "padding": one("image_bytes", "BYTES", b"1", b'"' + b"=" * 4_000_000 + b'"'),
    "values": one("image", "UINT8", b"256, 8, 8, 1", b"1," * 4_000_000 + b"1"),
}


@pytest.mark.parametrize("case", BOMBS)
def test_a_bomb_is_refused_in_bounded_time_and_memory(case: str):
    tracemalloc.start()
    started = time.thread_time()
    try:
        with pytest.raises(RequestError):
            images_of(InferRequest.of_json(BOMBS[case]), memoryview(b""), SPEC, 256)
        assert tracemalloc.get_traced_memory()[1] < 40_000_000
        assert time.thread_time() - started < 30  # what grows with the square of the size would take minutes
    finally:
        tracemalloc.stop()
