"""`hangtag models rollback`: one step back, at once."""

from collections.abc import Sequence

from pydantic import Field
from pydantic_settings import CliPositionalArg

from artifact.models.options import RelabelOptions


class RollbackOptions(RelabelOptions):
    """Take away a canary that gets requests; where there is none, make the version stable that was so before.

    Example: hangtag models rollback closet --url http://127.0.0.1:8000
    """

    model: CliPositionalArg[str] = Field(description="name of the model")


def run(arguments: Sequence[str]) -> int:
    """Roll back, and say what answers now."""
    options = RollbackOptions.parse("models rollback", arguments)
    repository, name = options.repository, options.model
    with options.alone(name) as folder:
        newest = repository.versions(name)[-1]
        back = repository.rollout(name).rolled_back(newest)
        repository.open(name, back.stable or newest)
        back.write(folder)
    options.tell(name)
    return 0
