"""What the subcommands of `hangtag models` have in common: where the models are, and the service that they tell."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import AnyHttpUrl, Field

from artifact.command import Key, Options
from artifact.errors import HangtagError
from artifact.models.reload import reload
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
        """Change a model while nobody else does, since two that read its labels and write them anew would lose one.

        Gives the model's folder; raises ModelNotFound.
        """
        self.repository.versions(name)
        folder = self.models / name
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            with writing(folder):
                yield folder
        finally:
            os.close(descriptor)


class RelabelOptions(RepositoryOptions):
    """Options of whatever changes labels, which running services have to learn."""

    url: AnyHttpUrl | None = Field(None, description="a running service to reload, such as http://127.0.0.1:8000")
    admin_key: Key | None = Field(
        None, repr=False, description="its admin key; as HANGTAG_ADMIN_KEY it stays out of the list of processes"
    )

    def tell(self, name: str) -> None:
        """Print which labels a model has now, and have the service at `url` learn them; raises HangtagError."""
        print(f"{name}: {in_words(self.repository, name)}")
        if self.url is None:
            print("Running services learn it at their next reload: SIGHUP, POST /v1/admin/reload, or --watch.")
        else:
            print(reload(self.url, self.admin_key.get_secret_value() if self.admin_key else ""))


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Where the operating system refuses to write, raise a HangtagError that says what and why."""
    try:
        yield
    except OSError as error:
        raise HangtagError(f"{error.filename or folder} cannot be written ({error.strerror}).") from error


def in_words(repository: Repository, name: str) -> str:
    """The labels of a model, such as `stable 3, previous 2, canary 4 (10 % of the requests)`."""
    rollout = repository.rollout(name)
    words = {label: f"{label} {version}" for label, version in repository.labels(name).items()}
    for trial in TRIALS:
        if trial in words:
            copied = "a copy of " if trial == "shadow" else ""
            words[trial] += f" ({copied}{100 * rollout.share(trial):g} % of the requests)"
    return ", ".join(words.values())
