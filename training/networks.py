"""The networks: raw pixels in, logits out, and with calibration around them, probabilities out."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
from keras import layers

from artifact.card import InputSpec
from training.recipe import Network, PlainNetwork, ResidualNetwork
from training.transfer import transfer_network


def build_network(section: Network, spec: InputSpec, labels: int, weights: Path | None = None) -> Any:
    """The network of a recipe: pixels float32 [N, H, W, C] of 0..255 to logits float32 [N, labels].

    `weights` is the data root, where a transfer finds its pretrained weights; without it, all weights are random.
    """
    if section.kind == "residual":
        return _residual_network(section, spec, labels)
    if section.kind == "plain":
        return _plain_network(section, spec, labels)
    return transfer_network(section, spec, labels, weights)


def calibrated(network: Any, temperature: float) -> Any:
    """The same network, answering softmax(logits / temperature): probabilities float32 [N, labels]."""
    logits = layers.Rescaling(1 / temperature, name="temperature")(network.output)
    return keras.Model(network.input, layers.Softmax(name="scores")(logits), name=network.name)


def describe(section: Network) -> str:
    """What the network is, in a line."""
    if section.kind == "residual":
        widths, blocks = ("-".join(map(str, numbers)) for numbers in (section.widths, section.blocks))
        return f"residual network, widths {widths}, blocks {blocks}"
    if section.kind == "plain":
        return f"plain network, convolutions {list(section.convolutions)}, dense layers {list(section.dense)}"
    width = "" if section.alpha is None else f" {section.alpha:g}"
    head = f", dense layers {list(section.dense)}" if section.dense else ""
    return f"{section.backbone}{width}, {'frozen' if section.frozen else 'fine-tuned'}{head}"


def _residual_network(section: ResidualNetwork, spec: InputSpec, labels: int) -> Any:
    """A residual network (He et al., 2015)."""
    pixels = keras.Input(spec.shape, name="image")
    convolve = partial(_convolve, momentum=section.norm_momentum)
    x = layers.Rescaling(1 / 127.5, offset=-1)(pixels)
    x = layers.ReLU()(convolve(x, section.stem, kernel=3, stride=section.stem_stride))
    for stage, (width, blocks) in enumerate(zip(section.widths, section.blocks, strict=True)):
        for index in range(blocks):
            x = _residual_block(convolve, x, width, stride=2 if stage > 0 and index == 0 else 1)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(section.dropout)(x)
    logits = layers.Dense(labels, name="logits", dtype="float32")(x)
    return keras.Model(pixels, logits, name="residual_network")


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


def _plain_network(section: PlainNetwork, spec: InputSpec, labels: int) -> Any:
    """Convolutions with max pooling after each, then dense layers."""
    penalty = keras.regularizers.L2(section.l2) if section.l2 else None
    pixels = keras.Input(spec.shape, name="image")
    x = layers.Rescaling(1 / 255)(pixels)
    for width in section.convolutions:
        x = layers.Conv2D(width, 3, padding="same", activation="relu", kernel_regularizer=penalty)(x)
        x = layers.MaxPooling2D()(x)
    x = layers.Flatten()(x)
    for units in section.dense:
        x = layers.Dense(units, activation="relu", kernel_regularizer=penalty)(x)
    x = layers.Dropout(section.dropout)(x)
    logits = layers.Dense(labels, name="logits", dtype="float32")(x)
    return keras.Model(pixels, logits, name="plain_network")
