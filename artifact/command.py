"""What every subcommand of `hangtag` shares: options that are also `HANGTAG_*` environment variables, defined once."""

import re
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import Annotated, Any, Self, TypeVar

from pydantic import AfterValidator, BeforeValidator, SecretStr, ValidationError
from pydantic_settings import BaseSettings, CliPositionalArg, CliSettingsSource, NoDecode, SettingsConfigDict

from artifact.errors import OptionInvalid


def _check_key(key: SecretStr) -> SecretStr:
    """A header can carry it as it is; raises ValueError."""
    if not re.fullmatch(r"[!-~]+", key.get_secret_value()):
        raise ValueError("a key has ASCII letters, digits and signs, and no spaces or line breaks")
    return key


def _split(value: object) -> object:
    return value.split(",") if isinstance(value, str) else value


def _split_given(value: object) -> object:
    return value.split(_BETWEEN) if isinstance(value, str) else value


_BETWEEN = "\0"  # no argument of a program can have it in it
_AS_GIVEN = BeforeValidator(_split_given)

# Arguments that are no options, one or more, each as it is: pydantic-settings would look for JSON and commas in them.
Given = CliPositionalArg[Annotated[tuple[str, ...], NoDecode, _AS_GIVEN]]

# A key that a client brings, and words with commas between them: `--scopes classify,admin`.
ApiKey = Annotated[SecretStr, AfterValidator(_check_key)]
Word = TypeVar("Word", bound=str)
Words = Annotated[tuple[Word, ...], NoDecode, BeforeValidator(_split)]


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
            return cls(
                _cli_settings_source=CliSettingsSource(
                    cls,
                    cli_prog_name=f"hangtag {command}",
                    cli_parse_args=list(arguments),
                    parse_args_method=cls._parse_arguments,
                )
            )
        except ValidationError as error:
            raise OptionInvalid("\n".join(map(cls._explain, error.errors()))) from error

    @classmethod
    def _parse_arguments(cls, parser: ArgumentParser, arguments: Sequence[str]) -> Namespace:
        """Parse as argparse does, but keep what is Given out of the hands of pydantic-settings."""
        parsed = parser.parse_args(arguments)
        for name, field in cls.model_fields.items():
            if _AS_GIVEN in field.metadata:
                setattr(parsed, name, _BETWEEN.join(getattr(parsed, name)))
        return parsed

    @classmethod
    def _explain(cls, item: Any) -> str:
        """What is wrong with an option; a field that is not in the `repr` is a secret."""
        option = "-".join(str(part) for part in item["loc"]).replace("_", "-")
        field = cls.model_fields.get(str(item["loc"][0])) if item["loc"] else None
        got = f" (got {item['input']!r})" if field is None or field.repr else ""
        return f"--{option}: {item['msg']}{got}"
