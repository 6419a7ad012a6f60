import numpy as np
import pytest

from artifact.answer import answer
from artifact.errors import HangtagError, InferenceFailed, PhotoMissing
from catalog.rows import SCHEMA, Found, to_table
from support import card

MISSING, FAILED = PhotoMissing("It is not there."), InferenceFailed("The model failed on this photo.")
DARK, EVEN = np.array([0.75, 0.25, 0.0], np.float32), np.array([0.25, 0.5, 0.25], np.float32)
CARD = card()


@pytest.mark.parametrize("top_k", [1, 2, 100])
@pytest.mark.parametrize(
    "found",
    [[DARK], [MISSING], [DARK, EVEN], [MISSING, DARK, FAILED, EVEN, MISSING], [FAILED, MISSING]],
    ids=["an answer", "an error", "answers", "both", "errors"],
)
def test_a_row_has_the_answer_to_its_photo_or_its_error(found: list[np.ndarray | HangtagError], top_k: int):
    paths = [f"{place}.png" for place in range(len(found))]
    scores = np.stack([each if isinstance(each, np.ndarray) else DARK for each in found])
    errors = {place: each for place, each in enumerate(found) if isinstance(each, HangtagError)}
    table = to_table(paths, Found(scores, errors), CARD, top_k)
    assert table.schema.equals(SCHEMA)
    table.validate(full=True)
    expected = dict.fromkeys(SCHEMA.names) | {"model": CARD.name, "version": CARD.version}
    for path, each, row in zip(paths, found, table.to_pylist(), strict=True):
        if isinstance(each, np.ndarray):
            said = answer(each, CARD, top_k)
            ranked = [{"label": label, "score": score} for label, score in said.predictions]
            assert row == expected | {"path": path, "top_k": ranked, "decision": said.decision} | ranked[0]
        else:
            assert row == expected | {"path": path, "error": each.code, "detail": str(each)}
