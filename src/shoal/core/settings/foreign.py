"""`model-settings.json`, the settings file that MLServer reads, for models that move here as they are.

Read are `name`, `implementation` (its runtimes become ours, any other ``package.Class`` the runtime `python`),
`max_batch_size`, `max_batch_time` (seconds), and of `parameters`: `uri`, `version`, and `extra` with its `task` and
`pretrained_model`. What only concerns that server's own processes (`parallel_workers`, ...) is left aside.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from shoal.core.errors import ConfigError
from shoal.core.formats import recognise
from shoal.core.model import Batching, ModelSpec
from shoal.core.settings.schema import check_name
from shoal.core.types import ParameterValue

FILE_NAME = "model-settings.json"
MAX_BYTES = 1024 * 1024

RUNTIMES = {
    "mlserver_sklearn.SKLearnModel": "sklearn",
    "mlserver_xgboost.XGBoostModel": "xgboost",
    "mlserver_lightgbm.LightGBMModel": "lightgbm",
    "mlserver_huggingface.HuggingFaceRuntime": "transformers",
    "mlserver_mlflow.MLflowRuntime": "mlflow",
    "mlserver_onnx.OnnxModel": "onnx",
}
"""Class paths of its runtimes, without the modules that only some versions have."""


class _Parameters(msgspec.Struct):
    uri: str | None = None
    version: str | None = None
    extra: dict[str, Any] | None = None


class _Settings(msgspec.Struct):
    name: str
    implementation: str
    parameters: _Parameters | None = None
    max_batch_size: int = 0
    max_batch_time: float = 0.0


def load_model_settings(file: Path, *, version: str = "", trust: bool = False) -> ModelSpec:
    """The spec that a `model-settings.json` tells.

    Raises:
        ConfigError: it cannot be read, or a field is wrong; the message names the field.
    """
    said = _parse(file)
    parameters = said.parameters or _Parameters()
    runtime, implementation = _runtime(said.implementation)
    artifact = _artifact(file, parameters.uri)
    trusted: Literal["", "code"] = "code" if trust else ""
    return ModelSpec(
        name=said.name,
        version=parameters.version or version,
        path=str(artifact),
        runtime=runtime or recognise(artifact),
        implementation=implementation,
        trust=trusted,
        parameters=_plain(parameters.extra or {}),
        batching=_batching(said),
    )


def _parse(file: Path) -> _Settings:
    try:
        text = file.read_bytes()[:MAX_BYTES]
        said = msgspec.json.decode(text, type=_Settings)
        check_name(said.name)
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from error
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ConfigError(f"{file.name}: {error}") from error
    return said


def _runtime(implementation: str) -> tuple[str, str]:
    package, _, name = implementation.rpartition(".")
    short = f"{package.partition('.')[0]}.{name}"
    if short in RUNTIMES:
        return RUNTIMES[short], ""
    if not package or package.startswith("mlserver_"):
        known = ", ".join(RUNTIMES)
        raise ConfigError(f"{FILE_NAME}: implementation: {implementation!r} is not known", hint=f"known: {known}")
    return "python", f"{package}:{name}"


def _artifact(file: Path, uri: str | None) -> Path:
    folder = file.resolve().parent
    try:
        found = (folder / (uri or ".")).resolve()
        if found != folder and folder not in found.parents:
            raise ConfigError(f"{file.name}: parameters.uri: must lie in the model's folder, {uri!r} does not")
        if not found.exists():
            raise ConfigError(f"{file.name}: parameters.uri: there is no {uri!r} in {folder}")
    except (OSError, ValueError) as error:  # a name that is too long, or that no file can have
        raise ConfigError(f"{file.name}: parameters.uri: cannot be looked at: {error}") from error
    return found


def _plain(extra: dict[str, Any]) -> dict[str, ParameterValue | list[ParameterValue] | None]:
    wrong = [name for name, value in extra.items() if not isinstance(value, (str, int, float, bool, type(None)))]
    if wrong:
        raise ConfigError(f"{FILE_NAME}: parameters.extra.{wrong[0]}: must be text, a number, true, false or null")
    return dict(extra)


def _batching(said: _Settings) -> Batching:
    if said.max_batch_size < 1:
        return Batching()
    return Batching(max_size=said.max_batch_size, max_wait_ms=max(0.0, min(said.max_batch_time, 60.0)) * 1000.0)
