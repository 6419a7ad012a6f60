import numpy as np
import pytest

from artifact.answer import answer, answers
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


@pytest.mark.parametrize("top_k", [1, 2, 100])
def test_many_answers_at_once_are_those_of_each_alone(top_k: int):
    labels = tuple(f"label {place}" for place in range(40))  # of fewer, numpy keeps the order by chance
    described = card(labels=labels).model_copy(update={"accept_threshold": 0.7})  # which no float32 is
    tenths = (np.random.default_rng(7).integers(0, 8, (500, 40)) / 10).astype(np.float32)  # of which many are equal
    found = answers(tenths, described, top_k)
    for scores, ranked, best, is_accepted in zip(tenths, *found, strict=True):
        alone = answer(scores, described, top_k)
        names = [labels[place] for place in ranked]
        assert tuple(zip(names, best.tolist(), strict=True)) == alone.predictions
        assert ("accept" if is_accepted else "review") == alone.decision


def test_of_no_photos_there_are_no_answers():
    assert answers(np.empty((0, 3), np.float32), card(), 2).ranked.shape == (0, 2)
