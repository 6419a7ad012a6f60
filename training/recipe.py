"""What a system is trained from and how: a recipe is a TOML file, checked before anything is computed."""

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from artifact.card import InputSpec, Name, Share, Strict, Text
from artifact.errors import RecipeError


class DataSection(Strict):
    """Where the photos come from; shares are of the photos that come without a split of their own."""

    source: Literal["fashion-mnist", "folders"]
    folder: Text | None = Field(default=None, description="under the data root; for the source `folders`")
    licence: Text = "not stated"
    validation: float = Field(default=0.1, gt=0, lt=0.5)
    test: float = Field(default=0.1, gt=0, lt=0.5, description="for the source `folders` without a test folder")

    @model_validator(mode="after")
    def _folders_name_one(self) -> Self:
        if (self.source == "folders") != (self.folder is not None):
            raise ValueError("`folder` belongs to the source `folders`, which needs it, and to no other")
        return self


class NetworkSection(Strict):
    """A residual network: a stem, then one stage per width; every stage after the first halves height and width."""

    kind: Literal["residual"] = "residual"
    stem: int = Field(ge=1, description="channels after the first convolution")
    stem_stride: Literal[1, 2] = 1
    widths: tuple[int, ...] = Field(min_length=1, description="channels of each stage")
    blocks: tuple[int, ...] = Field(min_length=1, description="residual blocks of each stage")
    dropout: float = Field(default=0.0, ge=0, lt=1)
    norm_momentum: float = Field(
        default=0.9, gt=0, lt=1, description="of batch norm's running averages; nearer to 1 suits many steps"
    )

    @model_validator(mode="after")
    def _stages_agree(self) -> Self:
        if len(self.widths) != len(self.blocks) or min(self.widths + self.blocks) < 1:
            raise ValueError("`widths` and `blocks` must have one number, at least 1, for each stage")
        return self


class AugmentationSection(Strict):
    """How training photos are varied; what is 0 or false is left out."""

    flip: bool = False
    shift: float = Field(default=0.0, ge=0, lt=0.5, description="at most this share of height and of width")
    erase: Share = Field(default=0.0, description="the share of photos that lose a rectangle")


class ScheduleSection(Strict):
    """How long, in what steps and how fast training goes: AdamW, warm-up, then a cosine down to zero."""

    epochs: int = Field(ge=1)
    batch: int = Field(ge=1)
    peak_rate: float = Field(gt=0)
    warmup_epochs: int = Field(default=1, ge=0)
    weight_decay: float = Field(default=0.0, ge=0)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    patience: int = Field(ge=1, description="epochs without a better validation accuracy, after which training stops")

    @model_validator(mode="after")
    def _warmup_ends(self) -> Self:
        if self.warmup_epochs >= self.epochs:
            raise ValueError("`warmup_epochs` must be fewer than `epochs`")
        return self


class CalibrationSection(Strict):
    """What the accept threshold promises."""

    precision: float = Field(default=0.99, gt=0, lt=1)


class Recipe(Strict):
    """A whole recipe."""

    name: Name
    description: Text
    seed: int = Field(default=0, ge=0)
    data: DataSection
    input: InputSpec
    network: NetworkSection
    augmentation: AugmentationSection = AugmentationSection()
    schedule: ScheduleSection
    calibration: CalibrationSection = CalibrationSection()


def find_recipe(name_or_path: str) -> Path:
    """The file of a recipe that comes with Hangtag, or of one's own; raises RecipeError with what there is."""
    shipped = Path(str(files("training.recipes")))
    path = Path(name_or_path) if name_or_path.endswith(".toml") else shipped / f"{name_or_path}.toml"
    if not path.is_file():
        names = ", ".join(sorted(file.stem for file in shipped.glob("*.toml")))
        raise RecipeError(f"There is no recipe {name_or_path!r}; there are {names}, or give the path of a .toml file.")
    return path


def read_recipe(path: Path) -> Recipe:
    """The recipe in a TOML file; raises RecipeError with each key that is wrong, and the valid ones if unknown."""
    try:
        return Recipe.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not valid TOML: {error}.") from error
    except ValidationError as error:
        raise RecipeError(f"{path} is not a valid recipe: {'; '.join(map(_explain, error.errors()))}.") from error


def _explain(item: Any) -> str:
    place = [str(part) for part in item["loc"]]
    if item["type"] != "extra_forbidden":
        return f"{'.'.join(place) or 'the recipe'}: {item['msg'].removeprefix('Value error, ')}"
    section: Any = Recipe
    for part in place[:-1]:
        section = section.model_fields[part].annotation
    return f"{'.'.join(place)} is not a key that recipes know; valid here are {', '.join(section.model_fields)}"
