"""Which version of a model answers whom: labels, and the share of the traffic that a trial gets; one file per model."""

from pathlib import Path
from typing import Any, Literal, Self, get_args

from pydantic import ValidationError, model_validator

from artifact.card import Share, Strict, Version
from artifact.errors import LabelRefused, RolloutInvalid
from artifact.files import replace

ROLLOUT_FILE = "rollout.json"

Trial = Literal["canary", "shadow"]
Label = Literal["stable", Trial, "previous"]
TRIALS: tuple[Trial, ...] = get_args(Trial)
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
        for trial in TRIALS:
            if self.share(trial) and not getattr(self, trial):
                raise ValueError(f"{trial}_share needs a {trial}")
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
                f"{path} cannot be read as the labels of a model; remove it, and set them anew."
            ) from error

    def write(self, folder: Path) -> None:
        """Replace the file in one step, so that whoever reads sees the old labels or the new ones."""
        replace(folder / ROLLOUT_FILE, self.model_dump_json(indent=2, exclude_defaults=True) + "\n")

    def versions(self, newest: str) -> dict[Label, str]:
        """The version of each label that has one."""
        named: dict[Label, str | None] = {label: getattr(self, label) for label in LABELS}
        return {label: version for label, version in (named | {"stable": self.stable or newest}).items() if version}

    def share(self, trial: Trial) -> float:
        """The share of the requests that a trial gets."""
        return self.canary_share if trial == "canary" else self.shadow_share

    def promoted(self, version: str, newest: str) -> Self:
        """The labels once `version` is stable: what was is `previous`, and what became stable is on trial no more."""
        former = self.stable or newest
        over = [trial for trial in TRIALS if getattr(self, trial) == version]
        changes = {"stable": version} | ({"previous": former} if former != version else {})
        return self._changed(changes | {part: None for trial in over for part in _parts(trial)})

    def tried(self, trial: Trial, version: str, share: float, newest: str) -> Self:
        """The labels once `version` is on trial with a share; raises LabelRefused where it is stable."""
        if version == (self.stable or newest):
            raise LabelRefused(
                f"Version {version} is stable, so it cannot be {trial}, too; make another version stable first."
            )
        return self._changed(dict(zip(_parts(trial), (version, share), strict=True)))

    def ended(self, trial: Trial) -> Self:
        """The labels once nothing is on this trial."""
        return self._changed(dict.fromkeys(_parts(trial)))

    def rolled_back(self, newest: str) -> Self:
        """The labels one step back: without a canary that gets requests, else with stable and previous changed over.

        Raises LabelRefused where there is neither.
        """
        if self.canary_share:
            return self.ended("canary")
        if self.previous is None:
            raise LabelRefused(
                "There is nothing to roll back to: no canary gets requests, and no version was stable before this one; "
                "`hangtag models label MODEL stable VERSION` names one."
            )
        return self.promoted(self.previous, newest)

    def _changed(self, changes: dict[str, Any]) -> Self:
        """The labels with other values; those that are None are taken away."""
        kept = self.model_dump(exclude_defaults=True) | changes
        return type(self)(**{part: value for part, value in kept.items() if value is not None})


def _parts(trial: Trial) -> tuple[str, str]:
    return trial, f"{trial}_share"
