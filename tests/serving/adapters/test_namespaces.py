"""Models in one process, each with modules of the same names."""

from __future__ import annotations

import pickle
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.core.errors import ConfigError
from shoal.core.model import ModelSpec
from shoal.serving.adapters.catalog import create_adapter
from shoal.serving.adapters.namespaces import PREFIX, Namespace

MODEL = """
import json
from pathlib import Path

import helpers
from helpers import say as said
from parts.inner import WORD
from . import helpers as relative

HERE = Path(__file__).parent


class Talker:
    def load(self):
        import pickle
        self.kept = pickle.loads((HERE / "kept.pkl").read_bytes()) if (HERE / "kept.pkl").exists() else None

    def predict_all(self, inputs):
        import late
        from parts import inner
        assert relative is helpers and inner.WORD is WORD
        return [json.dumps([helpers.say(), said(), WORD, late.WORD, type(self.kept).__name__, self.kept is None or type(self.kept) is helpers.Kept])] * len(inputs)
"""


def folder(home: Path, word: str) -> ModelSpec:
    (home / "parts").mkdir(parents=True)
    (home / "model.py").write_text(MODEL)
    (home / "helpers.py").write_text(
        f"class Kept:\n    pass\n\n\ndef say():\n    import late\n    return {word!r} + late.WORD\n"
    )
    (home / "late.py").write_text(f"WORD = 'late {word}'\n")
    (home / "parts" / "__init__.py").write_text("")
    (home / "parts" / "inner.py").write_text(f"WORD = 'inner {word}'\n")
    (home / "kept.pkl").write_bytes(b"chelpers\nKept\n)\x81.")
    return ModelSpec(name=word, path=str(home), runtime="python", trust="code", placement="shared")


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    path = list(sys.path)
    yield
    assert not [name for name in sys.modules if name.startswith(PREFIX)]
    assert not {"helpers", "late", "parts", "parts.inner", "model"} & set(sys.modules)
    assert sys.path == path


def test_modules_of_the_same_name_do_not_meet(tmp_path: Path) -> None:
    adapters = [create_adapter(folder(tmp_path / word, word)) for word in ("one", "two")]
    for adapter in adapters:
        adapter.load()
        assert not {"helpers", "late", "parts", "parts.inner", "model"} & set(sys.modules)
    for _ in range(2):
        for adapter, word in zip(adapters, ("one", "two"), strict=True):
            expected = f'["{word}late {word}", "{word}late {word}", "inner {word}", "late {word}", "Kept", true]'
            assert adapter.predict_all(["x"]) == [expected]  # type: ignore[attr-defined]
    for adapter in adapters:
        adapter.close()


def test_imports_of_another_thread_are_not_touched_while_a_model_loads(tmp_path: Path) -> None:
    folder(tmp_path / "one", "one")
    space = Namespace(tmp_path / "one")
    seen: list[type[BaseException] | None] = []

    def other() -> None:
        try:
            __import__("helpers")
        except ImportError as error:
            seen.append(type(error))

    with space.entered():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert pickle.loads(b"chelpers\nKept\n)\x81.").__class__.__module__ == f"{space.package}.helpers"
        assert __import__("parts.inner").inner.WORD == "inner one"
    space.close()
    assert seen == [ModuleNotFoundError]


def test_a_module_that_cannot_be_imported_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("import helpers\nraise OSError('no')\n")
    (tmp_path / "helpers.py").write_text("")
    spec = ModelSpec(name="m", path=str(tmp_path), runtime="python", trust="code", placement="shared")
    with pytest.raises(OSError, match="no"):
        create_adapter(spec)
    assert not [name for name in sys.modules if name.startswith(PREFIX)]


def test_a_module_that_is_installed_is_found_and_one_that_is_nowhere_is_named(tmp_path: Path) -> None:
    fields = {"name": "m", "path": str(tmp_path), "runtime": "python", "trust": "code", "placement": "shared"}
    adapter = create_adapter(ModelSpec(implementation="shoal.testing.faults:OracleModel", **fields))
    adapter.load()
    adapter.close()
    with pytest.raises(ConfigError, match="no module 'nowhere'"):
        create_adapter(ModelSpec(implementation="nowhere:Model", **fields))
