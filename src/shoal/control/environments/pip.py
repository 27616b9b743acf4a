"""Runs pip on an environment; what it says of an error becomes one sentence and a hint.

pip works from outside (``--python``), so that no environment ever holds it. Its ordinary configuration counts (indexes,
certificates, proxies), except when wheels are given: then nothing else is looked at. Only wheels are installed:
building from source would run the package's code, and give something else on each machine.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from shoal.core.errors import ConfigError, ShoalError, StorageFull, Unavailable

Progress = Callable[[str], None]
"""Told one line at a time, in words for people."""

SECONDS = 1800.0
KEPT_LINES = 2000
ORDINARY = ("--disable-pip-version-check", "--no-input", "--no-color")
WHEELS = ("--no-deps", "--only-binary", ":all:", "--progress-bar", "off")

_TOLD = re.compile(r"\s*(Collecting|Processing|Downloading|Using cached|Installing collected packages)\b")
_NO_VERSION = re.compile(r"satisfies the requirement (?P<what>.+?) \(from versions: (?P<versions>.*?)\)\s*\Z")
_HASHES = "DO NOT MATCH THE HASHES"
_UNREACHABLE = re.compile(r"connection broken|Max retries exceeded|Could not fetch URL|NewConnectionError|ProxyError")
_SHOWN_VERSIONS = 8


def install(
    python: Path, arguments: list[str], *, wheels: Path | None, progress: Progress, held: int, seconds: float = SECONDS
) -> None:
    """Install into an environment.

    Args:
        python: its interpreter.
        arguments: requirements and options.
        wheels: a folder with all that is needed, or None: pip's ordinary configuration.
        progress: told what pip does.
        held: a descriptor that pip keeps open until it has ended, whatever becomes of this process.
        seconds: how long it may take.

    Raises:
        ConfigError: something cannot be had, or is not what its hash says.
        Unavailable: the index cannot be reached, or it takes too long.
        StorageFull: no room is left.
    """
    source = [] if wheels is None else ["--no-index", "--find-links", str(wheels)]
    command = ["--python", str(python), *ORDINARY, "install", *WHEELS, *source, *arguments]
    _run(command, offline=wheels is not None, progress=progress, held=(held,), seconds=seconds)


def download(arguments: list[str], folder: Path, *, progress: Progress, seconds: float = SECONDS) -> None:
    """Download wheels into a folder; raises as `install`."""
    command = [*ORDINARY, "download", *WHEELS, "--dest", str(folder), *arguments]
    _run(command, offline=False, progress=progress, held=(), seconds=seconds)


def check(python: Path) -> None:
    """See whether all that is installed gets what it requires.

    Raises:
        ConfigError: each requirement that is not met.
    """
    command = [*_pip(), "--python", str(python), *ORDINARY, "check"]
    done = subprocess.run(
        command, env=_environment(os.environ, offline=True), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise unmet(done.stdout or done.stderr)


def unmet(output: str) -> ConfigError:
    """What `pip check` has found, as an error."""
    lines = [line.rstrip(".") for line in output.strip().splitlines()]
    more = [f"... and {len(lines) - 10} more"] if len(lines) > 10 else []
    hint = "add what is missing to the lock, at versions that fit together: `pip freeze` or `pip-compile` writes them"
    what = "the lock is not complete" if "not installed" in output else "the locked versions do not fit together"
    return ConfigError(f"{what}:\n" + "\n".join(lines[:10] + more), hint=hint, field="requirements")


def explain(output: str) -> ShoalError:
    """Why pip has failed."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    if "No space left on device" in output:
        return StorageFull(
            "there is no room to install the requirements", hint="remove unused environments: `shoal gc`"
        )
    if "No module named pip" in output:
        return ConfigError("pip is not installed beside Shoal", hint=f"{sys.executable} -m ensurepip")
    if any(_HASHES in line for line in errors):
        return _tampered(lines)
    missing = next((found for line in errors if (found := _NO_VERSION.search(line))), None)
    if missing is not None:
        return _no_version(missing, unreachable=bool(_UNREACHABLE.search(output)))
    said = errors[-1] if errors else (lines or ["it has said nothing"])[-1]
    return ConfigError(f"pip could not install the requirements: {said[:500]}", field="requirements")


def _tampered(lines: list[str]) -> ConfigError:
    at = next(number for number, line in enumerate(lines) if _HASHES in line)
    what = lines[at + 1].partition(" from ")[0] if at + 1 < len(lines) else "a requirement"
    hint = "if its files were published again, write the lock again; if not, somebody may have changed them: look first"
    return ConfigError(f"the file of {what[:100]} is not what the lock's hash says", hint=hint, field="requirements")


def _no_version(found: re.Match[str], *, unreachable: bool) -> ShoalError:
    what = found["what"].partition(" (from ")[0]
    versions = [each for each in found["versions"].split(", ") if each and each != "none"]
    if versions:
        shown = ", ".join(reversed(versions[-_SHOWN_VERSIONS:]))
        return ConfigError(f"there is no {what} for this Python", hint=f"there is: {shown}", field="requirements")
    if unreachable:
        return Unavailable(f"{what} cannot be installed: the package index cannot be reached", hint="try again later")
    hint = (
        "is it spelled right, and published as a wheel for this Python and machine? Source packages are not built here"
    )
    return ConfigError(f"there is no {what} to be had", hint=hint, field="requirements")


def _run(arguments: list[str], *, offline: bool, progress: Progress, held: tuple[int, ...], seconds: float) -> None:
    process = subprocess.Popen(
        [*_pip(), *arguments],
        env=_environment(os.environ, offline=offline),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=held,
        start_new_session=True,
        text=True,
        errors="replace",
    )
    late = threading.Event()
    timer = threading.Timer(seconds, _give_up, (process.pid, late))
    with process:
        timer.start()
        try:
            output = _follow(process, progress)
        except BaseException:
            _kill(process.pid)
            raise
        finally:
            timer.cancel()
    if late.is_set():
        raise Unavailable(f"installing the requirements took longer than {seconds:g} seconds", hint="try again later")
    if process.returncode:
        raise explain(output)


def _follow(process: subprocess.Popen[str], progress: Progress) -> str:
    kept: deque[str] = deque(maxlen=KEPT_LINES)
    assert process.stdout is not None
    for line in process.stdout:
        kept.append(line)
        if found := _TOLD.match(line):
            progress(f"{found[1]} {line[found.end() :].strip().partition(' (from ')[0].rpartition('/')[2][:200]}")
    return "".join(kept)


def _give_up(pid: int, late: threading.Event) -> None:
    late.set()
    _kill(pid)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _pip() -> list[str]:
    return [sys.executable, "-P", "-m", "pip"]


def _environment(outside: Mapping[str, str], *, offline: bool) -> dict[str, str]:
    """What pip sees: nothing that leads Python elsewhere; offline, no configuration either."""
    passed = ("PYTHON", "PIP_") if offline else ("PYTHON",)
    kept = {name: value for name, value in outside.items() if not name.startswith(passed)}
    return {**kept, "PIP_CONFIG_FILE": os.devnull} if offline else kept
