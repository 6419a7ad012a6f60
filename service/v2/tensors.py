"""Tensors as the protocol carries them: in JSON, nested or flat, and in binary, little-endian and row by row."""

from binascii import a2b_base64
from collections.abc import Sequence
from itertools import chain
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from artifact.errors import MalformedRequest

_LENGTH_BYTES = 4  # before each element of BYTES


def pixels_of_json(data: list[Any], shape: Sequence[int]) -> NDArray[np.uint8]:
    """The UINT8 tensor of this shape; raises MalformedRequest."""
    elements = _elements(data, shape)
    if others := set(map(type, elements)) - {int}:
        raise MalformedRequest(f"The data of UINT8 has {_names(others)} in it; send whole numbers from 0 to 255.")
    try:
        return np.frombuffer(bytes(elements), np.uint8).reshape(shape)
    except ValueError as error:
        raise MalformedRequest("The data of UINT8 has numbers out of 0 to 255 in it.") from error


def pixels_of_binary(data: memoryview, shape: Sequence[int]) -> NDArray[np.uint8]:
    """The UINT8 tensor of this shape, which shares the memory of the data; raises MalformedRequest."""
    if len(data) != prod(shape):
        raise MalformedRequest(f"{len(data)} bytes of binary data are no UINT8 tensor of shape {list(shape)}.")
    return np.frombuffer(data, np.uint8).reshape(shape)


def bytes_of_json(data: list[Any], count: int) -> list[bytes]:
    """The `count` elements of a BYTES tensor whose strings are in base64; raises MalformedRequest."""
    elements = _elements(data, [count])
    if others := set(map(type, elements)) - {str}:
        raise MalformedRequest(f"The data of BYTES has {_names(others)} in it; send strings, which are base64.")
    try:
        return [a2b_base64(element, strict_mode=True) for element in elements]
    except ValueError as error:
        raise MalformedRequest(
            "The data of BYTES has a string in it that is not base64 (RFC 4648, 4, without line breaks). A JSON string "
            "cannot hold the bytes of a photo; encode them in base64, or send them as binary data."
        ) from error


def bytes_of_binary(data: memoryview, count: int) -> list[bytes]:
    """The `count` elements of a BYTES tensor, each after its length in 4 bytes; raises MalformedRequest."""
    elements, at = [], 0
    for number in range(count):
        start = at + _LENGTH_BYTES
        at = start + int.from_bytes(data[at:start], "little")
        if start > len(data) or at > len(data):
            raise MalformedRequest(
                f"The binary data of BYTES ends within element {number} of {count}; "
                "each has its length before it, in 4 bytes, the least first."
            )
        elements.append(bytes(data[start:at]))
    if at != len(data):
        raise MalformedRequest(f"{len(data) - at} bytes follow the {count} elements of BYTES; send no more than these.")
    return elements


def binary_of_bytes(elements: Sequence[bytes]) -> bytes:
    """A BYTES tensor in binary."""
    return b"".join(chain.from_iterable((len(e).to_bytes(_LENGTH_BYTES, "little"), e) for e in elements))


def _elements(data: list[Any], shape: Sequence[int]) -> list[Any]:
    """The elements in one list, of lists that are nested as the shape says, or not at all."""
    if data and isinstance(data[0], list):
        for size in shape[1:]:
            if set(map(type, data)) != {list} or set(map(len, data)) != {size}:
                raise MalformedRequest(f"The data are nested otherwise than the shape {list(shape)}; nest so, or not.")
            data = list(chain.from_iterable(data))
    if len(data) != prod(shape):
        raise MalformedRequest(f"The data have {len(data)} elements, and the shape {list(shape)} has {prod(shape)}.")
    return data


def _names(types: set[type]) -> str:
    """What JSON calls these types."""
    return " and ".join(sorted({_JSON_NAMES[kind] for kind in types}))


_JSON_NAMES = {bool: "booleans", dict: "objects", float: "fractions", int: "numbers", list: "arrays", str: "strings"}
_JSON_NAMES[type(None)] = "nulls"
