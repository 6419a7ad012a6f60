"""What the subcommands of `hangtag models` have in common: where the models are, and the service that they tell."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import Field

from artifact.command import Options
from artifact.files import alone
from artifact.reload import ReloadOptions
from artifact.repository import Repository
from artifact.rollout import TRIALS


class RepositoryOptions(Options):
    """Options of whatever looks into the model repository."""

    models: Path = Field(Path("models"), description="the model repository")

    @property
    def repository(self) -> Repository:
        """The repository that is meant."""
        return Repository(self.models)

    @contextmanager
    def alone(self, name: str) -> Iterator[Path]:
        """Change a model while nobody else does; gives its folder, raises ModelNotFound."""
        self.repository.versions(name)
        folder = self.models / name
        with alone(folder):
            yield folder


class RelabelOptions(RepositoryOptions, ReloadOptions):
    """Options of whatever changes labels, which running services have to learn."""

    def tell(self, name: str) -> None:
        """Print which labels a model has now, and have the service at `url` learn them; raises HangtagError."""
        print(f"{name}: {in_words(self.repository, name)}")
        print(self.reload())


def in_words(repository: Repository, name: str) -> str:
    """The labels of a model, such as `stable 3, previous 2, canary 4 (10 % of the requests)`."""
    rollout = repository.rollout(name)
    words = {label: f"{label} {version}" for label, version in repository.labels(name).items()}
    for trial in TRIALS:
        if trial in words:
            copied = "a copy of " if trial == "shadow" else ""
            words[trial] += f" ({copied}{100 * rollout.share(trial):g} % of the requests)"
    return ", ".join(words.values())
