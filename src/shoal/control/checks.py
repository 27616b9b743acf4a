"""What `shoal doctor` looks at: each check says what was found and, if something is amiss, what to do."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import resource
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

RUNTIMES = {
    "sklearn": ("sklearn", "scikit-learn", "sklearn"),
    "xgboost": ("xgboost", "xgboost", "xgboost"),
    "lightgbm": ("lightgbm", "lightgbm", "lightgbm"),
    "onnx": ("onnxruntime", "onnxruntime", "onnx"),
    "torch": ("torch", "torch", "torch"),
    "tensorflow": ("tensorflow", "tensorflow", "tensorflow"),
    "transformers": ("transformers", "transformers", "transformers"),
    "mlflow": ("mlflow", "mlflow-skinny", "mlflow"),
}
"""Runtime -> module, distribution, extra."""

EXTRAS = {
    "CSV and Parquet": ("pandas", "pandas", "data"),
    "images": ("PIL", "pillow", "image"),
    "full-custom apps": ("uvicorn", "uvicorn", "app"),
    "docs pages": ("swagger_ui_bundle", "swagger-ui-bundle", "docs"),
}

MIN_FILES = 4096


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    status: Literal["ok", "missing", "fail"]
    found: str
    hint: str = ""

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def all_checks() -> list[Check]:
    """Run all checks; none of them imports a framework."""
    own: list[Callable[[], Check]] = [_python, _protobuf, _loop, _files, _cores, _memory_limit, _port]
    optional = [*RUNTIMES.items(), *EXTRAS.items()]
    return [check() for check in own] + [_installed(name, *of) for name, of in optional]


def _python() -> Check:
    version = platform.python_version()
    good = sys.version_info >= (3, 11)
    return Check("Python", "ok" if good else "fail", version, "" if good else "Shoal needs 3.11 or newer")


def _protobuf() -> Check:
    """The pure-Python backend of protobuf is slow and was the subject of a denial-of-service advisory."""
    from google.protobuf.internal import api_implementation

    kind = str(api_implementation.Type())
    hint = "" if kind == "upb" else "unset PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION and reinstall protobuf from a wheel"
    return Check("protobuf backend", "ok" if kind == "upb" else "fail", kind, hint)


def _loop() -> Check:
    version = _version("uvloop")
    return Check("event loop", "ok" if version else "fail", f"uvloop {version}", "" if version else "reinstall shoal")


def _files() -> Check:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    hint = "" if soft >= MIN_FILES else f"ulimit -n {min(hard, 65536)} before starting: each connection is a file"
    return Check("open files", "ok" if soft >= MIN_FILES else "missing", f"{soft} (hard limit {hard})", hint)


def _cores() -> Check:
    return Check("cores", "ok", str(len(os.sched_getaffinity(0))))


def _memory_limit() -> Check:
    """A cgroup that we may write to lets a worker be killed alone when it takes too much memory."""
    for path in ("/sys/fs/cgroup/memory", "/sys/fs/cgroup"):
        if os.access(path, os.W_OK):
            return Check("memory limits", "ok", f"cgroup ({path})")
    return Check("memory limits", "ok", "rlimit (no writable cgroup)")


def _port() -> Check:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", 8080))
        except OSError as error:
            return Check("port 8080", "missing", str(error), "choose another one with --port")
    return Check("port 8080", "ok", "free")


def _installed(name: str, module: str, distribution: str, extra: str) -> Check:
    if importlib.util.find_spec(module) is None:
        return Check(name, "missing", "not installed", f"pip install 'shoal[{extra}]'")
    return Check(name, "ok", _version(distribution) or _version(module) or "installed")


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""
