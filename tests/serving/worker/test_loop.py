"""What a worker does with what its parent says, in order, in one thread."""

from __future__ import annotations

import socket
import threading

from shoal.core.call import Format
from shoal.core.clock import monotonic
from shoal.core.errors import ConfigError
from shoal.core.ipc import frames, messages
from shoal.core.ipc.messages import Batch, Done, Hello, Load, Loaded, LoadFailed, Stop, Unload, Unloaded
from shoal.core.model import ModelSpec
from shoal.core.types import TensorSpec
from shoal.core.wire import predict_all
from shoal.serving.adapters.base import Adapter
from shoal.serving.worker.channel import Channel
from shoal.serving.worker.loop import Loop
from support.worker import TextModel, TypedModel, spec, split_answers


class Closing(TextModel):
    closed = False

    def close(self) -> None:
        self.closed = True
        raise OSError("cannot close")


def create(settings: ModelSpec) -> Adapter:
    if settings.name == "broken":
        return TypedModel(lambda inputs: {}, settings, inputs=[TensorSpec("x", "FP32", (-1,))])
    if settings.name == "refused":
        raise ConfigError("no such file", hint="look again", field="path")
    return Closing(lambda inputs: [text + "!" for text in inputs], settings)


def talk(*said: messages.ToWorker, payloads: dict[int, bytes] | None = None) -> list[tuple[messages.FromWorker, bytes]]:
    """Say all that at once, then hang up; gives all that was answered."""
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            for at, message in enumerate(said):
                payload = (payloads or {}).get(at, b"")
                ours.sendall(frames.prefix(messages.encode(message), len(payload)) + payload)
            ours.shutdown(socket.SHUT_WR)
            worker = threading.Thread(target=Loop(Channel(theirs), create, monotonic).run)
            worker.start()
            worker.join()
        reader, answers = frames.FrameReader(), []
        while data := ours.recv(65536):
            answers += [(messages.decode_from_worker(header), bytes(payload)) for header, payload in reader.feed(data)]
    return answers


def batch(model: int, id: int = 1) -> tuple[Batch, bytes]:
    body = predict_all.encode_request(["hi"])
    forever = float("inf")
    header = Batch(id, model, 8, bytes([Format.PREDICT_ALL]) * 2, [len(body)] * 2, [-1] * 2, [forever] * 2)
    return header, body * 2


def test_it_answers_in_the_order_in_which_it_was_asked() -> None:
    (one, payload), (two, _) = batch(1, 1), batch(1, 2)
    said = (Load(1, spec(name="a")), one, two, Unload(1), Stop(), one)
    answers = talk(*said, payloads={1: payload, 2: payload, 5: payload})
    assert [type(message) for message, _ in answers] == [Hello, Loaded, Done, Done, Unloaded]
    done = answers[2][0]
    assert isinstance(done, Done)
    assert (done.id, done.rows, done.executions, done.json_lengths) == (1, 2, 1, [-1, -1])
    assert done.memory_bytes > 0
    assert split_answers(done, answers[2][1]) == [b'{"outputs":["hi!"]}'] * 2


def test_a_model_that_is_not_loaded() -> None:
    header, payload = batch(5)
    answers = talk(header, Unload(5), payloads={0: payload})
    done = answers[1][0]
    assert isinstance(done, Done)
    assert {getattr(error, "code", "") for error in split_answers(done, answers[1][1])} == {"not_ready"}
    assert isinstance(answers[2][0], Unloaded)


def test_failures_to_load() -> None:
    header, payload = batch(1)
    answers = talk(
        Load(1, spec(name="broken")), Load(1, spec(name="refused")), Load(1, spec(name="a")), Load(1, spec(name="b")), header,
        payloads={4: payload},
    )  # fmt: skip
    broken, refused, loaded, twice, done = (message for message, _ in answers[1:])
    assert isinstance(broken, LoadFailed)
    assert (broken.error.code, "'broken'" in broken.error.message) == ("model_contract", True)
    assert isinstance(refused, LoadFailed)
    error = refused.error
    assert (error.code, error.hint, error.field) == ("config_error", "look again", "path")
    assert error.message == "model 'refused' cannot be loaded: no such file"
    assert isinstance(loaded, Loaded)
    assert isinstance(twice, LoadFailed)
    assert isinstance(done, Done)
    assert done.statuses == bytes([messages.OK] * 2)
