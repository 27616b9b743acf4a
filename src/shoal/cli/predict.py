"""`shoal predict`: ask a model from the command line, with one row or a file of millions."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from shoal.cli.asking import Ca, Data, Grpc, Input, Source, Text, Url, Version, connect
from shoal.cli.failures import told
from shoal.core.errors import ConfigError

if TYPE_CHECKING:
    from shoal.cli.payloads import Payload
    from shoal.client import AsyncClient
    from shoal.core.types import InferenceResponse

EPILOG = """
Examples:

  shoal predict iris --data '[[5.1, 3.5, 1.4, 0.2]]'

  shoal predict sentiment --text 'I like it' --text 'not for me'

  shoal predict churn --input customers.csv --output scores.parquet --grpc

  cat rows.json | shoal predict iris --input - | jq .outputs

Exit codes: 0 done, 1 the server answered with an error, 2 wrong usage or no server.
"""

IN_FLIGHT = 8
"""Chunks of a large file that are under way at the same time."""


def predict(
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    url: Url = "http://127.0.0.1:8080",
    input: Input = None,
    data: Data = None,
    text: Text = None,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", help="File for the answers: .json, .jsonl, .csv, .tsv, .parquet; - is standard output."
        ),
    ] = "-",
    grpc: Grpc = False,
    version: Version = None,
    timeout: Annotated[float, typer.Option(min=0.001, help="Seconds that a request may take.")] = 60.0,
    batch_rows: Annotated[
        int, typer.Option(min=1, help="Rows sent in one request; larger files are sent in pieces.")
    ] = 1024,
    ca: Ca = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON also on a terminal.")] = False,
) -> None:
    """Ask a model: rows, texts or a file in, predictions out."""
    import asyncio

    from shoal.cli.answers import write_answer

    with told():
        source = _source(input, data, text)
        client = connect(url, grpc=grpc, timeout=timeout, ca=ca)
        response = asyncio.run(_predict(client, model, version, source, batch_rows))
        write_answer(response, output, as_json=as_json)


def register(app: typer.Typer) -> None:
    app.command(epilog=EPILOG)(predict)


def _source(input: str | None, data: str | None, texts: list[str] | None) -> Source:
    source = Source(input, data, texts)
    source.check()
    if source.given:
        return source
    if sys.stdin.isatty():
        raise ConfigError("there is nothing to predict", hint="give --data, --text or --input")
    return Source("-", None, None)


async def _predict(
    client: AsyncClient, model: str, version: str | None, source: Source, batch_rows: int
) -> InferenceResponse:
    from shoal.cli.answers import merge

    async with client:
        payload = source.read(await client.signature(model, version))
        chunks = list(payload.chunks(batch_rows))
        if len(chunks) == 1:
            return await _infer(client, model, version, payload)
        return merge(await _infer_all(client, model, version, chunks))


async def _infer_all(
    client: AsyncClient, model: str, version: str | None, chunks: list[Payload]
) -> list[InferenceResponse]:
    """Ask for all chunks, some at a time; answers in the order of the chunks, whichever comes first."""
    import asyncio

    from shoal.cli.answers import progress

    answers: dict[int, InferenceResponse] = {}
    todo = iter(enumerate(chunks))

    async def work() -> None:
        for number, chunk in todo:
            answers[number] = await _infer(client, model, version, chunk)
            bar.advance(task, chunk.rows)

    with progress() as bar:
        task = bar.add_task(model, total=sum(chunk.rows for chunk in chunks))
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(IN_FLIGHT, len(chunks))):
                    group.create_task(work(), name="predict-chunks")
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
    return [answers[number] for number in range(len(chunks))]


async def _infer(client: AsyncClient, model: str, version: str | None, payload: Payload) -> InferenceResponse:
    return await client.infer(
        model, payload.tensors, version=version, outputs=payload.outputs, parameters=payload.parameters
    )
