"""One API key as it is kept: whose it is and what it may do, and a digest in place of the key itself."""

import secrets
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Literal

from limits import RateLimitItem, parse_many
from pydantic import AfterValidator, AwareDatetime, StringConstraints

from artifact.card import Strict

Scope = Literal["classify", "admin"]

# A key is `hangtag_<id>_<secret>`, in hex digits. Secret scanners find it by its beginning; the id is no secret.
_BEGINNING = "hangtag_"
_ID_BYTES, _SECRET_BYTES = 4, 32
_NOT_NAMES = frozenset({"none", "unknown"})  # as metrics call who has no key


def rate_of(text: str) -> RateLimitItem:
    """What a rate such as `100/second` or `6000 per 2 minutes` means; raises ValueError."""
    try:
        [rate] = parse_many(text)
    except ValueError as error:
        raise ValueError("a rate is a number of images in a time, such as 100/second or 6000/minute") from error
    if not rate.amount or not rate.multiples:
        raise ValueError("nobody could ask anything at a rate of nothing")
    return rate


def _check_rate(text: str) -> str:
    rate_of(text)
    return text


def _check_name(name: str) -> str:
    if name in _NOT_NAMES:
        raise ValueError(f"{name} is what metrics call who has no key of ours")
    return name


Rate = Annotated[str, AfterValidator(_check_rate)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$"), AfterValidator(_check_name)]


class Key(Strict):
    """A key that was given to somebody.

    The digest is a plain SHA-256: a key is 256 random bits, which nobody can guess, however fast each guess is.
    """

    name: Name
    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}$")]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    scopes: tuple[Scope, ...]
    rate: Rate | None = None
    created: AwareDatetime
    expires: AwareDatetime | None = None


def make(
    name: str, scopes: tuple[Scope, ...], rate: str | None = None, expires: datetime | None = None
) -> tuple[Key, str]:
    """A new key as it is kept, and the key itself, which nobody can read from that; raises ValidationError."""
    identity = secrets.token_hex(_ID_BYTES)
    text = f"{_BEGINNING}{identity}_{secrets.token_hex(_SECRET_BYTES)}"
    created = datetime.now(UTC).replace(microsecond=0)
    digest = sha256(text.encode()).hexdigest()
    kept = Key(name=name, id=identity, sha256=digest, scopes=scopes, rate=rate, created=created, expires=expires)
    return kept, text


def id_of(text: bytes) -> bytes:
    """What stands where a key has its id."""
    return text[len(_BEGINNING) : len(_BEGINNING) + 2 * _ID_BYTES]
