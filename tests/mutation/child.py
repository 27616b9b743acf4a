"""A forked process in which pytest runs with one module changed, or with none and each test's ways written down.

The changed module is imported instead of the one on disk: nothing is written. `Reach` is what the run without a change
tells of each test: how long it takes, and which functions of the subject it runs. A mutant is then tried with those
tests alone that come by it, the quickest first.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import hypothesis
import pytest
from mutation.mutants import Mutant
from mutation.subjects import ROOT

OPTIONS = ("-x", "-q", "-p", "no:cacheprovider", "--timeout=30", "-m", "not slow and not process and not heavy")
OPTIONS += ("-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning")
FACTOR, LEAST = 2.0, 3.0
"""Seconds of the processor that a test may take: as often as long as without a change, and so much at least. How busy the
machine is does not count so. A test that takes more, or half a minute of the clock, has noticed."""


class Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from a tree instead of its file."""

    def __init__(self, file: Path, mutant: Mutant) -> None:
        self._file = file
        self._mutant = mutant
        parts = file.relative_to(ROOT / "src").with_suffix("").parts
        self._name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name != self._name:
            return None
        places = [str(self._file.parent)] if self._file.name == "__init__.py" else None
        return importlib.util.spec_from_file_location(name, self._file, loader=self, submodule_search_locations=places)

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._mutant.tree, self._file, "exec"), module.__dict__)


class Quick:
    """A pytest plugin: hypothesis looks for no smaller example, and remembers none; the quickest tests run first, and a
    test that takes far longer than it did ends the process.

    Args:
        seconds: of the processor, for each test; what is not named is not run. Empty: all are, as they come.
    """

    def __init__(self, seconds: Mapping[str, float]) -> None:
        self._seconds = seconds

    def pytest_sessionstart(self) -> None:
        phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
        hypothesis.settings.register_profile("mutation", deadline=None, database=None, derandomize=True, phases=phases)
        hypothesis.settings.load_profile("mutation")

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if self._seconds:
            items[:] = sorted((item for item in items if item.nodeid in self._seconds), key=self._long)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        if self._seconds:
            signal.setitimer(signal.ITIMER_PROF, max(LEAST, FACTOR * self._long(item)))
        return (yield)

    def _long(self, item: pytest.Item) -> float:
        return self._seconds[item.nodeid]


@dataclass
class Reach:
    """What a run without any change tells.

    Attributes:
        seconds: of the processor, for each test.
        entered: for each test, the functions that it runs, by file and first line.
        imported: those that are run before any test is.
        modules: what was imported that is not the project's own.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    entered: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    imported: list[tuple[str, int]] = field(default_factory=list)
    modules: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, text: str) -> Reach:
        return cls(**json.loads(text))

    def tests_of(self, file: Path, within: tuple[int, int] | None) -> dict[str, float]:
        """The tests that may notice a change of a function, with their seconds; None: of what is run at import."""
        if within is None or self._has(self.imported, file, within):
            return self.seconds
        return {test: self.seconds[test] for test, ways in self.entered.items() if self._has(ways, file, within)}

    @staticmethod
    def _has(ways: Sequence[tuple[str, int]], file: Path, within: tuple[int, int]) -> bool:
        return any(name == str(file) and within[0] <= line <= within[1] for name, line in ways)


class Watch:
    """A pytest plugin that makes a `Reach`."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.reach = Reach()
        self._files = frozenset(map(str, files))
        self._entered: set[tuple[str, int]] = set()

    def begin(self) -> None:
        threading.settrace(self._called)
        sys.settrace(self._called)

    def _called(self, frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if code.co_filename in self._files:
            self._entered.add((code.co_filename, code.co_firstlineno))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        if not self.reach.seconds:
            self.reach.imported = sorted(self._entered)
        self._entered.clear()
        begun = time.process_time()
        result = yield
        self.reach.seconds[item.nodeid] = time.process_time() - begun
        self.reach.entered[item.nodeid] = sorted(self._entered)
        return result

    def text(self) -> str:
        own = ("shoal", "support", "mutation", "tests", "conftest", "__main__")
        self.reach.modules = [name for name in sys.modules if name.partition(".")[0] not in own]
        return json.dumps(vars(self.reach))


def watch(files: Sequence[Path], tests: Sequence[str], folder: Path) -> int:
    """Start the tests without a change; what they tell is written to `folder/reach`. Returns the process."""

    def run() -> int:
        watch = Watch(files)
        watch.begin()
        code = int(pytest.main([*OPTIONS, f"--basetemp={folder}/tests", *tests], plugins=[Quick({}), watch]))
        (folder / "reach").write_text(watch.text())
        return code

    return _forked(run, quiet=False)


def attempt(file: Path, mutant: Mutant, tests: Mapping[str, float], folder: Path) -> int:
    """Start these tests with a mutant. Returns the process; it ends with 0 if all pass."""

    def run() -> int:
        sys.meta_path.insert(0, Changed(file, mutant))
        files = sorted({test.partition("::")[0] for test in tests})
        return int(pytest.main([*OPTIONS, f"--basetemp={folder}", *files], plugins=[Quick(tests)]))

    return _forked(run, quiet=True)


def _forked(run: Callable[[], int], *, quiet: bool) -> int:
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    if quiet:
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
    code = 1
    try:
        code = run()
    except BaseException:
        traceback.print_exc()
    os._exit(code)
