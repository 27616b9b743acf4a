"""pandas data frames as whole requests and responses: one tensor of shape `[rows]` per column.

pandas is imported when a codec of this file is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shoal.core.codecs.arrays import NumpyCodec
from shoal.core.codecs.base import only
from shoal.core.errors import ConfigError, InvalidInput
from shoal.core.types import InferenceRequest, InferenceResponse, Tensor

if TYPE_CHECKING:
    import pandas as pd


class PandasCodec:
    """A `pandas.DataFrame` and the inputs of a request, or the outputs of a response.

    Columns are numbers, bools or text (``BYTES``). Read, ``BYTES`` columns become `str`, or stay `bytes` where they
    are not UTF-8; a tensor of shape `[rows, 1]` is a column too.
    """

    @classmethod
    def encode_request(cls, payload: pd.DataFrame) -> InferenceRequest:
        return InferenceRequest(_to_tensors(payload))

    @classmethod
    def decode_request(cls, request: InferenceRequest) -> pd.DataFrame:
        """The frame that a request holds.

        Raises:
            InvalidInput: a tensor is no column, or the columns have different lengths.
        """
        return _to_frame(request.inputs)

    @classmethod
    def encode_response(cls, model_name: str, payload: pd.DataFrame, **fields: Any) -> InferenceResponse:
        return InferenceResponse(_to_tensors(payload), model_name=model_name, **fields)

    @classmethod
    def decode_response(cls, response: InferenceResponse) -> pd.DataFrame:
        return _to_frame(response.outputs)

    @classmethod
    def encode_input(cls, name: str, payload: pd.Series) -> Tensor:
        """One column as a tensor."""
        return NumpyCodec.encode(name, payload.to_numpy())

    @classmethod
    def decode_input(cls, request_input: Tensor) -> pd.Series:
        """One tensor as a column."""
        return _to_frame([only([request_input], "inputs")])[request_input.name]

    encode_output = encode_input
    decode_output = decode_input


def _pandas() -> Any:
    try:
        import pandas
    except ModuleNotFoundError as error:
        raise ConfigError("PandasCodec needs pandas", hint="pip install 'shoal[data]'") from error
    return pandas


def _to_tensors(frame: pd.DataFrame) -> list[Tensor]:
    return [PandasCodec.encode_input(str(name), frame[name]) for name in frame.columns]


def _to_frame(tensors: list[Tensor]) -> pd.DataFrame:
    columns = {each.name: _column(each) for each in tensors}
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1:
        raise InvalidInput("the columns have different numbers of rows", field="inputs")
    return _pandas().DataFrame(columns)


def _column(tensor: Tensor) -> Any:
    array = tensor.as_numpy()
    if array.ndim != 1 and array.size != len(array):
        message = f"{tensor.name!r} must have shape [rows] or [rows, 1], it has {list(array.shape)}"
        raise InvalidInput(message, field=tensor.name)
    column = array.reshape(-1)
    return [_text(each) for each in column] if tensor.datatype == "BYTES" else column


def _text(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value
