from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import joblib
import pytest

from benchmarks import shelf
from benchmarks.paths import SERVERS


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    target = tmp_path_factory.mktemp("trained") / "linear.joblib"
    subprocess.run([sys.executable, SERVERS / "train_linear.py", target], check=True)
    return target.read_bytes()


def test_each_model_answers_its_own_number(trained: bytes) -> None:
    content = shelf.numbered(trained)
    for number in (0, 1, 17, 99_999):
        assert joblib.load(io.BytesIO(content(number))).predict([[5.1, 3.5, 1.4, 0.2]]) == [number]


def test_another_model_is_refused() -> None:
    with pytest.raises(ValueError, match="mark"):
        shelf.numbered(b"no pickle")


def test_names_tell_numbers() -> None:
    assert shelf.number_of(shelf.name_of(17)) == 17


def test_filled_models_are_registered_and_their_files_are_stored(tmp_path: Path) -> None:
    with shelf.opened(tmp_path) as filled:
        filled.fill(range(3), lambda number: b"content %d" % number)
        version = filled.registry.version("default", shelf.name_of(2), "latest")
        (file,) = filled.registry.manifest(version.digest).files
        with filled.store.open(file.sha256) as stored:
            assert stored.read() == b"content 2"


def test_entered_models_share_one_artifact(tmp_path: Path) -> None:
    with shelf.opened(tmp_path) as filled:
        filled.enter(range(3), b"one")
        digests = {filled.registry.version("default", shelf.name_of(at), "1").digest for at in range(3)}
        assert len(digests) == 1


def test_slices_cover_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "SLICE", 4)
    assert [number for part in shelf.slices(range(2, 13)) for number in part] == list(range(2, 13))
    assert max(len(part) for part in shelf.slices(range(2, 13))) == 4


def test_a_home_is_empty_and_goes_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shelf, "HOMES", tmp_path)
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "left").touch()
    with shelf.home("x") as folder:
        assert list(folder.iterdir()) == []
    assert not folder.exists()
