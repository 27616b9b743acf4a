"""Tables on disk: CSV, Parquet and JSON Lines <-> columns of NumPy arrays.

A table is a mapping from column name to an array of one dimension; text is an object array of `str`. CSV needs nothing
but the standard library; its columns become integers, floats, booleans or text, whichever fits all cells (an empty cell
of a column of numbers is NaN). Parquet needs `pyarrow` (the extra `data`).
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from shoal.core.errors import ConfigError, InvalidInput

Array = npt.NDArray[Any]
Table = dict[str, Array]

SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
"""File name endings of tables; anything else is JSON."""


def format_of(path: str) -> str:
    """One of ``csv``, ``tsv``, ``parquet``, ``jsonl`` or ``json``, by the ending of the path."""
    return SUFFIXES.get(Path(path).suffix.lower(), "json")


def read_table(content: bytes, format: str) -> Table:
    """A table from the bytes of a file.

    Raises:
        InvalidInput: the bytes are not of that format; the sentence names the line where it is known.
    """
    if format == "parquet":
        return _read_parquet(content)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"the {format} file is not UTF-8", hint="save it as UTF-8") from error
    return from_records(_json_lines(text)) if format == "jsonl" else _read_csv(text, "\t" if format == "tsv" else ",")


def write_table(table: Mapping[str, Array], format: str) -> bytes:
    """The bytes of a file with the table in it."""
    if format == "parquet":
        return _write_parquet(table)
    if format == "jsonl":
        return "".join(json.dumps(record) + "\n" for record in to_records(table)).encode()
    target = io.StringIO()
    writer = csv.writer(target, delimiter="\t" if format == "tsv" else ",", lineterminator="\n")
    writer.writerow(table)
    writer.writerows(zip(*(map(_cell, values.tolist()) for values in table.values()), strict=True))
    return target.getvalue().encode()


def from_records(records: list[dict[str, Any]]) -> Table:
    """Rows as dictionaries, turned into columns.

    Raises:
        InvalidInput: the rows have different keys.
    """
    names = list(records[0]) if records else []
    for number, record in enumerate(records, 1):
        if record.keys() != set(names):
            missing = sorted(set(names) ^ record.keys())
            raise InvalidInput(f"row {number} has other columns than row 1: {', '.join(missing)}")
    return {name: column([record[name] for record in records]) for name in names}


def to_records(table: Mapping[str, Array]) -> list[dict[str, Any]]:
    """Columns, turned into rows that JSON can hold."""
    columns = [[plain(value) for value in values.tolist()] for values in table.values()]
    return [dict(zip(table, row, strict=True)) for row in zip(*columns, strict=True)]


def plain(value: Any) -> Any:
    """A value that JSON can hold: bytes as text, NaN and infinities as the strings of protobuf's JSON mapping."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def column(values: list[Any]) -> Array:
    """Values as an array; mixed or textual ones as objects."""
    if any(isinstance(value, str) or value is None for value in values):
        array = np.empty(len(values), dtype=np.object_)
        array[:] = values
        return array
    try:
        return np.asarray(values)
    except ValueError as error:
        raise InvalidInput("the rows of a column have different lengths") from error


def as_table(arrays: Mapping[str, Array]) -> Table:
    """Outputs of a model as columns: a matrix `name` of k columns becomes ``name_0`` to ``name_{k-1}``."""
    table: Table = {}
    for name, array in arrays.items():
        if array.ndim <= 1:
            table[name] = array.reshape(-1)
            continue
        flat = array.reshape(len(array), -1)
        width = flat.shape[1]
        table |= {name if width == 1 else f"{name}_{number}": flat[:, number] for number in range(width)}
    return table


def _read_csv(text: str, delimiter: str) -> Table:
    rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if row]
    if not rows:
        raise InvalidInput("the file has no rows")
    header = [str(number) for number in range(len(rows[0]))]
    if not all(_is_number(cell) for cell in rows[0]):
        header = [name.strip() for name in rows.pop(0)]
    for number, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise InvalidInput(f"line {number} has {len(row)} cells, the header has {len(header)}")
    if len(set(header)) != len(header):
        raise InvalidInput("two columns have the same name")
    return {name: _typed([row[index] for row in rows]) for index, name in enumerate(header)}


def _typed(cells: list[str]) -> Array:
    for convert in (int, _float):
        try:
            return np.asarray([convert(cell) for cell in cells], dtype=None if cells else np.float64)
        except (ValueError, OverflowError):
            continue
    if all(cell.lower() in ("true", "false") for cell in cells):
        return np.asarray([cell.lower() == "true" for cell in cells])
    return column(cells)


def _float(cell: str) -> float:
    return float(cell) if cell.strip() else math.nan


def _is_number(cell: str) -> bool:
    try:
        _float(cell)
    except ValueError:
        return False
    return True


def _cell(value: object) -> object:
    if isinstance(value, float):
        return repr(value)
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _json_lines(text: str) -> list[dict[str, Any]]:
    records = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise InvalidInput(f"line {number} is not JSON") from error
        if not isinstance(record, dict):
            raise InvalidInput(f"line {number} is not a JSON object", hint="put lists of rows into a .json file")
        records.append(record)
    return records


def _pyarrow() -> ModuleType:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigError("Parquet needs pyarrow", hint="pip install 'shoal[data]'") from error
    return pyarrow  # type: ignore[no-any-return]


def _read_parquet(content: bytes) -> Table:
    pyarrow = _pyarrow()
    try:
        table = pyarrow.parquet.read_table(pyarrow.BufferReader(content))
    except pyarrow.ArrowException as error:
        raise InvalidInput("the file is not Parquet") from error
    return {name: _from_arrow(name, table.column(name)) for name in table.column_names}


def _from_arrow(name: str, values: Any) -> Array:
    array: Array = values.to_numpy()
    if array.dtype.kind in "mM":
        raise InvalidInput(f"column {name} holds dates, which models do not take", hint="convert it to numbers or text")
    return column(values.to_pylist()) if array.dtype.kind == "O" else array


def _write_parquet(table: Mapping[str, Array]) -> bytes:
    pyarrow = _pyarrow()
    target = pyarrow.BufferOutputStream()
    columns: dict[str, Iterable[Any]] = {
        name: values.tolist() if values.dtype.kind == "O" else values for name, values in table.items()
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), target)
    return bytes(target.getvalue())
