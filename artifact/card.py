"""What a model says of itself: the card is written at training, completed at export, and obeyed wherever it is used."""

from pathlib import Path, PurePath
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from artifact.digest import digest_bytes
from artifact.errors import CardInvalid

CARD_FILE = "card.json"

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Version = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,8}$")]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Text = Annotated[str, StringConstraints(min_length=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Split = Literal["train", "validation", "test"]


class Strict(BaseModel):
    """A part of a card: immutable, and closed to keys that nobody knows."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Resize(Strict):
    """How a photo of any shape becomes the model's input.

    `fit` is what happens to the shape: `stretch` ignores it, `crop` fills the input and cuts the overhang off evenly,
    `pad` shows the whole photo on white. `filter` is how pixels are averaged: `area` means over what each one covers,
    weighted by a Hamming window (Pillow's HAMMING), when shrinking, and bilinear when enlarging.
    """

    fit: Literal["stretch", "crop", "pad"]
    filter: Literal["area"] = "area"


class InputSpec(Strict):
    """The model's input: uint8 [N, height, width, channels], raw pixels, grey (1) or RGB (3)."""

    height: int = Field(ge=1, le=4096)
    width: int = Field(ge=1, le=4096)
    channels: Literal[1, 3]
    resize: Resize

    @property
    def shape(self) -> tuple[int, int, int]:
        """[H, W, C] of one image."""
        return self.height, self.width, self.channels


class SplitFigures(Strict):
    """How well the model answers on one split of its data; `accepted` counts the answers at or over the threshold."""

    count: int = Field(ge=1)
    accuracy: Share
    accuracy_interval: tuple[Share, Share] = Field(description="95 % Wilson score interval")
    log_loss: float = Field(ge=0, description="mean negative log likelihood, nats")
    calibration_error: Share = Field(description="expected calibration error over 15 equal-width bins")
    accepted_share: Share
    accepted_precision: Share | None = Field(description="None when nothing was accepted")

    @property
    def accuracy_words(self) -> str:
        """The accuracy as a person reads it, with the number of photos and the interval."""
        low, high = self.accuracy_interval
        return f"{self.accuracy:.2%} of {self.count:,} ({low:.2%} to {high:.2%})"


class TrainingData(Strict):
    """Where the labelled photos came from; `digest` covers every pixel and label, in order."""

    name: Text
    source: Text
    licence: Text
    digest: Digest
    counts: dict[Split, int]


class Weights(Strict):
    """What the network is, and where its weights came from before and after training."""

    network: Text
    parameters: int = Field(ge=1)
    initial: Text = Field(description="where training started: random with which seed, or which pretrained weights")
    licence: Text = Field(description="licence of the trained weights")


class Quantised(Strict):
    """What an 8-bit model lost against the float one, on the validation split."""

    accuracy_lost: float = Field(le=1, description="share of the photos; below zero where it gained")
    agreement: Share = Field(description="share of the photos that both answer with the same label")
    photos: int = Field(ge=1, description="training photos that it was calibrated with")


class Export(Strict):
    """How the ONNX file was made, and how closely it answers as the Keras model did on the golden samples."""

    opset: int = Field(ge=17)
    precision: Literal["float32", "int8"]
    nodes: int = Field(ge=1)
    transposes: int = Field(ge=0)
    max_abs_difference: float = Field(ge=0, description="of the float model's scores from Keras's")
    model_bytes: int | None = Field(default=None, ge=1, description="size of the graph, without this card in it")
    golden_tolerance: float = Field(
        default=1e-3, gt=0, le=0.2, description="how far scores may be from the golden ones"
    )
    quantised: Quantised | None = Field(default=None, description="for int8")
    tools: dict[str, str] = Field(description="name and version of each library that took part")


class RunCard(Strict):
    """What is known when training ends; it stands in the run folder, and `files` are that folder's."""

    schema_version: Literal[1] = 1
    name: Name
    description: Text
    created: AwareDatetime
    labels: tuple[Text, ...] = Field(min_length=2)
    input: InputSpec
    temperature: float = Field(gt=0, description="the logits are divided by it, inside the graph")
    accept_threshold: Share = Field(description="a top score at or over it is accepted, one under it is for review")
    accept_precision: Share | None = Field(default=None, description="what the threshold promises: the share of right")
    figures: dict[Split, SplitFigures]
    data: TrainingData
    weights: Weights
    code_revision: Text
    files: dict[str, Digest] = Field(description="digest of each file beside the card")

    @field_validator("labels")
    @classmethod
    def _labels_differ(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(labels)) != len(labels):
            raise ValueError("labels must differ from each other")
        return labels

    @field_validator("files")
    @classmethod
    def _files_stand_beside_it(cls, files: dict[str, Digest]) -> dict[str, Digest]:
        for name in files:
            path = PurePath(name)
            if path.is_absolute() or ".." in path.parts:
                raise ValueError(f"{name!r} does not stand beside the card")
        return files

    def to_json(self) -> str:
        """The card as a person reads it: indented JSON with a newline at the end."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The card that stands in `folder`; raises CardInvalid with each place that is wrong."""
        path = folder / CARD_FILE
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise CardInvalid(f"{path} cannot be read ({error.strerror}); a model needs its card beside it.") from error
        except ValidationError as error:
            raise CardInvalid(f"{path} is not a valid card: {_places(error)}.") from error


class ModelCard(RunCard):
    """The card of a published model: what training knew, the version, and how the export went.

    `files` are the digests of what stands beside it. The ONNX file carries the digest of the card without `files` (it
    cannot hold its own), so a card that was edited after export no longer matches its model.
    """

    version: Version
    export: Export
    files: dict[str, Digest] = Field(description="digest of each file beside the card, `model.onnx` among them")

    @model_validator(mode="after")
    def _shows_a_figure(self) -> Self:
        if not self.figures:
            raise ValueError("figures must hold at least one split")
        return self

    def embedded_digest(self) -> str:
        """The digest of all that stands in the card but `files`; the ONNX file holds it in its metadata.

        A key that the file did not have takes no part: cards that were written before there was such a key stay valid.
        """
        return digest_bytes(self.model_dump_json(exclude={"files"}, exclude_unset=True).encode())

    @classmethod
    def complete(cls, **fields: Any) -> Self:
        """A new card, in which every key is set, as it will be when it is read again."""
        return cls.model_validate_json(cls(**fields).model_dump_json())


def _places(error: ValidationError) -> str:
    """Each thing that pydantic found, as `place: what`, without its addresses and codes."""
    return "; ".join(
        f"{'.'.join(str(part) for part in item['loc']) or 'the document'}: {item['msg']}" for item in error.errors()
    )
