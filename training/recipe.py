"""What a system is trained from and how: a recipe is a TOML file, checked before anything is computed."""

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, Field, ValidationError, model_validator

from artifact.card import InputSpec, Name, Share, Strict, Text
from artifact.errors import RecipeError


class DataSection(Strict):
    """Where the photos come from; shares are of the photos that come without a split of their own."""

    source: Literal["fashion-mnist", "folders", "manifest"]
    folder: Text | None = Field(default=None, description="under the data root; photos and manifests stand in it")
    manifest: Text | None = Field(default=None, description="a CSV or Parquet file in `folder`: path, label, split")
    classes: dict[Text, tuple[Text, ...]] | None = Field(
        default=None, description="each label of the model, and the labels of the photos that it stands for"
    )
    licence: Text = "not stated"
    share_photos: bool = Field(default=True, description="whether the model may carry photos: samples, and its report")
    validation: float = Field(default=0.1, gt=0, lt=0.5)
    test: float = Field(default=0.1, gt=0, lt=0.5, description="where the photos come without a test split")

    @model_validator(mode="after")
    def _sources_have_what_they_need(self) -> Self:
        if (self.source == "fashion-mnist") != (self.folder is None):
            raise ValueError("`folder` belongs to the sources `folders` and `manifest`, which need it, and to no other")
        if (self.source == "manifest") != (self.manifest is not None):
            raise ValueError("`manifest` belongs to the source `manifest`, which needs it, and to no other")
        return self

    @model_validator(mode="after")
    def _classes_are_apart(self) -> Self:
        taken = [label for labels in (self.classes or {}).values() for label in labels]
        if len(set(taken)) != len(taken):
            raise ValueError("a label of the photos can stand in one of the `classes` only")
        return self


class ResidualNetwork(Strict):
    """A residual network: a stem, then one stage per width; every stage after the first halves height and width."""

    kind: Literal["residual"]
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


class PlainNetwork(Strict):
    """What a first notebook has: convolutions with max pooling after each, then dense layers; ReLU throughout."""

    kind: Literal["plain"]
    convolutions: tuple[int, ...] = Field(default=(), description="channels of each 3x3 convolution")
    dense: tuple[int, ...] = Field(default=(), description="units of each dense layer before the last")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="before the last layer")
    l2: float = Field(default=0.0, ge=0, description="L2 penalty on the weights")


class TransferNetwork(Strict):
    """A network of keras.applications without its top, then dense layers with batch norm and dropout."""

    kind: Literal["transfer"]
    backbone: Literal["MobileNetV2", "ResNet50", "VGG16", "EfficientNetB0"]
    alpha: float | None = Field(default=None, gt=0, description="MobileNetV2's width; 1.0 unless told")
    weights: Text = Field(description="`imagenet` (downloaded), `random`, or a file under the data root")
    licence: Text = Field(default="Apache-2.0", description="of the trained weights; pretrained ones may say more")
    frozen: bool = Field(default=False, description="leave the backbone as it is, and train the head only")
    dense: tuple[int, ...] = Field(default=(), description="units of each dense layer before the last")
    dropout: float = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _alpha_fits(self) -> Self:
        if self.alpha is not None and self.backbone != "MobileNetV2":
            raise ValueError("`alpha` is MobileNetV2's alone")
        return self


Network = Annotated[ResidualNetwork | PlainNetwork | TransferNetwork, Field(discriminator="kind")]


class AugmentationSection(Strict):
    """How training photos are varied; what is 0 or false is left out. Shares are the most that is drawn."""

    flip: bool = Field(default=False, description="mirror half of the photos, left to right")
    shift: float = Field(default=0.0, ge=0, lt=0.5, description="by this share of height and of width")
    zoom: float = Field(default=0.0, ge=0, lt=0.5, description="in and out, by this share")
    rotation: float = Field(default=0.0, ge=0, le=180, description="degrees, either way")
    shear: float = Field(default=0.0, ge=0, lt=1, description="by this share of height and of width")
    brightness: Share = 0.0
    contrast: float = Field(default=0.0, ge=0, lt=1)
    saturation: float = Field(default=0.0, ge=0, lt=1)
    hue: float = Field(default=0.0, ge=0, le=0.5, description="a share of the colour circle")
    erase: Share = Field(default=0.0, description="the share of photos that lose a rectangle")
    mixup: float = Field(default=0.0, ge=0, description="alpha of mixup (Zhang et al., 2018); 0.2 is common")


class HeadSection(Strict):
    """The first part of a transfer: the backbone is frozen, and the new layers learn alone."""

    epochs: int = Field(ge=1)
    rate: float = Field(gt=0)


class ScheduleSection(Strict):
    """How long, in what steps and how fast training goes."""

    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    decay: Literal["cosine", "plateau", "constant"] = Field(
        default="cosine", description="of the rate: to zero along a cosine, a fifth at each plateau, or none"
    )
    head: HeadSection | None = Field(default=None, description="for transfer: train the head alone first")
    epochs: int = Field(ge=1)
    batch: int = Field(ge=1)
    peak_rate: float = Field(gt=0)
    warmup_epochs: int = Field(default=1, ge=0, description="before the cosine; other decays have none")
    plateau_patience: int = Field(default=5, ge=1, description="epochs without a lower validation loss")
    weight_decay: float = Field(default=0.0, ge=0)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    average: float = Field(
        default=0.0, ge=0, lt=1, description="momentum of the weights' moving average, which is validated and kept"
    )
    class_weights: bool = Field(default=False, description="let each label weigh the same, however many photos it has")
    patience: int = Field(ge=1, description="epochs without a better validation accuracy, after which training stops")

    @property
    def head_epochs(self) -> int:
        """How many epochs the head is trained alone."""
        return self.head.epochs if self.head else 0

    @property
    def total_epochs(self) -> int:
        """How many epochs there are in all."""
        return self.head_epochs + self.epochs

    @model_validator(mode="after")
    def _warmup_ends(self) -> Self:
        if self.decay == "cosine" and self.warmup_epochs >= self.epochs:
            raise ValueError("`warmup_epochs` must be fewer than `epochs`")
        return self


class CalibrationSection(Strict):
    """What the accept threshold promises."""

    precision: float = Field(default=0.99, gt=0, lt=1)


class Plan(Strict):
    """What one network is trained by."""

    input: InputSpec
    network: Network
    augmentation: AugmentationSection = AugmentationSection()
    schedule: ScheduleSection

    @model_validator(mode="after")
    def _colours_need_channels(self) -> Self:
        if self.input.channels == 1 and (self.augmentation.saturation or self.augmentation.hue):
            raise ValueError("grey photos have no `saturation` or `hue` to vary")
        return self

    @model_validator(mode="after")
    def _heads_are_transfers(self) -> Self:
        if self.schedule.head is not None and (self.network.kind != "transfer" or self.network.frozen):
            raise ValueError("`schedule.head` belongs to a network of the kind `transfer` that is not `frozen`")
        return self


class Baseline(Plan):
    """The plain network that a model is held against, trained on the same split."""

    description: Text


class Tried(Strict):
    """Something that was tried before the recipe became what it is."""

    what: Text
    validation: Share = Field(description="validation accuracy")
    milliseconds: float | None = Field(default=None, gt=0, description="for a photo, on one core")


class Recipe(Plan):
    """A whole recipe."""

    name: Name
    description: Text
    seed: int = Field(default=0, ge=0, description="decides the split, and all that is random in the published model")
    seeds: int = Field(default=1, ge=1, description="how many seeds are trained, from `seed` on, to see the spread")
    data: DataSection
    calibration: CalibrationSection = CalibrationSection()
    baseline: Baseline | None = None
    tried: tuple[Tried, ...] = Field(default=(), description="for the report: what the choice of network rests on")


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
    """One thing that pydantic found, as `place: what`; the kind of a network is no part of the place."""
    models, place = [Recipe], []
    for part in item["loc"]:
        known = [model for model in models if part in model.model_fields]
        of_kind = [model for model in models if part in _choices(model, "kind")]
        if not of_kind:
            place.append(str(part))
        if known:
            models = _models(known[0].model_fields[part].annotation)
        elif of_kind:
            models = of_kind
    if item["type"] == "extra_forbidden":
        return f"{'.'.join(place)} is not a key that recipes know; valid here are {', '.join(models[0].model_fields)}"
    return f"{'.'.join(place) or 'the recipe'}: {item['msg'].removeprefix('Value error, ')}"


def _choices(model: Any, field: str) -> tuple[Any, ...]:
    return get_args(model.model_fields[field].annotation) if field in model.model_fields else ()


def _models(annotation: Any) -> list[Any]:
    """The models in an annotation, such as those of a union."""
    if isinstance(annotation, type):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [model for part in get_args(annotation) for model in _models(part)]
