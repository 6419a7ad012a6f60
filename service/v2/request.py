"""An infer request: its JSON, held to the protocol; whether it suits a model is not known here."""

from time import monotonic
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError, from_json

from artifact.errors import BodyTooLarge, MalformedRequest
from service.lanes import LANES
from service.terms import Terms

# JSON becomes objects one by one, 50 to 150 ns each, and the event loop answers nobody meanwhile.
_MOST_VALUES = 2**19
_BEFORE_VALUES = (b",", b"[", b"{")

_FEW = 16  # more inputs, outputs and dimensions than any request has
_MICROSECONDS = 1_000_000

Part = TypeVar("Part")
Few = Annotated[list[Part], Field(max_length=_FEW)]
Whole = Annotated[int, Field(ge=0, lt=2**63)]


class Lenient(BaseModel):
    """A part of a request: types are held to strictly, null is as good as nothing, and unknown keys are passed over."""

    model_config = ConfigDict(strict=True)

    @model_validator(mode="before")
    @classmethod
    def _leave_nulls_out(cls, value: Any) -> Any:
        return {key: item for key, item in value.items() if item is not None} if isinstance(value, dict) else value

    @classmethod
    def of_json(cls, body: bytes) -> Self:
        """What the JSON says; raises BodyTooLarge, or MalformedRequest with the first thing that is wrong."""
        if sum(map(body.count, _BEFORE_VALUES)) > _MOST_VALUES:
            raise BodyTooLarge(f"The JSON has over {_MOST_VALUES} values; send pixels behind it, as binary data.")
        try:
            return cls.model_validate(from_json(body, allow_inf_nan=False))
        except ValidationError as error:
            [first, *_] = error.errors(include_url=False, include_context=False, include_input=False)
            place = ".".join(map(str, first["loc"])) or "the request"
            raise MalformedRequest(f"The request does not keep to the protocol: {place}: {first['msg']}.") from error
        except ValueError as error:
            raise MalformedRequest(f"The request is not JSON: {error}.") from error


class TensorParameters(Lenient):
    """What both inputs and outputs may have."""

    shared_memory_region: Annotated[Any, Field(description="not offered")] = None

    @field_validator("shared_memory_region")
    @classmethod
    def _refuse(cls, _region: Any) -> None:
        raise PydanticCustomError("shared_memory", "shared memory is not offered, send the data in the body")


class InputParameters(TensorParameters):
    """How the data of an input come."""

    binary_data_size: Whole | None = Field(None, description="bytes of them, behind the JSON")


class OutputParameters(TensorParameters):
    """How an output is wanted."""

    classification: Whole = Field(0, description="so many labels, best first, in place of the scores")
    binary_data: bool | None = Field(None, description="behind the JSON; by default as `binary_data_output`")


class RequestParameters(Lenient):
    """How the request is to be treated."""

    binary_data_output: bool = Field(default=False, description="outputs come behind the JSON")
    priority: Whole = Field(0, description="1 is the most urgent, 8 the least; 0 leaves it to the header `Priority`")
    timeout: Whole = Field(0, description="microseconds that an answer is of use; 0 names none")


class RequestInput(Lenient):
    """A tensor to ask about."""

    name: str
    shape: Few[Whole]
    datatype: str
    parameters: InputParameters = InputParameters()
    data: list[Any] | None = Field(None, description="nested as the shape is, or flat; BYTES are strings in base64")


class RequestedOutput(Lenient):
    """A tensor to answer with."""

    name: str
    parameters: OutputParameters = OutputParameters()


class InferRequest(Lenient):
    """What is asked."""

    id: str | None = None
    parameters: RequestParameters = RequestParameters()
    inputs: Few[RequestInput]
    outputs: Few[RequestedOutput] = []

    def terms(self, terms: Terms) -> Terms:
        """The terms of the HTTP headers, where the parameters do not say otherwise; the earlier deadline holds."""
        asked, deadline = self.parameters, terms.deadline
        if asked.timeout:
            deadline = min(deadline, monotonic() + asked.timeout / _MICROSECONDS)
        return Terms(min(asked.priority, LANES) - 1 if asked.priority else terms.urgency, deadline)
