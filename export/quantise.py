"""A float ONNX model -> the same in 8 bits: about a quarter of the size, and faster where the processor has VNNI.

What was tried, and why it is done so: docs/decisions/0007-int8.md.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from artifact.session import INPUT
from export.bias import correct_biases

_BATCH = 16
# The head's Gemm and Softmax stay float, and so does what turns pixels into the network's numbers.
_QUANTISED = ["Add", "AveragePool", "Clip", "Concat", "Conv", "GlobalAveragePool", "MaxPool", "ReduceMean", "Relu"]


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
    """The model with its convolutions in 8 bits, calibrated on training photos, uint8 [N, H, W, C]."""
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
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return onnx.load(target)
