"""`hangtag models list`: every model and version, with its labels and figures."""

from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import AwareDatetime, Field, TypeAdapter

from artifact.card import ModelCard, SplitFigures, Strict
from artifact.errors import ArtifactError
from artifact.models.options import RepositoryOptions
from artifact.models.size import folder_bytes, megabytes
from artifact.repository import Repository
from artifact.rollout import Label
from artifact.table import table

_HEAD = ("model", "version", "labels", "size", "precision", "created", "test accuracy")


class ListOptions(RepositoryOptions):
    """Show every model and version: labels, size, precision, and accuracy on test photos with its 95 % interval.

    Example: hangtag models list
    """

    format: Literal["table", "json"] = Field("table", description="for people or for programs")


class Listed(Strict):
    """One version; where its card or its model's labels cannot be read, `error` is the code of what is wrong."""

    model: str
    version: str
    labels: tuple[Label, ...]
    size: int = Field(description="bytes of all its files")
    precision: Literal["float32", "int8"] | None = None
    created: AwareDatetime | None = None
    test: SplitFigures | None = None
    error: str | None = None

    @property
    def row(self) -> tuple[str, ...]:
        """What the table says of it."""
        created = f"{self.created:%Y-%m-%d %H:%M}" if self.created else ""
        figures = self.test.accuracy_words if self.test else "not measured"
        labels, size = ", ".join(self.labels), megabytes(self.size)
        return self.model, self.version, labels, size, self.precision or "", created, self.error or figures


def run(arguments: Sequence[str]) -> int:
    """Print the table, or the JSON; 1 where something of it cannot be read."""
    options = ListOptions.parse("models list", arguments)
    found = [each for name in options.repository.names() for each in _versions(options.repository, name)]
    if options.format == "json":
        print(TypeAdapter(list[Listed]).dump_json(found, indent=2).decode())
    else:
        print(table([_HEAD, *(each.row for each in found)]))
    return int(any(each.error for each in found))


def _versions(repository: Repository, name: str) -> Iterator[Listed]:
    """All versions of a model, whatever is wrong with one of them."""
    for version in repository.versions(name):
        listed = Listed(model=name, version=version, labels=(), size=folder_bytes(repository.root / name / version))
        try:
            card = ModelCard.read(repository.root / name / version)
            figures = {"precision": card.export.precision, "created": card.created, "test": card.figures.get("test")}
            listed = listed.model_copy(update=figures)
            labels = tuple(label for label, labelled in repository.labels(name).items() if labelled == version)
            yield listed.model_copy(update={"labels": labels})
        except ArtifactError as error:
            yield listed.model_copy(update={"error": error.code})
