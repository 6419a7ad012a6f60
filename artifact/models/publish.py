"""`hangtag models publish`: a version that was made elsewhere, verified whole and taken over in one step."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field
from pydantic_settings import CliPositionalArg

from artifact.card import CARD_FILE, ModelCard
from artifact.digest import read_verified
from artifact.files import writing
from artifact.models.options import RepositoryOptions, in_words
from artifact.models.verify import replay
from artifact.repository import Artifact, Repository


class PublishOptions(RepositoryOptions):
    """Publish a version's folder from another repository, under its own name and number, if all of it verifies.

    Example: hangtag models publish ../elsewhere/models/closet/5
    """

    folder: CliPositionalArg[Path] = Field(description="a folder with card.json, model.onnx, golden.npz and the rest")


def run(arguments: Sequence[str]) -> int:
    """Copy, verify and publish; whatever goes wrong, the repository stays as it was."""
    options = PublishOptions.parse("models publish", arguments)
    repository, card = options.repository, ModelCard.read(options.folder)
    with writing(options.models):
        folder, difference = _take_over(options.folder, card, repository)
    print(f"{folder}: {len(card.files)} files; golden samples within {difference:.1e}.")
    print(f"{card.name}: {in_words(repository, card.name)}")
    return 0


def _take_over(folder: Path, card: ModelCard, repository: Repository) -> tuple[Path, float]:
    """The version as it is published now, and how far it is from its golden samples."""
    staged = repository.stage(card.name)
    try:
        _copy(folder, card, staged)
        difference = replay(Artifact.read(staged))
        return repository.reveal(staged, card), difference
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise


def _copy(folder: Path, card: ModelCard, staged: Path) -> None:
    """Copy the card as it is, byte for byte, and what it names; raises DigestMismatch."""
    for name, digest in card.files.items():
        (staged / name).parent.mkdir(parents=True, exist_ok=True)
        (staged / name).write_bytes(read_verified(folder / name, digest))
    shutil.copyfile(folder / CARD_FILE, staged / CARD_FILE)
