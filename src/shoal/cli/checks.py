"""What `shoal doctor` looks at: each check says what was found and, if something is amiss, what to do."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from shoal.control import folder
from shoal.core.errors import ConfigError
from shoal.core.model import ModelSpec
from shoal.serving.adapters import catalog
from shoal.serving.pool.confining.confiner import is_weaker
from shoal.serving.worker.confinement import probing

EXTRAS = {
    "CSV and Parquet": ("pandas", "pandas", "data"),
    "images": ("PIL", "pillow", "image"),
    "full-custom apps": ("uvicorn", "uvicorn", "app"),
    "docs pages": ("swagger_ui_bundle", "swagger-ui-bundle", "docs"),
    "tokens of issuers": ("jwt", "PyJWT", "oidc"),
}

DISTRIBUTIONS = {"sklearn": "scikit-learn", "mlflow": "mlflow-skinny"}
"""Modules whose distribution has another name."""

MIN_FILES = 4096
IMPORT_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    status: Literal["ok", "missing", "warn", "fail"]
    found: str
    hint: str = ""

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def machine_checks() -> list[Check]:
    """Python, libraries and limits of this machine; nothing heavy is imported."""
    own: list[Callable[[], Check]] = [_python, _protobuf, _loop, _files, _cores, _memory_limit, _confinement, _port]
    return [check() for check in own] + [_extra(name, *of) for name, of in EXTRAS.items()]


def safety_checks(config: Path | None, environment: Mapping[str, str]) -> list[Check]:
    """Whether a node and a control would be safe to start with these settings: what `shoal serve` goes by."""
    from shoal.core.settings.control import judged_control_settings
    from shoal.core.settings.node import judged_node_settings

    try:
        _, of_node = judged_node_settings(config, environment, {})
        _, of_control = judged_control_settings(None, environment, {})
    except ConfigError as error:
        return [Check("settings", "fail", error.message, error.hint)]
    told = dict.fromkeys((each.name, each.status, each.found, each.hint) for each in (*of_node, *of_control))
    return [Check(*each) for each in told]


def runtime_checks(*, imports: bool) -> list[Check]:
    """Each runtime: whether its libraries are there and, with `imports`, whether they can be imported."""
    return [_runtime(name, runtime, imports=imports) for name, runtime in sorted(catalog.known_runtimes().items())]


def model_checks(paths: Sequence[Path], *, trust: bool) -> list[Check]:
    """Each model of some paths: whether `shoal serve` would take it. Nothing is loaded."""
    scan = folder.scan(paths, trust=trust)
    wrong = [Check(each.name, "fail", each.path, _sentence(each.error)) for each in scan.problems]
    return [*map(_model, scan.specs), *wrong]


def _model(spec: ModelSpec) -> Check:
    name = f"{spec.name} {spec.version}".rstrip()
    runtime = catalog.known_runtimes().get(spec.runtime)
    if runtime is None:
        return Check(name, "fail", f"runtime {spec.runtime}", "no such runtime is installed")
    if missing := catalog.missing_libraries(runtime):
        return Check(name, "fail", f"needs {', '.join(missing)}", f"pip install 'shoal[{runtime.extra}]'")
    return Check(name, "ok", f"runtime {spec.runtime}, {spec.path}")


def _sentence(error: Exception) -> str:
    hint = getattr(error, "hint", "")
    return f"{error}; {hint}" if hint else str(error)


def _runtime(name: str, runtime: catalog.Runtime, *, imports: bool) -> Check:
    if missing := catalog.missing_libraries(runtime):
        return Check(name, "missing", f"{', '.join(missing)} not installed", f"pip install 'shoal[{runtime.extra}]'")
    if imports and runtime.libraries:
        return _imported(name, runtime.libraries)
    return Check(name, "ok", ", ".join(map(_library, runtime.libraries)) or "built in")


def _imported(name: str, libraries: Sequence[str]) -> Check:
    """Import them in a process of its own, as a worker would; a broken build shows here."""
    command = [sys.executable, "-c", f"import {', '.join(libraries)}"]
    started = time.monotonic()
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=IMPORT_SECONDS)
    except subprocess.TimeoutExpired:
        return Check(name, "fail", f"importing takes more than {IMPORT_SECONDS} s", "look at the disk and the network")
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        return Check(name, "fail", last[:200], "reinstall it; `shoal doctor` without --imports only looks for files")
    return Check(name, "ok", f"imported in {time.monotonic() - started:.1f} s")


def _library(module: str) -> str:
    return f"{module} {_version(DISTRIBUTIONS.get(module, module))}".rstrip()


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


def _confinement() -> Check:
    """What workers started by this user would do without."""
    if not (lacking := probing.lacking()):
        return Check("confinement of workers", "ok", "all of it")
    weaker = is_weaker(lacking)
    found = "all for an ordinary user" if not weaker else "without " + ", ".join(sorted(lacking))
    hint = "; ".join(f"{name}: {why}" for name, why in sorted(lacking.items()))
    return Check("confinement of workers", "missing" if weaker else "ok", found, hint if weaker else "")


def _port() -> Check:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", 8080))
        except OSError as error:
            return Check("port 8080", "missing", str(error), "choose another one with --port")
    return Check("port 8080", "ok", "free")


def _extra(name: str, module: str, distribution: str, extra: str) -> Check:
    if importlib.util.find_spec(module) is None:
        return Check(name, "missing", "not installed", f"pip install 'shoal[{extra}]'")
    return Check(name, "ok", f"{distribution} {_version(distribution)}".rstrip())


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""
