"""Model files: which runtime a file or folder is for, where in a folder the artifact lies, whether it can carry code.

Everything is told from names and the first bytes: nothing is loaded, imported or unpacked. Suffixes that several
formats share (`.json`, `.txt`, `.pt`) are told apart by content, so that a disguised file is never taken for what its
name says.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from shoal.core.errors import ConfigError
from shoal.core.model import ModelSpec

SUFFIXES: dict[str, tuple[str, ...]] = {
    "sklearn": (".skops", ".joblib", ".pkl", ".pickle"),
    "xgboost": (".ubj", ".json"),
    "lightgbm": (".txt", ".lgb"),
    "onnx": (".onnx",),
    "torch": (".pt2", ".pt", ".ts"),
    "tensorflow": (".keras",),
    "python": (".py",),
}
"""The files of each runtime. Folders: `MLmodel` is mlflow, `saved_model.pb` tensorflow, `config.json` transformers."""

PICKLES = (".joblib", ".pkl", ".pickle")
_RUNTIME = {suffix: runtime for runtime, suffixes in SUFFIXES.items() for suffix in suffixes}
_WEIGHTS = (".safetensors", ".bin", ".safetensors.index.json", ".bin.index.json")
_HEAD = 65_536

UNDERSTOOD = (
    "scikit-learn (.skops, .joblib, .pkl), XGBoost (.ubj, .json), LightGBM (.txt, .lgb), .onnx, "
    "PyTorch (.pt, .pt2, .ts), .keras or a SavedModel folder, a Hugging Face folder, an MLflow folder, model.py"
)

TRUST_HINT = (
    "if you trust where it comes from, write `trust: code` in its model.yaml or start with `--trust`; "
    "formats without code are skops, ONNX, UBJSON (XGBoost), text (LightGBM), TorchScript and .keras"
)


def recognise(path: Path) -> str:
    """The runtime for a model file or folder.

    Raises:
        ConfigError: it does not exist, is of no known format, or could be several.
    """
    if path.is_dir():
        return _folder(path)
    if not path.is_file():
        raise ConfigError(f"{path} does not exist")
    runtime = _file(path)
    if runtime is None:
        raise ConfigError(f"{path.name} is no model format that is known", hint=f"known: {UNDERSTOOD}")
    return runtime


def is_model(path: Path) -> bool:
    """Whether `recognise` would name a runtime."""
    try:
        recognise(path)
    except ConfigError:
        return False
    return True


def locate(path: Path, runtime: str) -> Path:
    """The one artifact file of a runtime: the path itself, or the only fitting file in the folder.

    Raises:
        ConfigError: none, or several.
    """
    if not path.exists():
        raise ConfigError(f"{path} does not exist", field="path")
    if not path.is_dir():
        return path
    found = [each for each in _files(path) if _file(each) == runtime]
    if len(found) == 1:
        return found[0]
    seen = ", ".join(each.name for each in found or _files(path)) or "nothing"
    wanted = ", ".join(SUFFIXES.get(runtime, ()))
    message = f"several {runtime} files in {path}: {seen}" if found else f"no {runtime} file ({wanted}) in {path}"
    raise ConfigError(message, hint="name it in model.yaml: `path: FILE`" if found else f"seen: {seen}", field="path")


def code_in(runtime: str, path: Path) -> str:
    """How an artifact can carry code, as the end of a sentence ("it is a pickle, ..."); "" when it cannot."""
    if runtime == "python":
        return "is Python code, which runs with all rights of the server"
    if runtime == "mlflow":
        return "is an MLflow model, whose loader runs Python code and pickles of the folder"
    if runtime == "sklearn" and locate(path, runtime).suffix.lower() != ".skops":
        return "is a pickle, which can run any code when it is loaded"
    return _code_in_torch(locate(path, runtime)) if runtime == "torch" else ""


def _code_in_torch(file: Path) -> str:
    if is_torchscript(file):
        return ""
    if is_torch_export(file):
        return "is an exported PyTorch program, whose loader unpickles parts of it, and a pickle can run any code"
    return "is a pickled PyTorch object, which can run any code when it is loaded"


def require_trust(spec: ModelSpec) -> None:
    """Refuse an artifact that can carry code unless its owner said that it may.

    Raises:
        ConfigError: in one sentence, with what to do.
    """
    if spec.trust == "code":
        return
    path = Path(spec.path)
    reason = code_in(spec.runtime, path)
    if reason:
        raise ConfigError(f"{path.name} {reason}, and it is not trusted", hint=TRUST_HINT, field="trust")


def is_torchscript(path: Path) -> bool:
    """Whether a file is TorchScript, told by its archive's members: its loader unpickles no Python objects."""
    inner = [name.partition("/")[2] for name in _members(path)]
    return "constants.pkl" in inner and any(name.startswith("code/") for name in inner)


def is_torch_export(path: Path) -> bool:
    """Whether a file is an exported program (`.pt2`), told by its archive's members. Its loader does unpickle parts."""
    names = _members(path)
    inner = [name.partition("/")[2] for name in names]
    return "serialized_exported_program.json" in names or any(name.startswith("models/") for name in inner)


def _members(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return []


def _folder(path: Path) -> str:
    if (path / "MLmodel").is_file():
        return "mlflow"
    if (path / "model.py").is_file():
        return "python"
    if (path / "saved_model.pb").is_file():
        return "tensorflow"
    files = _files(path)
    if (path / "config.json").is_file() and any(each.name.endswith(_WEIGHTS) for each in files):
        return "transformers"
    return _only_runtime(path, files)


def _only_runtime(path: Path, files: list[Path]) -> str:
    found = {each.name: runtime for each in files if (runtime := _file(each)) and runtime != "python"}
    kinds = set(found.values())
    if len(kinds) == 1:
        return kinds.pop()
    if kinds:
        seen = ", ".join(f"{name} ({runtime})" for name, runtime in found.items())
        raise ConfigError(
            f"{path.name} could be several models: {seen}", hint="say `runtime:` and `path:` in model.yaml"
        )
    seen = ", ".join(each.name for each in sorted(path.iterdir())[:10]) or "nothing"
    raise ConfigError(f"{path.name} holds no model: there is {seen}", hint=f"known: {UNDERSTOOD}")


def _files(path: Path) -> list[Path]:
    return sorted(each for each in path.iterdir() if each.is_file() and not each.name.startswith("."))


def _file(path: Path) -> str | None:
    """The runtime of one file, or None."""
    suffix = path.suffix.lower()
    if suffix == ".json" and not _holds(path, b'"learner"'):
        return None
    if suffix == ".ubj" and not _holds(path, b"learner"):
        return None
    if suffix in (".txt", ".lgb") and not _starts_tree(path):
        return None
    return _RUNTIME.get(suffix)


def _holds(path: Path, mark: bytes) -> bool:
    return mark in _head(path)


def _starts_tree(path: Path) -> bool:
    return _head(path).lstrip().startswith(b"tree")


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
