"""A Keras model -> an ONNX graph with one uint8 input and one float32 output, checked for what converters get wrong."""

import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime as ort
import tensorflow as tf
import tf2onnx

from artifact.card import InputSpec, RunCard
from artifact.errors import ExportError
from artifact.session import INPUT, OUTPUT

OPSET = 18
MAX_TRANSPOSES = 2  # one on the way in and one on the way out
TOOLS = (keras, onnx, ort, tf, tf2onnx)


def convert(path: Path, card: RunCard) -> Any:
    """The ONNX model of a saved Keras model: `image` uint8 [N, H, W, C] -> `scores` float32 [N, K].

    Raises ExportError when the graph has other inputs or outputs, such as constants that leaked, or when it turns its
    data between layouts more than twice.
    """
    model = keras.saving.load_model(path, compile=False, safe_mode=True)
    _hold_constants(model)
    spec = tf.TensorSpec((None, *card.input.shape), tf.uint8, name=INPUT)

    @tf.function(input_signature=[spec])  # type: ignore[untyped-decorator]  # tensorflow ships no types
    def answer(image: Any) -> dict[str, Any]:
        return {OUTPUT: model(tf.cast(image, tf.float32), training=False)}

    onnx_model, _ = tf2onnx.convert.from_function(answer, input_signature=[spec], opset=OPSET)
    onnx_model = _folded(onnx_model)
    _name_batch(onnx_model)
    _check_graph(onnx_model.graph, card.input, len(card.labels))
    check_layout(onnx_model)
    onnx.checker.check_model(onnx_model, full_check=True)
    return onnx_model


def count_transposes(onnx_model: Any) -> int:
    """How many times the graph turns its data from one layout to another; each costs time and computes nothing."""
    return sum(node.op_type == "Transpose" for node in onnx_model.graph.node)


def check_layout(onnx_model: Any) -> None:
    """Refuse a graph that turns its data back and forth inside; raises ExportError with the count."""
    count = count_transposes(onnx_model)
    if count > MAX_TRANSPOSES:
        raise ExportError(
            f"{count} Transposes are left in the graph, and at most {MAX_TRANSPOSES} are allowed; "
            "a layer keeps the converter from taking them out."
        )


def tool_versions() -> dict[str, str]:
    """The version of each library that takes part in an export."""
    return {tool.__name__: tool.__version__ for tool in TOOLS}


def _hold_constants(model: Any) -> None:
    """Turn the tensors that Normalization layers hold into arrays; tf2onnx would take them for inputs."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            _hold_constants(layer)
        elif isinstance(layer, keras.layers.Normalization):
            layer.mean, layer.variance = np.asarray(layer.mean), np.asarray(layer.variance)


def _folded(onnx_model: Any) -> Any:
    """The same graph with batch norm and constants folded into the convolutions, in standard operators only."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "folded.onnx"
        options.optimized_model_filepath = str(target)
        ort.InferenceSession(onnx_model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        folded = onnx.load(target)
    del folded.opset_import[:]  # onnxruntime names every set it knows
    folded.opset_import.extend([onnx.helper.make_opsetid("", OPSET)])
    return folded


def _name_batch(onnx_model: Any) -> None:
    """Call the dynamic dimension N, instead of a name that tf2onnx made up."""
    for value in (*onnx_model.graph.input, *onnx_model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "N"


def _check_graph(graph: Any, spec: InputSpec, labels: int) -> None:
    expected = {INPUT: ("UINT8", ["N", *spec.shape])}, {OUTPUT: ("FLOAT", ["N", labels])}
    found = _describe(graph.input), _describe(graph.output)
    if found != expected:
        raise ExportError(
            f"The graph has the inputs {found[0]} and outputs {found[1]}, "
            f"but should have exactly {expected[0]} and {expected[1]}; a layer does not convert."
        )


def _describe(values: Any) -> dict[str, tuple[str, list[str | int]]]:
    """The element type and the dimensions, numbers or names, of each input or output."""
    return {
        value.name: (
            onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type),
            [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim],
        )
        for value in values
    }
