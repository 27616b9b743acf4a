"""What the adapter has answered for the rows of a group, output by output, ready to be cut into answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from shoal.core.errors import InvalidInput, ModelContract, ShoalError
from shoal.core.tensors import DTYPES, bytes_array, datatype_of
from shoal.core.types import ItemError, Signature, TensorSpec
from shoal.core.wire.json_data import write as write_json
from shoal.core.wire.raw_data import write

Array = npt.NDArray[Any]

NARROW = 16
"""Numbers of a row up to which those of all rows are written to JSON at once, and then cut."""


class Column:
    """One output for all rows of a group.

    Attributes:
        name, datatype: of the output.
        array: shape ``(rows, ...)``; objects are `bytes`.
    """

    __slots__ = ("_finite", "_flat", "_raw", "_texts", "array", "datatype", "name", "width")

    def __init__(self, name: str, datatype: str, array: Array, flat: list[Any] | None = None) -> None:
        self.name = name
        self.datatype = datatype
        self.array = array
        self.width = array.size // len(array) if len(array) else 0
        self._flat = flat
        self._raw: memoryview | None = None
        self._texts: list[bytes] | None = None
        self._finite: bool | None = None

    def values(self, start: int, stop: int) -> list[Any]:
        """The elements of some rows as a flat list of Python values."""
        flat = self._flat
        if flat is None:
            flat = self._flat = self.array.reshape(-1).tolist()
        return flat[start * self.width : stop * self.width]

    def json(self, start: int, stop: int) -> bytes:
        """Some rows as a flat JSON array; for bools and finite numbers only."""
        if self.width > NARROW:
            return write_json(self.values(start, stop))
        texts = self._texts
        if texts is None:  # no number has a comma of its own
            texts = self._texts = write_json(self.values(0, len(self.array)))[1:-1].split(b",")
        return b"[%b]" % b",".join(texts[start * self.width : stop * self.width])

    def raw(self, start: int, stop: int) -> memoryview:
        """The bytes of some rows; for numbers and bools only."""
        if self._raw is None:
            self._raw = write(self.array)
        row = self.width * self.array.itemsize
        return self._raw[start * row : stop * row]

    def is_finite(self, start: int, stop: int) -> bool:
        """Whether no number of these rows is NaN or an infinity."""
        finite = self._finite
        if finite is None:
            finite = self._finite = self.array.dtype.kind != "f" or bool(np.isfinite(self.array).all())
        return finite or bool(np.isfinite(self.array[start:stop]).all())


class Columns(tuple[Column, ...]):
    """All outputs for the rows of a group; `heads` remembers what encoders make of them, by their own keys."""

    heads: dict[Any, bytes]

    def __new__(cls, columns: Sequence[Column]) -> Columns:
        self = super().__new__(cls, columns)
        self.heads = {}
        return self


class Answer:
    """What one request gets: some rows of a group's outputs.

    Attributes:
        columns: of the whole group.
        start, stop: its rows there.
        errors: row of the request -> what went wrong with it.
    """

    __slots__ = ("columns", "errors", "start", "stop")

    def __init__(self, columns: Columns, start: int, stop: int, errors: dict[int, ShoalError] | None = None) -> None:
        self.columns = columns
        self.start = start
        self.stop = stop
        self.errors = errors


def of_mapping(
    produced: Mapping[str, Any], rows: int, signature: Signature
) -> tuple[dict[str, tuple[str, Array]], dict[int, ItemError]]:
    """What a typed adapter returned, checked.

    Returns:
        Name -> (datatype, array of shape ``(rows, ...)``), and the rows that the adapter itself declared as failed.

    Raises:
        ModelContract: not a mapping, no output, a wrong number of rows, or data of no or of another datatype.
    """
    if not isinstance(produced, Mapping):
        raise ModelContract(f"predict must return a dict of arrays, it returned {type(produced).__name__}")
    declared = {each.name: each for each in signature.outputs}
    outputs = {
        str(name): _output(str(name), value, rows, declared.get(name))
        for name, value in produced.items()
        if name != "errors"
    }
    if not outputs:
        raise ModelContract("predict returned no output")
    return outputs, _errors(produced.get("errors"), rows)


def _output(name: str, value: Any, rows: int, spec: TensorSpec | None) -> tuple[str, Array]:
    try:
        array = value if isinstance(value, np.ndarray) else np.asarray(value)
        if array.ndim == 0 or len(array) != rows:
            found = "no rows" if array.ndim == 0 else f"{len(array)} rows"
            raise ModelContract(f"output {name!r} has {found} for {rows} rows of input")
        datatype = datatype_of(array)
    except (InvalidInput, ValueError) as error:
        raise ModelContract(f"output {name!r} is no tensor: {error}") from error
    if spec is not None and spec.datatype != datatype:
        return _convert(name, array, datatype, spec.datatype)
    return datatype, bytes_array(array.reshape(-1), array.shape) if datatype == "BYTES" else array


def _convert(name: str, array: Array, datatype: str, wanted: str) -> tuple[str, Array]:
    """The array in its declared datatype, if it is of that kind."""
    dtype = DTYPES[wanted]
    if "BYTES" in (datatype, wanted) or not np.can_cast(array.dtype, dtype, "same_kind"):
        raise ModelContract(f"output {name!r} is {datatype}, but {wanted} was declared")
    return wanted, array.astype(dtype)


def _errors(found: Any, rows: int) -> dict[int, ItemError]:
    if not found:
        return {}
    if not isinstance(found, Mapping):
        raise ModelContract("'errors' must be a dict of row to ItemError")
    for row, each in found.items():
        if not isinstance(each, ItemError) or isinstance(row, bool) or not 0 <= int(row) < rows:
            raise ModelContract("'errors' must be a dict of row to ItemError")
    return {int(row): each for row, each in found.items()}
