"""`hangtag models gc`: removes old versions that no label names, and what interrupted work left behind."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import Field
from pydantic_settings import CliImplicitFlag, CliPositionalArg

from artifact.errors import OptionInvalid
from artifact.models.options import RepositoryOptions
from artifact.models.size import folder_bytes, megabytes

_DAY = 24 * 60 * 60  # whoever writes in a staged folder is done sooner


class GcOptions(RepositoryOptions):
    """Remove versions that no label names, but the newest, and folders that were staged over a day ago and left.

    Example: hangtag models gc closet --keep 3 --dry-run
    """

    model: CliPositionalArg[str | None] = Field(None, description="name of a model")
    all: CliImplicitFlag[bool] = Field(default=False, description="all models")
    keep: int = Field(2, ge=1, description="how many of the newest versions stay, labels or not")
    dry_run: CliImplicitFlag[bool] = Field(default=False, description="say what would be removed, and remove nothing")


def run(arguments: Sequence[str]) -> int:
    """Remove, and say what and how many bytes."""
    options = GcOptions.parse("models gc", arguments)
    if options.all == bool(options.model):
        raise OptionInvalid("Name a model, or say --all for all of them.")
    total, would = 0, "would be " if options.dry_run else ""
    for folder in _over(options):
        size = folder_bytes(folder)
        if not options.dry_run:
            options.repository.remove(folder)
        print(f"{folder}: {would}removed, {megabytes(size)}", flush=True)
        total += size
    print(f"{total:,} bytes {would}freed.")
    return 0


def _over(options: GcOptions) -> Iterator[Path]:
    """The folders that are to go, while nobody changes labels; raises RolloutInvalid where they cannot be read."""
    repository = options.repository
    for name in [options.model] if options.model else repository.names():
        with options.alone(name) as folder:
            labelled = repository.labels(name).values()
            old = repository.versions(name)[: -options.keep]
            yield from (folder / version for version in old if version not in labelled)
    for staged in repository.staged(options.model or "*"):
        if staged.stat().st_mtime < time.time() - _DAY:
            yield staged
