"""What tests of the Open Inference Protocol ask with: requests in JSON and in binary, and what a refusal must be."""

import json
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np

from support import PATIENCE, Service

INFER = "/v2/models/tiny/infer"
JSON_LENGTH = "Inference-Header-Content-Length"


def pixels(*shades: int) -> np.ndarray:
    """Pictures of one grey each, as the tiny model wants them."""
    return np.stack([np.full((8, 8, 1), shade, np.uint8) for shade in shades])


def image(*shades: int, **changes: Any) -> dict[str, Any]:
    """The input `image` in JSON, nested; `changes` replace its keys, and None takes one away."""
    array = pixels(*shades)
    given = {"name": "image", "shape": list(array.shape), "datatype": "UINT8", "data": array.tolist()} | changes
    return {key: value for key, value in given.items() if value is not None}


def photos(*encoded: bytes, **changes: Any) -> dict[str, Any]:
    """The input `image_bytes` in JSON."""
    data = [b64encode(photo).decode() for photo in encoded]
    given = {"name": "image_bytes", "shape": [len(encoded)], "datatype": "BYTES", "data": data} | changes
    return {key: value for key, value in given.items() if value is not None}


def in_binary(given: dict[str, Any], data: bytes, size: int | None = None) -> dict[str, Any]:
    """The same input, with its data behind the JSON."""
    return given | {"data": None, "parameters": {"binary_data_size": len(data) if size is None else size}}


def elements(parts: Sequence[bytes]) -> bytes:
    """A BYTES tensor in binary."""
    return b"".join(len(part).to_bytes(4, "little") + part for part in parts)


def post(
    service: Service, body: bytes | dict[str, Any], binary: bytes | None = None, path: str = INFER, **headers: str
) -> httpx.Response:
    """Infer from what the body says, with binary data behind it where there are any."""
    head = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if binary is not None:
        sent = {JSON_LENGTH: str(len(head))} | sent
    return httpx.post(service.url + path, content=head + (binary or b""), headers=sent, timeout=PATIENCE)


def ask(service: Service, *inputs: dict[str, Any], **more: Any) -> httpx.Response:
    """Infer from these inputs, in JSON."""
    return post(service, {"inputs": list(inputs), **more})


def scores(response: httpx.Response) -> np.ndarray:
    """The scores of an answer, from where they stand; all of its body must be accounted for."""
    assert response.status_code == 200, response.text
    length = int(response.headers.get(JSON_LENGTH, len(response.content)))
    [output] = json.loads(response.content[:length])["outputs"]
    assert (output["name"], output["datatype"]) == ("scores", "FP32")
    binary = response.content[length:]
    if "data" in output:
        assert not binary
        return np.array(output["data"], np.float32).reshape(output["shape"])
    assert output["parameters"] == {"binary_data_size": len(binary)}
    return np.frombuffer(binary, "<f4").reshape(output["shape"])


def refusal(response: httpx.Response) -> tuple[int, str]:
    """Status and text of an error, which must be the protocol's and hold no trace of the inside."""
    assert response.headers["content-type"] == "application/json"
    assert response.json().keys() == {"error"}
    error: str = response.json()["error"]
    assert error.endswith(".")
    assert not any(word in error for word in ("Traceback", ".py", "pydantic", "numpy"))
    return response.status_code, error
