"""The file that has all keys of a service."""

from pathlib import Path
from typing import Self

from pydantic import ValidationError, model_validator

from artifact.card import Strict
from artifact.errors import KeyRefused, KeysInvalid
from artifact.files import replace
from service.keys.key import Key

_MODE = 0o600  # of a new file; digests are no secrets that one could use, and nobody else needs them either


class KeysFile(Strict):
    """What stands in the file."""

    keys: tuple[Key, ...] = ()

    @model_validator(mode="after")
    def _names_and_ids_are_unique(self) -> Self:
        for what in ("name", "id"):
            values = [getattr(key, what) for key in self.keys]
            if len({*values}) < len(values):
                raise ValueError(f"two keys have the same {what}")
        return self

    @classmethod
    def read(cls, path: Path) -> Self:
        """The keys in a file; raises KeysInvalid."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise KeysInvalid(f"{path} cannot be read ({error.strerror}); `hangtag keys add` makes it.") from error
        except ValidationError as error:
            where = ".".join(map(str, error.errors()[0]["loc"])) or "the file"
            raise KeysInvalid(f"{path} is no file of API keys ({where}: {error.errors()[0]['msg']}).") from error

    def write(self, path: Path) -> None:
        """Replace the file in one step."""
        replace(path, self.model_dump_json(indent=2, exclude_none=True) + "\n", _MODE)

    def with_key(self, key: Key) -> Self:
        """The keys and one more; raises KeyRefused."""
        if any(other.name == key.name for other in self.keys):
            raise KeyRefused(f"There is a key {key.name} already; choose another name, or revoke that one.")
        return type(self)(keys=(*self.keys, key))

    def without(self, name: str) -> Self:
        """The keys but one; raises KeyRefused."""
        kept = tuple(key for key in self.keys if key.name != name)
        if len(kept) == len(self.keys):
            names = ", ".join(key.name for key in self.keys) or "none"
            raise KeyRefused(f"There is no key {name}; the keys are {names}.")
        return type(self)(keys=kept)
