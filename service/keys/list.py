"""`hangtag keys list`: every key, for a person; none of it is secret."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from artifact.table import table
from service.keys.file import KeysFile
from service.keys.key import Key
from service.keys.options import KeysOptions


class ListOptions(KeysOptions):
    """List the keys: name, id (a key begins with hangtag_<id>), scopes, rate, and until when each is good.

    Example: hangtag keys list --keys keys.json
    """


def run(arguments: Sequence[str]) -> int:
    """Print a line for each key."""
    options = ListOptions.parse("keys list", arguments)
    print(table([("name", "id", "scopes", "rate", "created", "good until"), *_rows(KeysFile.read(options.keys))]))
    return 0


def _rows(there: KeysFile) -> Iterator[tuple[str, ...]]:
    now = datetime.now(UTC)
    for key in there.keys:
        yield key.name, key.id, ",".join(key.scopes), key.rate or "any", f"{key.created:%Y-%m-%d}", _until(key, now)


def _until(key: Key, now: datetime) -> str:
    if key.expires is None:
        return "revoked"
    return f"{key.expires:%Y-%m-%d %H:%M} UTC" + (" (over)" if key.expires <= now else "")
