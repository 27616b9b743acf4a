"""Starts a worker process: the inherited socket, signals, logging; then the loop.

    python -m shoal.serving.worker --fd N

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
from io import TextIOWrapper

from shoal.core.allocator import keep_freed_memory
from shoal.core.clock import monotonic
from shoal.serving.worker.parent import die_with_parent

GC_THRESHOLD = 10_000
"""Objects made before the youngest are looked through for cycles: those of many batches, or of a framework's import."""


def main() -> None:
    """Run a worker until it is told to stop (exit code 0) or its parent has gone."""
    gc.set_threshold(GC_THRESHOLD)
    parser = argparse.ArgumentParser(prog="python -m shoal.serving.worker")
    parser.add_argument("--fd", type=int, required=True, help="the inherited end of a Unix socket pair")
    number = parser.parse_args().fd
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.set_inheritable(number, False)
    _prepare_output()
    serve(socket.socket(fileno=number))


def _prepare_output() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")


def serve(sock: socket.socket) -> None:
    """Serve the parent at the other end of a socket until it says stop or goes."""
    from shoal.serving.adapters.catalog import create_adapter
    from shoal.serving.worker.channel import Channel
    from shoal.serving.worker.loop import Loop

    keep_freed_memory()
    with sock:
        sock.setblocking(True)
        Loop(Channel(sock), create_adapter, monotonic, settle).run()


def settle() -> None:
    """Collect garbage, and leave what is there then out of later collections: each full one would look at all objects
    of the model and its framework, and take longer than many a batch."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
