"""Modules of their own for each model folder, so that models in one process may all have a `helpers.py`.

The modules of a folder are imported as parts of a package that is made up for it, and the `import` statements in them
look there first: that holds for those inside functions, too, whenever they run and in whatever thread. What is not in
the folder is imported as always.

A pickle names its classes by plain module names. While a model loads, such names lead to the same modules, in that
thread alone; afterwards they are gone from `sys.modules`, and the objects stay.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.util
import itertools
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

PREFIX = "shoal_model_"
SUFFIXES = (".py", *importlib.machinery.EXTENSION_SUFFIXES)

_numbers = itertools.count(1)
_spaces: dict[str, Namespace] = {}
_here = threading.local()


class Namespace:
    """The modules of one model folder.

    Args:
        folder: where they are.

    Attributes:
        package: the name of the package that is made up for them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.package = f"{PREFIX}{next(_numbers)}"
        self.builtins = {**vars(builtins), "__import__": self._import}
        self._owned: dict[str, bool] = {}
        self._plain: list[str] = []
        root = ModuleType(self.package)
        root.__path__ = [str(folder)]
        sys.modules[self.package] = root
        _spaces[self.package] = self
        if _finder not in sys.meta_path:
            sys.meta_path.insert(0, _finder)

    def owns(self, name: str) -> bool:
        """Whether the folder has a module or package of this (top-level) name."""
        known = self._owned.get(name)
        if known is None:
            files = any((self.folder / f"{name}{suffix}").is_file() for suffix in SUFFIXES)
            known = self._owned[name] = files or (self.folder / name / "__init__.py").is_file()
        return known

    def load(self, name: str) -> ModuleType:
        """Import a module of the folder."""
        with self.entered():
            return importlib.import_module(f"{self.package}.{name}")

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Inside, in this thread, plain names of the folder's modules lead to them, also for pickles."""
        outer, _here.space = getattr(_here, "space", None), self
        try:
            yield
        finally:
            _here.space = outer
            while self._plain:
                sys.modules.pop(self._plain.pop(), None)

    def plain(self, name: str) -> ModuleType:
        """The module of a plain name, which `entered` forgets at its end."""
        self._plain.append(name)
        return importlib.import_module(f"{self.package}.{name}")

    def close(self) -> None:
        """Forget the modules; they go when nobody holds them any more."""
        _spaces.pop(self.package, None)
        for name in [each for each in sys.modules if each.partition(".")[0] == self.package]:
            del sys.modules[name]

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """What `import` does in the folder's modules."""
        head = name.partition(".")[0]
        if level or not self.owns(head):
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        full = f"{self.package}.{name}"
        module = importlib.import_module(full)
        if getattr(_here, "space", None) is self:  # the C unpickler imports by this, and then looks in sys.modules
            self._plain.append(name)
            sys.modules[name] = module
        if fromlist:
            return builtins.__import__(full, globals, locals, fromlist, 0)
        return sys.modules[f"{self.package}.{head}"]


class _Finder(MetaPathFinder):
    """Finds the modules of namespaces."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        head = fullname.partition(".")[0]
        space = _spaces.get(head)
        if space is not None:
            return _with_own_builtins(PathFinder.find_spec(fullname, path, target), space)
        inside: Namespace | None = getattr(_here, "space", None)
        if inside is not None and inside.owns(head):
            return ModuleSpec(fullname, _Plain(inside))
        return None


def _with_own_builtins(spec: ModuleSpec | None, space: Namespace) -> ModuleSpec | None:
    if spec is not None and type(spec.loader) is SourceFileLoader:
        spec.loader = _Source(spec.loader.name, spec.loader.path, space)
    return spec


class _Source(SourceFileLoader):
    """Runs a module so that its `import` statements are the namespace's."""

    def __init__(self, name: str, path: str, space: Namespace) -> None:
        super().__init__(name, path)
        self._space = space

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = self._space.builtins
        super().exec_module(module)


class _Plain(Loader):
    """Puts the module of a namespace in the place of one with a plain name."""

    def __init__(self, space: Namespace) -> None:
        self._space = space

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        sys.modules[module.__name__] = self._space.plain(module.__name__)


_finder = _Finder()
