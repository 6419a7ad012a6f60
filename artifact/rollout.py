"""Which version of a model answers whom: labels, and the share of the traffic that a trial gets; one file per model."""

import os
import secrets
from pathlib import Path
from typing import Literal, Self, get_args

from pydantic import ValidationError, model_validator

from artifact.card import Share, Strict, Version
from artifact.errors import RolloutInvalid

ROLLOUT_FILE = "rollout.json"

Label = Literal["stable", "canary", "shadow", "previous"]
LABELS: tuple[Label, ...] = get_args(Label)


class Rollout(Strict):
    """The labels of one model.

    `stable` answers who names no version; where nobody has set it, that is the newest version. `canary` answers a share
    of them instead. `shadow` gets a copy of a share, and its answers are compared, not returned. `previous` was stable
    before, and stays loaded so that a rollback has nothing to load.
    """

    stable: Version | None = None
    previous: Version | None = None
    canary: Version | None = None
    canary_share: Share = 0.0
    shadow: Version | None = None
    shadow_share: Share = 0.0

    @model_validator(mode="after")
    def _shares_have_a_version(self) -> Self:
        for label in ("canary", "shadow"):
            if getattr(self, f"{label}_share") and not getattr(self, label):
                raise ValueError(f"{label}_share needs a {label}")
        return self

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The labels of the model in `folder`, none where nobody has set any; raises RolloutInvalid."""
        path = folder / ROLLOUT_FILE
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return cls()
        except (OSError, ValidationError) as error:
            raise RolloutInvalid(
                f"{path} cannot be read as the labels of a model; set them anew, or remove it."
            ) from error

    def write(self, folder: Path) -> None:
        """Replace the file in one step, so that whoever reads sees the old labels or the new ones."""
        path = folder / ROLLOUT_FILE
        new = path.with_name(f".{ROLLOUT_FILE}-{secrets.token_hex(4)}")
        try:
            with new.open("w", encoding="utf-8") as file:
                file.write(self.model_dump_json(indent=2, exclude_defaults=True) + "\n")
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)

    def versions(self, newest: str) -> dict[Label, str]:
        """The version of each label that has one."""
        named: dict[Label, str | None] = {label: getattr(self, label) for label in LABELS}
        return {label: version for label, version in (named | {"stable": self.stable or newest}).items() if version}
