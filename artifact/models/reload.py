"""Asking a running service to read its models and their labels anew."""

import json
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection

from pydantic import AnyHttpUrl

from artifact.errors import HangtagError

_ROUTE = "/v1/admin/reload"
_SECONDS = 300  # the service may load what is new before it answers


def reload(url: AnyHttpUrl, key: str) -> str:
    """The service's answer, JSON; raises HangtagError where it refuses, with its reason, or does not answer."""
    try:
        status, body = _post(url, key)
    except (OSError, HTTPException) as error:
        raise HangtagError(f"{url} does not answer ({error}); it learns the labels at its next reload.") from error
    if status >= HTTPStatus.MULTIPLE_CHOICES:
        raise HangtagError(f"{url} did not reload ({status}): {_detail(body)}")
    return body.decode(errors="replace")


def _post(url: AnyHttpUrl, key: str) -> tuple[int, bytes]:
    kind = HTTPSConnection if url.scheme == "https" else HTTPConnection
    connection = kind(url.host or "", url.port, timeout=_SECONDS)
    path = (url.path or "").rstrip("/") + _ROUTE
    try:
        connection.request("POST", path, headers={"Authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _detail(body: bytes) -> str:
    """What a problem document says to people."""
    try:
        return str(json.loads(body)["detail"])
    except (ValueError, TypeError, KeyError):
        return "its answer is no problem document; is it a Hangtag service?"
