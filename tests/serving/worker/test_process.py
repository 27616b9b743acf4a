"""A real worker process at the other end of a socket pair."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from shoal.core.call import Format
from shoal.core.errors import InvalidInput, ModelError, NotReady
from shoal.core.ipc import frames, messages
from shoal.core.ipc.messages import (
    Batch,
    Done,
    FromWorker,
    Hello,
    Load,
    Loaded,
    LoadFailed,
    Stop,
    ToWorker,
    Unload,
    Unloaded,
)
from shoal.core.model import ModelSpec
from shoal.core.types import InferenceRequest, Tensor
from shoal.core.wire import predict_all, v2_binary, v2_json
from support.worker import split_answers

pytestmark = pytest.mark.process

ECHO = """
import os
import sys


class Echo:
    def predict_all(self, inputs):
        print("called with", len(inputs))
        os.write(1, b"\\x00\\x01\\x02 raw bytes on stdout\\n")
        sys.stderr.write("and on stderr\\n")
        for text in inputs:
            if text == "exit":
                os._exit(3)
            if text == "raise":
                raise ValueError("bad text")
        return [text for text in inputs]
"""

DOUBLE = """
from shoal import Model


class Double(Model):
    def predict(self, inputs: dict) -> dict:
        return {"y": inputs["x"] * 2}
"""


@dataclass
class Process:
    process: subprocess.Popen[bytes]
    socket: socket.socket

    def send(self, message: ToWorker, payload: bytes = b"") -> None:
        self.socket.sendall(frames.prefix(messages.encode(message), len(payload)) + payload)

    def receive(self) -> tuple[FromWorker, bytes]:
        header_length, payload_length = frames.PREFIX.unpack(self._exactly(8))
        header = self._exactly(header_length)
        return messages.decode_from_worker(header), self._exactly(payload_length)

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            chunk = self.socket.recv(count - len(data))
            assert chunk, "the worker has hung up"
            data += chunk
        return data

    def load(self, number: int, spec: ModelSpec) -> Loaded | LoadFailed:
        self.send(Load(number, spec))
        message, _ = self.receive()
        assert isinstance(message, (Loaded, LoadFailed))
        return message

    def ask(self, number: int, bodies: Sequence[tuple[Format, bytes, int]]) -> list[bytes | Exception]:
        count = len(bodies)
        batch = Batch(
            1,
            number,
            64,
            bytes([form for form, _, _ in bodies]),
            [len(body) for _, body, _ in bodies],
            [length for _, _, length in bodies],
            [float("inf")] * count,
        )
        self.send(batch, b"".join(body for _, body, _ in bodies))
        message, payload = self.receive()
        assert isinstance(message, Done)
        assert message.memory_bytes > 1_000_000
        return list(split_answers(message, payload))


@pytest.fixture
def worker() -> Iterator[Process]:
    ours, theirs = socket.socketpair()
    ours.settimeout(20)
    number = theirs.fileno()
    process = subprocess.Popen(
        [sys.executable, "-m", "shoal.serving.worker", "--fd", str(number)],
        pass_fds=(number,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    theirs.close()
    try:
        yield Process(process, ours)
    finally:
        ours.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        process.kill()
        process.communicate()


def python_model(folder: Path, code: str, **settings: object) -> ModelSpec:
    folder.mkdir(exist_ok=True)
    (folder / "model.py").write_text(code)
    fields = {"name": folder.name, "path": str(folder), "runtime": "python", "trust": "code", **settings}
    return ModelSpec(**fields)  # type: ignore[arg-type]


def texts(*inputs: str) -> tuple[Format, bytes, int]:
    return Format.PREDICT_ALL, predict_all.encode_request(list(inputs)), -1


def test_a_life(worker: Process, tmp_path: Path) -> None:
    hello, _ = worker.receive()
    assert isinstance(hello, Hello)
    assert hello.pid == worker.process.pid
    assert hello.memory_bytes > 1_000_000
    loaded = worker.load(1, python_model(tmp_path / "echo", ECHO))
    assert isinstance(loaded, Loaded)
    assert loaded.batchable
    first, second = worker.ask(1, [texts("a", "é"), texts("日本 🐟")])
    assert isinstance(first, bytes)
    assert isinstance(second, bytes)
    assert predict_all.decode_response(first) == (["a", "é"], {})
    assert predict_all.decode_response(second) == (["日本 🐟"], {})
    worker.process.send_signal(signal.SIGINT)
    fine, broken = worker.ask(1, [texts("x"), texts("raise")])
    assert isinstance(fine, bytes)
    assert isinstance(broken, ModelError)
    assert "bad text" in broken.message
    worker.send(Unload(1))
    assert isinstance(worker.receive()[0], Unloaded)
    assert isinstance(worker.ask(1, [texts("x")])[0], NotReady)
    worker.send(Stop())
    output, errors = worker.process.communicate(timeout=10)
    assert worker.process.returncode == 0
    assert b"called with 3" in output
    assert b"and on stderr" in errors


def test_several_models_live_side_by_side(worker: Process, tmp_path: Path) -> None:
    worker.receive()
    settings = {"warmup": ('{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}]}',)}
    echo, double = python_model(tmp_path / "echo", ECHO), python_model(tmp_path / "double", DOUBLE, **settings)
    assert isinstance(worker.load(1, echo), Loaded)
    loaded = worker.load(2, double)
    assert isinstance(loaded, Loaded)
    assert (loaded.batchable, loaded.batch_reason) == (True, "")
    assert loaded.example == settings["warmup"][0]
    failed = worker.load(2, double)
    assert isinstance(failed, LoadFailed)
    assert "already" in failed.error.message
    assert isinstance(worker.ask(1, [texts("x")])[0], bytes)
    array = np.arange(6, dtype=np.float32).reshape(3, 2)
    body = v2_json.encode_request(InferenceRequest([Tensor("x", [3, 2], "FP32", array)]))
    (answer,) = worker.ask(2, [(Format.V2_JSON, body, -1)])
    assert isinstance(answer, bytes)
    assert np.array_equal(v2_json.decode_response(answer).outputs[0].data, array * 2)


def test_large_tensors_there_and_back(worker: Process, tmp_path: Path) -> None:
    worker.receive()
    spec = python_model(tmp_path / "double", DOUBLE, batchable=True)
    assert isinstance(worker.load(1, spec), Loaded)
    arrays = [np.random.default_rng(seed).random((2, 300_000)) for seed in range(3)]
    requests = [InferenceRequest([Tensor("x", list(each.shape), "FP64", each)]) for each in arrays]
    for _ in range(2):
        for array, answer in zip(
            arrays, worker.ask(1, [(Format.V2_JSON, *v2_binary.encode_request(each)) for each in requests]), strict=True
        ):
            assert isinstance(answer, bytes)
            json_length = answer.index(b"}]}") + 3
            assert np.array_equal(v2_binary.decode_response(answer, json_length).outputs[0].data, array * 2)


def test_failures_to_load_name_model_and_cause(worker: Process, tmp_path: Path) -> None:
    worker.receive()
    failing = worker.load(
        1, python_model(tmp_path / "broken", ECHO + "\n    def load(self):\n        raise OSError('no disk')\n")
    )
    assert isinstance(failing, LoadFailed)
    assert failing.error.code == "model_error"
    assert "'broken'" in failing.error.message
    assert "OSError: no disk" in failing.error.message
    refused = worker.load(1, ModelSpec(name="odd", path=str(tmp_path), runtime="nonsense"))
    assert isinstance(refused, LoadFailed)
    assert refused.error.code == "config_error"
    assert "odd" in refused.error.message
    bad_warmup = python_model(tmp_path / "double", DOUBLE, warmup=('{"inputs":[]}',))
    failed = worker.load(1, bad_warmup)
    assert isinstance(failed, LoadFailed)
    assert "warm-up 0" in failed.error.message
    assert isinstance(worker.load(1, python_model(tmp_path / "echo", ECHO)), Loaded)
    assert isinstance(worker.ask(1, [(Format.PREDICT_ALL, b"{", -1)])[0], InvalidInput)


def test_it_exits_when_the_parent_hangs_up(worker: Process) -> None:
    worker.receive()
    worker.socket.close()
    assert worker.process.wait(10) == 0


def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    """Even when somebody else holds the other end of its socket open."""
    ours, theirs = socket.socketpair()
    code = (
        "import os, subprocess, sys\n"
        "command = [sys.executable, '-m', 'shoal.serving.worker', '--fd', sys.argv[1]]\n"
        "child = subprocess.Popen(command, pass_fds=[int(sys.argv[1])])\n"
        "print(child.pid, flush=True)\n"
        "os.read(0, 1)\n"
    )
    with ours, theirs:
        number = str(theirs.fileno())
        parent = subprocess.Popen(
            [sys.executable, "-c", code, number],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert parent.stdout is not None
        assert parent.stdin is not None
        child = int(parent.stdout.readline())
        ours.settimeout(20)
        assert ours.recv(1)  # hello: it lives
        watch = os.pidfd_open(child)
        try:
            parent.kill()
            parent.communicate()
            import select

            assert select.select([watch], [], [], 10)[0]
        finally:
            os.close(watch)


COUNTING = """
import gc


class Counting:
    def predict_all(self, inputs):
        return [str(gc.get_freeze_count() > 10_000) for _ in inputs]
"""


def test_what_is_loaded_is_left_out_of_garbage_collections(worker: Process, tmp_path: Path) -> None:
    worker.receive()
    assert isinstance(worker.load(1, python_model(tmp_path / "counting", COUNTING)), Loaded)
    for _ in range(2):
        (answer,) = worker.ask(1, [texts("x")])
        assert isinstance(answer, bytes)
        assert predict_all.decode_response(answer) == (["True"], {})
        assert isinstance(worker.load(2, python_model(tmp_path / "echo", ECHO)), Loaded)
        worker.send(Unload(2))
        assert isinstance(worker.receive()[0], Unloaded)
