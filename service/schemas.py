"""What the REST API answers, as the OpenAPI document shows it."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, Field
from typing_extensions import TypedDict  # pydantic cannot use the standard library's before Python 3.12

from artifact.answer import Decision
from artifact.card import ModelCard, SplitFigures
from artifact.rollout import Label

Status = Literal["loading", "ready", "stuck", "failed", "unloaded"]


# Dictionaries, unlike models, become JSON without being built and checked first.
class Prediction(TypedDict):
    """One label and its calibrated probability."""

    label: str
    score: Annotated[float, Field(ge=0, le=1)]


class Classification(TypedDict):
    """What a model says of one image."""

    model: str
    version: str
    id: Annotated[str, Field(description="the request's X-Request-ID, or one that the service gave it")]
    predictions: Annotated[list[Prediction], Field(description="best first")]
    decision: Annotated[
        Decision, Field(description="`accept` when the best score reaches the threshold, else `review`")
    ]
    threshold: float


class Failure(BaseModel):
    """A label whose version could not be loaded, and stays where it was, or hung on trial, and lost it."""

    label: str
    version: str
    reason: str


class ModelSummary(BaseModel):
    """A model that should be served, and whether it is."""

    name: str
    version: str = Field(description="the version that is stable, or should be")
    status: Status
    reason: str | None = Field(None, description="why what should be stable is not")


class ModelDetail(ModelSummary):
    """A model with its versions in service, and the card of the stable one, which is null unless that is ready."""

    labels: dict[Label, str] = Field(description="the version of each label that is in service")
    canary_share: float = Field(description="of the requests that name no version")
    shadow_share: float = Field(description="of the images that the stable version answers")
    failures: list[Failure] = Field(description="what could not be loaded, or hung on trial and was given up")
    card: ModelCard | None


class Version(BaseModel):
    """A published version; what its card says is null where that cannot be read."""

    version: str
    labels: list[Label] = Field(description="which of them it has in service")
    created: AwareDatetime | None
    precision: Literal["float32", "int8"] | None
    model_bytes: int | None
    test: SplitFigures | None = Field(description="figures on the test photos, where there were any")


class VersionList(BaseModel):
    """All versions of a model that are published, the newest first."""

    versions: list[Version]


class ModelList(BaseModel):
    """All models that should be served."""

    models: list[ModelSummary]


class Health(BaseModel):
    """How the service is; `models` says it of each."""

    status: Literal["live", "started", "ready", "starting", "failed", "stuck", "draining"]
    models: dict[str, Status] = {}


class Problem(BaseModel):
    """An error as RFC 9457 has it; `code` is stable, for programs to match on."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
