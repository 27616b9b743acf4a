"""A shared worker in one process: loads beside batches, in order, and what is known is not found out again."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from shoal.core.call import Format
from shoal.core.clock import monotonic
from shoal.core.ipc import frames, messages
from shoal.core.ipc.messages import Batch, Done, Hello, Load, Loaded, LoadFailed, Stop, Unload, Unloaded
from shoal.core.model import ModelSpec
from shoal.core.types import TensorSpec
from shoal.core.wire import predict_all
from shoal.serving.adapters.base import Adapter
from shoal.serving.worker.channel import Channel
from shoal.serving.worker.loop import Loop
from support.worker import TextModel, TypedModel, spec


class Worker:
    """The parent's end of a shared worker that runs in a thread here."""

    def __init__(self, ours: socket.socket) -> None:
        self._socket = ours
        self._reader = frames.FrameReader()
        self._come: list[messages.FromWorker] = []

    def send(self, message: messages.ToWorker, payload: bytes = b"") -> None:
        self._socket.sendall(frames.prefix(messages.encode(message), len(payload)) + payload)

    def receive(self) -> messages.FromWorker:
        while not self._come:
            data = self._socket.recv(65536)
            assert data, "the worker has hung up"
            self._come += [messages.decode_from_worker(header) for header, _ in self._reader.feed(data)]
        return self._come.pop(0)

    def ask(self, model: int) -> Done:
        body = predict_all.encode_request(["hi"])
        self.send(Batch(1, model, 8, bytes([Format.PREDICT_ALL]), [len(body)], [-1], [float("inf")]), body)
        done = self.receive()
        assert isinstance(done, Done)
        return done


@contextmanager
def shared(create: Callable[[ModelSpec], Adapter]) -> Iterator[Worker]:
    ours, theirs = socket.socketpair()
    ours.settimeout(10)
    with ours, theirs:
        thread = threading.Thread(target=Loop(Channel(theirs), create, monotonic, shared=True).run)
        thread.start()
        worker = Worker(ours)
        try:
            assert isinstance(worker.receive(), Hello)
            yield worker
            worker.send(Stop())
        finally:
            ours.shutdown(socket.SHUT_RDWR)
            thread.join(10)


class Gated(TextModel):
    """Loads when it may."""

    def __init__(self, gate: threading.Event, settings: ModelSpec) -> None:
        super().__init__(lambda inputs: inputs, settings)
        self._gate = gate

    def load(self) -> None:
        assert self._gate.wait(10)


def test_batches_are_answered_while_a_model_loads_and_loads_keep_their_order() -> None:
    gate, opened = threading.Event(), threading.Event()
    opened.set()
    with shared(lambda settings: Gated(gate if settings.name == "slow" else opened, settings)) as worker:
        worker.send(Load(1, spec(name="quick")))
        assert isinstance(worker.receive(), Loaded)
        worker.send(Load(2, spec(name="slow")))
        worker.send(Load(3, spec(name="later")))
        for _ in range(5):
            assert worker.ask(1).statuses == bytes([messages.OK])
            assert worker.ask(2).statuses == bytes([messages.FAILED])
        worker.send(Unload(1))
        assert isinstance(worker.receive(), Unloaded)
        gate.set()
        loaded = [worker.receive(), worker.receive()]
        assert [each.model for each in loaded if isinstance(each, Loaded)] == [2, 3]
        assert worker.ask(2).statuses == worker.ask(3).statuses == bytes([messages.OK])


def test_a_load_that_fails_fails_alone() -> None:
    def create(settings: ModelSpec) -> Adapter:
        if settings.name == "bad":
            raise OSError("no disk")
        return TextModel(lambda inputs: inputs, settings)

    with shared(create) as worker:
        worker.send(Load(1, spec(name="bad")))
        failed = worker.receive()
        assert isinstance(failed, LoadFailed)
        assert "no disk" in failed.error.message
        worker.send(Load(1, spec(name="good")))
        assert isinstance(worker.receive(), Loaded)


def test_what_is_known_of_a_model_is_not_found_out_again() -> None:
    calls: list[int] = []

    def create(settings: ModelSpec) -> Adapter:
        model = TypedModel(
            lambda inputs: calls.append(len(inputs["x"])) or {"y": inputs["x"]},  # type: ignore[func-returns-value]
            settings,
            inputs=[TensorSpec("x", "FP32", (-1, 2))],
        )
        model.signature = lambda: pytest.fail("asked again") if asked else type(model).signature(model)  # type: ignore[method-assign]
        return model

    asked: list[bool] = []
    with shared(create) as worker:
        worker.send(Load(1, spec()))
        first = worker.receive()
        assert isinstance(first, Loaded)
        assert first.example
        examined = len(calls)
        assert examined > 3
        asked.append(True)
        worker.send(Load(2, spec(), first))
        again = worker.receive()
        assert isinstance(again, Loaded)
        assert (again.signature, again.batchable, again.example) == (first.signature, first.batchable, first.example)
        assert again.memory_bytes >= first.memory_bytes
        assert calls[examined:] == [1]


def test_a_model_that_no_longer_answers_what_it_answered_is_not_loaded() -> None:
    broken: list[bool] = []

    def predict(inputs: dict[str, object]) -> dict[str, object]:
        if broken:
            raise ValueError("the file is another one")
        return {"y": inputs["x"]}

    def create(settings: ModelSpec) -> Adapter:
        return TypedModel(predict, settings, inputs=[TensorSpec("x", "FP32", (-1, 2))])  # type: ignore[arg-type]

    with shared(create) as worker:
        worker.send(Load(1, spec()))
        first = worker.receive()
        assert isinstance(first, Loaded)
        broken.append(True)
        worker.send(Load(2, spec(), first))
        failed = worker.receive()
        assert isinstance(failed, LoadFailed)
        assert "answered before fails" in failed.error.message
