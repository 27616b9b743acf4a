"""Results -> bodies, each in the format of its request.

JSON and raw protobuf answers are put together from parts that are alike for all requests of a batch, made once; values
of all rows become Python numbers in one step. Other combinations go the general way through `core.wire`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shoal.core._generated import shoal_inference_pb2 as pb
from shoal.core.call import Format
from shoal.core.errors import InvalidInput, ModelContract, ShoalError
from shoal.core.types import InferenceResponse, Tensor
from shoal.core.wire import json_data, predict_all, protobuf, raw_data, v1_json, v2_binary, v2_json, v2_proto
from shoal.core.wire.heads import Decoded, Memo, RequestHead
from shoal.core.wire.raw_data import Buffer
from shoal.serving.worker.columns import Answer, Column, Columns
from shoal.serving.worker.items import Item, Result

Body = bytes | list[Buffer]

_JOIN_BELOW = 64 * 1024


class Encoder:
    """Encodes the answers of one model.

    Args:
        name, version: of the model; "" for a model without versions.
        special: write NaN and infinities as strings in JSON, rather than fail.
    """

    def __init__(self, name: str, version: str, *, special: bool = False) -> None:
        self._name = name
        self._version = version or None
        self._special = special
        start = json_data.encode({"model_name": name, **({"model_version": version} if version else {})})
        self._start = start[:-1] + b","
        self._heads: Memo[Any, bytes] = Memo()

    def encode(self, item: Item) -> tuple[Body, int]:
        """The body of an item's answer and its bytes of JSON if it is followed by binary tensors (else -1).

        Raises:
            ShoalError: the item's own: its rows failed, or the answer cannot be written as was asked.
        """
        result, head = item.result, item.decoded.head
        if isinstance(result, ShoalError):
            raise result
        assert result is not None
        if isinstance(result, Answer):
            if item.form == Format.PREDICT_ALL:
                return self._texts(result), -1
            if result.errors:
                raise _first_error(result)
            if item.form == Format.V2_PROTO and head.binary:
                return self._raw_proto(head, item.decoded.id, result), -1
            if item.form == Format.V2_JSON and not _wants_binary(head):
                return self._json(head, item.decoded.id, result), -1
        return self._general(item, result)

    def _json(self, head: RequestHead, id: str | None, answer: Answer) -> bytes:
        columns = answer.columns if head.outputs is None else _chosen(answer, head)
        start, stop = answer.start, answer.stop
        parts = [self._start, b'"outputs":[']
        if id is not None:
            parts.insert(1, b'"id":%b,' % json_data.encode(id))
        for column in columns:
            key = (column.name, stop - start)
            prefix = answer.columns.heads.get(key)
            if prefix is None:
                prefix = answer.columns.heads[key] = _json_prefix(column, stop - start)
            parts += (prefix, self._json_values(column, start, stop), b"},")
        parts[-1] = b"}]}" if columns else b"]}"
        return b"".join(parts)

    def _json_values(self, column: Column, start: int, stop: int) -> bytes:
        if column.datatype == "BYTES":
            return json_data.write(_readable(column.name, column.values(start, stop)))
        if column.is_finite(start, stop):
            return column.json(start, stop)
        self._check_finite(column)
        return json_data.write_special(column.values(start, stop))

    def _check_finite(self, column: Column) -> None:
        if not self._special:
            hint = "set `allow_nonfinite: true` in model.yaml if that is meant to be"
            raise ModelContract(f"output {column.name!r} has a number that is not finite", hint=hint)

    def _raw_proto(self, head: RequestHead, id: str | None, answer: Answer) -> Body:
        columns = answer.columns if head.outputs is None else _chosen(answer, head)
        if len(columns) == 1 and id is None and columns[0].datatype != "BYTES":
            return self._one_raw(columns, answer)
        start, stop = answer.start, answer.stop
        key = (None if head.outputs is None else tuple(each.name for each in columns), stop - start)
        meta = answer.columns.heads.get(key)
        if meta is None:
            meta = answer.columns.heads[key] = self._proto_head(columns, stop - start)
        raws: list[Buffer] = []
        for each in columns:
            if not each.is_finite(start, stop):
                self._check_finite(each)
            raws.append(_raw(each, start, stop))
        records = protobuf.raw_records(raws, v2_proto.RAW_OUTPUT_TAG)
        body = (meta, *records) if id is None else (meta, v2_proto.id_record(id), *records)
        return b"".join(body) if sum(map(len, raws)) < _JOIN_BELOW else list(body)

    def _one_raw(self, columns: Sequence[Column], answer: Answer) -> Body:
        """One output of numbers: everything in front of the numbers themselves is the same for as many rows."""
        column, start, stop = columns[0], answer.start, answer.stop
        if not column.is_finite(start, stop):
            self._check_finite(column)
        raw = column.raw(start, stop)
        key = ("raw", column.name, stop - start)
        front = answer.columns.heads.get(key)
        if front is None:
            record = protobuf.record(v2_proto.RAW_OUTPUT_TAG, len(raw))
            front = answer.columns.heads[key] = self._proto_head(columns, stop - start) + record
        return b"".join((front, raw)) if len(raw) < _JOIN_BELOW else [front, raw]

    def _proto_head(self, columns: Sequence[Column], rows: int) -> bytes:
        key = (rows, *((each.name, each.datatype, each.array.shape[1:]) for each in columns))
        known = self._heads.get(key)
        if known is not None:
            return known
        message = pb.ModelInferResponse(model_name=self._name, model_version=self._version or "")
        for each in columns:
            message.outputs.add(name=each.name, datatype=each.datatype, shape=(rows, *each.array.shape[1:]))
        encoded: bytes = message.SerializeToString()
        return self._heads.put(key, encoded)

    def _texts(self, answer: Answer) -> bytes:
        errors = answer.errors or {}
        rows = answer.stop - answer.start
        if len(errors) == rows:
            raise _first_error(answer)
        if len(answer.columns) != 1:
            names = ", ".join(each.name for each in answer.columns)
            raise InvalidInput(f"predict_all needs a model with one output; this one has {names}")
        values = self._row_texts(answer.columns[0], answer.start, answer.stop)
        outputs = [None if row in errors else value for row, value in enumerate(values)]
        return predict_all.encode_response(outputs, {str(row): each.message for row, each in errors.items()})

    def _row_texts(self, column: Column, start: int, stop: int) -> list[str]:
        if column.datatype == "BYTES" and column.width == 1:
            return _readable(column.name, column.values(start, stop))
        return [json_data.encode(row).decode() for row in self._rows(column, start, stop)]

    def _rows(self, column: Column, start: int, stop: int) -> list[Any]:
        """The rows as nested lists that JSON can carry."""
        part = column.array[start:stop]
        if column.datatype == "BYTES":
            texts = np.empty(part.size, dtype=np.object_)
            texts[:] = _readable(column.name, part.ravel().tolist())
            part = texts.reshape(part.shape)
        elif not column.is_finite(start, stop):
            self._check_finite(column)
            names = json_data.name_special(part.ravel().tolist())
            part = np.array(names, dtype=np.object_).reshape(part.shape)
        rows: list[Any] = part.tolist()
        return rows

    def _general(self, item: Item, result: Answer | InferenceResponse) -> tuple[Body, int]:
        form, head = item.form, item.decoded.head
        if form == Format.PREDICT_ALL:
            answer = _as_answer(result)
            return self._texts(answer), -1
        if form == Format.V1_JSON:
            answer = _as_answer(result)
            rows = [(each.name, self._rows(each, answer.start, answer.stop)) for each in answer.columns]
            return v1_json.encode_response(rows, columns=head.columns), -1
        response = self._response(result, item.decoded)
        if form == Format.V2_PROTO:
            if not head.binary:
                response.outputs = [_widened(each) for each in response.outputs]
            return v2_proto.encode_response(response, raw=head.binary), -1
        binary = frozenset(each.name for each in response.outputs if head.is_binary(each.name))
        response.outputs = [each if each.name in binary else _widened(each) for each in response.outputs]
        if binary:
            return v2_binary.encode_response(response, binary, special=self._special)
        return v2_json.encode_response(response, special=self._special), -1

    def _response(self, result: Answer | InferenceResponse, decoded: Decoded) -> InferenceResponse:
        """The result as nouns, with the model's own name, its numbers checked."""
        if isinstance(result, Answer):
            chosen = result.columns if decoded.head.outputs is None else _chosen(result, decoded.head)
            outputs = [_tensor(each, result.start, result.stop) for each in chosen]
            response = InferenceResponse(outputs, id=decoded.id)
        else:
            response = result
        response.model_name, response.model_version = self._name, self._version
        for each in response.outputs:
            if each.data.dtype.kind == "f" and not np.isfinite(each.data).all():
                self._check_finite(Column(each.name, each.datatype, each.data))
        return response


def _wants_binary(head: RequestHead) -> bool:
    if head.outputs is None:
        return head.binary
    return head.binary or any(each.parameters and each.parameters.get("binary_data") for each in head.outputs)


def _chosen(answer: Answer, head: RequestHead) -> list[Column]:
    """The outputs that the request names.

    Raises:
        InvalidInput: one of them is not there.
    """
    found = {each.name: each for each in answer.columns}
    for at, each in enumerate(head.outputs or ()):
        if each.name not in found:
            hint = f"it has: {', '.join(found)}"
            raise InvalidInput(f"the model has no output {each.name[:80]!r}", hint=hint, field=f"outputs[{at}].name")
    return [found[each.name] for each in head.outputs or ()]


def _first_error(answer: Answer) -> ShoalError:
    """The error of the first row that failed; it names the row if there are others."""
    assert answer.errors
    row = min(answer.errors)
    error = answer.errors[row]
    if answer.stop - answer.start == 1:
        return error
    field = error.field or (f"inputs[0].data[{row}]" if isinstance(error, InvalidInput) else "")
    return type(error)(f"row {row}: {error.message}", hint=error.hint, field=field, retry_after=error.retry_after)


def _json_prefix(column: Column, rows: int) -> bytes:
    datatype = "FP32" if column.datatype == "FP16" else column.datatype  # FP16 has no JSON form
    shape = [rows, *column.array.shape[1:]]
    return json_data.encode({"name": column.name, "datatype": datatype, "shape": shape})[:-1] + b',"data":'


def _readable(name: str, values: Sequence[bytes]) -> list[str]:
    try:
        return [value.decode() for value in values]
    except UnicodeDecodeError as error:
        hint = "ask for binary data"
        raise InvalidInput(
            f"output {name!r} is not UTF-8 text, which JSON needs", hint=hint, field="outputs"
        ) from error


def _raw(column: Column, start: int, stop: int) -> Buffer:
    if column.datatype == "BYTES":
        return raw_data.write_bytes(column.values(start, stop))
    return column.raw(start, stop)


def _tensor(column: Column, start: int, stop: int) -> Tensor:
    part = column.array[start:stop]
    return Tensor(column.name, list(part.shape), column.datatype, part)


def _widened(tensor: Tensor) -> Tensor:
    """FP16 has no JSON and no typed contents: it is sent as FP32, which holds the same numbers."""
    if tensor.datatype != "FP16":
        return tensor
    return Tensor(tensor.name, tensor.shape, "FP32", tensor.data.astype(np.float32), tensor.parameters)


def _as_answer(result: Result) -> Answer:
    """A response as the rows of an answer; all its outputs must have as many."""
    if isinstance(result, Answer):
        return result
    assert isinstance(result, InferenceResponse)
    rows = {len(each.data) for each in result.outputs}
    if len(rows) != 1:
        raise ModelContract("the outputs do not have the same number of rows")
    columns = Columns([Column(each.name, each.datatype, each.data) for each in result.outputs])
    return Answer(columns, 0, rows.pop())
