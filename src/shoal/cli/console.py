"""What `shoal serve` shows: log lines, and a summary once the models are there."""

from __future__ import annotations

import json
import logging
import os
import shlex
import sys
from typing import TYPE_CHECKING

from shoal.core.model import ModelState
from shoal.core.redaction import redact

if TYPE_CHECKING:
    from shoal.node.node import Node
    from shoal.node.tree.tree import Tree

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
COLOURS = {logging.WARNING: "\x1b[33m", logging.ERROR: "\x1b[31m", logging.CRITICAL: "\x1b[31m"}
MAX_EXAMPLE = 2000
"""Characters of a request that anyone would copy from a terminal."""
CHATTY = ("alembic", "uvicorn.error")
"""Loggers of others whose news is of no use to anybody but when something is wrong."""
FIELDS = ("model", "version", "worker", "runtime", "reason", "seconds")


class LineFormatter(logging.Formatter):
    """`12:30:01 INFO  model ready  model=iris runtime=sklearn`; coloured on a terminal, plain when piped.

    Passwords in URLs are taken out, also of traces: what a library says may quote a setting.
    """

    def __init__(self, *, colour: bool) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        fields = [f"{name}={value}" for name in FIELDS if (value := getattr(record, name, None)) not in (None, "")]
        line = redact(super().format(record)) + ("  " + " ".join(fields) if fields else "")
        start = COLOURS.get(record.levelno, "") if self._colour else ""
        return f"{start}{line}\x1b[0m" if start else line


def set_up_logging(level: str) -> None:
    """Send log lines to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(colour=sys.stderr.isatty()))
    logging.basicConfig(level=LEVELS.get(level.lower(), logging.INFO), handlers=[handler], force=True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


def announce(node: Node, ready_fd: int | None = None) -> None:
    """Tell people, and the program that started us, that the models are there."""
    _tell(node.url, node.control_url, ready_fd)
    banner(node)


def announce_split(tree: Tree, ready_fd: int | None = None) -> None:
    """The same for a node whose models are in other processes, which have told in the log what they cannot serve."""
    _tell(tree.url, tree.control_url, ready_fd)
    lines = [f"REST and gRPC  {tree.url}", f"docs           {tree.url}/docs", f"metrics        {tree.url}/metrics"]
    if tree.control_url:
        lines.append(f"control        {tree.control_url}  (shoal push, shoal deploy, shoal services)")
    print(f"{len(tree.gateways)} gateways, {len(tree.proxies)} proxies", *lines, sep="\n", flush=True)


def _tell(url: str, control_url: str, ready_fd: int | None) -> None:
    if ready_fd is not None:
        ready = {"url": url, **({"control": control_url} if control_url else {})}
        os.write(ready_fd, json.dumps(ready).encode() + b"\n")
        os.close(ready_fd)


def banner(node: Node) -> None:
    """Say what is served, and what to try."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False)
    for column in ("model", "version", "runtime", "state", "note"):
        table.add_column(column, overflow="fold")
    for handle in node.models.all():
        spec = handle.spec
        table.add_row(spec.name, spec.version, spec.runtime, handle.state.value, escape(handle.reason))
    for problem in node.problems:
        table.add_row(escape(problem.name), "", "", "SKIPPED", escape(f"{problem.error} ({problem.error.hint})"))
    if table.row_count:
        console.print(table)
    if node.control_url and not node.models.all():
        console.print("no service runs yet; models load when they are first called")
    lines = [f"REST and gRPC  {node.url}", f"docs           {node.url}/docs", f"metrics        {node.url}/metrics"]
    if node.control_url:
        lines.append(f"control        {node.control_url}  (shoal push, shoal deploy, shoal services)")
    lines += [f"{'try it' if number == 0 else '':<15}{line}" for number, line in enumerate(suggestions(node))]
    for line in ["", *lines]:
        console.print(escape(line), soft_wrap=True)


def suggestions(node: Node) -> list[str]:
    """Commands to try, made for the ready model with the shortest example request."""
    ready = [each for each in node.models.all() if each.state is ModelState.READY]
    if not ready:
        return []
    handle = min(ready, key=lambda each: len(each.example) or 10**9)
    name = handle.spec.name
    commands = [f"shoal bench {name} --url {node.url}"]
    if 0 < len(handle.example) <= MAX_EXAMPLE:
        infer = f"{node.url}/v2/models/{name}/infer"
        predict = f"shoal predict {name} {predict_options(handle.example)} --url {node.url}"
        commands = [f"curl -s {infer} -d {shlex.quote(handle.example)}", predict, *commands]
    return commands


def predict_options(example: str) -> str:
    """What `shoal predict` is to be given to ask the same as a V2 request."""
    request = json.loads(example)
    tensor = request["inputs"][0]
    if len(request["inputs"]) > 1:
        return f"--data {shlex.quote(example)}"
    if tensor["datatype"] == "BYTES":
        return " ".join(f"--text {shlex.quote(text)}" for text in tensor["data"])
    data = tensor["data"]
    for size in reversed(tensor["shape"][1:]):
        data = [data[at : at + size] for at in range(0, len(data), size)]
    return f"--data {shlex.quote(json.dumps(data))}"
