"""What the REST API answers, as the OpenAPI document shows it."""

from typing import Literal

from pydantic import BaseModel, Field

from artifact.answer import Decision
from artifact.card import ModelCard

Status = Literal["loading", "ready", "failed"]


class Prediction(BaseModel):
    """One label and its calibrated probability."""

    label: str
    score: float = Field(ge=0, le=1)


class Classification(BaseModel):
    """What a model says of one image."""

    model: str
    version: str
    id: str = Field(description="the request's X-Request-ID, or one that the service gave it")
    predictions: list[Prediction] = Field(description="best first")
    decision: Decision = Field(description="`accept` when the best score reaches the threshold, else `review`")
    threshold: float


class ModelSummary(BaseModel):
    """A model that should be served, and whether it is."""

    name: str
    version: str
    status: Status
    reason: str | None = Field(None, description="why a model failed to load")


class ModelDetail(ModelSummary):
    """A model with its card, which is null unless the model is ready."""

    card: ModelCard | None


class ModelList(BaseModel):
    """All models that should be served."""

    models: list[ModelSummary]


class Health(BaseModel):
    """How the service is; `models` says it of each."""

    status: Literal["live", "started", "ready", "starting", "failed", "draining"]
    models: dict[str, Status] = {}


class Problem(BaseModel):
    """An error as RFC 9457 has it; `code` is stable, for programs to match on."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
