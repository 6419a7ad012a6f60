import math

import numpy as np
import pytest

from artifact.figures import (
    calibration_error,
    confusion_matrix,
    fit_threshold,
    label_figures,
    log_loss,
    split_figures,
    wilson_interval,
)
from training.calibration import fit_temperature, softmax


def two(*top: float) -> np.ndarray:
    """Scores of two labels, of which the first has these."""
    return np.array([[score, 1 - score] for score in top])


def test_the_wilson_interval_is_the_published_one():
    # Newcombe (1998), table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    for correct, count, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        assert wilson_interval(correct, count) == pytest.approx((low, high), abs=5e-5)


def test_log_loss_is_the_mean_of_minus_log_of_the_right_labels_score():
    assert log_loss(two(0.5, 0.8), np.array([0, 1])) == pytest.approx(-(math.log(0.5) + math.log(0.2)) / 2)


def test_a_score_of_zero_for_the_right_label_costs_much_but_not_infinity():
    assert 80 < log_loss(two(1.0), np.array([1])) < 90


def test_calibration_error_is_the_gap_between_score_and_share_of_right_answers():
    # Ten answers at 0.9, of which seven are right: the gap is 0.2. Ten at 0.6, six right: no gap.
    scores = two(*[0.9] * 10, *[0.6] * 10)
    labels = np.array([0] * 7 + [1] * 3 + [0] * 6 + [1] * 4)
    assert calibration_error(scores, labels) == pytest.approx(0.1)


def test_a_certain_answer_falls_into_the_last_bin():
    assert calibration_error(two(1.0, 1.0), np.array([0, 0])) == 0


def test_figures_count_what_is_accepted():
    figures = split_figures(two(0.95, 0.9, 0.85, 0.6), np.array([0, 0, 1, 1]), 0.85)
    assert (figures.count, figures.accuracy, figures.accepted_share) == (4, 0.5, 0.75)
    assert figures.accepted_precision == pytest.approx(2 / 3)
    assert split_figures(two(0.6), np.array([0]), 0.9).accepted_precision is None


def test_confusion_has_right_labels_in_rows_and_answers_in_columns():
    scores = np.eye(3)[[0, 1, 1, 0]]
    confusion = confusion_matrix(scores, np.array([0, 0, 1, 1]))
    assert confusion.tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]


def test_label_figures_are_precision_recall_f1_and_support():
    first, _, never = label_figures(np.array([[3, 1, 0], [2, 4, 0], [0, 0, 0]]), ("a", "b", "c"))
    assert first == {"label": "a", "precision": 0.6, "recall": 0.75, "f1": pytest.approx(2 / 3), "support": 4}
    assert never == {"label": "c", "precision": 0, "recall": 0, "f1": 0, "support": 0}


def test_softmax_survives_large_logits():
    assert softmax(np.array([[1000.0, 0.0]])).tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize(("right", "of"), [(9, 10), (3, 4), (60, 100)])
def test_the_temperature_makes_the_score_the_share_of_right_answers(right: int, of: int):
    # All logits are (4, 0), so the best score is the share of right answers: 4 / T = log(p / (1 - p)).
    labels = np.array([0] * right + [1] * (of - right))
    share = right / of
    expected = 4 / math.log(share / (1 - share))
    assert fit_temperature(np.array([[4.0, 0.0]] * of), labels) == pytest.approx(expected, rel=1e-4)


def test_the_threshold_is_the_lowest_score_with_the_precision():
    scores, labels = two(0.9, 0.8, 0.7, 0.65, 0.6), np.array([0, 0, 1, 0, 1])
    assert fit_threshold(scores, labels, 0.99) == 0.8
    assert fit_threshold(scores, labels, 0.75) == 0.65


def test_equal_scores_are_accepted_together_or_not_at_all():
    assert fit_threshold(two(0.9, 0.8, 0.8), np.array([0, 0, 1]), 0.99) == 0.9


def test_nothing_is_accepted_where_the_best_score_is_wrong():
    assert fit_threshold(two(0.9, 0.8), np.array([1, 1]), 0.5) == 1.0


def test_a_large_set_must_reach_the_precision_with_its_lower_bound():
    # The lower bound of n faultless answers is n / (n + 3.8415), at least 0.99 from n = 381 on.
    scores = two(*np.linspace(0.999, 0.8, 500))
    labels = np.zeros(500, np.int64)
    assert fit_threshold(scores, labels, 0.99) == scores[499, 0]
    labels[381:] = 1
    assert fit_threshold(scores, labels, 0.99) == scores[380, 0]
    labels[0] = 1
    assert fit_threshold(scores, labels, 0.99) == 1.0
