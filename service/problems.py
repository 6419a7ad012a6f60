"""What an error means in HTTP: the one place that maps our errors to statuses, and to what each API has for errors."""

import logging
from functools import lru_cache
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import Scope

from artifact import errors
from service.record import RECORD
from service.schemas import Problem
from service.v2.schemas import ErrorResponse

logger = logging.getLogger("hangtag")

PROBLEM_JSON = "application/problem+json"

# An error that is not listed here has the status of the nearest class above it that is.
STATUSES: dict[type[Exception], int] = {
    errors.HangtagError: 500,
    errors.ImageError: 422,
    errors.EmptyImage: 400,
    errors.TooManyPixels: 413,
    errors.TooManyBytes: 413,
    errors.ArchiveError: 422,
    errors.TooManyEntries: 413,
    errors.ModelNotFound: 404,
    errors.VersionNotFound: 404,
    errors.ReportNotFound: 404,
    errors.RequestError: 400,
    errors.BodyTooLarge: 413,
    errors.TooManyItems: 413,
    errors.BodyTimeout: 408,
    errors.HeadTimeout: 408,
    errors.ClientGone: 499,
    errors.ContentTypeUnsupported: 415,
    errors.Refused: 503,
    errors.QueueFull: 429,
    errors.RateLimited: 429,
    errors.DeadlineExceeded: 504,
    errors.LastModel: 409,
    errors.ManyWorkers: 409,
    errors.ReloadFailed: 422,
    errors.KeyMissing: 401,
    errors.KeyUnknown: 401,
    errors.ScopeMissing: 403,
}
# RFC 9110's names, two of which Python has had since 3.13.
PHRASES = {status.value: status.phrase for status in HTTPStatus} | {
    413: "Content Too Large",
    422: "Unprocessable Content",
}
_CHALLENGES: dict[type[Exception], str] = {  # RFC 6750
    errors.KeyMissing: "Bearer",
    errors.KeyUnknown: 'Bearer error="invalid_token"',
    errors.ScopeMissing: 'Bearer error="insufficient_scope"',
}


def status_of(error: errors.HangtagError) -> int:
    """The HTTP status of an error."""
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def problem_of(error: errors.HangtagError) -> Problem:
    """What is said of an error in an answer that says other things, too; logged as `respond` does."""
    _log(error)
    return _problem(status_of(error), error.code, str(error))


def answer(error: errors.HangtagError, scope: Scope) -> Response:
    """The answer to a request that ended in an error of ours."""
    return _answer(scope, status_of(error), error.code, str(error), _headers_of(error))


def _headers_of(error: errors.HangtagError) -> dict[str, str] | None:
    """What tells a client how to go on: when to come back, or what key to bring."""
    if isinstance(error, errors.Refused):
        return {"Retry-After": str(getattr(error, "retry_after", 1))}
    challenge = _CHALLENGES.get(type(error))
    return {"WWW-Authenticate": challenge} if challenge else None


def respond(error: errors.HangtagError, scope: Scope) -> Response:
    """The same, with a line in the log when the error is one of ours to look at."""
    _log(error)
    return answer(error, scope)


def _log(error: errors.HangtagError) -> None:
    if status_of(error) >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, errors.Refused):
        logger.error("request failed", exc_info=error)


def install(app: FastAPI) -> None:
    """Answer the app's errors; `service.telemetry` answers those that nobody foresaw."""
    app.add_exception_handler(errors.HangtagError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


async def _ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.HangtagError)  # noqa: S101  (the type that it was registered for)
    return respond(error, request.scope)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  (the type that it was registered for)
    places = "; ".join(f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors())
    return _answer(request.scope, 400, errors.MalformedRequest.code, f"The request is malformed: {places}.")


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  (the type that it was registered for)
    details = {
        404: ("route_not_found", f"There is nothing at {request.url.path}; /docs lists what there is."),
        405: ("method_not_allowed", f"{request.method} is not allowed here; /docs lists what is."),
    }
    code, detail = details.get(error.status_code, ("http_error", HTTPStatus(error.status_code).description))
    return _answer(request.scope, error.status_code, code, detail, dict(error.headers or {}))


def _answer(scope: Scope, status: int, code: str, detail: str, headers: dict[str, str] | None = None) -> Response:
    """A problem document (RFC 9457), or under /v2 what the Open Inference Protocol has for errors."""
    scope[RECORD].code = code
    if f"{scope['path']}/".startswith("/v2/"):
        return Response(ErrorResponse(error=detail).model_dump_json(), status, headers, "application/json")
    return Response(_document(status, code, detail), status, headers, PROBLEM_JSON)


@lru_cache(64)
def _document(status: int, code: str, detail: str) -> bytes:
    """A problem document; a flood of refusals has one for all."""
    return _problem(status, code, detail).model_dump_json().encode()


def _problem(status: int, code: str, detail: str) -> Problem:
    return Problem(title=PHRASES.get(status, "Client Closed Request"), status=status, detail=detail, code=code)
