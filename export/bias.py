"""Takes off a network's biases what 8-bit weights will add to its numbers on average (Nagel et al., 2019).

Rounded weights are a little too large or too small in each channel; times a mean input that is not zero, that shifts
all that follows. It is most of what quantising costs a MobileNet, and known before anything is quantised.
"""

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from artifact.session import INPUT, session_options

_BATCH = 16
_LARGEST = 127  # of a signed weight, as onnxruntime rounds it

Floats = NDArray[np.float32]


def correct_biases(onnx_model: Any, pixels: NDArray[np.uint8]) -> Any:
    """The float model with the biases that it needs in 8 bits; pixels uint8 [N, H, W, C] show its means."""
    corrected = onnx.ModelProto()
    corrected.CopyFrom(onnx_model)
    constants = {value.name: numpy_helper.to_array(value) for value in corrected.graph.initializer}
    convolutions = [
        node for node in corrected.graph.node if node.op_type == "Conv" and {*node.input[1:]} <= constants.keys()
    ]
    means = _channel_means(onnx_model, sorted({node.input[0] for node in convolutions}), pixels)
    for node in convolutions:
        weights = constants[node.input[1]]
        bias = constants[node.input[2]] if node.input[2:] else np.zeros(len(weights), np.float32)
        name = f"{node.output[0]}_bias"  # of its own, since equal biases may be one constant
        bias = (bias - shift(weights, means[node.input[0]])).astype(np.float32)
        corrected.graph.initializer.append(numpy_helper.from_array(bias, name))
        node.input[2:] = [name]
    _drop_unused(corrected.graph)
    return corrected


def _drop_unused(graph: Any) -> None:
    used = {name for node in graph.node for name in node.input}
    kept = [value for value in graph.initializer if value.name in used]
    graph.ClearField("initializer")
    graph.initializer.extend(kept)


def shift(weights: Floats, means: Floats) -> Floats:
    """What rounding weights [O, I / groups, H, W] adds to each output, float32 [O], at mean inputs [I]."""
    largest = np.abs(weights).max(axis=(1, 2, 3), keepdims=True)
    step = np.where(largest > 0, largest / _LARGEST, 1)
    error = (np.rint(weights / step) * step - weights).sum(axis=(2, 3))
    groups = len(means) // error.shape[1]
    inputs = means.reshape(groups, -1).repeat(len(error) // groups, axis=0)
    added: Floats = (error * inputs).sum(axis=1)
    return added


def _channel_means(onnx_model: Any, tensors: list[str], pixels: NDArray[np.uint8]) -> dict[str, Floats]:
    """The mean of each channel of the tensors [N, C, H, W], over all photos."""
    model = onnx.ModelProto()
    model.CopyFrom(onnx_model)
    outputs = [f"{tensor}_mean" for tensor in tensors]
    model.graph.initializer.append(numpy_helper.from_array(np.array([2, 3]), "height_and_width"))
    for tensor, output in zip(tensors, outputs, strict=True):
        model.graph.node.append(helper.make_node("ReduceMean", [tensor, "height_and_width"], [output], keepdims=0))
        model.graph.output.append(helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, None))
    session = ort.InferenceSession(model.SerializeToString(), session_options(), providers=["CPUExecutionProvider"])
    batches = [session.run(outputs, {INPUT: pixels[start : start + _BATCH]}) for start in range(0, len(pixels), _BATCH)]
    found = (np.concatenate(parts).mean(axis=0) for parts in zip(*batches, strict=True))
    return dict(zip(tensors, found, strict=True))
