"""What the OpenAPI document says of the routes under /v2: an example of each answer, and of each error."""

from collections import defaultdict
from typing import Any

from artifact.errors import HangtagError
from service.openapi import ACCESS as MAY_MEET
from service.openapi import Json, Responses, example
from service.problems import PHRASES, status_of
from service.v2.request import InferRequest
from service.v2.response import BINARY, JSON
from service.v2.schemas import ErrorResponse

TAG = "Open Inference Protocol"

_ERROR: Json = {"schema": {"$ref": f"#/components/schemas/{ErrorResponse.__name__}"}}
_FILE: Json = {"schema": {"type": "string", "format": "binary"}}

SERVER = {"name": "hangtag", "version": "0.1.0", "extensions": ["binary_tensor_data"]}
MODEL = {
    "name": "fashion-mnist",
    "versions": ["2"],
    "platform": "onnxruntime_onnx",
    "inputs": [
        {"name": "image", "datatype": "UINT8", "shape": [-1, 28, 28, 1]},
        {"name": "image_bytes", "datatype": "BYTES", "shape": [-1]},
    ],
    "outputs": [{"name": "scores", "datatype": "FP32", "shape": [-1, 10]}],
}
MODEL_READY = {"name": "fashion-mnist", "ready": True}
INDEX = [{"name": "fashion-mnist", "version": "2", "state": "READY", "reason": ""}]

_ASKED = {
    "id": "order-17",
    "inputs": [{"name": "image_bytes", "datatype": "BYTES", "shape": [1], "data": ["/9j/4AAQSkZJRgABAQ=="]}],
    "outputs": [{"name": "scores", "parameters": {"classification": 2}}],
}
_ANSWERED = {
    "model_name": "fashion-mnist",
    "model_version": "2",
    "id": "order-17",
    "outputs": [
        {
            "name": "scores",
            "datatype": "BYTES",
            "shape": [1, 2],
            "data": ["0.989277:9:Ankle boot", "0.003937:5:Sandal"],
        }
    ],
}

INFERENCE: Json = {
    "content": {JSON: {"example": _ANSWERED}, BINARY: {**_FILE, "example": "JSON, and tensors behind it"}}
}
ANY_ERROR: Responses = {
    "default": example({"error": "The inputs are none; send exactly one, image or image_bytes."}, model=ErrorResponse)
    | {"description": "What is wrong."}
}


def inference_body() -> Json:
    """What an infer request may have as its body."""
    schema = InferRequest.model_json_schema()
    described = {"schema": _inlined(schema, schema["$defs"]), "example": _ASKED}
    return {"required": True, "content": {JSON: described, BINARY: _FILE}}


def refusals(*kinds: type[HangtagError]) -> Responses:
    """The responses of a route that can end in these errors, by status."""
    by_status: dict[int, dict[str, Json]] = defaultdict(dict)
    for kind in kinds:
        shown = {"error": (kind.__doc__ or "").splitlines()[0]}
        by_status[status_of(kind(""))][kind.code] = {"value": shown}
    return {
        status: {"description": f"{PHRASES[status]}.", "content": {JSON: {**_ERROR, "examples": examples}}}
        for status, examples in sorted(by_status.items())
    }


ACCESS = refusals(*MAY_MEET)


def _inlined(schema: Any, definitions: Json) -> Any:
    """The schema with definitions in the place of references, which would lead nowhere in an OpenAPI document."""
    if isinstance(schema, list):
        return [_inlined(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {key: _inlined(part, definitions) for key, part in schema.items() if key != "$defs"}
