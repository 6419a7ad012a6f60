"""Who may ask: the keys as they are now, and the check of the one that a request brings."""

import hmac
import logging
from hashlib import sha256
from math import ceil, inf
from pathlib import Path
from time import time

from limits import RateLimitItem
from starlette.types import Scope as Request

from artifact.errors import KeyMissing, KeysInvalid, KeyUnknown, RateLimited, ReloadFailed, ScopeMissing
from service.keys.file import KeysFile
from service.keys.key import Key, Scope, id_of, rate_of
from service.metrics import Metrics
from service.rates import Bucket
from service.record import RECORD
from service.settings import Settings

logger = logging.getLogger("hangtag")

HEADERS = "headers"  # of the answer, in the request's state

_AUTHORIZATION, _BEARER = b"authorization", b"bearer "
_NO_STORE = (b"cache-control", b"no-store")
_OF_NO_KEY = bytes(32)  # a digest that no key has


class Holder:
    """Who has a key, and what the key is good for."""

    def __init__(self, key: Key, bucket: Bucket | None, metrics: Metrics) -> None:
        self.name = key.name
        self.digest = bytes.fromhex(key.sha256)
        self.scopes = frozenset(key.scopes)
        self.expires = key.expires.timestamp() if key.expires else inf
        self.bucket = bucket
        self.accepted, self.expired, self.scope, self.rate = (
            metrics.key_requests.labels(key.name, outcome) for outcome in ("accepted", "expired", "scope", "rate")
        )


class Access:
    """Lets a request in whose key is good for what it asks; raises KeysInvalid where the file of keys is not one.

    With a `folder`, rates hold for all processes that share it. Where no file of keys is set, all may classify, and
    nobody may do more.
    """

    def __init__(self, settings: Settings, metrics: Metrics, folder: Path | None) -> None:
        self._path = settings.keys
        self._for_all: frozenset[Scope] = frozenset({"classify"} if settings.takes_anybody else ())
        self._metrics = metrics
        self._folder = folder
        self._holders: dict[bytes, Holder] = {}  # by id
        self._buckets: dict[str, Bucket] = {}  # by id
        self._nobody, self._missing, self._stranger = (
            metrics.key_requests.labels(*of)
            for of in (("none", "accepted"), ("none", "missing"), ("unknown", "unknown"))
        )
        if self._path:
            self._adopt(KeysFile.read(self._path))

    def reload(self) -> None:
        """Read the keys anew; raises ReloadFailed where the file is not one, and goes on with those from before."""
        if self._path is None:
            return
        try:
            self._adopt(KeysFile.read(self._path))
        except (KeysInvalid, OSError) as error:
            self._metrics.key_loads.labels("failed").inc()
            logger.error("keys: %s Those from before stay.", error)  # noqa: TRY400 - it says all there is
            raise ReloadFailed(f"{error} The keys from before stay.") from error
        logger.info("keys: %d are good", len(self._holders))

    def admit(self, request: Request, needed: Scope) -> None:
        """Count a request for its key, whose name its record gets; raises an AccessDenied or RateLimited."""
        brought = _key_in(request) if self._path else None
        if brought is None:
            self._admit_anybody(needed)
            return
        holder = self._holder(brought)
        if time() >= holder.expires:
            holder.expired.inc()
            raise KeyUnknown(f"The key {holder.name} is good no more; ask for a new one.")
        request[RECORD].key = holder.name
        self._admit_in_time(holder, request["state"])
        if needed not in holder.scopes and needed not in self._for_all:
            holder.scope.inc()
            raise ScopeMissing(f"The key {holder.name} may not do this; it would need the scope {needed}.")
        holder.accepted.inc()

    def _admit_anybody(self, needed: Scope) -> None:
        if self._path is None:
            if needed not in self._for_all:
                raise ScopeMissing("This service has no keys, so nobody may do this; start it with --keys.")
        elif needed in self._for_all:
            self._nobody.inc()
        else:
            self._missing.inc()
            raise KeyMissing("This asks for a key; send it as `Authorization: Bearer <key>`.")

    def _holder(self, brought: bytes) -> Holder:
        """Whose key it is; one that is nobody's takes as long as one that is somebody's. Raises KeyUnknown."""
        holder = self._holders.get(id_of(brought))
        expected = holder.digest if holder else _OF_NO_KEY
        if not hmac.compare_digest(sha256(brought).digest(), expected) or holder is None:
            self._stranger.inc()
            raise KeyUnknown("The key is none of this service's, or not any more.")
        return holder

    def _admit_in_time(self, holder: Holder, state: dict[str, object]) -> None:
        """Take one image out of the key's rate, and say in the answer's headers what is left."""
        state[HEADERS] = (_NO_STORE,)
        if (bucket := holder.bucket) is None:
            return
        seconds = bucket.take()
        state["bucket"] = bucket
        state[HEADERS] = _headers(bucket)
        if seconds:
            holder.rate.inc()
            raise RateLimited(f"The key {holder.name} has used up its rate; come back later.", ceil(seconds))

    def _adopt(self, file: KeysFile) -> None:
        """Let these be the keys; one whose rate is as before has as much left of it as before."""
        buckets = {key.id: self._bucket(key.id, rate_of(key.rate)) for key in file.keys if key.rate}
        self._holders = {key.id.encode(): Holder(key, buckets.get(key.id), self._metrics) for key in file.keys}
        self._buckets = buckets
        self._metrics.key_loads.labels("ok").inc()

    def _bucket(self, identity: str, rate: RateLimitItem) -> Bucket:
        known = self._buckets.get(identity)
        if known and known.rate == rate:
            return known
        name = f"rate-{identity}-{rate.amount}-{rate.get_expiry()}"
        return Bucket(rate, self._folder and self._folder / name)


def charge(request: Request, images: int) -> None:
    """Count more images against the rate of a request's key than the one that it was let in with."""
    bucket: Bucket | None = request["state"].get("bucket")
    if bucket and images:
        bucket.owe(images)
        request["state"][HEADERS] = _headers(bucket)


def _headers(bucket: Bucket) -> tuple[tuple[bytes, bytes], ...]:
    return (_NO_STORE, (b"ratelimit-policy", bucket.policy), (b"ratelimit", bucket.state()))


def _key_in(request: Request) -> bytes | None:
    """The key that a request brings."""
    for name, value in request["headers"]:
        if name == _AUTHORIZATION and value[: len(_BEARER)].lower() == _BEARER:
            return bytes(value[len(_BEARER) :].strip())
    return None
