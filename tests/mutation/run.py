"""Mutation testing: how many small wrong changes of a module its tests notice, and which they do not.

    python -m tests.mutation.run [--subject NAME] [--sample 200] [--seed 7] [--jobs 2]

Every mutant is tried in a forked process, in which the changed module is imported instead of the one on disk: nothing is
written. It is killed if a test fails, or if the tests take far longer than without it. An own small tool, as mutmut works on a
rewritten copy of the whole tree and changes functions into trampolines, which frozen dataclasses with slots do not survive.
"""

from __future__ import annotations

import argparse
import importlib.abc
import importlib.machinery
import importlib.util
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import hypothesis
import numpy as np  # noqa: F401 - loaded once, before any process is forked
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from mutation.mutants import Mutant, mutants  # noqa: E402 - after the path

ENOUGH = 0.85
"""The share that must be killed."""
OPTIONS = ("-x", "-q", "-p", "no:cacheprovider", "-m", "not slow and not process and not heavy")
OPTIONS += ("-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning")
FACTOR, MORE = 4.0, 10.0
"""Seconds that the tests of a mutant may take: as often as long as without, and so much more."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is changed, and by which tests it is held. Paths are relative; folders stand for what is in them."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]

    def files(self) -> list[Path]:
        found = (ROOT / "src/shoal" / module for module in self.modules)
        return [file for each in found for file in (sorted(each.glob("*.py")) if each.is_dir() else [each])]


SUBJECTS = {
    "batcher": Subject(
        tuple(f"serving/batching/{name}.py" for name in ("batcher", "policy", "queue", "ledger", "deadlines")),
        ("tests/serving/batching", "tests/property/test_batcher_machine.py"),
    ),
    "retry budget": Subject(
        ("serving/hop/policy/retries.py", "client/retry.py"),
        ("tests/serving/hop/policy/test_retries.py", "tests/client/test_retry.py"),
    ),
    "authorisation": Subject(
        ("core/access.py", "serving/gateway/guard/needs.py", "serving/gateway/guard/guard.py"),
        ("tests/core/test_access.py", "tests/serving/gateway/guard"),
    ),
    "extractor": Subject(("control/artifacts/intake",), ("tests/control/artifacts/intake",)),
}


class Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from a tree instead of its file."""

    def __init__(self, file: Path, mutant: Mutant | None) -> None:
        self._file = file
        self._mutant = mutant
        parts = file.relative_to(ROOT / "src").with_suffix("").parts
        self._name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name != self._name or self._mutant is None:
            return None
        places = [str(self._file.parent)] if self._file.name == "__init__.py" else None
        return importlib.util.spec_from_file_location(name, self._file, loader=self, submodule_search_locations=places)

    def exec_module(self, module: ModuleType) -> None:
        assert self._mutant is not None
        exec(compile(self._mutant.tree, self._file, "exec"), module.__dict__)


class Quick:
    """A pytest plugin: hypothesis looks for no smaller example, and remembers none."""

    def pytest_sessionstart(self) -> None:
        phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
        hypothesis.settings.register_profile("mutation", deadline=None, database=None, derandomize=True, phases=phases)
        hypothesis.settings.load_profile("mutation")


def begin(file: Path, mutant: Mutant | None, tests: Sequence[str]) -> int:
    """Start the tests with a mutant, or without one, then with their output; returns the process."""
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    if mutant is not None:
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
    code = 1
    try:
        sys.meta_path.insert(0, Changed(file, mutant))
        code = int(pytest.main([*OPTIONS, *tests], plugins=[Quick()]))
    except BaseException:
        traceback.print_exc()
    os._exit(code)


@dataclass
class Trial:
    """A mutant whose tests run."""

    file: Path
    mutant: Mutant
    pid: int
    begun: float


def tried(
    file_mutants: Sequence[tuple[Path, Mutant]], tests: Sequence[str], limit: float, jobs: int
) -> Iterator[tuple[Trial, bool]]:
    """Each trial with whether the mutant was killed, as they end."""
    waiting, running = list(reversed(file_mutants)), list[Trial]()
    while waiting or running:
        while waiting and len(running) < jobs:
            file, mutant = waiting.pop()
            running.append(Trial(file, mutant, begin(file, mutant, tests), time.monotonic()))
        time.sleep(0.02)
        for trial in list(running):
            pid, status = os.waitpid(trial.pid, os.WNOHANG)
            if not pid and time.monotonic() - trial.begun > limit:
                os.killpg(trial.pid, signal.SIGKILL)
                pid, status = os.waitpid(trial.pid, 0)
            if pid:
                running.remove(trial)
                yield trial, os.waitstatus_to_exitcode(status) != 0


def judge(name: str, subject: Subject, sample: int, seed: int, jobs: int) -> float:
    """Try a subject's mutants, say which survive, and return the share that was killed."""
    begun = time.monotonic()
    code = os.waitstatus_to_exitcode(os.waitpid(begin(subject.files()[0], None, subject.tests), 0)[1])
    if code:
        sys.exit(f"{name}: the tests fail without any change")
    limit = (time.monotonic() - begun) * FACTOR * jobs + MORE
    every = [(file, mutant) for file in subject.files() for mutant in mutants(file.read_text())]
    chosen = every if sample >= len(every) else random.Random(seed).sample(every, sample)
    survived = 0
    for trial, killed in tried(chosen, subject.tests, limit, jobs):
        if not killed:
            survived += 1
            print(f"survived: {trial.file.relative_to(ROOT)}:{trial.mutant.line}: {trial.mutant.what}", flush=True)
    share = 1 - survived / len(chosen)
    print(f"{name}: {share:.1%} of {len(chosen)} mutants killed ({len(every)} there are)", flush=True)
    return share


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--subject", choices=[*SUBJECTS], help="one of them; all by default")
    parser.add_argument("--sample", type=int, default=1_000_000, help="so many mutants of each, chosen by the seed")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    os.chdir(ROOT)
    names = [given.subject] if given.subject else [*SUBJECTS]
    shares = [judge(name, SUBJECTS[name], given.sample, given.seed, given.jobs) for name in names]
    sys.exit(0 if min(shares) >= ENOUGH else 1)


if __name__ == "__main__":
    main()
