"""TensorFlow: SavedModels and Keras files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from shoal.control.folder import scan  # noqa: E402
from shoal.core.errors import ConfigError, InvalidInput  # noqa: E402
from shoal.core.model import ModelSpec  # noqa: E402
from shoal.core.types import TensorSpec  # noqa: E402
from shoal.serving.adapters.catalog import create_adapter  # noqa: E402

pytestmark = [pytest.mark.heavy, pytest.mark.filterwarnings("ignore")]

ROWS = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)


class Sums(tf.Module):  # type: ignore[name-defined, misc]
    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")])  # type: ignore[untyped-decorator]
    def __call__(self, x: Any) -> dict[str, Any]:
        return {"total": tf.reduce_sum(x, 1), "text": tf.strings.as_string(tf.cast(x[:, 0], tf.int32))}


class Echo(tf.Module):  # type: ignore[name-defined, misc]
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="words")])  # type: ignore[untyped-decorator]
    def __call__(self, words: Any) -> dict[str, Any]:
        return {"upper": tf.strings.upper(words)}


def load(path: Path, **fields: Any) -> Any:
    adapter = create_adapter(ModelSpec(name="m", path=str(path), runtime="tensorflow", **fields))
    adapter.load()
    return adapter


def test_saved_model_needs_no_settings(tmp_path: Path) -> None:
    tf.saved_model.save(Sums(), str(tmp_path / "sums"))
    (spec,) = scan([tmp_path]).specs
    adapter = create_adapter(spec)
    adapter.load()
    answers = adapter.predict({"any": ROWS})
    np.testing.assert_allclose(answers["total"], ROWS.sum(1), rtol=1e-5)
    assert answers["text"][0] == str(int(ROWS[0, 0])).encode()
    signature = adapter.signature()
    assert signature.inputs == (TensorSpec("x", "FP32", (-1, 4)),)
    assert {each.name: each.datatype for each in signature.outputs} == {"total": "FP32", "text": "BYTES"}


def test_saved_model_takes_text(tmp_path: Path) -> None:
    tf.saved_model.save(Echo(), str(tmp_path / "echo"))
    adapter = load(tmp_path / "echo")
    assert adapter.predict({"words": np.array([b"ab", b"c"], dtype=object)})["upper"].tolist() == [b"AB", b"C"]


def test_signature_is_chosen_by_parameter(tmp_path: Path) -> None:
    tf.saved_model.save(Sums(), str(tmp_path / "sums"))
    with pytest.raises(ConfigError, match="no signature 'other'") as raised:
        load(tmp_path / "sums", parameters={"signature": "other"})
    assert "serving_default" in raised.value.hint


def test_keras_file_needs_no_settings(tmp_path: Path) -> None:
    model = tf.keras.Sequential([tf.keras.Input((4,), name="rows"), tf.keras.layers.Dense(3)])
    model.save(tmp_path / "net.keras")
    adapter = load(tmp_path / "net.keras")
    np.testing.assert_allclose(adapter.predict({"any": ROWS})["predict"], model(ROWS).numpy(), rtol=1e-5)
    signature = adapter.signature()
    assert signature.inputs == (TensorSpec("rows", "FP32", (-1, 4)),)
    assert signature.outputs == (TensorSpec("predict", "FP32", (-1, 3)),)


@pytest.mark.parametrize("as_dict", [False, True])
def test_keras_model_of_several_inputs(tmp_path: Path, as_dict: bool) -> None:
    a, b = tf.keras.Input((4,), name="a"), tf.keras.Input((2,), name="b")
    left, right = tf.keras.layers.Dense(1)(a), tf.keras.layers.Dense(2)(b)
    structure = ({"b": b, "a": a}, {"left": left, "right": right}) if as_dict else ([b, a], [left, right])
    model = tf.keras.Model(*structure)
    model.save(tmp_path / "net.keras")
    adapter = load(tmp_path / "net.keras")
    answers = list(adapter.predict({"a": ROWS, "b": ROWS[:, :2]}).values())
    given = {"a": ROWS, "b": ROWS[:, :2]} if as_dict else [ROWS[:, :2], ROWS]
    wanted = model(given)
    wanted = list(wanted.values()) if as_dict else wanted
    for answer, each in zip(answers, wanted, strict=True):
        np.testing.assert_allclose(answer, each.numpy(), rtol=1e-5)
    with pytest.raises(InvalidInput, match="the model takes"):
        adapter.predict({"a": ROWS})


def test_keras_file_with_code_is_refused(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    layer = tf.keras.layers.Lambda(lambda x, name=str(canary): (os.mknod(name), x)[1], output_shape=(4,))
    model = tf.keras.Sequential([tf.keras.Input((4,)), layer])
    model.save(tmp_path / "net.keras")
    canary.unlink(missing_ok=True)
    with pytest.raises(ConfigError, match="read safely"):
        load(tmp_path / "net.keras")
    assert not canary.exists()
