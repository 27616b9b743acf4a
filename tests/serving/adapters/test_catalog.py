"""The catalogue: known, unknown, missing and third-party runtimes, and that pickles stay in one module."""

from __future__ import annotations

import ast
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

import shoal
from shoal.core.errors import ConfigError
from shoal.core.model import ModelSpec
from shoal.serving.adapters import catalog
from shoal.serving.adapters.base import TextAdapter


def spec(runtime: str, path: Path) -> ModelSpec:
    return ModelSpec(name="m", path=str(path), runtime=runtime)


class Shout(TextAdapter):
    """A third party's adapter."""

    def load(self) -> None: ...

    def predict_all(self, inputs: list[str]) -> Any:
        return [each.upper() for each in inputs]


def test_third_party_runtime_comes_by_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point = metadata.EntryPoint("shout", "shout_module:Shout", catalog.GROUP)
    monkeypatch.setattr(metadata, "entry_points", lambda group: [point] if group == catalog.GROUP else [])
    monkeypatch.setitem(sys.modules, "shout_module", sys.modules[__name__])
    adapter = catalog.create_adapter(spec("shout", tmp_path))
    assert isinstance(adapter, Shout)
    assert adapter.predict_all(["a"]) == ["A"]
    assert "shout" in catalog.known_runtimes()


def test_third_party_cannot_replace_a_ready_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    point = metadata.EntryPoint("onnx", "evil:Adapter", catalog.GROUP)
    monkeypatch.setattr(metadata, "entry_points", lambda group: [point])
    assert catalog.known_runtimes()["onnx"] == catalog.RUNTIMES["onnx"]


def test_unknown_runtime_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no runtime 'xgbost'") as raised:
        catalog.create_adapter(spec("xgbost", tmp_path))
    assert "did you mean 'xgboost'?" in raised.value.hint
    assert all(name in raised.value.hint for name in catalog.RUNTIMES)


@pytest.mark.parametrize("name", ["torch", "tensorflow", "transformers", "mlflow", "xgboost", "lightgbm", "onnx"])
def test_missing_library_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    runtime = catalog.RUNTIMES[name]
    for library in runtime.libraries:
        monkeypatch.setitem(sys.modules, library, None)
    for module in [each for each in sys.modules if each.startswith(f"shoal.serving.adapters.{name}")]:
        monkeypatch.delitem(sys.modules, module)
    given = ModelSpec(name="m", path=str(tmp_path), runtime=name, trust="code")
    with pytest.raises(ConfigError, match=f"runtime '{name}' needs") as raised:
        catalog.create_adapter(given)
    assert raised.value.hint == f"pip install 'shoal[{name}]'"


def test_missing_libraries_are_told_without_import() -> None:
    assert catalog.missing_libraries(catalog.Runtime("x:Y", "x", ("sys", "no_such_library"))) == ["no_such_library"]


def test_every_extra_is_offered() -> None:
    extras = metadata.metadata("shoal").get_all("Provides-Extra") or []
    assert {runtime.extra for runtime in catalog.RUNTIMES.values()} - {""} <= set(extras)


LOADERS = {"joblib.load", "torch.load", "pickle.load", "pickle.loads", "marshal.loads", "shelve.open", "yaml.load"}
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "multiprocessing"}


def code_loaders(tree: ast.AST) -> set[str]:
    """The calls and imports of a module that can bring code in with data."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found |= {f"{node.value.id}.{node.attr}"} & LOADERS
        if isinstance(node, ast.Import):
            found |= {each.name.partition(".")[0] for each in node.names} & MODULES
        if isinstance(node, ast.ImportFrom):
            found |= {(node.module or "").partition(".")[0]} & MODULES
    return found


def test_pickles_are_loaded_in_one_module_only() -> None:
    source = Path(shoal.__file__).parent
    found = {
        str(path.relative_to(source)) for path in source.rglob("*.py") if code_loaders(ast.parse(path.read_text()))
    }
    assert found == {"serving/adapters/pickles.py"}


def test_public_names_are_all_there() -> None:
    assert {name for name in shoal.__all__ if not hasattr(shoal, name)} == set()
    assert set(dir(shoal)) == set(shoal.__all__)
    with pytest.raises(AttributeError, match="nothing_here"):
        _ = shoal.nothing_here
