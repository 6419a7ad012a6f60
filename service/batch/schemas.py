"""What `classify-batch` answers, as the OpenAPI document shows it."""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict  # pydantic cannot use the standard library's before Python 3.12

from artifact.answer import Decision
from service.schemas import Prediction


class Item(TypedDict):
    """One image of a batch."""

    index: Annotated[int, Field(ge=0, description="which image of the request it is, from 0")]
    name: Annotated[str | None, Field(description="of its file, as it came; null where the form gives none")]


class ClassifiedItem(Item):
    """What the model says of one image of a batch."""

    status: Literal[200]
    predictions: Annotated[list[Prediction], Field(description="best first")]
    decision: Annotated[
        Decision, Field(description="`accept` when the best score reaches the threshold, else `review`")
    ]
    threshold: float


class RefusedItem(Item):
    """The problem (RFC 9457) of one image of a batch, as it would be the answer to it alone."""

    status: Annotated[int, Field(ge=400, le=599)]
    type: str
    title: str
    detail: str
    code: str


class Whose(TypedDict):
    """Who answers; a line says it, too, beside what an item says."""

    model: str
    version: str


class Batch(Whose):
    """What a model says of many images, in order."""

    id: Annotated[str, Field(description="the request's X-Request-ID, or one that the service gave it")]
    items: list[ClassifiedItem | RefusedItem]
