"""A float ONNX model -> the same in 8 bits: about a quarter of the size, and faster where the processor has VNNI.

What was tried, and why it is done so: docs/decisions/0007-int8.md.
"""

import tempfile
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from artifact.errors import ExportError
from artifact.session import INPUT
from export.bias import correct_biases

_BATCH = 16
# onnxruntime fuses these with the convolutions around them; pooling between two of them becomes 8-bit by itself.
_QUANTISED = ["Add", "Clip", "Conv", "Relu"]


class _Photos(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime ships no types
    """Feeds the photos that show which values the network's tensors take."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self._batches: Iterator[NDArray[np.uint8]] = (
            pixels[start : start + _BATCH] for start in range(0, len(pixels), _BATCH)
        )

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        """The next batch, or None when there is none left."""
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch}


def quantise(onnx_model: Any, pixels: NDArray[np.uint8]) -> Any:
    """The model with its convolutions in 8 bits, calibrated on training photos, uint8 [N, H, W, C].

    Raises ExportError when it has none.
    """
    on_pixels = _on_pixels(onnx_model.graph)
    with tempfile.TemporaryDirectory() as folder:
        source, shaped, target = (Path(folder) / f"{name}.onnx" for name in ("float", "shaped", "int8"))
        onnx.save(correct_biases(onnx_model, pixels), source)
        quant_pre_process(source, shaped, skip_optimization=True, skip_symbolic_shape=True)
        quantize_static(
            shaped,
            target,
            _Photos(pixels),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=_QUANTISED,
            nodes_to_exclude=on_pixels,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return onnx.load(target)


def _on_pixels(graph: Any) -> list[str]:
    """The names of the nodes before the first convolution, which turn pixels into the network's numbers."""
    before = [node.name for node in takewhile(lambda node: node.op_type != "Conv", graph.node)]
    if len(before) == len(graph.node):
        raise ExportError("The network has no convolutions, and only those are put in 8 bits; export without --int8.")
    return before
