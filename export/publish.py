"""From a run folder to a published model version, with every check between."""

import shutil
from pathlib import Path
from typing import Any

import onnxruntime as ort

from artifact.card import Export, ModelCard, RunCard
from artifact.digest import digest_files
from artifact.golden import GOLDEN_FILE, GoldenSamples
from artifact.repository import MODEL_FILE, Repository
from artifact.session import CARD_DIGEST_KEY, CARD_KEY, INPUT, OUTPUT, Session
from export.convert import OPSET, convert, count_transposes, tool_versions
from export.run import KERAS_FILE, read_run
from export.verify import check_pixels, largest_difference


def publish(run: Path, repository: Repository) -> tuple[Path, ModelCard]:
    """Convert, verify and publish a finished run as the next version of its model.

    Raises ExportError when the exported model is not the trained one, and then leaves the repository as it was.
    """
    run_card = read_run(run)
    golden = GoldenSamples.load(run / GOLDEN_FILE)
    check_pixels(golden, run_card.input)
    onnx_model = convert(run / KERAS_FILE, run_card)
    difference = largest_difference(_plain_answer(onnx_model), golden)
    card = _model_card(run_card, onnx_model, difference, repository.next_version(run_card.name))
    model = _with_card(onnx_model, card)
    largest_difference(Session(model, card).run, golden)
    staged = repository.stage(card.name)
    try:
        return _publish(repository, staged, run, model, card)
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise


def _plain_answer(onnx_model: Any) -> Any:
    session = ort.InferenceSession(onnx_model.SerializeToString(), providers=["CPUExecutionProvider"])
    return lambda pixels: session.run([OUTPUT], {INPUT: pixels})[0]


def _model_card(card: RunCard, onnx_model: Any, difference: float, version: str) -> ModelCard:
    export = Export(
        opset=OPSET,
        precision="float32",
        nodes=len(onnx_model.graph.node),
        transposes=count_transposes(onnx_model),
        max_abs_difference=difference,
        tools=tool_versions(),
    )
    return ModelCard(**dict(card) | {"version": version, "export": export, "files": {}})


def _with_card(onnx_model: Any, card: ModelCard) -> bytes:
    """The ONNX file, with the card and the card's digest in its metadata."""
    metadata = {CARD_KEY: card.model_dump_json(exclude={"files"}), CARD_DIGEST_KEY: card.embedded_digest()}
    for key, value in metadata.items():
        onnx_model.metadata_props.add(key=key, value=value)
    return bytes(onnx_model.SerializeToString())


def _publish(repository: Repository, staged: Path, run: Path, model: bytes, card: ModelCard) -> tuple[Path, ModelCard]:
    """Write all files of the version, and the card with their digests, and make them visible."""
    (staged / MODEL_FILE).write_bytes(model)
    shutil.copyfile(run / GOLDEN_FILE, staged / GOLDEN_FILE)
    shutil.copytree(run / "report", staged / "report")
    names = sorted(str(path.relative_to(staged)) for path in staged.rglob("*") if path.is_file())
    described = card.model_copy(update={"files": digest_files(staged, names)})
    return repository.publish(staged, described), described
