"""A peer's network as an artifact of ours: the same file, with a Cast from pixels in front and a card beside it."""

from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper
from PIL import Image

from artifact.card import Export, InputSpec, ModelCard, Resize, SplitFigures, TrainingData, Weights
from artifact.digest import digest_files
from artifact.golden import GOLDEN_FILE, GoldenSamples
from artifact.pixels import decode
from artifact.repository import MODEL_FILE, Repository
from artifact.session import CARD_DIGEST_KEY, CARD_KEY, INPUT, OUTPUT, Session

_UNMEASURED = SplitFigures(
    count=1,
    accuracy=0,
    accuracy_interval=(0, 1),
    log_loss=1,
    calibration_error=1,
    accepted_share=0,
    accepted_precision=None,
)


def publish(network: Path, name: str, repository: Repository) -> Path:
    """Publish the network, float32 [N, H, W, C] to float32 [N, K], as version 1 of a model; gives its folder.

    It was trained on nothing, so its labels are numbers and its figures mean nothing; only its speed does.
    """
    model = onnx.load(network)
    card = _card(name, model)
    sealed = _with_pixels_in_front(model, card)
    staged = repository.stage(name)
    (staged / MODEL_FILE).write_bytes(sealed)
    photos = tuple(_drawn(shade) for shade in (0, 128, 255))
    pixels = np.stack([decode(photo, card.input) for photo in photos])
    GoldenSamples(photos, pixels, Session(sealed, card).run(pixels)).save(staged / GOLDEN_FILE)
    files = digest_files(staged, [MODEL_FILE, GOLDEN_FILE])
    return repository.publish(staged, card.model_copy(update={"files": files}))


def _drawn(shade: int) -> bytes:
    file = BytesIO()
    Image.new("L", (32, 32), shade).save(file, "PNG")
    return file.getvalue()


def _card(name: str, model: onnx.ModelProto) -> ModelCard:
    _, height, width, channels = (size.dim_value for size in model.graph.input[0].type.tensor_type.shape.dim)
    classes = model.graph.output[0].type.tensor_type.shape.dim[1].dim_value
    return ModelCard.complete(
        name=name,
        description="A peer's network, to be measured beside it.",
        created=datetime.now(UTC),
        labels=tuple(f"class {number}" for number in range(classes)),
        input=InputSpec(height=height, width=width, channels=channels, resize=Resize(fit="stretch")),
        temperature=1.0,
        accept_threshold=0.5,
        figures={"test": _UNMEASURED},
        data=TrainingData(name="none", source="none", licence="none", digest="sha256:" + "0" * 64, counts={"test": 1}),
        weights=Weights(network="a peer's", parameters=1, initial="random", licence="none"),
        code_revision="unknown",
        files={},
        version="1",
        export=Export(opset=18, precision="float32", nodes=1, transposes=0, max_abs_difference=0, tools={}),
    )


def _with_pixels_in_front(model: onnx.ModelProto, card: ModelCard) -> bytes:
    graph = model.graph
    given, answered = graph.input[0].name, graph.output[0].name
    for node in graph.node:
        node.input[:] = ["float_image" if name == given else name for name in node.input]
        node.output[:] = [OUTPUT if name == answered else name for name in node.output]
    graph.node.insert(0, helper.make_node("Cast", [INPUT], ["float_image"], to=TensorProto.FLOAT))
    graph.ClearField("input")
    graph.ClearField("output")
    graph.input.append(helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["N", *card.input.shape]))
    graph.output.append(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["N", len(card.labels)]))
    body, digest = card.model_dump_json(exclude={"files"}), card.embedded_digest()
    helper.set_model_props(model, {CARD_KEY: body, CARD_DIGEST_KEY: digest})
    return bytes(model.SerializeToString())
