"""What the OpenAPI document says of `classify-batch`: bodies, answers, examples and problems."""

import json

from artifact import errors
from service import examples, openapi
from service.batch.answers import LINES
from service.batch.classify import URGENCY, ZIP
from service.batch.photos import FIELD
from service.intake import MULTIPART
from service.openapi import Json

# What can go wrong with the whole; what goes wrong with one image is said of that one alone.
REFUSALS = (
    errors.MalformedRequest,
    errors.ModelNotFound,
    errors.BodyTimeout,
    errors.HeadTimeout,
    errors.BodyTooLarge,
    errors.TooManyItems,
    errors.TooManyEntries,
    errors.ContentTypeUnsupported,
    errors.ArchiveInvalid,
    errors.QueueFull,
    errors.RateLimited,
    errors.InternalError,
    errors.ModelUnavailable,
    errors.Draining,
    errors.TooManyConnections,
)

OF_ITEMS: tuple[type[errors.HangtagError], ...] = (errors.TooManyBytes, errors.EntryUnreadable)

_BATCH: Json = {
    "model": "fashion-mnist",
    "version": "2",
    "id": "f8860279e9a74465a890f7b7b7727b8b",
    "items": [
        {
            "index": 0,
            "name": "boot.png",
            "status": 200,
            "predictions": examples.CLASSIFICATION["predictions"],
            "decision": "accept",
            "threshold": 0.9713614583015442,
        },
        {
            "index": 1,
            "name": "notes.txt",
            "status": 422,
            "type": "about:blank",
            "title": "Unprocessable Content",
            "detail": "This is no JPEG, PNG, WebP, GIF, BMP or TIFF file; send one of these.",
            "code": "image_type_unsupported",
        },
    ],
}
_PRIORITY: Json = {
    "name": "Priority",
    "in": "header",
    "description": f"How urgent it is (RFC 9218), from 0, the most, to 7; {URGENCY} where nothing is said.",
    "schema": {"type": "string"},
    "example": "u=7",
}
_FORM: Json = {
    "schema": {
        "type": "object",
        "required": [FIELD],
        "properties": {FIELD: {"type": "array", "minItems": 1, "items": {"type": "string", "format": "binary"}}},
    }
}
ASKED: Json = {
    "parameters": [_PRIORITY, *(each for each in openapi.TERMS if not each["$ref"].endswith("/Priority"))],
    "requestBody": {
        "description": (
            f"A form with the files in the field `{FIELD}` (`curl -F {FIELD}=@1.jpg -F {FIELD}=@2.jpg`), or a zip file "
            f"(`curl --data-binary @photos.zip -H 'Content-Type: {ZIP}'`)."
        ),
        "required": True,
        "content": {MULTIPART: _FORM, ZIP: {"schema": {"type": "string", "format": "binary"}}},
    },
}


def answered() -> Json:
    """The response, which is 200 whatever became of the images."""
    whose = {"model": _BATCH["model"], "version": _BATCH["version"]}
    lines = "".join(json.dumps(item | whose) + "\n" for item in _BATCH["items"])
    return {
        "description": (
            "An item for each image, in order, with what the model says of it, or a problem with the status and code "
            f"that it would have alone, or {' or '.join(f'`{kind.code}`' for kind in OF_ITEMS)}. Who accepts {LINES} "
            "gets a line for each as soon as it is ready, which says model and version, too. If the request ends too "
            "soon, such as by too many images, the last line is the problem of the whole, which has no `index`."
        ),
        "content": {
            "application/json": {"example": _BATCH},
            LINES: {"schema": {"type": "string"}, "example": lines},
        },
    }
