"""A real worker process, spoken to frame by frame, without the pool."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from shoal.core.call import Format
from shoal.core.ipc import messages
from shoal.core.ipc.frames import FrameReader, prefix
from shoal.core.model import ModelSpec
from shoal.core.wire.predict_all import encode_request
from shoal.serving.pool.confining.confiner import FLAG, Cell
from shoal.serving.pool.processes.environment import worker_environment
from shoal.serving.pool.processes.interpreters import worker_command
from support.worker import split_answers

SECONDS = 30.0


class RawWorker:
    """Starts a worker with an interpreter; ends it, and all that it has started, at the end of the block.

    Args:
        python: the interpreter; "" is the one that runs.
        cwd: where it is started.
        variables: what its model's settings add to its environment.
        cell: what it is confined to; removed at the end.
        prefix: a command that is given the worker's.
    """

    def __init__(
        self,
        python: str = "",
        *,
        cwd: Path | None = None,
        variables: Mapping[str, str] | None = None,
        cell: Cell | None = None,
        prefix: Sequence[str] = (),
    ) -> None:
        ours, theirs = socket.socketpair()
        ours.settimeout(SECONDS)
        self._socket = ours
        self._reader = FrameReader()
        self._frames: list[tuple[bytes, bytes | bytearray]] = []
        self._cell = cell
        confined = () if cell is None else (FLAG,)
        with theirs:
            self._process = subprocess.Popen(
                [*prefix, *worker_command(python), "--fd", str(theirs.fileno()), *confined],
                stdin=subprocess.DEVNULL if cell is None else cell.standard_input,
                start_new_session=True,
                env=worker_environment(os.environ, threads=1, settings=variables),
                cwd=cwd,
                pass_fds=(theirs.fileno(),),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )

    def __enter__(self) -> RawWorker:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()
        if self._cell is not None:
            self._cell.close_input()
            self._cell.remove()

    @property
    def pid(self) -> int:
        return self._process.pid

    def hello(self) -> messages.Hello:
        message, _ = self._receive()
        assert isinstance(message, messages.Hello)
        return message

    def load(self, spec: ModelSpec) -> messages.Loaded | messages.LoadFailed:
        self._send(messages.Load(1, spec))
        message, _ = self._receive()
        assert isinstance(message, messages.Loaded | messages.LoadFailed)
        return message

    def predict_all(self, texts: list[str]) -> list[str | None]:
        """The model's answers to one request."""
        answer = self.answer(texts)
        assert isinstance(answer, bytes), answer
        outputs: list[str | None] = json.loads(answer)["outputs"]
        return outputs

    def answer(self, texts: list[str]) -> bytes | Exception:
        """The body of the answer to one request, or its error."""
        body = encode_request(texts)
        batch = messages.Batch(7, 1, 64, bytes([Format.PREDICT_ALL]), [len(body)], [-1], [float("inf")])
        self._send(batch, body)
        done, payload = self._receive()
        assert isinstance(done, messages.Done)
        (answer,) = split_answers(done, bytes(payload))
        return answer

    def _send(self, message: messages.ToWorker, payload: bytes = b"") -> None:
        self._socket.sendall(prefix(messages.encode(message), len(payload)) + payload)

    def _receive(self) -> tuple[messages.FromWorker, bytes | bytearray]:
        while not self._frames:
            data = self._socket.recv(65536)
            if not data:
                _, told = self._process.communicate()
                raise AssertionError(f"the worker has ended: {told.decode()[-2000:]}")
            self._frames += self._reader.feed(data)
        header, payload = self._frames.pop(0)
        return messages.decode_from_worker(header), payload
