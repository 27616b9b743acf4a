"""The fault model and the oracle model: ordinary user models whose behaviour is chosen by the input.

`FaultModel` does what each text says, ``verb`` or ``verb:argument``, and answers ``ok:TEXT`` to everything else:

    raise           raises ValueError                   segv            reads address 0
    item            returns an item error               abort           abort()
    exit:3          os._exit(3)                         kill            SIGKILL to itself
    sleep:0.5       sleeps, GIL released                hang            sleeps for ever, GIL held
    allocate:200    allocates MB, and frees them        leak:1          allocates MB, and keeps them
    count:-1        one answer less (or more)           type            an answer that is no text
    print:hello     writes a line to stdout             fork            forks a child that stays for a minute
    thread          leaves a thread behind              descriptor      leaves an open file behind

`FaultArrays` is its typed cousin: rows of one number each, answered with their double; `CODES` misbehave. `OracleModel`
answers with what only the right model, version and input can give, so a mixed-up answer cannot go unnoticed.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from shoal.core.types import ItemError
from shoal.serving.adapters.model import Model

MEGABYTE = 1024 * 1024

CODES = {"raise": 1e6 + 1, "segv": 1e6 + 2, "nan": 1e6 + 3, "short": 1e6 + 4, "exit": 1e6 + 5}
"""What a row of `FaultArrays` holds to bring a fault about."""

_kept: list[object] = []


class FaultModel(Model):
    """See the module. With the parameter ``load`` it does that (such as ``segv``) while it loads."""

    def load(self) -> None:
        fault = str(self.parameters.get("load", ""))
        if fault:
            act(fault)

    def predict_all(self, inputs: list[str]) -> list[str | ItemError]:
        change = sum(int(text.partition(":")[2]) for text in inputs if text.startswith("count:"))
        answers: list[Any] = [act(text) for text in inputs]
        return answers[:change] if change < 0 else answers + ["extra"] * change


class FaultArrays(Model):
    """See the module: `x` of shape (rows, 1) to `y` of the same shape."""

    def predict(self, inputs: dict[str, Any]) -> dict[str, Any]:
        rows = inputs["x"].astype("float64")
        codes = {name for name, code in CODES.items() if (rows == code).any()}
        for name in codes & {"raise", "segv", "exit"}:
            act("exit:1" if name == "exit" else name)
        answers = rows * 2
        answers[rows == CODES["nan"]] = float("nan")
        return {"y": answers[:-1] if "short" in codes else answers}


class OracleModel(Model):
    """Answers each text with `oracle(text, version, nonce)`; the nonce is a parameter."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        nonce = str(self.parameters.get("nonce", ""))
        return [oracle(text, self.version, nonce) for text in inputs]


def oracle(text: str, version: str, nonce: str = "") -> str:
    """The one right answer of a version of `OracleModel` to a text."""
    digest = hashlib.sha256("\0".join((text, version, nonce)).encode()).hexdigest()
    return f"{digest}:{version}:{nonce}"


def act(text: str) -> object:
    """Do what the text says, and answer it."""
    verb, _, argument = text.partition(":")
    fault = _FAULTS.get(verb)
    result = fault(argument) if fault is not None else None
    return f"ok:{text}" if result is None else result


def _raise(argument: str) -> None:
    raise ValueError(argument or "asked to raise")


def _hang(argument: str) -> None:
    """`PyDLL` calls keep the interpreter's lock: nothing in this process runs any more."""
    while True:
        ctypes.PyDLL(None).pause()


def _allocate(argument: str) -> None:
    block = b"x" * (int(argument) * MEGABYTE)
    del block


def _leak(argument: str) -> None:
    _kept.append(b"x" * (int(argument) * MEGABYTE))


def _print(argument: str) -> None:
    sys.stdout.write(argument + "\n")
    sys.stdout.flush()


def _fork(argument: str) -> None:
    if os.fork() == 0:
        time.sleep(60)
        os._exit(0)


def _thread(argument: str) -> None:
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()


def _descriptor(argument: str) -> None:
    _kept.append(os.open(os.devnull, os.O_RDONLY))


_FAULTS: dict[str, Callable[[str], object]] = {
    "raise": _raise,
    "item": lambda argument: ItemError(argument or "asked to fail"),
    "exit": lambda argument: os._exit(int(argument or 0)),
    "segv": lambda argument: ctypes.string_at(0),
    "abort": lambda argument: os.abort(),
    "kill": lambda argument: os.kill(os.getpid(), signal.SIGKILL),
    "sleep": lambda argument: time.sleep(float(argument)),
    "hang": _hang,
    "allocate": _allocate,
    "leak": _leak,
    "type": lambda argument: 42,
    "print": _print,
    "fork": _fork,
    "thread": _thread,
    "descriptor": _descriptor,
}
