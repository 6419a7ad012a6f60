"""What every subcommand of `hangtag` shares: options that are also `HANGTAG_*` environment variables, defined once."""

from collections.abc import Sequence
from typing import Any, Self

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from artifact.errors import OptionInvalid


class Options(BaseSettings):
    """The options of a subcommand; each field is a flag and an environment variable, and the flag wins.

    A subclass's docstring becomes its `--help`, each field's description the help of its flag.
    """

    model_config = SettingsConfigDict(
        env_prefix="HANGTAG_",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_hide_none_type=True,
        cli_avoid_json=True,
    )

    @classmethod
    def parse(cls, command: str, arguments: Sequence[str]) -> Self:
        """The options that a command line and the environment give; raises OptionInvalid, with one line for each."""
        try:
            return cls(_cli_parse_args=list(arguments), _cli_prog_name=f"hangtag {command}")
        except ValidationError as error:
            raise OptionInvalid("\n".join(map(_explain, error.errors()))) from error


def _explain(item: Any) -> str:
    option = "-".join(str(part) for part in item["loc"]).replace("_", "-")
    return f"--{option}: {item['msg']} (got {item['input']!r})"
