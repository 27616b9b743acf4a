"""Bodies of any `Format` -> `Decoded`, for one model."""

from __future__ import annotations

from shoal.core.call import Format
from shoal.core.errors import InvalidInput
from shoal.core.types import TensorSpec
from shoal.core.wire import predict_all, v1_json, v2_binary, v2_json, v2_proto
from shoal.core.wire.heads import Decoded
from shoal.core.wire.raw_data import Buffer


class Decoders:
    """The decoders of one model, with the heads they remember.

    Args:
        inputs: the model's inputs, for raw mode.
        special: whether JSON may say "NaN", "Infinity" and "-Infinity".
    """

    def __init__(self, inputs: tuple[TensorSpec, ...], *, special: bool = False) -> None:
        self._inputs = inputs
        self._json = v2_json.Decoder(special=special).decode
        self._binary = v2_binary.Decoder(special=special).decode
        self._proto = v2_proto.Decoder().decode
        self._v1 = v1_json.Decoder().decode
        self._texts = predict_all.Decoder().decode

    def decode(self, form: int, body: Buffer, json_length: int) -> Decoded:
        """Decode one body.

        Args:
            form: a `core.call.Format`.
            body: as it came; tensors of the result may be views of it.
            json_length: see `core.call.Call.json_length`.

        Raises:
            InvalidInput: with the path of what is wrong.
        """
        if form == Format.V2_JSON:
            if json_length < 0:
                return self._json(body if type(body) is bytes else bytes(body))
            if json_length:
                return self._binary(body, json_length)
            return v2_binary.decode_raw(body, self._inputs)
        if form == Format.V2_PROTO:
            return self._proto(body)
        text = body if type(body) is bytes else bytes(body)
        if form == Format.V1_JSON:
            return self._v1(text)
        if form == Format.PREDICT_ALL:
            return self._texts(text)
        raise InvalidInput(f"unknown format {form}")
