"""The rows of the output: what became of each photo."""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from artifact.answer import answers
from artifact.card import ModelCard
from artifact.errors import HangtagError

_RANKED = pa.struct([("label", pa.string()), ("score", pa.float32())])

SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("label", pa.string()),
        ("score", pa.float32()),
        ("top_k", pa.list_(_RANKED)),
        ("decision", pa.string()),
        ("model", pa.string()),
        ("version", pa.string()),
        ("error", pa.string()),
        ("detail", pa.string()),
    ]
)

# Where values repeat, Parquet had better hold each once; to look whether paths and scores do takes as long as the rest.
REPEATED = ["label", "top_k.list.element.label", "decision", "model", "version", "error"]

_Error = TypeVar("_Error", bound=HangtagError)

Scores = NDArray[np.float32]


class Found(NamedTuple):
    """What is found of some photos: scores, float32 [N, K], and by place in them why a photo has none."""

    scores: Scores
    errors: dict[int, HangtagError]


def joined(some: Sequence[Found]) -> Found:
    """What is found of some photos and of those after them, of one model."""
    errors, start = dict[int, HangtagError](), 0
    for scores, failed in some:
        errors |= {start + place: error for place, error in failed.items()}
        start += len(scores)
    return Found(np.concatenate([scores for scores, _ in some]), errors)


def kept(error: _Error) -> _Error:
    """The same error, without where it was raised: as long as it is kept, that keeps all that was in hand there."""
    return type(error)(*error.args)


def to_table(paths: Sequence[str], found: Found, card: ModelCard, top_k: int) -> Any:
    """A table of SCHEMA, a row for each photo: an answer of the card's model, or an error's code and sentence.

    It is made column by column, for as many photos as there are at once: photo by photo, small ones would wait for it.
    """
    answered = _answered(found.scores, card, top_k)
    if found.errors:
        places = np.arange(len(paths))
        answered = [column.take(pa.array(places, mask=np.isin(places, [*found.errors]))) for column in answered]
    errors = [found.errors.get(place) for place in range(len(paths))]
    columns = [
        pa.array(paths, pa.string()),
        *answered,
        pa.repeat(card.name, len(paths)),
        pa.repeat(card.version, len(paths)),
        pa.array([error and error.code for error in errors], pa.string()),
        pa.array([error and str(error) for error in errors], pa.string()),
    ]
    return pa.table(columns, SCHEMA)


def _answered(scores: Scores, card: ModelCard, top_k: int) -> list[Any]:
    """The columns label, score, top_k and decision of photos, from their scores, [N, K]."""
    labels, best = pa.array(card.labels, pa.string()), answers(scores, card, top_k)
    count, width = best.ranked.shape
    names, values = labels.take(pa.array(best.ranked.ravel())), pa.array(best.scores.ravel())
    pairs = pa.StructArray.from_arrays([names, values], fields=list(_RANKED))
    ranked = pa.ListArray.from_arrays(pa.array(np.arange(count + 1) * width, pa.int32()), pairs)
    firsts = pa.array(np.arange(count) * width)
    decision = pa.array(np.where(best.is_accepted, "accept", "review"), pa.string())
    return [names.take(firsts), values.take(firsts), ranked, decision]
