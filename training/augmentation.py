"""How training photos are varied: Keras layers that act in training only, and never reach the saved model."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from training.recipe import AugmentationSection, Recipe

_RANGE = (0, 255)


def augmented(network: Any, section: AugmentationSection) -> Any:
    """The same network, which in training sees varied pixels; it shares the network's weights."""
    pixels = keras.Input(network.input_shape[1:], name="image")
    return keras.Model(pixels, network(_vary(pixels, section)), name="training")


def augmented_samples(pixels: NDArray[np.uint8], recipe: Recipe, epochs: int) -> NDArray[np.uint8]:
    """Photos [N, H, W, C] as training sees them in its first epochs, but for mixup: uint8 [N, epochs, H, W, C]."""
    image = keras.Input(recipe.input.shape, name="image")
    model = keras.Model(image, layers.Identity()(_vary(image, recipe.augmentation)))
    seen = []
    for epoch in range(epochs):
        reseed(model, recipe.seed, epoch)
        seen.append(keras.ops.convert_to_numpy(model(pixels.astype(np.float32), training=True)))
    return np.stack(seen, axis=1).clip(*_RANGE).astype(np.uint8)


def reseed(model: Any, seed: int, epoch: int) -> None:
    """Make all that is random in a model depend on the seed and the epoch only, so a resumed run repeats it."""
    states = [v for v in model.non_trainable_variables if v.path.endswith("seed_generator_state")]
    for index, state in enumerate(states):
        state.assign(np.random.default_rng([seed, epoch, index]).integers(0, 2**31, size=2))


def _vary(x: Any, section: AugmentationSection) -> Any:
    for layer in (*_shapes(section), *_colours(section)):
        x = layer(x)
    if section.erase:
        x = layers.RandomErasing((section.erase, section.erase), scale=(0.02, 0.2), value_range=_RANGE)(x)
    return x


def _shapes(section: AugmentationSection) -> Iterator[Any]:
    """What moves pixels; what comes in from outside repeats the border."""
    if section.flip:
        yield layers.RandomFlip("horizontal")
    if section.shift:
        yield layers.RandomTranslation(section.shift, section.shift, fill_mode="nearest", interpolation="nearest")
    if section.zoom:
        yield layers.RandomZoom(section.zoom, fill_mode="nearest")
    if section.rotation:
        yield layers.RandomRotation(section.rotation / 360, fill_mode="nearest")
    if section.shear:
        yield layers.RandomShear(section.shear, section.shear, fill_mode="nearest")


def _colours(section: AugmentationSection) -> Iterator[Any]:
    """What changes pixels where they are."""
    if section.brightness:
        yield layers.RandomBrightness(section.brightness, value_range=_RANGE)
    if section.contrast:
        yield layers.RandomContrast(section.contrast, value_range=_RANGE)
    if section.saturation:
        half = section.saturation / 2  # Keras's 0.5 leaves a photo as it is
        yield layers.RandomSaturation((0.5 - half, 0.5 + half), value_range=_RANGE)
    if section.hue:
        yield layers.RandomHue(section.hue, value_range=_RANGE)
