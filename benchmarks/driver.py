"""Loads a server with wrk (HTTP/1.1) or h2load (gRPC) and reads what they say.

Both are closed loops: each connection (or stream) sends its next request when the answer has come. A run counts only
good answers; for gRPC, whose failures arrive as HTTP 200, the bytes of data per answer are compared with those of an
answer known to be good.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.summary import Sample

WRK_REPORT = """
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\\nREPORT{"requests":%d,"micros":%d,"errors":%d,"p50":%d,"p95":%d,"p99":%d}\\n', summary.requests,
    summary.duration, e.status + e.connect + e.read + e.write + e.timeout,
    latency:percentile(50), latency:percentile(95), latency:percentile(99)))
end
"""


@dataclass(frozen=True)
class Request:
    """One request that a load repeats.

    Attributes:
        url: where to; its path is the gRPC method for gRPC.
        body: file with the bytes to post (for gRPC with the 5-byte message prefix).
        headers: beyond those that the generators set themselves.
        grpc: HTTP/2 with gRPC framing rather than HTTP/1.1.
        answer_bytes: length of a good gRPC answer with its prefix, once known.
    """

    url: str
    body: Path
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)
    grpc: bool = False
    answer_bytes: int | None = None


@dataclass(frozen=True)
class Load:
    """How hard to push.

    Attributes:
        connections: how many, with one request at a time on each.
        seconds: for how long.
        streams: concurrent requests on each connection (gRPC only).
        pace: requests per second on each connection, or None: as fast as answers come.
        core: where the generator runs, or None: anywhere.
        nice: its priority.
    """

    connections: int
    seconds: float
    streams: int = 1
    pace: int | None = None
    core: int | None = 1
    nice: int = 0


class DriverError(Exception):
    """The generator failed, or an answer was not good."""


def drive(request: Request, load: Load) -> Sample:
    """Runs the load; any answer that is not good raises `DriverError`."""
    sample = _h2load(request, load) if request.grpc or load.pace else _wrk(request, load)
    if sample.errors or not sample.requests:
        raise DriverError(f"{sample.errors} errors, {sample.requests} good answers from {request.url}")
    return sample


def prefix(load: Load) -> list[str]:
    """The command words that put a generator on its core, at its priority."""
    core = [] if load.core is None else ["taskset", "-c", str(load.core)]
    return core + ([] if not load.nice else ["nice", "-n", str(load.nice)])


def lua(request: Request) -> str:
    """The wrk script that posts the request and reports as JSON."""
    lines = [
        'wrk.method = "POST"',
        f'local file = io.open({_quote(str(request.body))}, "rb"); wrk.body = file:read("*a"); file:close()',
        *(f"wrk.headers[{_quote(name)}] = {_quote(value)}" for name, value in request.headers),
    ]
    return "\n".join(lines) + WRK_REPORT


def _quote(text: str) -> str:
    return json.dumps(text)


def parse_wrk(output: str) -> Sample:
    """The sample in wrk's output."""
    found = re.search(r"^REPORT(\{.*\})$", output, re.MULTILINE)
    if not found:
        raise DriverError(f"wrk reported nothing: {output[-300:]}")
    report = json.loads(found[1])
    good = report["requests"] - report["errors"]
    p50, p95, p99 = (report[name] / 1000 for name in ("p50", "p95", "p99"))
    return Sample(good / (report["micros"] / 1e6), p50, p95, p99, good, report["errors"])


def _wrk(request: Request, load: Load) -> Sample:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(lua(request))
        script.flush()
        options = ["-t1", f"-c{load.connections}", f"-d{load.seconds:g}s", "--timeout", "20s", "-s", script.name]
        return parse_wrk(_run([*prefix(load), "wrk", *options, request.url]))


def percentile(ordered: Sequence[float], share: float) -> float:
    """Nearest-rank percentile of sorted values."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def parse_h2load(output: str, log: Iterable[str], seconds: float, answer_bytes: int | None) -> Sample:
    """The sample in h2load's output and per-request log (start, status, microseconds)."""
    rows = [line.split() for line in log]
    times = sorted(int(row[2]) / 1000 for row in rows if row[1] == "200")
    errors = len(rows) - len(times)
    received = re.search(r"\((\d+)\) data", output)
    if answer_bytes and received and int(received[1]) < 0.95 * answer_bytes * len(times):
        raise DriverError(f"{int(received[1])} bytes for {len(times)} answers of {answer_bytes}: some were errors")
    if not times:
        return Sample(0, 0, 0, 0, 0, errors)
    p50, p95, p99 = (percentile(times, share) for share in (0.5, 0.95, 0.99))
    return Sample(len(times) / seconds, p50, p95, p99, len(times), errors)


def _h2load(request: Request, load: Load) -> Sample:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        options = ["-t1", f"-c{load.connections}", f"-m{load.streams}", f"-D{load.seconds:g}s", f"--log-file={log}"]
        headers = [word for name, value in request.headers for word in ("-H", f"{name}: {value}")]
        options += ([] if request.grpc else ["--h1"]) + ([f"--rps={load.pace}"] if load.pace else [])
        output = _run([*prefix(load), "h2load", *options, "-d", str(request.body), *headers, request.url])
        return parse_h2load(output, log.read_text().splitlines(), load.seconds, request.answer_bytes)


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise DriverError(f"{command[0]} ended with {done.returncode}: {done.stderr[-300:]}")
    return done.stdout
