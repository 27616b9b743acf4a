"""What Shoal needs: the list for workers is complete, and no longer than it must be."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import msgspec
import pytest

import shoal
from shoal.control.environments import needs
from shoal.core.errors import ConfigError
from shoal.serving.adapters.catalog import RUNTIMES

ROOT = Path(shoal.__file__).parent
OPTIONAL = {"pandas", "PIL", "yaml"}
"""Imported where a model asks for them: tables, images, an MLflow model's own files."""


def imports(module: str) -> Iterator[str]:
    """All that a module of ours imports at its top or inside of functions, but for type checkers."""
    path = ROOT.parent / (module.replace(".", "/"))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    tree = ast.parse(file.read_text())
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None
            if node.level:
                continue  # only what is generated imports its neighbours by relation
            yield node.module
            yield from (f"{node.module}.{each.name}" for each in node.names if is_module(f"{node.module}.{each.name}"))


def is_module(name: str) -> bool:
    path = ROOT.parent / name.replace(".", "/")
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def reached(start: list[str]) -> set[str]:
    found: set[str] = set()
    waiting = list(start)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += list(imports(name)) if is_module(name) else []
    return found


def test_a_worker_imports_nothing_that_its_environment_does_not_get() -> None:
    adapters = [f"shoal.serving.adapters.{each.stem}" for each in (ROOT / "serving" / "adapters").glob("*.py")]
    names = {each.partition(".")[0] for each in reached(["shoal.serving.worker.__main__", *adapters])}
    owners = metadata.packages_distributions()
    brought = {name for name, found in owners.items() if set(found) & set(needs.WORKER)} | {"google"}
    frameworks = {library for runtime in RUNTIMES.values() for library in runtime.libraries}

    assert names - set(sys.stdlib_module_names) - brought - frameworks - OPTIONAL == {"shoal"}


def test_a_node_needs_what_its_own_metadata_names_and_what_that_needs() -> None:
    names = {each.partition("==")[0] for each in needs.node_needs()}

    assert {*needs.WORKER, "uvloop", "typer", "rich", "pydantic", "pydantic-core"} <= names
    assert "pytest" not in names
    assert len(needs.worker_requirements()) == len(needs.WORKER)


def test_a_distribution_is_copied_with_the_times_of_its_files(tmp_path: Path) -> None:
    needs.copy_distribution("msgspec", tmp_path)

    assert needs.present(tmp_path) == {"msgspec"}
    copied, original = tmp_path / "msgspec" / "__init__.py", Path(msgspec.__file__)
    assert copied.read_bytes() == original.read_bytes()
    assert copied.stat().st_mtime == original.stat().st_mtime


def test_what_is_not_installed_cannot_be_copied(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no-such-thing is not installed beside Shoal"):
        needs.copy_distribution("no-such-thing", tmp_path)
