"""Text and JSON in ``BYTES`` tensors."""

from __future__ import annotations

from typing import Any

import msgspec

from shoal.core.codecs.base import Codec, elements
from shoal.core.errors import InvalidInput
from shoal.core.tensors import bytes_array
from shoal.core.types import Tensor


class StringCodec(Codec[list[str]]):
    """A ``BYTES`` tensor of UTF-8 and a list of `str`. Any shape is read in row-major order; `[n]` is written."""

    @classmethod
    def encode(cls, name: str, payload: list[str]) -> Tensor:
        return _bytes_tensor(name, [each.encode() for each in payload], "str")

    @classmethod
    def decode(cls, tensor: Tensor) -> list[str]:
        try:
            return [each.decode() for each in elements(tensor)]
        except UnicodeDecodeError as error:
            raise InvalidInput(f"{tensor.name!r} holds bytes that are not UTF-8", field=tensor.name) from error


class JsonCodec(Codec[list[Any]]):
    """A ``BYTES`` tensor of JSON texts and a list of what they hold (`dict`, `list`, `str`, numbers, None)."""

    @classmethod
    def encode(cls, name: str, payload: list[Any]) -> Tensor:
        return _bytes_tensor(name, [msgspec.json.encode(each) for each in payload], "json")

    @classmethod
    def decode(cls, tensor: Tensor) -> list[Any]:
        values = []
        for number, text in enumerate(elements(tensor)):
            try:
                values.append(msgspec.json.decode(text))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                message = f"element {number} of {tensor.name!r} is not JSON: {error}"
                raise InvalidInput(message, field=f"{tensor.name}[{number}]") from error
        return values


def _bytes_tensor(name: str, items: list[bytes], content_type: str) -> Tensor:
    return Tensor(name, [len(items)], "BYTES", bytes_array(items), {"content_type": content_type})
