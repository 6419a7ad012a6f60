"""Making scores mean what they say: the temperature that logits are divided by."""

import math

import numpy as np
from numpy.typing import NDArray

from artifact.figures import Labels, Scores, log_loss

_GOLDEN = (math.sqrt(5) - 1) / 2
_SMALLEST, _LARGEST = math.log(0.05), math.log(20.0)
_PRECISE_TO = 1e-6


def softmax(logits: Scores, temperature: float = 1.0) -> NDArray[np.float64]:
    """The probabilities, float64 [N, K], that logits [N, K] stand for at a temperature."""
    scaled = logits.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def fit_temperature(logits: Scores, labels: Labels) -> float:
    """The temperature, between 0.05 and 20, with the least log loss (Guo et al., 2017).

    The loss has one minimum in the temperature, so a golden-section search over its logarithm finds it.
    """
    low, high = _SMALLEST, _LARGEST
    while high - low > _PRECISE_TO:
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        if _loss(logits, labels, left) < _loss(logits, labels, right):
            high = right
        else:
            low = left
    return math.exp((low + high) / 2)


def _loss(logits: Scores, labels: Labels, log_temperature: float) -> float:
    return log_loss(softmax(logits, math.exp(log_temperature)), labels)
