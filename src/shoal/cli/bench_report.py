"""What `shoal bench` shows: progress while it runs, then percentiles, errors and a histogram; or JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from shoal.client.histogram import Histogram
from shoal.client.load import Recorder

REFRESH = 0.25
WIDTH = 40
PERCENTILES = (50, 90, 95, 99, 99.9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a run is told to do; `rate` is None for a closed loop."""

    model: str
    url: str
    protocol: str
    connections: int
    rate: float | None
    arrivals: Literal["poisson", "constant"]
    concurrency: int
    duration: float

    def to_json(self) -> dict[str, Any]:
        """The fields that matter for this kind of loop."""
        unused = ("rate", "arrivals") if self.rate is None else ("concurrency",)
        return {name: value for name, value in asdict(self).items() if name not in unused}

    def __str__(self) -> str:
        loop = f"{self.concurrency} callers" if self.rate is None else f"{self.rate:g} requests/s ({self.arrivals})"
        plural = "s" if self.connections > 1 else ""
        return f"{self.model}: {self.protocol}, {self.connections} connection{plural}, {loop}, {self.duration:g} s"


@asynccontextmanager
async def watched(recorder: Recorder, setup: Setup) -> AsyncIterator[None]:
    """Show how the run goes, on standard error, if that is a terminal."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), console=console, auto_refresh=False,
        transient=True, disable=not console.is_terminal,
    )  # fmt: skip
    with bar:
        task = bar.add_task("", total=setup.duration)

        async def refresh() -> None:
            while True:
                errors = sum(recorder.errors.values())
                bar.update(task, completed=recorder.elapsed, description=_line(recorder, errors), refresh=True)
                await asyncio.sleep(REFRESH)

        watcher = asyncio.create_task(refresh(), name="bench-progress")
        try:
            yield
        finally:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)


def _line(recorder: Recorder, errors: int) -> str:
    p99 = milliseconds(recorder.latency.percentile(99))
    return f"{recorder.throughput:,.0f}/s  P99 {p99}  in flight {recorder.in_flight}  errors {errors}"


def report(setup: Setup, recorder: Recorder, *, as_json: bool) -> None:
    """Print the result."""
    if as_json:
        print(json.dumps(to_json(setup, recorder), indent=2))
        return
    console = Console(highlight=False)
    console.print(f"[bold]{setup}[/]")
    console.print(_figures(recorder))
    if recorder.errors:
        console.print(_errors(recorder))
    for line in histogram(recorder.latency):
        console.print(line, markup=False)


def to_json(setup: Setup, recorder: Recorder) -> dict[str, Any]:
    """The result as data; latencies in milliseconds."""
    latency = recorder.latency
    shares = {f"p{share:g}": round(latency.percentile(share) * 1e3, 4) for share in PERCENTILES}
    edges = {name: round(value * 1e3, 4) for name, value in (("min", latency.min), ("mean", latency.mean))}
    return {
        **setup.to_json(),
        "seconds": round(recorder.elapsed, 3),
        "sent": recorder.sent,
        "ok": recorder.ok,
        "throughput": round(recorder.throughput, 2),
        "latency_ms": {**edges, **shares, "max": round(latency.max * 1e3, 4)},
        "errors": dict(recorder.errors),
        "error_samples": recorder.samples,
    }


def _figures(recorder: Recorder) -> Table:
    latency = recorder.latency
    figures = {"req/s": f"{recorder.throughput:,.1f}", "ok": f"{recorder.ok:,}"}
    figures["errors"] = f"{sum(recorder.errors.values()):,}"
    figures |= {f"P{share:g}": figure(latency.percentile(share)) for share in PERCENTILES}
    figures["max"] = figure(latency.max)
    table = Table(header_style="bold cyan", caption="latencies in ms", caption_justify="right")
    for name in figures:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_row(*figures.values())
    return table


def _errors(recorder: Recorder) -> Table:
    table = Table(header_style="bold red")
    for name in ("error", "count", "such as"):
        table.add_column(name, overflow="fold")
    for code, count in recorder.errors.most_common():
        table.add_row(code, f"{count:,}", recorder.samples[code])
    return table


def histogram(latency: Histogram) -> list[str]:
    """Lines of a text histogram."""
    bars = latency.bars()
    most = max((count for _, _, count in bars), default=0)
    lines = []
    for low, high, count in bars:
        bar = "█" * round(WIDTH * count / most) or ("▏" if count else "")
        lines.append(f"{milliseconds(low):>9} - {milliseconds(high):>9}  {bar:<{WIDTH}}  {count:,}")
    return lines


def milliseconds(seconds: float) -> str:
    """With the unit."""
    return f"{figure(seconds)} ms"


def figure(seconds: float) -> str:
    """Three figures that matter, in milliseconds."""
    value = seconds * 1e3
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"
