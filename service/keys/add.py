"""`hangtag keys add`: a new key, of which only a digest is kept."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from pydantic import Field
from pydantic_settings import CliPositionalArg

from artifact.command import Words
from service.keys.key import Name, Rate, Scope, make
from service.keys.options import ChangeOptions


class AddOptions(ChangeOptions):
    """Make a key, and print it: the only time that anybody sees it.

    `classify` lets it ask, `admin` lets it reload the service, and load and unload models. A rate is in images; as many
    as it names may come at once.

    Example: hangtag keys add shop --rate 100/second --days 365
    """

    name: CliPositionalArg[Name] = Field(description="whose key it is, as metrics and logs will say")
    scopes: Words[Scope] = Field(("classify",), min_length=1, description="what it may do: classify, admin or both")
    rate: Rate | None = Field(None, description="images in a time, such as 100/second or 6000/minute; else no limit")
    days: int | None = Field(None, ge=1, le=36500, description="for how many days it is good; else until it is revoked")


def run(arguments: Sequence[str]) -> int:
    """Make a key; it goes to stdout alone, so that it can be piped to where secrets are kept."""
    options = AddOptions.parse("keys add", arguments)
    expires = datetime.now(UTC).replace(microsecond=0) + timedelta(options.days) if options.days else None
    key, text = make(options.name, options.scopes, options.rate, expires)
    options.change(lambda there: there.with_key(key))
    print(text)
    print(
        f"{key.name} may {' and '.join(key.scopes)}. This key is shown once; nobody can read it from the file.",
        file=sys.stderr,
    )
    print(options.reload(), file=sys.stderr)
    return 0
