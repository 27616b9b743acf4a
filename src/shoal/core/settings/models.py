"""From `model.yaml` to a `ModelSpec`.

What concerns one field is said by the schema; what only the files beside it can tell (the artifact, the runtime, the
warm-up requests) is settled here, with the same kind of errors.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from shoal.core.errors import ConfigError
from shoal.core.formats import recognise
from shoal.core.model import Batching, Limits, ModelSpec
from shoal.core.settings import documents
from shoal.core.settings.beside import beside, contents
from shoal.core.settings.complaints import complain, gather
from shoal.core.settings.documents import Document
from shoal.core.settings.schema import BatchingFields, ModelFile, TensorFields
from shoal.core.types import TensorSpec

MAX_WARMUP_BYTES = 16 * 1024 * 1024

PRESETS: dict[str, Batching] = {
    "auto": Batching(),
    "near-real-time": Batching(policy="fixed", max_size=4, max_wait_ms=20.0),
    "latency": Batching(policy="fixed", max_size=1, max_wait_ms=0.0),
    "throughput": Batching(policy="adaptive", max_size=64, max_wait_ms=50.0),
}


def load_model_file(
    file: Path, *, folder: Path | None = None, name: str = "", version: str = "", trust: bool = False
) -> ModelSpec:
    """The spec that a `model.yaml` tells, together with the files beside it.

    Args:
        file: the `model.yaml`.
        folder: where the artifact is; by default beside the file.
        name, version: what it is called unless the file says so; by default its folder's name, and none.
        trust: whether code is trusted whatever the file says.

    Raises:
        ConfigError: each wrong field on a line of its own, with the file's name and the line's number.
    """
    document, fields = _parse(contents(file), file.name)
    where = (folder or file.parent).resolve()
    return to_spec(fields, document, file.name, where, name=name, version=version, trust=trust)


def parse_model_file(text: str | bytes, name: str = "model.yaml") -> ModelFile:
    """The validated fields of a text, files not looked at.

    Raises:
        ConfigError: see `load_model_file`.
    """
    return _parse(text, name)[1]


def model_file_schema() -> dict[str, Any]:
    """The JSON Schema of `model.yaml`, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | ModelFile.model_json_schema()


def to_spec(
    fields: ModelFile, document: Document, file: str, folder: Path, *, name: str, version: str, trust: bool
) -> ModelSpec:
    """The spec for validated fields; `file` is what errors call it, all paths are relative to `folder`."""
    artifact = _inside(folder, fields.path, ("path",), document, file)
    trusted: Literal["", "code"] = "code" if trust or fields.trust else ""
    return ModelSpec(
        name=fields.name or name or folder.name,
        version=fields.version or version,
        path=str(artifact),
        runtime=_runtime(fields, artifact, document, file),
        implementation=fields.implementation or "",
        trust=trusted,
        inputs=_tensors(fields.inputs),
        outputs=_tensors(fields.outputs),
        parameters=fields.parameters,
        warmup=tuple(_warmup(fields, folder, document, file)),
        batchable=fields.batchable,
        pure=fields.pure,
        hedge_after_ms=_hedging(fields, document, file),
        deterministic=fields.deterministic,
        allow_nonfinite=fields.allow_nonfinite,
        description=fields.description,
        network=fields.network,
        environment=fields.environment,
        app=fields.app or "",
        batching=_batching(fields.batching),
        limits=Limits(**fields.limits.model_dump()),
    )


def _parse(text: str | bytes, name: str) -> tuple[Document, ModelFile]:
    document = documents.read(text, name)
    value = {} if document.value is None else document.value
    if not isinstance(value, dict):
        raise ConfigError(f"{name}:1: it must hold fields, such as `runtime: sklearn`")
    try:
        return document, ModelFile.model_validate(value)
    except ValidationError as error:
        raise complain(error, ModelFile, document, name) from None


def _batching(fields: BatchingFields) -> Batching:
    said = fields.model_dump(exclude={"preset"}, exclude_unset=True)
    preset = PRESETS[fields.preset]
    base = {name: getattr(preset, name) for name in preset.__struct_fields__}
    kept = {name: value for name, value in said.items() if value is not None or name == "max_size"}
    return Batching(**base | kept)


def _tensors(fields: list[TensorFields]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(each.name, each.datatype, tuple(each.shape)) for each in fields)


def _runtime(fields: ModelFile, artifact: Path, document: Document, name: str) -> str:
    if fields.implementation and fields.runtime in (None, "python"):
        return "python"
    if fields.implementation:
        text = f"is for the runtime python, the runtime here is {fields.runtime}"
        raise gather(document, name, [(("implementation",), text)])
    return fields.runtime or recognise(artifact)


def _hedging(fields: ModelFile, document: Document, name: str) -> float | None:
    if fields.hedge_after_ms is not None and not fields.pure:
        text = "is for models whose requests may run twice, and `pure` is false here"
        raise gather(document, name, [(("hedge_after_ms",), text)])
    return fields.hedge_after_ms


def _warmup(fields: ModelFile, folder: Path, document: Document, name: str) -> list[str]:
    texts = []
    for number, each in enumerate(fields.warmup):
        if isinstance(each, dict):
            texts.append(json.dumps(each))
            continue
        path: documents.Path = ("warmup", number)
        file = _inside(folder, each, path, document, name)
        text = file.read_bytes()[: MAX_WARMUP_BYTES + 1] if file.is_file() else b""
        try:
            if len(text) > MAX_WARMUP_BYTES:
                raise ValueError(f"it has more than {MAX_WARMUP_BYTES} bytes")
            json.loads(text)
            texts.append(text.decode())
        except (ValueError, RecursionError) as error:
            raise gather(document, name, [(path, f"{each} is no JSON file: {error}")]) from error
    return texts


def _inside(folder: Path, given: str, where: documents.Path, document: Document, name: str) -> Path:
    """A path in the model's folder, which must exist and may not lead out."""
    try:
        return beside(folder, given, "the model's folder")
    except ValueError as error:
        raise gather(document, name, [(where, str(error))]) from error
