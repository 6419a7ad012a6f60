"""What came of a job, counted: labels, decisions, errors."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter
from typing import Any

import pyarrow.compute as pc
from pydantic import AwareDatetime, BaseModel, ConfigDict

from artifact.table import table

FAILED = 3  # the exit code where some photos have no label


class Summary(BaseModel):
    """How many photos there are, of each label, decision and error; the most frequent first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    photos: int
    labels: dict[str, int]
    decisions: dict[str, int]
    errors: dict[str, int]
    finished: AwareDatetime
    reviewed: int | None = None  # photos in the review, where one was asked for

    @property
    def exit_code(self) -> int:
        """0 only if every photo has a label."""
        return FAILED if self.errors else 0

    def __str__(self) -> str:
        counts = {"labels": self.labels, "decisions": self.decisions, "errors": self.errors}
        return table([[what, counted(each) or "none"] for what, each in counts.items()])


class Counts:
    """Counts rows while they pass by."""

    def __init__(self) -> None:
        self._photos = 0
        self._values: dict[str, Counter[str]] = {"label": Counter(), "decision": Counter(), "error": Counter()}

    def counted(self, tables: Iterable[Any]) -> Iterator[Any]:
        """The same tables."""
        for each in tables:
            self._photos += each.num_rows
            for name, counter in self._values.items():
                for found in pc.value_counts(each[name].drop_null()).to_pylist():
                    counter[found["values"]] += found["counts"]
            yield each

    def summary(self, finished: AwareDatetime) -> Summary:
        """What was counted so far."""
        labels, decisions, errors = (dict(counter.most_common()) for counter in self._values.values())
        return Summary(photos=self._photos, labels=labels, decisions=decisions, errors=errors, finished=finished)


def counted(counts: Mapping[str, int]) -> str:
    """Each name with its count, the most frequent first."""
    ranked = sorted(counts.items(), key=itemgetter(1), reverse=True)
    return ", ".join(f"{name or 'none'} {count:,}" for name, count in ranked)
