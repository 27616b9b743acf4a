"""From a saved model and a few lines of YAML, or none, to a prediction."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shoal.control.folder import scan
from shoal.serving.adapters.catalog import create_adapter
from support import saved_models as saved

FORMATS: dict[str, tuple[str, Callable[[Path], Any], str]] = {
    "skops": ("m.skops", saved.save_skops, "sklearn"),
    "joblib": ("m.joblib", saved.save_joblib, "sklearn"),
    "ubj": ("m.ubj", saved.save_xgboost, "xgboost"),
    "json": ("m.json", saved.save_xgboost, "xgboost"),
    "lightgbm": ("m.txt", saved.save_lightgbm, "lightgbm"),
    "onnx": ("m.onnx", saved.save_onnx, "onnx"),
}


@pytest.mark.parametrize("settings", [None, "description: only words\ntrust: code\n"])
@pytest.mark.parametrize("kind", FORMATS)
def test_saved_model_needs_little_or_nothing(tmp_path: Path, kind: str, settings: str | None) -> None:
    name, save, runtime = FORMATS[kind]
    folder = tmp_path / "cars"
    folder.mkdir()
    save(folder / name)
    if settings is not None:
        (folder / "model.yaml").write_text(settings)
    found = scan([tmp_path], trust=settings is None)
    assert found.problems == []
    assert [(spec.name, spec.runtime) for spec in found.specs] == [("cars", runtime)]
    adapter: Any = create_adapter(found.specs[0])
    adapter.load()
    answers = adapter.predict({"x": saved.ROWS.astype(np.float32)})
    assert [len(answer) for answer in answers.values()] == [len(saved.ROWS)] * len(answers)


@pytest.mark.parametrize("kind", FORMATS)
def test_answers_do_not_depend_on_the_batch(tmp_path: Path, kind: str) -> None:
    name, save, runtime = FORMATS[kind]
    save(tmp_path / name)
    adapter: Any = create_adapter(saved.spec(tmp_path / name, runtime, trust="code"))
    adapter.load()
    rows = saved.ROWS[:7].astype(np.float32)
    together = adapter.predict({"x": rows})
    for number in range(len(rows)):
        alone = adapter.predict({"x": rows[number : number + 1]})
        for output, values in together.items():
            np.testing.assert_allclose(np.asarray(alone[output])[0], np.asarray(values)[number], rtol=1e-5)
