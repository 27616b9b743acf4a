"""What `shoal predict` does with answers: put chunks together, show a table, write files."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from shoal.cli.tables import as_table, format_of, plain, to_records, write_table
from shoal.client.inputs import to_arrays
from shoal.core.errors import ConfigError, InvalidInput
from shoal.core.tensors import from_array
from shoal.core.types import InferenceResponse

SHOWN = 50
"""Rows that a terminal gets to see."""

Array = npt.NDArray[Any]


def progress() -> Progress:
    """A bar on standard error, if that is a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("rows"))
    return Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal, transient=True)


def merge(responses: list[InferenceResponse]) -> InferenceResponse:
    """Answers to the pieces of one table, as one answer.

    Raises:
        InvalidInput: they do not have the same outputs.
    """
    first = responses[0]
    names = [output.name for output in first.outputs]
    if any([output.name for output in response.outputs] != names for response in responses):
        raise InvalidInput("the model answered with different outputs for different rows")
    try:
        columns = zip(*([output.as_numpy() for output in response.outputs] for response in responses), strict=True)
        outputs = [from_array(name, np.concatenate(parts)) for name, parts in zip(names, columns, strict=True)]
    except ValueError as error:
        raise InvalidInput("the answers for different rows have different shapes", hint="raise --batch-rows") from error
    return InferenceResponse(outputs, first.model_name, first.model_version)


def write_answer(response: InferenceResponse, output: str, *, as_json: bool) -> None:
    """Write an answer to a file, or to standard output: a table on a terminal, V2 JSON otherwise.

    Raises:
        ConfigError: the file cannot be written.
    """
    if output == "-":
        if as_json or not sys.stdout.isatty():
            print(to_json(response))
        else:
            _show(response)
        return
    format = format_of(output)
    content = to_json(response).encode() if format == "json" else _as_file(response, format)
    try:
        Path(output).write_bytes(content)
    except OSError as error:
        raise ConfigError(f"cannot write {output}: {error.strerror}") from error


def to_json(response: InferenceResponse) -> str:
    """The V2 response as JSON text, whatever the datatypes of its outputs."""
    head = {"model_name": response.model_name, "model_version": response.model_version, "id": response.id}
    outputs = [
        {
            "name": output.name,
            "datatype": output.datatype,
            "shape": [int(size) for size in output.shape],
            "data": plain(output.as_numpy().ravel().tolist()),
        }
        for output in response.outputs
    ]
    return json.dumps({name: value for name, value in head.items() if value} | {"outputs": outputs}, ensure_ascii=False)


def _as_file(response: InferenceResponse, format: str) -> bytes:
    return write_table(_columns(response), format)


def _columns(response: InferenceResponse) -> Mapping[str, Array]:
    table = as_table(to_arrays(response))
    if len({len(values) for values in table.values()}) > 1:
        raise ConfigError("the outputs have different numbers of rows", hint="write them to a .json file")
    return table


def _show(response: InferenceResponse) -> None:
    console = Console(highlight=False)
    columns = _columns(response)
    rows = len(next(iter(columns.values()), ()))
    table = Table(header_style="bold cyan")
    for name, values in columns.items():
        table.add_column(name, justify="left" if values.dtype.kind == "O" else "right", overflow="fold")
    for record in to_records({name: values[:SHOWN] for name, values in columns.items()}):
        table.add_row(*_cells(record.values()))
    console.print(table)
    version = f" version {response.model_version}" if response.model_version else ""
    more = f", {rows - SHOWN} of them not shown" if rows > SHOWN else ""
    console.print(f"[dim]{response.model_name}{version}: {rows} rows{more}[/]")


def _cells(values: Iterable[Any]) -> list[str]:
    return [f"{value:.6g}" if isinstance(value, float) else str(value) for value in values]
