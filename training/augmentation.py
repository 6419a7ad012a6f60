"""How training photos are varied: Keras layers that act in training only, and never reach the saved model."""

from typing import Any

import keras
import numpy as np
from keras import layers

from training.recipe import AugmentationSection


def augmented(network: Any, section: AugmentationSection) -> Any:
    """The same network, which in training sees varied pixels; it shares the network's weights."""
    pixels = keras.Input(network.input_shape[1:], name="image")
    x = pixels
    if section.flip:
        x = layers.RandomFlip("horizontal")(x)
    if section.shift:
        x = layers.RandomTranslation(section.shift, section.shift, fill_mode="nearest", interpolation="nearest")(x)
    if section.erase:
        x = layers.RandomErasing((section.erase, section.erase), scale=(0.02, 0.2), value_range=(0, 255))(x)
    return keras.Model(pixels, network(x), name="training")


def reseed(model: Any, seed: int, epoch: int) -> None:
    """Make all that is random in a model depend on the seed and the epoch only, so a resumed run repeats it."""
    states = [v for v in model.non_trainable_variables if v.path.endswith("seed_generator_state")]
    for index, state in enumerate(states):
        state.assign(np.random.default_rng([seed, epoch, index]).integers(0, 2**31, size=2))
