"""From a run folder to a published model version, with every check between."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from artifact.card import Export, ModelCard, RunCard
from artifact.digest import digest_files
from artifact.errors import ExportError
from artifact.golden import GOLDEN_FILE, GoldenSamples
from artifact.repository import MODEL_FILE, Repository
from artifact.samples import RunSamples
from artifact.session import CARD_DIGEST_KEY, CARD_KEY, INPUT, OUTPUT, Session, session_options
from export.convert import OPSET, convert, count_transposes, tool_versions
from export.loss import measure
from export.quantise import quantise
from export.run import KERAS_FILE, read_run
from export.verify import Answer, check_pixels, largest_difference

LEAST_TOLERANCE, MOST_TOLERANCE = 0.01, 0.2  # of an INT8 version's golden scores
_UNFUSED = ort.GraphOptimizationLevel.ORT_DISABLE_ALL


@dataclass(frozen=True)
class _Exported:
    """A converted model, what its card says of it, and the golden samples that it is held to."""

    graph: Any
    golden: GoldenSamples
    fields: dict[str, Any]


def publish(run: Path, repository: Repository, *, int8: bool = False) -> tuple[Path, ModelCard]:
    """Convert, verify and publish a finished run as the next version of its model, in 8 bits if asked for.

    Raises ExportError when the exported model is not the trained one, or lost too much, and then leaves the repository
    as it was.
    """
    run_card = read_run(run)
    exported = _converted(run, run_card)
    if int8:
        exported = _quantised(run, run_card, exported)
    changes = exported.fields | {"version": repository.next_version(run_card.name), "files": {}}
    card = ModelCard.complete(**dict(run_card) | changes)
    model = _with_card(exported.graph, card)
    largest_difference(Session(model, card).run, exported.golden)
    staged = repository.stage(card.name)
    try:
        exported.golden.save(staged / GOLDEN_FILE)
        return _publish(repository, staged, run, model, card)
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise


def _converted(run: Path, card: RunCard) -> _Exported:
    """The model in ONNX, held against the golden samples of training."""
    golden = GoldenSamples.load(run / GOLDEN_FILE)
    check_pixels(golden, card.input)
    graph = convert(run / KERAS_FILE, card)
    return _Exported(graph, golden, {"export": _export(graph, largest_difference(_plain_answer(graph), golden))})


def _quantised(run: Path, card: RunCard, exact: _Exported) -> _Exported:
    """The same in 8 bits, with figures, threshold and golden scores of its own."""
    if card.accept_precision is None:
        raise ExportError(f"{run} was finished by an earlier Hangtag; finish it again with `hangtag train --resume`.")
    samples = RunSamples.load(run)
    graph = quantise(exact.graph, samples.calibration)
    answer = _plain_answer(graph)
    measured = measure(_plain_answer(exact.graph), answer, samples, card.accept_precision)
    golden = replace(exact.golden, scores=answer(exact.golden.pixels))
    tolerance = _tolerance(golden, _plain_answer(graph, _UNFUSED))
    export = _export(graph, exact.fields["export"].max_abs_difference).model_copy(
        update={"precision": "int8", "golden_tolerance": tolerance, "quantised": measured.quantised}
    )
    fields = {"export": export, "figures": measured.figures, "accept_threshold": measured.threshold}
    return _Exported(graph, golden, fields)


def _tolerance(golden: GoldenSamples, unfused: Answer) -> float:
    """How far another machine may be from the golden scores of a model in 8 bits.

    Its kernels may round elsewhere, and a step of 256 is coarse. Each operator by itself, in floats between roundings,
    shows how much that does to this model; twice as much is let through.
    """
    difference = float(np.abs(unfused(golden.pixels) - golden.scores).max())
    return min(max(2 * difference, LEAST_TOLERANCE), MOST_TOLERANCE)


def _plain_answer(onnx_model: Any, level: Any = ort.GraphOptimizationLevel.ORT_ENABLE_ALL) -> Answer:
    options = session_options()
    options.graph_optimization_level = level
    session = ort.InferenceSession(onnx_model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda pixels: session.run([OUTPUT], {INPUT: pixels})[0]


def _export(onnx_model: Any, difference: float) -> Export:
    return Export(
        opset=OPSET,
        precision="float32",
        nodes=len(onnx_model.graph.node),
        transposes=count_transposes(onnx_model),
        max_abs_difference=difference,
        model_bytes=onnx_model.ByteSize(),
        tools=tool_versions(),
    )


def _with_card(onnx_model: Any, card: ModelCard) -> bytes:
    """The ONNX file, with the card and the card's digest in its metadata."""
    metadata = {CARD_KEY: card.model_dump_json(exclude={"files"}), CARD_DIGEST_KEY: card.embedded_digest()}
    for key, value in metadata.items():
        onnx_model.metadata_props.add(key=key, value=value)
    return bytes(onnx_model.SerializeToString())


def _publish(repository: Repository, staged: Path, run: Path, model: bytes, card: ModelCard) -> tuple[Path, ModelCard]:
    """Write all files of the version, and the card with their digests, and make them visible."""
    (staged / MODEL_FILE).write_bytes(model)
    shutil.copytree(run / "report", staged / "report")
    names = sorted(str(path.relative_to(staged)) for path in staged.rglob("*") if path.is_file())
    described = card.model_copy(update={"files": digest_files(staged, names)})
    return repository.publish(staged, described), described
