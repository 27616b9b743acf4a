"""PyTorch: TorchScript, exported programs, pickled modules."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from shoal.control.folder import scan  # noqa: E402
from shoal.core.errors import ConfigError, InvalidInput  # noqa: E402
from shoal.core.model import ModelSpec  # noqa: E402
from shoal.core.types import TensorSpec  # noqa: E402
from shoal.serving.adapters.catalog import create_adapter  # noqa: E402

pytestmark = [pytest.mark.heavy, pytest.mark.filterwarnings("ignore")]

ROWS = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)


class Net(torch.nn.Module):  # type: ignore[name-defined, misc]
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.layer(x), -1)


class Pair(torch.nn.Module):  # type: ignore[name-defined, misc]
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return a - b, a * b


def load(path: Path, **fields: Any) -> Any:
    adapter = create_adapter(ModelSpec(name="m", path=str(path), runtime="torch", **fields))
    adapter.load()
    return adapter


def expected(net: Any) -> np.ndarray[Any, Any]:
    with torch.no_grad():
        result: np.ndarray[Any, Any] = net(torch.from_numpy(ROWS)).numpy()
    return result


def test_torchscript_needs_no_settings_and_no_trust(tmp_path: Path) -> None:
    net = Net().eval()
    torch.jit.script(net).save(str(tmp_path / "net.pt"))
    (spec,) = scan([tmp_path]).specs
    adapter = create_adapter(spec)
    adapter.load()
    ROWS.flags.writeable = False
    np.testing.assert_allclose(adapter.predict({"any": ROWS})["predict"], expected(net), rtol=1e-5)


def test_exported_program_tells_its_signature(tmp_path: Path) -> None:
    net = Net().eval()
    rows = torch.export.Dim("rows")
    program = torch.export.export(net, (torch.zeros(2, 4),), dynamic_shapes=({0: rows},))
    torch.export.save(program, str(tmp_path / "net.pt2"))
    with pytest.raises(ConfigError, match="unpickles parts"):
        load(tmp_path / "net.pt2")
    adapter = load(tmp_path / "net.pt2", trust="code")
    np.testing.assert_allclose(adapter.predict({"x": ROWS})["predict"], expected(net), rtol=1e-5)
    signature = adapter.signature()
    assert signature.inputs == (TensorSpec("x", "FP32", (-1, 4)),)
    assert signature.outputs == (TensorSpec("predict", "FP32", (-1, 3)),)


def test_pickled_module_needs_trust(tmp_path: Path) -> None:
    net = Net().eval()
    torch.save(net, tmp_path / "net.pt")
    with pytest.raises(ConfigError, match="not trusted"):
        load(tmp_path / "net.pt")
    adapter = load(tmp_path / "net.pt", trust="code")
    np.testing.assert_allclose(adapter.predict({"x": ROWS})["predict"], expected(net), rtol=1e-5)


def test_weights_alone_are_no_model(tmp_path: Path) -> None:
    torch.save(Net().state_dict(), tmp_path / "net.pt")
    with pytest.raises(ConfigError, match="OrderedDict, no model"):
        load(tmp_path / "net.pt", trust="code")


def test_several_inputs_go_by_name_in_any_order(tmp_path: Path) -> None:
    torch.jit.script(Pair()).save(str(tmp_path / "pair.ts"))
    adapter = load(tmp_path / "pair.ts", outputs=(TensorSpec("d", "FP32", (-1,)), TensorSpec("p", "FP32", (-1,))))
    a, b = np.arange(3.0), np.ones(3)
    answers = adapter.predict({"b": b, "a": a})
    assert answers["d"].tolist() == [-1, 0, 1]
    assert answers["p"].tolist() == [0, 1, 2]
    assert list(load(tmp_path / "pair.ts").predict({"a": a, "b": b})) == ["output_0", "output_1"]
    with pytest.raises(InvalidInput, match="takes a, b"):
        adapter.predict({"a": a, "c": b})
    with pytest.raises(InvalidInput, match="must be numbers"):
        adapter.predict({"a": a, "b": np.array([b"x"] * 3, dtype=object)})


class Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("suffix", [".pt", ".pt2", ".ts"])
def test_hidden_pickle_is_never_run(tmp_path: Path, suffix: str) -> None:
    canary = tmp_path / "canary"
    (tmp_path / f"raw{suffix}").write_bytes(pickle.dumps(Canary(canary)))
    torch.save(Canary(canary), tmp_path / f"zipped{suffix}")
    for name in ("raw", "zipped"):
        with pytest.raises(ConfigError, match="not trusted"):
            load(tmp_path / f"{name}{suffix}")
    assert not canary.exists()


def test_damaged_script_is_a_clear_error(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "m.pt", "w") as archive:
        archive.writestr("m/constants.pkl", b"x")
        archive.writestr("m/code/x.py", b"x")
    with pytest.raises(ConfigError, match="no TorchScript"):
        load(tmp_path / "m.pt")
