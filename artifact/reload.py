"""Asking a running service to read its models, their labels and its keys anew."""

import json
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection

from pydantic import AnyHttpUrl, Field

from artifact.command import ApiKey, Options
from artifact.errors import HangtagError

_ROUTE = "/v1/admin/reload"
_SECONDS = 300  # the service may load what is new before it answers


class ReloadOptions(Options):
    """Options of whatever changes files that running services have to learn of."""

    url: AnyHttpUrl | None = Field(None, description="a running service to reload, such as http://127.0.0.1:8000")
    api_key: ApiKey | None = Field(
        None,
        repr=False,
        description="a key of it with the scope admin; as HANGTAG_API_KEY it stays out of the list of processes",
    )

    def reload(self) -> str:
        """What the service at `url` answers, JSON, or how it learns what has changed; raises HangtagError."""
        if self.url is None:
            return "Running services learn it at their next reload: SIGHUP, POST /v1/admin/reload, or --watch."
        return _reload(self.url, self.api_key.get_secret_value() if self.api_key else "")


def _reload(url: AnyHttpUrl, key: str) -> str:
    """The service's answer, JSON; raises HangtagError where it refuses, with its reason, or does not answer."""
    try:
        status, body = _post(url, key)
    except (OSError, HTTPException) as error:
        raise HangtagError(
            f"{url} does not answer ({error}); it learns what has changed at its next reload."
        ) from error
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
