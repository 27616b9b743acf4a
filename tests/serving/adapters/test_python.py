"""A user's own class: found, made, loaded and asked, in each of its styles."""

from __future__ import annotations

import asyncio
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from shoal import InferenceRequest, ItemError, StringCodec
from shoal.core.errors import ConfigError, ModelContract, NotReady
from shoal.core.model import ModelSpec
from shoal.serving.adapters.base import RequestAdapter, TextAdapter, TypedAdapter
from shoal.serving.adapters.catalog import create_adapter

ECHO = """
class Echo:
    def predict_all(self, inputs):
        return [each[::-1] for each in inputs]
"""


@pytest.fixture(autouse=True)
def _clean_imports() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith(("shoal_model_", "helper")):
            del sys.modules[name]


def spec_for(folder: Path, source: str, *, file: str = "model.py", **fields: object) -> ModelSpec:
    (folder / file).write_text(source)
    given = {"name": "mine", "path": str(folder), "runtime": "python", "trust": "code"} | fields
    return ModelSpec(**given)  # type: ignore[arg-type]


def test_bare_class_with_predict_all_is_enough(tmp_path: Path) -> None:
    adapter = create_adapter(spec_for(tmp_path, ECHO))
    adapter.load()
    assert isinstance(adapter, TextAdapter)
    assert adapter.predict_all(["ab", "日本", "", "😀x"]) == ["ba", "本日", "", "x😀"]
    assert adapter.signature().inputs[0].datatype == "BYTES"


def test_typed_class_gets_and_gives_arrays(tmp_path: Path) -> None:
    source = """
import numpy as np
from shoal import Model
class Twice(Model):
    def load(self):
        self.factor = self.parameters["factor"]
    def predict(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"y": inputs["x"] * self.factor}
"""
    adapter = create_adapter(spec_for(tmp_path, source, parameters={"factor": 2}))
    adapter.load()
    assert isinstance(adapter, TypedAdapter)
    assert adapter.predict({"x": np.arange(3)})["y"].tolist() == [0, 2, 4]  # type: ignore[union-attr]


def test_typed_class_must_return_a_mapping(tmp_path: Path) -> None:
    adapter = create_adapter(
        spec_for(tmp_path, "class M:\n def predict(self, inputs): return 3\n", implementation="model:M")
    )
    adapter.load()
    assert isinstance(adapter, TypedAdapter)
    with pytest.raises(ModelContract, match="it returned int"):
        adapter.predict({})


def test_attributes_are_there_before_init(tmp_path: Path) -> None:
    source = """
from shoal import Model
class M(Model):
    def __init__(self):
        self.seen = (self.name, self.version, self.path.name, self.parameters["a"], self.ready)
    def predict_all(self, inputs):
        return [str(self.ready) for _ in inputs]
"""
    adapter = create_adapter(spec_for(tmp_path, source, version="3", parameters={"a": 1}))
    adapter.load()
    assert isinstance(adapter, TextAdapter)
    assert adapter.model.seen == ("mine", "3", tmp_path.name, 1, False)  # type: ignore[attr-defined]
    assert adapter.predict_all(["x"]) == ["True"]


def test_item_errors_pass_through(tmp_path: Path) -> None:
    source = """
from shoal import ItemError
class M:
    def predict_all(self, inputs):
        return [ItemError("empty") if not each else each for each in inputs]
"""
    adapter = create_adapter(spec_for(tmp_path, source))
    adapter.load()
    assert isinstance(adapter, TextAdapter)
    assert adapter.predict_all(["a", ""]) == ["a", ItemError("empty")]


@pytest.mark.parametrize("head", ["def load(self)", "async def load(self)"])
def test_load_that_returns_false_is_not_ready(tmp_path: Path, head: str) -> None:
    adapter = create_adapter(spec_for(tmp_path, ECHO + f"    {head}:\n        return False\n"))
    with pytest.raises(NotReady, match="returned False"):
        adapter.load()
    adapter.close()


def test_load_that_raises_is_passed_on(tmp_path: Path) -> None:
    adapter = create_adapter(spec_for(tmp_path, ECHO + "    async def load(self):\n        raise OSError('no disk')\n"))
    with pytest.raises(OSError, match="no disk"):
        adapter.load()
    adapter.close()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("class A:\n    pass\n", "must define one model class, it has none"),
        (ECHO + ECHO.replace("Echo", "Other"), "it has Echo, Other"),
        ("from shoal import Model\nclass A(Model):\n    pass\n", "neither"),
        ("class A:\n    def predict_all(self, i): ...\n    def predict(self, i): ...\n", "both"),
    ],
)
def test_class_that_keeps_no_contract_is_refused(tmp_path: Path, source: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        create_adapter(spec_for(tmp_path, source))


@pytest.mark.parametrize("implementation", ["model:Nobody", "nowhere:Echo"])
def test_wrong_implementation_is_named(tmp_path: Path, implementation: str) -> None:
    with pytest.raises(ConfigError) as raised:
        create_adapter(spec_for(tmp_path, ECHO, implementation=implementation))
    assert raised.value.field == "implementation"


def test_init_with_arguments_is_explained(tmp_path: Path) -> None:
    adapter = create_adapter(spec_for(tmp_path, ECHO + "    def __init__(self, settings):\n        pass\n"))
    with pytest.raises(ConfigError, match="needs settings"):
        adapter.load()


def test_two_models_may_have_modules_of_one_name_and_helpers(tmp_path: Path) -> None:
    answers = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / f"helper_{name}.py").write_text(f"WORD = {name!r}\n")
        source = f"from helper_{name} import WORD\nclass M:\n    def predict_all(self, i): return [WORD for _ in i]\n"
        adapter = create_adapter(spec_for(folder, source, name=name))
        adapter.load()
        assert isinstance(adapter, TextAdapter)
        answers += adapter.predict_all(["x"])
    assert answers == ["one", "two"]


def test_single_file_is_a_model(tmp_path: Path) -> None:
    spec = spec_for(tmp_path, ECHO, file="reverse.py", path=str(tmp_path / "reverse.py"))
    adapter = create_adapter(spec)
    adapter.load()
    assert isinstance(adapter, TextAdapter)


def test_code_without_trust_is_never_imported(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    with pytest.raises(ConfigError, match="not trusted") as raised:
        create_adapter(spec_for(tmp_path, f"open({str(canary)!r}, 'w')\n{ECHO}", trust=""))
    assert "trust: code" in raised.value.hint
    assert "--trust" in raised.value.hint
    assert not canary.exists()


LOW_CODE = """
from typing import Any

from shoal import Model as MLModel
from shoal import StringCodec
from shoal import InferenceRequest, InferenceResponse, ResponseOutput
from transformers import pipeline

class CustomInferenceRunner(MLModel):
   async def load(self) -> bool:
       self._model = pipeline("translation_en_to_fr")

       self.ready = True
       return self.ready

   async def predict(self, payload: InferenceRequest) -> InferenceResponse:
       inputs = self._extract_inputs(payload)
       text = self._preprocess(inputs)
       output = self._model(text)

       return InferenceResponse(
           id=payload.id,
           model_name=self.name,
           model_version=self.version,
           outputs=[
               ResponseOutput(
                   name="predict",
                   shape=[len(output)],
                   datatype="FP32",
                   data=[output],
               )
           ],
       )

class Runner(CustomInferenceRunner):
    def _extract_inputs(self, payload):
        return StringCodec.decode_input(payload.inputs[0])

    def _preprocess(self, inputs):
        return inputs[0].strip()
"""


def test_published_low_code_class_runs_with_other_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = types.ModuleType("transformers")
    fake.pipeline = lambda task: lambda text: [{"translation_text": f"{task}: {text}"}]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "transformers", fake)
    adapter = create_adapter(spec_for(tmp_path, LOW_CODE, implementation="model:Runner", version="1"))
    adapter.load()
    assert isinstance(adapter, RequestAdapter)
    assert adapter.loop is not None
    request = InferenceRequest([StringCodec.encode_input("text", [" hello "])], id="7")
    response = adapter.loop.run_until_complete(adapter.predict(request))
    adapter.close()
    assert (response.model_name, response.model_version, response.id) == ("mine", "1", "7")
    assert response.outputs[0].datatype == "BYTES"
    assert StringCodec.decode_output(response.outputs[0]) == ['{"translation_text": "translation_en_to_fr: hello"}']


def test_request_style_may_be_a_plain_function(tmp_path: Path) -> None:
    source = """
from shoal import InferenceRequest, InferenceResponse, NumpyCodec
class M:
    def predict(self, payload: InferenceRequest) -> InferenceResponse:
        return InferenceResponse([NumpyCodec.encode_output("y", payload.inputs[0].as_numpy())])
"""
    adapter = create_adapter(spec_for(tmp_path, source, implementation="model:M"))
    adapter.load()
    assert isinstance(adapter, RequestAdapter)
    response = asyncio.run(adapter.predict(InferenceRequest([StringCodec.encode("x", ["a"])], id="1")))
    assert (response.id, response.model_version, response.outputs[0].shape) == ("1", None, [1])
