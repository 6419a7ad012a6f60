"""What a job was asked for: whoever asks for the same goes on with it, and nobody else."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict

from artifact.errors import JobDiffers

_NAMED = 3


class Order(BaseModel):
    """All that decides what the rows are; not where and how fast they are made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    model: str
    version: str
    digest: str  # of the model's file: a version may have been published anew
    sources: tuple[str, ...]
    column: str
    top_k: int
    max_pixels: int

    def check(self, asked: Self, out: Path, *, is_over: bool) -> None:
        """Raise JobDiffers, which says what began the output and how to go on with that, unless the same is asked."""
        differences = self._differences(asked)
        if not differences:
            return
        anew = f"name another --out, or remove {out}{'' if is_over else '.job'} to begin anew"
        raise JobDiffers(
            f"{out} was {'labelled' if is_over else 'begun'} {', '.join(differences)}; "
            f"{self._way_on(asked, 'shows what came of that' if is_over else 'goes on with it')}{anew}."
        )

    def _differences(self, asked: Self) -> list[str]:
        """How it was begun, in words, wherever something else is asked for."""
        mine, theirs = (f"{each.model} {each.version}" for each in (self, asked))
        options = [name for name in ("column", "top_k", "max_pixels") if getattr(self, name) != getattr(asked, name)]
        return [
            *([f"by {mine}, not by {theirs}"] if mine != theirs else []),
            *([f"by another {mine}, before that was published anew"] if self._is_replaced(asked) else []),
            *([f"from {_some(self.sources)}"] if self.sources != asked.sources else []),
            *(f"with --{name.replace('_', '-')} {getattr(self, name)}" for name in options),
        ]

    def _is_replaced(self, asked: Self) -> bool:
        return (self.model, self.version) == (asked.model, asked.version) and self.digest != asked.digest

    def _way_on(self, asked: Self, what: str) -> str:
        """How to ask for what the job is, if that can be asked for."""
        if self._is_replaced(asked):
            return ""
        if self == asked.model_copy(update={"version": self.version, "digest": self.digest}):
            return f"--version {self.version} {what}; else "
        return f"the same {what}; else "


def _some(sources: tuple[str, ...]) -> str:
    """The sources, or the first of so many that nobody would read them."""
    more = len(sources) - _NAMED
    return " ".join(sources[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")
