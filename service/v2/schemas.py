"""What the routes under /v2 answer, as the OpenAPI document shows it."""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import BaseModel, Field
from typing_extensions import TypedDict  # pydantic cannot use the standard library's before Python 3.12

Datatype = Literal["BYTES", "FP32", "UINT8"]
State = Literal["READY", "LOADING", "UNAVAILABLE"]


class ErrorResponse(BaseModel):
    """An error as the protocol has it."""

    error: str


class ServerMetadata(BaseModel):
    """What the server is."""

    name: str
    version: str
    extensions: list[str]


class Liveness(BaseModel):
    """The event loop turns."""

    live: bool


class Readiness(BaseModel):
    """Every model answers, and the service is not draining."""

    ready: bool


class ModelReadiness(Readiness):
    """One model answers."""

    name: str


class TensorMetadata(BaseModel):
    """A tensor that a model takes or gives; a dimension of -1 is of any size."""

    name: str
    datatype: Datatype
    shape: list[int]


class ModelMetadata(BaseModel):
    """What a model is asked with, and what it answers."""

    name: str
    versions: list[str]
    platform: str
    inputs: Annotated[list[TensorMetadata], Field(description="a request has one of them")]
    outputs: list[TensorMetadata]


class IndexEntry(BaseModel):
    """One version of a model, and whether it answers."""

    name: str
    version: str
    state: State
    reason: str


class ResponseOutput(TypedDict):
    """A tensor of an answer: its elements in `data`, or their number of bytes in the parameter `binary_data_size`."""

    name: str
    datatype: Datatype
    shape: list[int]
    data: NotRequired[list[float] | list[str]]
    parameters: NotRequired[dict[str, Any]]


class InferResponse(TypedDict):
    """What a model says of all images of a request."""

    model_name: str
    model_version: str
    id: NotRequired[Annotated[str, Field(description="as the request had it")]]
    outputs: list[ResponseOutput]
