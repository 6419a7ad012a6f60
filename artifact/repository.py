"""The model repository: one folder `<root>/<name>/<version>/` per model version, verified on read, atomic on write."""

import secrets
import shutil
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Self

from pydantic import TypeAdapter, ValidationError

from artifact.card import CARD_FILE, ModelCard, Name, Version
from artifact.digest import read_verified
from artifact.errors import (
    ArtifactError,
    CardInvalid,
    ModelNotFound,
    ReportNotFound,
    RepositoryEmpty,
    VersionExists,
    VersionNotFound,
)
from artifact.expectation import PREDICTIONS_FILE, Expectation
from artifact.files import sync
from artifact.golden import GOLDEN_FILE, GoldenSamples
from artifact.rollout import Label, Rollout

MODEL_FILE = "model.onnx"
REPORT_FILE = "report/report.html"
FIGURES_FILE = "report/metrics.json"
STAGING_PREFIX = ".staging-"

_NAME: TypeAdapter[str] = TypeAdapter(Name)
_VERSION: TypeAdapter[str] = TypeAdapter(Version)


@dataclass(frozen=True)
class Artifact:
    """One verified model version: its card, the bytes of its ONNX file, its golden samples, and what to expect of it.

    `expectation` is None where the version was published without its answers to test photos.
    """

    card: ModelCard
    model: bytes
    golden: GoldenSamples
    expectation: Expectation | None

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read a version's folder and verify each file's digest against its card.

        Each file is read once: what was verified is what is used. Raises CardInvalid, DigestMismatch with the file and
        both digests, GoldenMismatch, or ArtifactError where its answers to test photos are not of this model.
        """
        card = ModelCard.read(folder)
        missing = {MODEL_FILE, GOLDEN_FILE} - card.files.keys()
        if missing:
            raise CardInvalid(f"{folder / CARD_FILE} names no digest for {' and '.join(sorted(missing))}.")
        content = {file: read_verified(folder / file, digest) for file, digest in card.files.items()}
        predictions = content.get(PREDICTIONS_FILE)
        return cls(
            card,
            content[MODEL_FILE],
            GoldenSamples.load(BytesIO(content[GOLDEN_FILE])),
            Expectation.read(predictions, card) if predictions else None,
        )


class Repository:
    """The models under one folder; nothing is cached, so each call sees what is there now."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self) -> list[str]:
        """The names of all models that have a version, sorted; raises RepositoryEmpty where there are none."""
        found = sorted(folder.name for folder in _folders(self.root) if _fits(_NAME, folder.name) and _versions(folder))
        if not found:
            raise RepositoryEmpty(
                f"{self.root} holds no model ({self.root}/<name>/<version>/{CARD_FILE}); "
                "publish one with `hangtag export`, or name another folder with --models or HANGTAG_MODELS."
            )
        return found

    def versions(self, name: str) -> list[str]:
        """The versions of one model, oldest first; raises ModelNotFound where there are none."""
        found = _versions(self.root / name) if _fits(_NAME, name) else []
        if not found:
            raise ModelNotFound(f"There is no model {name!r} in {self.root}.")
        return found

    def open(self, name: str, version: str) -> Artifact:
        """Read and verify one version, as `Artifact.read`; raises VersionNotFound, too."""
        if version not in self.versions(name):
            raise VersionNotFound(f"Model {name!r} has no version {version!r} in {self.root}.")
        folder = self.root / name / version
        artifact = Artifact.read(folder)
        card = artifact.card
        if (card.name, card.version) != (name, version):
            raise CardInvalid(
                f"{folder / CARD_FILE} is the card of {card.name} {card.version}, not of {name} {version}."
            )
        return artifact

    def rollout(self, name: str) -> Rollout:
        """The labels of a model as somebody set them; raises ModelNotFound or RolloutInvalid."""
        self.versions(name)
        return Rollout.read(self.root / name)

    def labels(self, name: str) -> dict[Label, str]:
        """The version of each label that has one; `stable` always has."""
        return self.rollout(name).versions(self.versions(name)[-1])

    def resolve(self, name: str, wanted: str = "stable") -> str:
        """The version that a number or a label means, whether or not it is sound; raises VersionNotFound."""
        versions = self.versions(name)
        if wanted in versions:
            return wanted
        labelled = next((version for label, version in self.labels(name).items() if label == wanted), wanted)
        if labelled not in versions:
            raise VersionNotFound(
                f"Model {name!r} has no version {labelled!r} in {self.root}; it has {', '.join(versions)}."
            )
        return labelled

    def report(self, card: ModelCard, file: str = REPORT_FILE) -> bytes:
        """The page on a version's training, or its figures, verified; raises ReportNotFound or DigestMismatch."""
        return read_verified(self.root / card.name / card.version / file, report_digest(card, file))

    def card(self, name: str, version: str) -> ModelCard:
        """What a version says of itself, without a look at its files; raises CardInvalid."""
        return ModelCard.read(self.root / name / version)

    def next_version(self, name: str) -> str:
        """The version that a new model of this name gets: one more than the newest, from 1."""
        versions = _versions(self.root / name)
        return str(int(versions[-1]) + 1) if versions else "1"

    def stage(self, name: str) -> Path:
        """Make an empty folder, on the repository's own file system, to write a version in before anyone sees it."""
        folder = self.root / name / (STAGING_PREFIX + secrets.token_hex(4))
        folder.mkdir(parents=True)
        return folder

    def publish(self, staged: Path, card: ModelCard) -> Path:
        """Write the card into a staged folder and make the whole visible in one step; raises VersionExists."""
        (staged / CARD_FILE).write_text(card.to_json(), encoding="utf-8")
        return self.reveal(staged, card)

    def reveal(self, staged: Path, card: ModelCard) -> Path:
        """Make a staged folder, which has its card, visible in one step; raises VersionExists."""
        for path in [*staged.rglob("*"), staged]:
            sync(path)
        folder = self.root / card.name / card.version
        try:
            staged.rename(folder)
        except OSError as error:
            if not folder.exists():
                raise
            raise VersionExists(f"{folder} is published already; a published version never changes.") from error
        sync(folder.parent)
        return folder

    def remove(self, folder: Path) -> None:
        """Remove a version's or a staged folder; nobody sees half of it, and if this breaks off, it is left staged."""
        hidden = folder.with_name(STAGING_PREFIX + secrets.token_hex(4))
        folder.rename(hidden)
        shutil.rmtree(hidden)

    def staged(self, name: str = "*") -> list[Path]:
        """The staged folders of one model or of all, of those that write in them now and of those that broke off."""
        return sorted(self.root.glob(f"{name}/{STAGING_PREFIX}*"))


def report_digest(card: ModelCard, file: str = REPORT_FILE) -> str:
    """The digest of a version's training report, or of its figures; raises ReportNotFound where it has none."""
    digest = card.files.get(file)
    if digest is None:
        raise ReportNotFound(f"Model {card.name} {card.version} was published without a training report.")
    return digest


def _versions(folder: Path) -> list[str]:
    return sorted((path.name for path in _folders(folder) if _fits(_VERSION, path.name)), key=int)


def _folders(folder: Path) -> list[Path]:
    """The folders in a folder, none where it is not there; raises ArtifactError where it cannot be read."""
    try:
        return [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    except OSError as error:
        raise ArtifactError(f"{error.filename or folder} cannot be read ({error.strerror}).") from error


def _fits(adapter: TypeAdapter[str], text: str) -> bool:
    try:
        adapter.validate_python(text)
    except ValidationError:
        return False
    return True
