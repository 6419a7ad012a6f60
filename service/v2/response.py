"""From a model's scores to the answer to an infer request."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic_core import to_json
from starlette.responses import Response

from artifact.card import ModelCard
from artifact.errors import MalformedRequest
from service.v2.metadata import SCORES
from service.v2.request import InferRequest, RequestedOutput
from service.v2.schemas import InferResponse, ResponseOutput
from service.v2.tensors import binary_of_bytes

JSON_LENGTH = "Inference-Header-Content-Length"
JSON, BINARY = "application/json", "application/octet-stream"


def output_of(request: InferRequest) -> RequestedOutput:
    """The one output that there is, as the request wants it; raises MalformedRequest."""
    names = [output.name for output in request.outputs]
    if names not in ([], [SCORES]):
        raise MalformedRequest(
            f"The outputs are {', '.join(name[:40] for name in names)}; ask for {SCORES} once, or name none."
        )
    return request.outputs[0] if names else RequestedOutput(name=SCORES)


def respond(request: InferRequest, card: ModelCard, scores: NDArray[np.float32]) -> Response:
    """The answer to a request with its scores, float32 [N, K], in JSON or behind it."""
    asked = output_of(request).parameters
    columns = min(asked.classification, len(card.labels)) or len(card.labels)
    texts = _ranked(scores, card.labels, columns) if asked.classification else None
    output: ResponseOutput = {
        "name": SCORES,
        "datatype": "BYTES" if texts else "FP32",
        "shape": [len(scores), columns],
    }
    answer: InferResponse = {"model_name": card.name, "model_version": card.version, "outputs": [output]}
    if request.id is not None:
        answer["id"] = request.id
    if not (request.parameters.binary_data_output if asked.binary_data is None else asked.binary_data):
        output["data"] = texts or scores.ravel().tolist()
        return Response(to_json(answer), media_type=JSON)
    data = binary_of_bytes([text.encode() for text in texts]) if texts else scores.astype("<f4").tobytes()
    output["parameters"] = {"binary_data_size": len(data)}
    head = to_json(answer)
    return Response(head + data, headers={JSON_LENGTH: str(len(head))}, media_type=BINARY)


def _ranked(scores: NDArray[np.float32], labels: Sequence[str], count: int) -> list[str]:
    """The best labels of each row as Triton writes them, score:index:label; equal scores keep the card's order."""
    best = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    return [f"{row[i]:f}:{i}:{labels[i]}" for row, indices in zip(scores, best, strict=True) for i in indices.tolist()]
