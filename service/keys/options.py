"""What the subcommands of `hangtag keys` have in common: where the keys are."""

from collections.abc import Callable
from pathlib import Path

from pydantic import Field

from artifact.command import Options
from artifact.files import alone
from artifact.reload import ReloadOptions
from service.keys.file import KeysFile


class KeysOptions(Options):
    """Options of whatever looks into the file of keys."""

    keys: Path = Field(Path("keys.json"), description="the file of keys")


class ChangeOptions(KeysOptions, ReloadOptions):
    """Options of whatever changes keys, which running services have to learn."""

    def change(self, changed: Callable[[KeysFile], KeysFile]) -> None:
        """Write the file anew, while nobody else does; raises KeysInvalid or KeyRefused."""
        with alone(self.keys.parent):
            there = KeysFile.read(self.keys) if self.keys.exists() else KeysFile()
            changed(there).write(self.keys)
