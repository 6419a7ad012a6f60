"""One call of the client: what is sent, what an answer to it means, and when it is sent again. It knows no sockets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from random import uniform
from typing import Generic, TypedDict, TypeVar
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter, ValidationError

from artifact.errors import AnswerInvalid, ClientError, ProblemAnswered, ServiceUnreachable
from service.schemas import Classification, Health, ModelDetail, ModelList, Problem

T = TypeVar("T")

# A classification changes nothing, so whatever the service did not begin, or did not get to say, may be sent again.
_AGAIN = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
_FIRST_PAUSE = 0.1  # seconds
_DOUBLINGS = 6
_LONGEST_DEADLINE = 999_999_999  # milliseconds that the service understands

_CLASSIFICATION = TypeAdapter(Classification)
_MODEL = TypeAdapter(ModelDetail)


class How(TypedDict, total=False):
    """How photos are asked about; what is left out or None, the service decides."""

    version: str | None  # a number, or a label such as `canary`
    top_k: int | None
    urgency: int | None  # 0, the most, to 7 (RFC 9218)
    deadline: float | None  # seconds for each photo; the client decides
    key: str | None  # who asks: one key is answered by one version while a canary is tried


class HowOnce(How, total=False):
    """How one photo is asked about."""

    request_id: str | None


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request, as it can be sent any number of times, and what is expected of its answer."""

    method: str
    path: str
    shape: TypeAdapter[T]
    query: Mapping[str, int] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    answers: frozenset[int] = frozenset({HTTPStatus.OK})

    def headers_within(self, seconds: float) -> dict[str, str]:
        """The headers, when so much is left until the deadline."""
        milliseconds = min(max(int(seconds * 1000), 1), _LONGEST_DEADLINE)
        return {**self.headers, "X-Request-Deadline-Ms": str(milliseconds)}

    def understand(self, response: httpx.Response) -> T:
        """The answer; raises ProblemAnswered or AnswerInvalid.

        Keys that this release does not know are passed over, so that a service may be newer than its clients.
        """
        if response.status_code not in self.answers:
            raise _problem(response)
        try:
            return self.shape.validate_json(response.content, extra="ignore")
        except ValidationError as error:
            raise AnswerInvalid(
                f"{response.url} answered what no Hangtag service does; is it the address of one?"
            ) from error


def classification(model: str, photo: bytes, how: HowOnce) -> Call[Classification]:
    """Ask about one photo; raises TypeError for what nobody could obey."""
    if unknown := how.keys() - HowOnce.__optional_keys__:
        raise TypeError(f"There is no {', '.join(sorted(unknown))} to ask for; see service.call.HowOnce.")
    version, top_k, urgency = how.get("version"), how.get("top_k"), how.get("urgency")
    certain = "" if version is None else f"/versions/{quote(version, safe='')}"
    headers = {
        "Content-Type": "application/octet-stream",  # the service looks at the bytes
        "Priority": None if urgency is None else f"u={urgency}",
        "X-Request-Key": how.get("key"),
        "X-Request-ID": how.get("request_id"),
    }
    return Call(
        "POST",
        f"/v1/models/{quote(model, safe='')}{certain}/classify",
        _CLASSIFICATION,
        query={} if top_k is None else {"top_k": top_k},
        headers={name: value for name, value in headers.items() if value is not None},
        body=photo,
    )


def detail(model: str) -> Call[ModelDetail]:
    """Ask for one model and its card."""
    return Call("GET", f"/v1/models/{quote(model, safe='')}", _MODEL)


MODELS = Call("GET", "/v1/models", TypeAdapter(ModelList))
READINESS = Call(
    "GET",
    "/health/ready",
    TypeAdapter(Health),
    answers=frozenset({HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE}),
)


def pause_after(error: ClientError, tries: int) -> float | None:
    """Seconds until a call that failed may be sent again, None where that would be of no use.

    Never less than the service asks for. What is added doubles with each of the `tries` before, and is random, so that
    clients that were refused together do not come back together.
    """
    if isinstance(error, ProblemAnswered) and error.status in _AGAIN:
        asked = error.retry_after or 0.0
    elif isinstance(error, ServiceUnreachable):
        asked = 0.0
    else:
        return None
    return asked + uniform(0, _FIRST_PAUSE * 2 ** min(tries, _DOUBLINGS))  # noqa: S311 - spreads load, hides nothing


def _problem(response: httpx.Response) -> ProblemAnswered:
    try:
        problem = Problem.model_validate_json(response.content)
        code, what = problem.code, problem.detail
    except ValidationError:  # somebody on the way, such as a load balancer, has pages of its own
        code, what = "http_error", f"{response.url} answered {response.status_code} {response.reason_phrase}."
    headers = response.headers
    return ProblemAnswered(response.status_code, code, what, headers.get("X-Request-ID"), _retry_after(headers))


def _retry_after(headers: httpx.Headers) -> float | None:
    """Seconds, given as such or as a date; a date is held against the clock of who sent it, where it has one."""
    value = headers.get("Retry-After", "")
    if value.isdecimal():
        return float(value)
    until = _moment(value)
    if until is None:
        return None
    now = _moment(headers.get("Date", "")) or datetime.now(UTC)
    return max(0.0, (until - now).total_seconds())


def _moment(value: str) -> datetime | None:
    try:
        return parsedate_to_datetime(value).replace(tzinfo=UTC)  # HTTP's dates are always in UTC
    except ValueError:
        return None
