"""Starts a worker process: the inherited socket, signals, logging; then the loop.

    python -m shoal.serving.worker --fd N [--confined] [--shared] [--preload sklearn,onnx]

A shared worker loads models beside those that it serves; the runtimes that it is told to preload are imported before it
says hello, so that no load has to. One that is told to confine itself does so before anything that is not ours is
imported.

Standard output and error belong to the model's code; the protocol has a descriptor of its own, which is not passed on
to what the model's code starts. Thread limits of numeric libraries are in the environment before this starts.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from io import TextIOWrapper
from types import MappingProxyType

from shoal.core.allocator import keep_freed_memory, use_one_arena
from shoal.core.clock import monotonic
from shoal.serving.worker.parent import die_with_parent

GC_THRESHOLD = 10_000
"""Objects made before the youngest are looked through for cycles: those of many batches, or of a framework's import."""


def main() -> None:
    """Run a worker until it is told to stop (exit code 0) or its parent has gone."""
    gc.set_threshold(GC_THRESHOLD)
    parser = argparse.ArgumentParser(prog="python -m shoal.serving.worker")
    parser.add_argument("--fd", type=int, required=True, help="the inherited end of a Unix socket pair")
    parser.add_argument("--confined", action="store_true", help="apply the plan that standard input holds")
    parser.add_argument("--shared", action="store_true", help="load models in a thread of its own")
    parser.add_argument("--preload", default="", help="runtimes to import first, with commas between")
    given = parser.parse_args()
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.set_inheritable(given.fd, False)
    _prepare_output()
    missing = _confine() if given.confined else {}
    runtimes = [name for name in given.preload.split(",") if name]
    serve(socket.socket(fileno=given.fd), shared=given.shared, preload=runtimes, missing=missing)


def _confine() -> dict[str, str]:
    from shoal.serving.worker.confinement.applying import confined_as_told

    return confined_as_told()


def _prepare_output() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")


def serve(
    sock: socket.socket,
    *,
    shared: bool = False,
    preload: Sequence[str] = (),
    missing: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Serve the parent at the other end of a socket until it says stop or goes."""
    from shoal.serving.adapters.catalog import create_adapter
    from shoal.serving.adapters.catalog import preload as preload_runtimes
    from shoal.serving.worker.channel import Channel
    from shoal.serving.worker.loop import Loop
    from shoal.serving.worker.upkeep import settle

    keep_freed_memory()
    if shared:
        use_one_arena()
        preload_runtimes(preload)
        settle()
    with sock:
        sock.setblocking(True)
        loop = Loop(Channel(sock), create_adapter, monotonic, shared=shared, missing=dict(missing))
        loop.run()
        if loop.loader is not None and loop.loader.busy:
            _leave()


def _leave() -> None:
    """End at once: the thread that loads cannot be asked to stop."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
