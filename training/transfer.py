"""Networks that somebody trained on ImageNet, with a new head: what a small set of photos is learnt with."""

import warnings
from pathlib import Path
from typing import Any

import keras
from keras import layers

from artifact.card import InputSpec
from artifact.digest import digest_bytes
from artifact.errors import DataError, RecipeError
from training.recipe import TransferNetwork

_SMALLEST = 32  # pixels that every one of keras.applications takes
_IMAGENET_MEAN_BGR = (103.939, 116.779, 123.68)


def transfer_network(section: TransferNetwork, spec: InputSpec, labels: int, weights: Path | None) -> Any:
    """A backbone and a head of dense layers, each with batch norm; raises RecipeError or DataError for bad weights."""
    if spec.channels != 3 or min(spec.height, spec.width) < _SMALLEST:  # noqa: PLR2004 - red, green and blue
        raise RecipeError(
            f"{section.backbone} takes 3 channels and at least {_SMALLEST} pixels each way; set `input` so."
        )
    pixels = keras.Input(spec.shape, name="image")
    backbone = _backbone(section, spec, weights)
    x = layers.GlobalAveragePooling2D()(backbone(as_pretrained(section.backbone, pixels)))
    for units in section.dense:
        x = layers.Dense(units, use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.Dropout(section.dropout)(x)
    logits = layers.Dense(labels, name="logits", dtype="float32")(x)
    return keras.Model(pixels, logits, name=section.backbone)


def set_trainable(network: Any, *, backbone: bool) -> None:
    """Freeze or thaw a transfer's backbone; its batch norm stays frozen, since a small set would spoil it."""
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            layer.trainable = backbone
            for part in layer.layers:
                if isinstance(part, layers.BatchNormalization):
                    part.trainable = False


def initial_weights(section: TransferNetwork, root: Path) -> str:
    """Where a transfer's weights begin, for the card."""
    if section.weights in {"imagenet", "random"}:
        return {"imagenet": "ImageNet, from keras.applications", "random": "random"}[section.weights]
    return f"ImageNet, {section.weights}, {digest_bytes((root / section.weights).read_bytes())}"


def _backbone(section: TransferNetwork, spec: InputSpec, weights: Path | None) -> Any:
    build = getattr(keras.applications, section.backbone)
    options = {"alpha": section.alpha or 1.0} if section.backbone == "MobileNetV2" else {}
    downloads = weights is not None and section.weights == "imagenet"
    try:
        backbone = build(
            include_top=False,
            weights="imagenet" if downloads else None,
            input_shape=spec.shape,
            name="backbone",
            **options,
        )
    except Exception as error:
        if not downloads:
            raise
        raise DataError(
            f"The ImageNet weights of {section.backbone} cannot be had ({error}); connect to the network once, "
            "or name a weights file under the data root as `network.weights`."
        ) from error
    if weights is not None and section.weights not in {"imagenet", "random"}:
        _load(backbone, weights / section.weights, section)
    return backbone


def _load(backbone: Any, path: Path, section: TransferNetwork) -> None:
    if not path.is_file():
        raise DataError(
            f"There are no weights {path}; put the file there, or set `network.weights` to `imagenet` to download them."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Keras only warns of layers that it finds no weights for
            backbone.load_weights(path)
    except (ValueError, OSError, KeyError, UserWarning) as error:
        width = "" if section.alpha is None else f" of alpha {section.alpha:g}"
        raise RecipeError(
            f"{path} does not hold the weights of {section.backbone}{width} without its top "
            f"({str(error).splitlines()[0]})."
        ) from error


def as_pretrained(backbone: str, pixels: Any) -> Any:
    """The pixels as the backbone saw them when it was trained; EfficientNet's own layers do it."""
    if backbone == "MobileNetV2":
        return layers.Rescaling(1 / 127.5, offset=-1)(pixels)
    if backbone == "EfficientNetB0":
        return pixels
    red, green, blue = (pixels[..., channel : channel + 1] for channel in range(3))
    return layers.Rescaling(1.0, offset=[-mean for mean in _IMAGENET_MEAN_BGR])(
        layers.Concatenate()([blue, green, red])
    )
