"""`hangtag models label`: which version is stable, and which are on trial with a share of the requests."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field
from pydantic_settings import CliPositionalArg

from artifact.card import Share
from artifact.errors import LabelRefused, OptionInvalid
from artifact.models.options import RelabelOptions
from artifact.rollout import Rollout, Trial

NONE = "none"


class LabelOptions(RelabelOptions):
    """Give a label to a sound version, or take it away.

    `stable` answers who names no version, `canary` a share of them instead; `shadow` gets a copy of a share, and its
    answers are compared, not returned. Until somebody sets it, stable is the newest version.

    Example: hangtag models label closet canary 4 --share 0.1
    """

    model: CliPositionalArg[str] = Field(description="name of the model")
    label: CliPositionalArg[Literal["stable", Trial]] = Field(description="stable, canary or shadow")
    version: CliPositionalArg[str] = Field(description="a version, or a label that has one; `none` takes it away")
    share: Share | None = Field(None, description="of the requests that name no version, 0 to 1; for canary, shadow")


def run(arguments: Sequence[str]) -> int:
    """Set the label, and say what is so now."""
    options = LabelOptions.parse("models label", arguments)
    with options.alone(options.model) as folder:
        _changed(options).write(folder)
    options.tell(options.model)
    return 0


def _changed(options: LabelOptions) -> Rollout:
    """The labels as they should be; raises OptionInvalid, LabelRefused, or whatever is wrong with the version."""
    repository, name, label, share = options.repository, options.model, options.label, options.share
    needs_share = label != "stable" and options.version != NONE
    if needs_share != (share is not None):
        words = "canary and shadow need one, such as 0.1" if needs_share else "only a version on trial has one"
        raise OptionInvalid(f"--share: {words}")
    rollout, newest = repository.rollout(name), repository.versions(name)[-1]
    if options.version == NONE:
        if label == "stable":
            raise LabelRefused(f"Some version of {name} has to be stable; name the one that should be.")
        return rollout.ended(label)
    version = repository.resolve(name, options.version)
    repository.open(name, version)
    if label == "stable" or share is None:  # the one goes with the other
        return rollout.promoted(version, newest)
    return rollout.tried(label, version, share, newest)
