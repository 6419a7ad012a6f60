"""Making scores mean what they say: the temperature, and the threshold over which an answer can be trusted."""

import math

import numpy as np
from numpy.typing import NDArray

from training.figures import Labels, Scores, log_loss, wilson_interval

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


def fit_threshold(scores: Scores, labels: Labels, precision: float) -> float:
    """The lowest top score such that of the answers at or over it at least the share `precision` is right.

    That is demanded of the share's lower 95 % Wilson bound, unless there are so few samples that not even faultless
    answers would pass; then of the share itself. Where no score is high enough, 1.0.
    """
    order = np.argsort(-scores.max(axis=1), kind="stable")
    top = scores.max(axis=1)[order]
    right = np.cumsum((scores.argmax(axis=1) == labels)[order])
    is_large = wilson_interval(len(top), len(top))[0] >= precision
    for last in range(len(top) - 1, -1, -1):
        if last + 1 < len(top) and top[last + 1] == top[last]:
            continue  # equal scores are accepted together
        count, correct = last + 1, int(right[last])
        if (wilson_interval(correct, count)[0] if is_large else correct / count) >= precision:
            return float(top[last])
    return 1.0


def _loss(logits: Scores, labels: Labels, log_temperature: float) -> float:
    return log_loss(softmax(logits, math.exp(log_temperature)), labels)
