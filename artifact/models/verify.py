"""`hangtag models verify`: whether versions are what their cards say, and answer as they were trained."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from pydantic import Field
from pydantic_settings import CliPositionalArg

from artifact.errors import HangtagError
from artifact.models.options import RepositoryOptions, in_words
from artifact.repository import Artifact, Repository
from artifact.session import Session


class VerifyOptions(RepositoryOptions):
    """Check every digest, the graph and its card, and replay all golden samples; 1 if a version fails.

    Example: hangtag models verify closet
    """

    model: CliPositionalArg[str | None] = Field(None, description="name of a model; else all")
    version: CliPositionalArg[str | None] = Field(None, description="a version or a label; else all")


def run(arguments: Sequence[str]) -> int:
    """Print a line for each version, and for each model's labels, and go on after one that fails."""
    options = VerifyOptions.parse("models verify", arguments)
    passed = [_passes(what, check) for what, check in _checks(options)]
    return int(not all(passed))


def replay(artifact: Artifact) -> float:
    """Load a model and replay all its golden samples; gives the largest difference of a score.

    Raises ModelMismatch, DigestMismatch or GoldenMismatch.
    """
    session = Session(artifact.model, artifact.card)
    return artifact.golden.verify(session.run, artifact.card.input, tolerance=artifact.card.export.golden_tolerance)


def _checks(options: VerifyOptions) -> Iterator[tuple[str, Callable[[], str]]]:
    """What is to be checked, and how."""
    repository, asked = options.repository, options.model
    if asked and options.version:
        version = repository.resolve(asked, options.version)
        yield f"{asked} {version}", partial(_version, repository, asked, version)
        return
    for name in [asked] if asked else repository.names():
        for version in repository.versions(name):
            yield f"{name} {version}", partial(_version, repository, name, version)
        yield f"{name} labels", partial(_labels, repository, name)


def _passes(what: str, check: Callable[[], str]) -> bool:
    try:
        found = check()
    except HangtagError as error:
        print(f"{what}: {error.code}: {error}", flush=True)
        return False
    print(f"{what}: OK, {found}", flush=True)
    return True


def _version(repository: Repository, name: str, version: str) -> str:
    artifact = repository.open(name, version)
    samples = len(artifact.golden.images)
    return f"{len(artifact.card.files)} files, {samples} golden samples within {replay(artifact):.1e}"


def _labels(repository: Repository, name: str) -> str:
    for version in repository.labels(name).values():
        repository.resolve(name, version)
    return in_words(repository, name)
