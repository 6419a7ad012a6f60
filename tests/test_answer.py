import numpy as np
import pytest

from artifact.answer import answer
from support import card


def test_labels_are_ranked_by_score_and_equal_ones_keep_the_cards_order():
    result = answer(np.array([0.25, 0.5, 0.25], np.float32), card(), 3)
    assert result.predictions == (("middle", 0.5), ("dark", 0.25), ("light", 0.25))


@pytest.mark.parametrize(("top_k", "count"), [(1, 1), (2, 2), (3, 3), (100, 3)])
def test_there_are_at_most_top_k_labels(top_k: int, count: int):
    assert len(answer(np.array([0.1, 0.2, 0.7], np.float32), card(), top_k).predictions) == count


@pytest.mark.parametrize(("threshold", "decision"), [(0.5, "accept"), (0.75, "accept"), (0.7500001, "review")])
def test_a_score_at_the_threshold_is_accepted_and_one_under_it_is_for_review(threshold: float, decision: str):
    described = card().model_copy(update={"accept_threshold": threshold})
    result = answer(np.array([0.75, 0.125, 0.125], np.float32), described, 1)
    assert (result.decision, result.threshold) == (decision, threshold)
