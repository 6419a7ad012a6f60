"""How well scores agree with labels: the figures that a card and a report show."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from artifact.card import SplitFigures

Scores = NDArray[np.floating[Any]]
Labels = NDArray[np.int64]

_Z = 1.959963984540054  # the standard normal's 97.5 % quantile
_BINS = 15


def wilson_interval(correct: int, count: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of a share, `correct` of `count` (Wilson, 1927)."""
    share, weight = correct / count, _Z**2 / count
    centre = (share + weight / 2) / (1 + weight)
    half = _Z / (1 + weight) * np.sqrt(share * (1 - share) / count + weight / (4 * count))
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def log_loss(scores: Scores, labels: Labels) -> float:
    """The mean negative log likelihood, in nats, of probabilities [N, K]."""
    likely = scores[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(likely, np.finfo(np.float32).tiny)).mean())


def calibration_error(scores: Scores, labels: Labels) -> float:
    """The expected calibration error: how far top scores are from the share of right answers, over equal-width bins."""
    top, right = scores.max(axis=1).astype(np.float64), scores.argmax(axis=1) == labels
    bins = np.minimum((top * _BINS).astype(int), _BINS - 1)
    gaps = np.bincount(bins, weights=right - top, minlength=_BINS)
    return float(np.abs(gaps).sum() / len(labels))


def split_figures(scores: Scores, labels: Labels, threshold: float) -> SplitFigures:
    """The card's figures for one split; `threshold` decides which answers are accepted."""
    right, accepted = scores.argmax(axis=1) == labels, scores.max(axis=1) >= threshold
    return SplitFigures(
        count=len(labels),
        accuracy=float(right.mean()),
        accuracy_interval=wilson_interval(int(right.sum()), len(labels)),
        log_loss=log_loss(scores, labels),
        calibration_error=calibration_error(scores, labels),
        accepted_share=float(accepted.mean()),
        accepted_precision=float(right[accepted].mean()) if accepted.any() else None,
    )


def fit_threshold(scores: Scores, labels: Labels, precision: float) -> float:
    """The lowest top score such that of the answers at or over it at least the share `precision` is right.

    That is demanded of the share's lower 95 % Wilson bound, unless there are so few samples that not even faultless
    answers would pass; then of the share itself. Where no score is high enough, 1.0.
    """
    order = np.argsort(-scores.max(axis=1), kind="stable")
    top = scores.max(axis=1)[order]
    right = np.cumsum((scores.argmax(axis=1) == labels)[order])
    is_large = can_prove(len(top), precision)
    for last in range(len(top) - 1, -1, -1):
        if last + 1 < len(top) and top[last + 1] == top[last]:
            continue  # equal scores are accepted together
        count, correct = last + 1, int(right[last])
        if (wilson_interval(correct, count)[0] if is_large else correct / count) >= precision:
            return float(top[last])
    return 1.0


def can_prove(count: int, precision: float) -> bool:
    """Whether the lower 95 % Wilson bound of `count` faultless answers reaches a precision."""
    return wilson_interval(count, count)[0] >= precision


def confusion_matrix(scores: Scores, labels: Labels) -> NDArray[np.int64]:
    """How often each label (row) was answered as each label (column): int64 [K, K]."""
    counts = np.zeros((scores.shape[1], scores.shape[1]), np.int64)
    np.add.at(counts, (labels, scores.argmax(axis=1)), 1)
    return counts


def label_figures(confusion: NDArray[np.int64], names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Precision, recall, F1 and support of each label; a share of nothing is 0."""
    right, answered, support = confusion.diagonal(), confusion.sum(axis=0), confusion.sum(axis=1)
    precision, recall = right / np.maximum(answered, 1), right / np.maximum(support, 1)
    f1 = 2 * right / np.maximum(answered + support, 1)
    columns = zip(names, precision.tolist(), recall.tolist(), f1.tolist(), support.tolist(), strict=True)
    return [dict(zip(("label", "precision", "recall", "f1", "support"), row, strict=True)) for row in columns]
