"""The networks: raw pixels in, logits out, and with calibration around them, probabilities out."""

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
from keras import layers

from artifact.card import InputSpec
from training.recipe import ResidualNetwork


def residual_network(section: ResidualNetwork, spec: InputSpec, labels: int) -> Any:
    """A residual network (He et al., 2015): pixels float32 [N, H, W, C] of 0..255 to logits float32 [N, labels]."""
    pixels = keras.Input(spec.shape, name="image")
    convolve = partial(_convolve, momentum=section.norm_momentum)
    x = layers.Rescaling(1 / 127.5, offset=-1)(pixels)
    x = layers.ReLU()(convolve(x, section.stem, kernel=3, stride=section.stem_stride))
    for stage, (width, blocks) in enumerate(zip(section.widths, section.blocks, strict=True)):
        for index in range(blocks):
            x = _residual_block(convolve, x, width, stride=2 if stage > 0 and index == 0 else 1)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(section.dropout)(x)
    return keras.Model(pixels, layers.Dense(labels, name="logits")(x), name="residual_network")


def calibrated(network: Any, temperature: float) -> Any:
    """The same network, answering softmax(logits / temperature): probabilities float32 [N, labels]."""
    logits = layers.Rescaling(1 / temperature, name="temperature")(network.output)
    return keras.Model(network.input, layers.Softmax(name="scores")(logits), name=network.name)


def _residual_block(convolve: Callable[..., Any], x: Any, width: int, *, stride: int) -> Any:
    y = layers.ReLU()(convolve(x, width, kernel=3, stride=stride))
    y = convolve(y, width, kernel=3)
    if stride > 1:
        x = layers.AveragePooling2D(stride, padding="same")(x)
    if x.shape[-1] != width:
        x = convolve(x, width, kernel=1)
    return layers.ReLU()(layers.Add()([x, y]))


def _convolve(x: Any, width: int, *, kernel: int, momentum: float, stride: int = 1) -> Any:
    """A convolution and its batch norm."""
    convolution = layers.Conv2D(
        width, kernel, strides=stride, padding="same", use_bias=False, kernel_initializer="he_normal"
    )
    return layers.BatchNormalization(momentum=momentum)(convolution(x))
