"""The plain string route: ``{"inputs": ["...", ...]}`` in, ``{"outputs": ["...", ...]}`` out, in the same order.

If some of several inputs fail, the others are still answered: a failed input has ``null`` in ``outputs`` and a sentence
under its index in ``errors`` (``{"outputs": ["a", null], "errors": {"1": "..."}}``). If all fail, the request fails.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from shoal.core.errors import InvalidInput
from shoal.core.wire import json_data, json_guard
from shoal.core.wire.heads import Decoded, Memo, RequestHead, TensorHead


class _RequestJson(msgspec.Struct):
    inputs: msgspec.Raw


_decode_request = msgspec.json.Decoder(_RequestJson).decode
_decode_texts = msgspec.json.Decoder(list[str]).decode


class _ResponseJson(msgspec.Struct, omit_defaults=True):
    outputs: list[str | None]
    errors: dict[str, str] | None = None


_decode_response = msgspec.json.Decoder(_ResponseJson).decode


class Decoder:
    """Decodes requests; their heads differ in the number of inputs only."""

    def __init__(self) -> None:
        self._memo: Memo[int, RequestHead] = Memo()

    def decode(self, body: bytes) -> Decoded:
        """Decode a request.

        Raises:
            InvalidInput: with the path of what is wrong.
        """
        raw = json_guard.parse(_decode_request, body).inputs
        texts = json_guard.parse(_decode_texts, memoryview(raw), at="inputs")
        if body.count(b":") - bytes(raw).count(b":") != 1:
            json_guard.scan(body)
        count = len(texts)
        if not count:
            raise InvalidInput("there must be at least one input", field="inputs")
        head = self._memo.get(count)
        if head is None:
            head = self._memo.put(count, RequestHead((TensorHead("", "BYTES", (count,), count),)))
        return Decoded(head, (texts,))


def encode_request(inputs: list[str]) -> bytes:
    """Strings as a request."""
    return json_data.encode({"inputs": inputs})


def encode_response(outputs: Sequence[str | None], errors: dict[str, str] | None = None) -> bytes:
    """Answers as a response; see the module for `errors`."""
    return json_data.encode(_ResponseJson(list(outputs), errors or None))


def decode_response(body: bytes) -> tuple[list[str | None], dict[str, str]]:
    """A response as its answers (None where an input failed) and the errors by index.

    Raises:
        InvalidInput: it is not such a response.
    """
    message = json_guard.parse(_decode_response, body)
    return message.outputs, message.errors or {}
