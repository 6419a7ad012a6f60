"""`hangtag keys revoke`: a key that opens nothing any more."""

from collections.abc import Sequence

from pydantic import Field
from pydantic_settings import CliPositionalArg

from service.keys.options import ChangeOptions


class RevokeOptions(ChangeOptions):
    """Take a key away. With `--url`, the service there stops taking it now, else at its next reload.

    Example: hangtag keys revoke shop --url http://127.0.0.1:8000
    """

    name: CliPositionalArg[str] = Field(description="name of the key")


def run(arguments: Sequence[str]) -> int:
    """Take the key out of the file, and say who takes it still."""
    options = RevokeOptions.parse("keys revoke", arguments)
    options.change(lambda there: there.without(options.name))
    print(f"{options.name} is revoked.")
    print(options.reload())
    return 0
