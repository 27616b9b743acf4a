"""`shoal bench`: a load test of one model, open loop at a rate or closed loop at a concurrency."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from shoal.cli.asking import Ca, Data, Grpc, Input, Source, Text, Url, Version, connect
from shoal.cli.failures import told
from shoal.core.errors import ConfigError

if TYPE_CHECKING:
    from shoal.cli.bench_report import Setup
    from shoal.cli.payloads import Payload
    from shoal.client import AsyncClient
    from shoal.client.load import Recorder, Send

EPILOG = """
Examples:

  shoal bench iris                                   16 callers, each sends when its last answer is there

  shoal bench iris --rate 500 --duration 30          500 requests per second, come what may

  shoal bench iris --concurrency 64 --grpc --connections 4

  shoal bench churn --input customers.csv --rate 100 --json

With --rate, a latency counts from the time at which the request should have left: a server that stalls is not let off.

Exit codes: 0 done, 1 no right answer at all, 2 wrong usage or no server.
"""


class Arrivals(StrEnum):
    POISSON = "poisson"
    CONSTANT = "constant"


def bench(
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    url: Url = "http://127.0.0.1:8080",
    rate: Annotated[
        float | None, typer.Option(min=0.01, help="Open loop: requests per second. Excludes --concurrency.")
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="Closed loop: callers at the same time. [default: 16]")
    ] = None,
    duration: Annotated[float, typer.Option(min=0.1, help="Seconds.")] = 10.0,
    arrivals: Annotated[Arrivals, typer.Option(help="How requests of an open loop are spread.")] = Arrivals.POISSON,
    grpc: Grpc = False,
    connections: Annotated[int, typer.Option(min=1, max=1024, help="Connections; each carries many requests.")] = 1,
    binary: Annotated[bool, typer.Option("--binary", help="REST: send tensors as bytes instead of JSON.")] = False,
    input: Input = None,
    data: Data = None,
    text: Text = None,
    rows: Annotated[int, typer.Option(min=1, help="Rows of a request that is made up.")] = 1,
    version: Version = None,
    timeout: Annotated[float, typer.Option(min=0.001, help="Seconds that a request may take.")] = 10.0,
    ca: Ca = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Load a model: latency percentiles, throughput and errors. Nothing is retried."""
    import uvloop

    from shoal.cli.bench_report import Setup, report

    with told():
        if rate is not None and concurrency is not None:
            raise ConfigError("--rate and --concurrency exclude each other", hint="give one of them")
        source = Source(input, data, text)
        source.check()
        setup = Setup(
            model=model,
            url=url,
            protocol="grpc" if grpc else "rest",
            connections=connections,
            rate=rate,
            arrivals=arrivals.value,
            concurrency=concurrency or 16,
            duration=duration,
        )
        clients = [connect(url, grpc=grpc, timeout=timeout, ca=ca, retries=0) for _ in range(connections)]
        recorder = uvloop.run(_bench(clients, version, source, setup, rows=rows, binary=binary or grpc))
        report(setup, recorder, as_json=as_json)
    raise typer.Exit(0 if recorder.ok else 1)


def register(app: typer.Typer) -> None:
    app.command(epilog=EPILOG)(bench)


async def _bench(
    clients: list[AsyncClient], version: str | None, source: Source, setup: Setup, *, rows: int, binary: bool
) -> Recorder:
    from contextlib import AsyncExitStack

    from shoal.cli.bench_report import watched
    from shoal.client.load import Recorder, arrivals, run_closed, run_open

    async with AsyncExitStack() as stack:
        for client in clients:
            await stack.enter_async_context(client)
        payload = await _payload(clients[0], setup.model, version, source, rows)
        send = await _sender(clients, setup.model, version, payload, binary=binary)
        recorder = Recorder()
        async with watched(recorder, setup):
            if setup.rate is None:
                await run_closed(send, setup.concurrency, setup.duration, recorder)
            else:
                offsets = arrivals(setup.rate, setup.duration, kind=setup.arrivals)
                await run_open(send, offsets, recorder)
        return recorder


async def _payload(client: AsyncClient, model: str, version: str | None, source: Source, rows: int) -> Payload:
    """What the user gives, else the example of the server's own documentation, else what the signature suggests."""
    from shoal.cli.payloads import made_up, parse
    from shoal.core.errors import ShoalError

    signature = await client.signature(model, version)
    if source.given:
        return source.read(signature)
    if rows == 1:
        try:
            if (example := await client.example(model)) is not None:
                return parse(example, "json", signature)
        except ShoalError:
            pass  # a server without such documentation: the signature will do
    return made_up(signature, rows)


async def _sender(
    clients: list[AsyncClient], model: str, version: str | None, payload: Payload, *, binary: bool
) -> Send:
    """Sends the payload, encoded once, over each connection in turn. Asks each once first, which also connects it."""
    from itertools import cycle

    operation = await clients[0].prepare(model, payload.tensors, version=version, binary=binary)
    for client in clients:
        await client.send(operation)
    turns = cycle([client.send for client in clients])

    async def send() -> None:
        await next(turns)(operation)

    return send
