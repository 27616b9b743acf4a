"""What a file or folder is, told without loading it."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import pytest

from shoal.core.errors import ConfigError
from shoal.core.formats import code_in, is_torch_export, is_torchscript, locate, recognise, require_trust
from shoal.core.model import ModelSpec

CONTENT: dict[str, bytes] = {
    "m.json": b'{"learner":{"attributes":{}},"version":[3,0,0]}',
    "m.ubj": b"{L\0\0\0\0\0\0\0\7learner{",
    "m.txt": b"tree\nversion=v4\n",
    "m.lgb": b"tree\nversion=v4\n",
}


def put(path: Path, content: bytes | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(CONTENT.get(path.name, b"x") if content is None else content)
    return path


def archive(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for name in names:
            opened.writestr(name, b"x")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "runtime"),
    [
        ("m.joblib", "sklearn"),
        ("m.pkl", "sklearn"),
        ("m.PICKLE", "sklearn"),
        ("m.skops", "sklearn"),
        ("m.ubj", "xgboost"),
        ("m.json", "xgboost"),
        ("m.txt", "lightgbm"),
        ("m.lgb", "lightgbm"),
        ("m.onnx", "onnx"),
        ("m.pt", "torch"),
        ("m.pt2", "torch"),
        ("m.ts", "torch"),
        ("m.keras", "tensorflow"),
        ("m.py", "python"),
    ],
)
def test_files(tmp_path: Path, name: str, runtime: str) -> None:
    path = put(tmp_path / name)
    assert recognise(path) == runtime
    assert locate(path, runtime) == path
    if runtime != "python":
        assert recognise(tmp_path) == runtime
        assert locate(tmp_path, runtime) == path


@pytest.mark.parametrize(
    ("files", "runtime"),
    [
        (("MLmodel", "model.pkl"), "mlflow"),
        (("model.py", "weights.pkl"), "python"),
        (("saved_model.pb", "fingerprint.pb"), "tensorflow"),
        (("config.json", "model.safetensors"), "transformers"),
        (("config.json", "pytorch_model.bin"), "transformers"),
        (("config.json", "model.safetensors.index.json"), "transformers"),
        (("a.onnx", "b.onnx"), "onnx"),
    ],
)
def test_folders(tmp_path: Path, files: tuple[str, ...], runtime: str) -> None:
    for name in files:
        put(tmp_path / "m" / name)
    assert recognise(tmp_path / "m") == runtime


@pytest.mark.parametrize("name", ["m.json", "m.ubj", "m.txt", "m.lgb"])
def test_a_suffix_alone_is_not_believed(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="no model format"):
        recognise(put(tmp_path / name, pickle.dumps({"a": 1})))


def test_what_is_not_known_says_what_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"m\.gguf is no model format") as raised:
        recognise(put(tmp_path / "m.gguf"))
    assert "scikit-learn (.skops, .joblib, .pkl)" in raised.value.hint
    with pytest.raises(ConfigError, match=r"there is m\.gguf"):
        recognise(tmp_path)
    with pytest.raises(ConfigError, match="does not exist"):
        recognise(tmp_path / "nothing")


def test_several_kinds_in_one_folder_are_named(tmp_path: Path) -> None:
    put(tmp_path / "a.onnx")
    put(tmp_path / "m.txt")
    with pytest.raises(ConfigError, match=r"a\.onnx \(onnx\), m\.txt \(lightgbm\)"):
        recognise(tmp_path)


def test_several_files_of_one_kind_need_a_choice(tmp_path: Path) -> None:
    put(tmp_path / "a.onnx")
    put(tmp_path / "b.onnx")
    with pytest.raises(ConfigError, match="several onnx files") as raised:
        locate(tmp_path, "onnx")
    assert "path: FILE" in raised.value.hint
    with pytest.raises(ConfigError, match="no xgboost file"):
        locate(tmp_path, "xgboost")


def test_torch_archives_are_told_by_their_members(tmp_path: Path) -> None:
    script = put(tmp_path / "script.pt", archive("m/data.pkl", "m/constants.pkl", "m/code/__torch__.py"))
    full = put(tmp_path / "full.pt", archive("m/data.pkl", "m/data/0", "m/version"))
    exported = put(tmp_path / "e.pt2", archive("m/models/model.json", "m/data/weights/weight_0"))
    raw = put(tmp_path / "raw.pt", pickle.dumps([1]))
    assert [is_torchscript(each) for each in (script, full, exported, raw)] == [True, False, False, False]
    assert [is_torch_export(each) for each in (script, full, exported, raw)] == [False, False, True, False]
    assert code_in("torch", script) == ""
    assert "pickled PyTorch object" in code_in("torch", full)
    assert "unpickles parts" in code_in("torch", exported)


@pytest.mark.parametrize("runtime", ["xgboost", "lightgbm", "onnx", "tensorflow", "transformers", "other"])
def test_formats_without_code_need_no_trust(tmp_path: Path, runtime: str) -> None:
    require_trust(ModelSpec(name="m", path=str(tmp_path), runtime=runtime))


def test_trust_is_asked_in_one_sentence(tmp_path: Path) -> None:
    path = put(tmp_path / "m.pkl")
    with pytest.raises(ConfigError) as raised:
        require_trust(ModelSpec(name="m", path=str(path), runtime="sklearn"))
    assert str(raised.value) == ("m.pkl is a pickle, which can run any code when it is loaded, and it is not trusted")
    require_trust(ModelSpec(name="m", path=str(path), runtime="sklearn", trust="code"))
