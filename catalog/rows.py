"""A row of the output: what became of one photo."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import pyarrow as pa

from artifact.answer import Answer
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


class Row(NamedTuple):
    """The columns of SCHEMA, in its order: an answer, or an error with its code and its sentence; the rest is None."""

    path: str
    label: str | None
    score: float | None
    top_k: tuple[tuple[str, float], ...] | None
    decision: str | None
    model: str
    version: str
    error: str | None
    detail: str | None

    @classmethod
    def of(cls, path: str, found: Answer | HangtagError, card: ModelCard) -> Self:
        """The row of a photo that was answered by the model of a card, or not."""
        if isinstance(found, HangtagError):
            return cls(path, None, None, None, None, card.name, card.version, found.code, str(found))
        label, score = found.predictions[0]
        return cls(path, label, score, found.predictions, found.decision, card.name, card.version, None, None)


def to_table(rows: Sequence[Row]) -> Any:
    """The rows as a table of SCHEMA."""
    columns = zip(*rows, strict=True)
    return pa.table([pa.array(column, kind) for column, kind in zip(columns, SCHEMA.types, strict=True)], SCHEMA)
