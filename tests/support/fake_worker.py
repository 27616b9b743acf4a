"""A worker without any framework, run as a script: it speaks the frames and does what `shoal.testing.faults` understands.

It answers in order, loads included. What it is told by `ModelSpec.parameters`: ``bytes`` (what the model is said to take),
``load`` (a fault while loading), ``load_error`` (a `LoadFailed` with this text), ``marker`` (a file that gets a line per
load; with ``good_starts`` only so many loads go well).
"""

from __future__ import annotations

import argparse
import os
import resource
import socket
from pathlib import Path

from shoal.core.errors import ModelError, NotReady
from shoal.core.ipc import frames, messages
from shoal.core.model import ModelSpec
from shoal.core.types import Signature
from shoal.testing.faults import act


def load(spec: ModelSpec) -> None:
    parameters = spec.parameters
    if "marker" in parameters:
        marker = Path(str(parameters["marker"]))
        with marker.open("a") as file:
            file.write(f"{os.getpid()}\n")
        if len(marker.read_text().splitlines()) > int(str(parameters.get("good_starts", 1_000_000))):
            act(str(parameters.get("load", "segv")))
    elif "load" in parameters:
        act(str(parameters["load"]))
    if "load_error" in parameters:
        raise NotReady(str(parameters["load_error"]))


def run_batch(batch: messages.Batch, payload: bytes | bytearray) -> tuple[messages.Done, bytes]:
    items, statuses, at = [], bytearray(), 0
    for length in batch.lengths:
        text, at = bytes(payload[at : at + length]).decode(), at + length
        try:
            items.append(str(act(text)).encode())
            statuses.append(messages.OK)
        except ValueError as error:
            items.append(messages.encode(ModelError(str(error)).to_record()))
            statuses.append(messages.FAILED)
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    count = len(items)
    lengths = [len(item) for item in items]
    done = messages.Done(batch.id, bytes(statuses), lengths, [-1] * count, count, 1, 0.0, 0.001, 0.0, rss)
    return done, b"".join(items)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--shared", action="store_true")
    parser.add_argument("--preload", default="")
    ours = socket.socket(fileno=parser.parse_args().fd)
    ours.set_inheritable(False)

    def say(message: messages.FromWorker, payload: bytes = b"") -> None:
        ours.sendall(frames.prefix(messages.encode(message), len(payload)) + payload)

    say(messages.Hello(os.getpid()))
    reader = frames.FrameReader()
    while data := ours.recv(1 << 20):
        for header, payload in reader.feed(data):
            match messages.decode_to_worker(header):
                case messages.Load(model=model, spec=spec):
                    try:
                        load(spec)
                    except NotReady as error:
                        say(messages.LoadFailed(model, error.to_record()))
                    else:
                        size = int(str(spec.parameters.get("bytes", 0)))
                        say(messages.Loaded(model, Signature(), "fake", spec.batchable is not False, "", 0.0, size, ""))
                case messages.Unload(model=model):
                    say(messages.Unloaded(model, 0))
                case messages.Batch() as batch:
                    if payload == b"babble":
                        ours.sendall(b"\xff" * 64)
                    else:
                        say(*run_batch(batch, payload))
                case messages.Stop():
                    return


if __name__ == "__main__":
    main()
