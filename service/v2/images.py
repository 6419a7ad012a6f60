"""From an infer request to the images that it asks about, held against what the model takes."""

from numpy import uint8
from numpy.typing import NDArray

from artifact.card import InputSpec
from artifact.errors import MalformedRequest
from service.v2.metadata import IMAGE, inputs_of
from service.v2.request import InferRequest, RequestInput
from service.v2.schemas import TensorMetadata
from service.v2.tensors import bytes_of_binary, bytes_of_json, pixels_of_binary, pixels_of_json

Images = list[bytes] | list[NDArray[uint8]]


def images_of(request: InferRequest, binary: memoryview, spec: InputSpec, most: int) -> Images:
    """The images of a request, at most so many, with the binary data that follow its JSON; raises MalformedRequest."""
    given, taken = _input(request, spec)
    shape = _shape(given, taken, most)
    size = given.parameters.binary_data_size
    if size is not None:
        if given.data is not None:
            raise MalformedRequest(f"Input {given.name!r} has both data and binary_data_size; send one of them.")
        if size != len(binary):
            raise MalformedRequest(f"Input {given.name!r} has a binary_data_size of {size}; {len(binary)} bytes came.")
        return list(pixels_of_binary(binary, shape)) if given.name == IMAGE else bytes_of_binary(binary, shape[0])
    if given.data is None:
        raise MalformedRequest(f"Input {given.name!r} has neither data nor binary_data_size; send one of them.")
    if binary:
        raise MalformedRequest(f"{len(binary)} bytes follow the JSON; say whose they are by binary_data_size.")
    return list(pixels_of_json(given.data, shape)) if given.name == IMAGE else bytes_of_json(given.data, shape[0])


def _input(request: InferRequest, spec: InputSpec) -> tuple[RequestInput, TensorMetadata]:
    """The one input, and what the model takes by this name."""
    taken = {tensor.name: tensor for tensor in inputs_of(spec)}
    names = [given.name for given in request.inputs]
    if len(names) != 1 or names[0] not in taken:
        found = ", ".join(name[:40] for name in names) or "none"
        raise MalformedRequest(f"The inputs are {found}; send exactly one, {' or '.join(taken)}.")
    return request.inputs[0], taken[names[0]]


def _shape(given: RequestInput, taken: TensorMetadata, most: int) -> list[int]:
    if given.datatype != taken.datatype:
        raise MalformedRequest(f"Input {taken.name!r} has datatype {given.datatype[:40]!r}; send {taken.datatype}.")
    if len(given.shape) != len(taken.shape) or given.shape[1:] != taken.shape[1:] or not given.shape[0]:
        raise MalformedRequest(
            f"Input {taken.name!r} has shape {given.shape}; send {taken.shape}, with 1 or more for -1."
        )
    if given.shape[0] > most:
        raise MalformedRequest(f"The request has {given.shape[0]} images; send at most {most} at once.")
    return given.shape
