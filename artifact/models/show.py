"""`hangtag models show`: one version's card, for a person."""

from collections.abc import Iterator, Sequence

from pydantic import Field
from pydantic_settings import CliPositionalArg

from artifact.card import ModelCard
from artifact.models.options import RepositoryOptions
from artifact.models.size import folder_bytes, megabytes
from artifact.repository import MODEL_FILE
from artifact.table import table

_FIGURES = ("split", "accuracy", "log loss", "calibration error", "accepted", "of them right")


class ShowOptions(RepositoryOptions):
    """Show what a version's card says: labels, figures, input, threshold, data, weights and export.

    Example: hangtag models show closet canary
    """

    model: CliPositionalArg[str] = Field(description="name of the model")
    version: CliPositionalArg[str] = Field("stable", description="a version or a label")


def run(arguments: Sequence[str]) -> int:
    """Print the card."""
    options = ShowOptions.parse("models show", arguments)
    repository, name = options.repository, options.model
    version = repository.resolve(name, options.version)
    folder = repository.root / name / version
    card = ModelCard.read(folder)
    labels = [label for label, labelled in repository.labels(name).items() if labelled == version]
    print(f"{name} {version}: {card.description}\n")
    where = [("labelled", ", ".join(labels) or "no"), ("folder", f"{folder}, {megabytes(folder_bytes(folder))}")]
    print(table([*where, *_facts(card)]))
    print()
    print(table([_FIGURES, *_figures(card)]))
    return 0


def _facts(card: ModelCard) -> Iterator[tuple[str, str]]:
    spec, export, weights = card.input, card.export, card.weights
    yield "labels", ", ".join(card.labels)
    kind = "grey" if spec.channels == 1 else "colour"
    yield "input", f"{spec.height} x {spec.width} pixels, {kind}, {spec.resize.fit}"
    promise = f", for {card.accept_precision:.4g} right of what is accepted" if card.accept_precision else ""
    yield "threshold", f"{card.accept_threshold:.4f}{promise}; temperature {card.temperature:.4f}"
    counts = ", ".join(f"{count:,} {split}" for split, count in card.data.counts.items())
    yield "data", f"{card.data.name} ({counts}), {card.data.licence}; {card.data.digest}"
    yield "weights", f"{weights.network}, {weights.parameters:,} parameters, {weights.licence}"
    yield "begun from", weights.initial
    graph = f"opset {export.opset}, {export.nodes} nodes, {export.transposes} of them Transpose"
    yield "export", f"{export.precision}, {graph}; in float within {export.max_abs_difference:.1e} of Keras"
    if quantised := export.quantised:
        yield (
            "in 8 bits",
            f"{quantised.accuracy_lost:.2%} of accuracy lost, {quantised.agreement:.2%} of labels the same",
        )
    yield "made by", ", ".join(f"{tool} {release}" for tool, release in export.tools.items())
    yield "created", f"{card.created:%Y-%m-%d %H:%M %Z}, by code {card.code_revision}"
    yield "model", card.files.get(MODEL_FILE, "no digest")


def _figures(card: ModelCard) -> Iterator[tuple[str, ...]]:
    for split, figures in card.figures.items():
        right = "" if figures.accepted_precision is None else f"{figures.accepted_precision:.2%}"
        error = f"{figures.calibration_error:.4f}"
        yield split, figures.accuracy_words, f"{figures.log_loss:.4f}", error, f"{figures.accepted_share:.2%}", right
