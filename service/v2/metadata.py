"""What a model takes and gives, in the protocol's words."""

from artifact.card import InputSpec, ModelCard
from service.served import ServedModel
from service.v2.schemas import ModelMetadata, TensorMetadata

IMAGE, IMAGE_BYTES, SCORES = "image", "image_bytes", "scores"
PLATFORM = "onnxruntime_onnx"  # as Triton calls it

ANY = -1


def inputs_of(spec: InputSpec) -> list[TensorMetadata]:
    """The inputs of which a request has one: the model's pixels, or encoded photos."""
    return [
        TensorMetadata(name=IMAGE, datatype="UINT8", shape=[ANY, *spec.shape]),
        TensorMetadata(name=IMAGE_BYTES, datatype="BYTES", shape=[ANY]),
    ]


def outputs_of(card: ModelCard) -> list[TensorMetadata]:
    """The one output."""
    return [TensorMetadata(name=SCORES, datatype="FP32", shape=[ANY, len(card.labels)])]


def metadata_of(card: ModelCard, versions: list[str]) -> ModelMetadata:
    """What the card says of the model, and which versions may be asked for."""
    return ModelMetadata(
        name=card.name, versions=versions, platform=PLATFORM, inputs=inputs_of(card.input), outputs=outputs_of(card)
    )


def versions_of(model: ServedModel) -> list[str]:
    """The versions of a model that answer, oldest first."""
    return sorted(model.routing.hosted, key=int)
