"""Inference over the protocol: one request in, the scores of all its images out."""

import re

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope

from artifact.card import InputSpec
from artifact.errors import ContentTypeUnsupported, MalformedRequest
from service.access import charge
from service.hosting import Hosting
from service.intake import Caller, Limits
from service.v2.images import Images, images_of
from service.v2.request import InferRequest, RequestParameters
from service.v2.response import JSON_LENGTH, output_of, respond

_LENGTH = re.compile(r"[0-9]{1,18}")

# What a body without JSON asks for: it is one photo, and Triton answers it in binary.
_BARE = InferRequest(inputs=[], parameters=RequestParameters(binary_data_output=True))


class Infer:
    """Answers the two routes that infer; a request may have `most` images."""

    def __init__(self, hosting: Hosting, limits: Limits, most: int) -> None:
        self._hosting = hosting
        self._limits = limits
        self._most = most

    async def respond(self, scope: Scope, receive: Receive, model: str, version: str | None) -> Response:
        """The answer to one request; raises a HangtagError."""
        headers, caller = Headers(scope=scope), Caller(scope, receive, self._limits)
        with self._hosting.admitted(caller, model, version) as place:
            card, json_length = place.model.card, _json_length(headers)
            request, images = _understood(await caller.body(), json_length, card.input, self._most)
            charge(scope, len(images) - 1)
            with caller.attended():
                scores = await place.scores(images, request.terms(place.terms))
        return respond(request, card, scores)


def _json_length(headers: Headers) -> int | None:
    """How much of the body is JSON, None where all is; raises a RequestError."""
    if encoding := headers.get("content-encoding"):
        raise ContentTypeUnsupported(f"Content-Encoding {encoding[:40]!r} is not taken; send the body as it is.")
    length = headers.get(JSON_LENGTH)
    if length is None:
        return None
    if not _LENGTH.fullmatch(length):
        raise MalformedRequest(f"{JSON_LENGTH} is {length[:40]!r}; send the number of bytes of JSON in the body.")
    return int(length)


def _understood(body: bytes, json_length: int | None, spec: InputSpec, most: int) -> tuple[InferRequest, Images]:
    """What a body asks, and its images; raises MalformedRequest."""
    if json_length == 0:
        return _BARE, [body]
    if json_length is not None and json_length > len(body):
        raise MalformedRequest(f"{JSON_LENGTH} is {json_length}, and the body has {len(body)} bytes.")
    request = InferRequest.of_json(body[:json_length])
    output_of(request)  # what cannot be answered is not run
    images = images_of(request, memoryview(body)[json_length or len(body) :], spec, most)
    request.inputs.clear()  # their data are large, and not needed any more
    return request, images
