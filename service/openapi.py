"""What the OpenAPI document says beyond what FastAPI reads from the routes: problems, headers, bodies and examples."""

from collections import defaultdict
from operator import attrgetter
from typing import Any

from artifact.errors import (
    HangtagError,
    InternalError,
    KeyMissing,
    KeyUnknown,
    RateLimited,
    Refused,
    ScopeMissing,
)
from service.intake import FIELD, IMAGE_TYPES, MULTIPART, UNNAMED
from service.problems import PHRASES, PROBLEM_JSON, status_of
from service.schemas import Problem
from service.scopes import scope_needed

Json = dict[str, Any]
Responses = dict[int | str, Json]

_PROBLEM: Json = {"schema": {"$ref": "#/components/schemas/Problem"}}
_REQUEST_ID = {"$ref": "#/components/parameters/RequestId"}
_ANSWERED_ID = {"X-Request-ID": {"$ref": "#/components/headers/RequestId"}}
_RETRY_AFTER = {"Retry-After": {"$ref": "#/components/headers/RetryAfter"}}
_RATE = {name: {"$ref": f"#/components/headers/{name.replace('-', '')}"} for name in ("RateLimit-Policy", "RateLimit")}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FORM = {
    "schema": {
        "type": "object",
        "required": [FIELD],
        "properties": {FIELD: {"type": "string", "format": "binary"}},
    }
}

CACHE_STATUS = {"Cache-Status": {"$ref": "#/components/headers/CacheStatus"}}
ETAG = {"ETag": {"$ref": "#/components/headers/ETag"}}

# What anybody may meet who asks where a key is needed.
ACCESS: tuple[type[HangtagError], ...] = (KeyMissing, KeyUnknown, ScopeMissing, RateLimited)

# On which terms one may ask, and what a classification brings.
TERMS: list[Json] = [{"$ref": f"#/components/parameters/{name}"} for name in ("Priority", "Deadline", "Key")]
CLASSIFICATION: Json = {
    "parameters": TERMS,
    "requestBody": {
        "description": (
            "The file as it is (`curl --data-binary @photo.jpg -H 'Content-Type: image/jpeg'`), "
            f"or a form with the file in the field `{FIELD}` (`curl -F {FIELD}=@photo.jpg`)."
        ),
        "required": True,
        # Most generators know only the first; of a form they make a method that takes the file by name.
        "content": {MULTIPART: _FORM, **dict.fromkeys((*IMAGE_TYPES, UNNAMED), _BINARY)},
    },
}


def example(value: object, media_type: str = "application/json", **more: Any) -> Json:
    """A response with an example."""
    return {"content": {media_type: {"example": value}}, **more}


def problems(*kinds: type[HangtagError]) -> Responses:
    """The responses of a route that can end in these errors, by status."""
    by_status: dict[int, list[type[HangtagError]]] = defaultdict(list)
    for kind in kinds:
        by_status[status_of(kind(""))].append(kind)
    return {status: _problem(status, by_status[status]) for status in sorted(by_status)}


def _problem(status: int, kinds: list[type[HangtagError]]) -> Json:
    codes = " or ".join(f"`{kind.code}`" for kind in kinds)
    return {
        "description": f"{PHRASES[status]}: {codes}.",
        "headers": (_RETRY_AFTER if any(issubclass(kind, Refused) for kind in kinds) else {})
        | (_RATE if RateLimited in kinds else {}),
        "content": {PROBLEM_JSON: {**_PROBLEM, "examples": {kind.code: _shown(status, kind) for kind in kinds}}},
    }


def _shown(status: int, kind: type[HangtagError]) -> Json:
    what = (kind.__doc__ or "").splitlines()[0]
    return {"value": Problem(title=PHRASES[status], status=status, detail=what, code=kind.code).model_dump()}


# What FastAPI is told of the whole. Without a `default` response, it would say that wrong parameters get a 422.
DESCRIPTION: Json = {
    "title": "Hangtag",
    "summary": "Says what a product photo shows.",
    "description": (
        "Errors are problem documents (RFC 9457); their `code` is stable. What is refused with `Retry-After`, or lost "
        "on the way, may be sent again: a classification changes nothing."
    ),
    "license_info": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
    "openapi_tags": [
        {"name": "models", "description": "Classification, and what there is to know of the models."},
        {"name": "Open Inference Protocol", "description": "The same for clients of Triton and KServe (v2)."},
        {"name": "operations", "description": "For probes, scrapers and operators."},
    ],
    "generate_unique_id_function": attrgetter("name"),  # so a generated client's methods are called as our own are
    "responses": {"default": _problem(500, [InternalError]) | {"description": "Any other error."}},
}

_PARAMETERS: Json = {
    "RequestId": {
        "name": "X-Request-ID",
        "in": "header",
        "description": "The request's name in answers and logs; what is longer or other than this is replaced.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9_.:-]{1,128}$"},
        "example": "order-17",
    },
    "Priority": {
        "name": "Priority",
        "in": "header",
        "description": "How urgent it is (RFC 9218), from 0, the most, to 7; 3 where nothing is said.",
        "schema": {"type": "string"},
        "example": "u=5",
    },
    "Deadline": {
        "name": "X-Request-Deadline-Ms",
        "in": "header",
        "description": "For how many milliseconds an answer is of use.",
        "schema": {"type": "integer", "minimum": 0, "maximum": 999_999_999},
        "example": 250,
    },
    "Key": {
        "name": "X-Request-Key",
        "in": "header",
        "description": "Who asks: one key is answered by one version while a canary is tried.",
        "schema": {"type": "string"},
        "example": "shop-1",
    },
}

_HEADERS: Json = {
    "RequestId": {
        "description": "The request's own X-Request-ID, or one that the service gave it.",
        "schema": {"type": "string"},
        "example": "order-17",
    },
    "RetryAfter": {
        "description": "After how many seconds to send it again.",
        "schema": {"type": "integer"},
        "example": 1,
    },
    "RateLimitPolicy": {
        "description": "To a key that has a rate: images (`q`) in so many seconds (`w`).",
        "schema": {"type": "string"},
        "example": '"images";q=100;w=1',
    },
    "RateLimit": {
        "description": "To a key that has a rate: images that are left (`r`), and seconds until all are there (`t`).",
        "schema": {"type": "string"},
        "example": '"images";r=42;t=1',
    },
    "CacheStatus": {
        "description": "Whether the scores were known already (RFC 9211).",
        "schema": {"type": "string"},
        "example": "hangtag; hit",
    },
    "ETag": {
        "description": "What to send as If-None-Match.",
        "schema": {"type": "string"},
        "example": '"sha256:5ab16bf40cc01098296830492ddca03a555412cb26b3a2c3270ed2bdbb87624b"',
    },
}

_KEY: Json = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "hangtag_<id>_<secret>",
    "description": (
        "A key of `hangtag keys add`, which may `classify`, or `admin`, or both. A service that is started without "
        "keys, or with `--anonymous`, classifies for those who bring none, too. Answers to a key that has a rate have "
        "the headers `RateLimit-Policy` and `RateLimit`."
    ),
}


def complete(document: Json) -> Json:
    """Add to FastAPI's document what all routes have: a request's id, what problems are, and who may ask."""
    components = document["components"]
    components["schemas"]["Problem"] = Problem.model_json_schema(mode="serialization")
    components |= {"parameters": _PARAMETERS, "headers": _HEADERS, "securitySchemes": {"Key": _KEY}}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            operation["security"] = _security(path)
            operation["parameters"] = [*operation.get("parameters", ()), _REQUEST_ID]
            operation["responses"] = dict(sorted(operation["responses"].items()))
            for response in operation["responses"].values():
                response["headers"] = _ANSWERED_ID | response.get("headers", {})
    return document


def _security(path: str) -> list[Json]:
    """The keys that a path takes; `{}` stands for none."""
    match scope_needed(path):
        case None:
            return []
        case "classify":
            return [{"Key": ["classify"]}, {}]
        case scope:
            return [{"Key": [scope]}]
