"""What the server says about itself and its models, as plain values; REST and gRPC only write them differently."""

from __future__ import annotations

from typing import Any

from shoal.core.model import ModelState
from shoal.core.ports import ModelHandle, Models
from shoal.core.types import TensorSpec
from shoal.core.version import __version__
from shoal.serving.gateway import lookup

SERVER = "shoal"
EXTENSIONS = (
    "binary_tensor_data",
    "model_repository",
    "model_configuration",
    "schedule_policy",
    "statistics",
    "predict_all",
)
"""Exactly what works. `schedule_policy` is `priority` and `timeout`; `predict_all` is the plain string route."""

AUTO_MAX_SIZE = 64
"""The upper bound of `max_size: auto`, which is what the configuration shows."""

Json = dict[str, Any]


def server() -> Json:
    """V2 server metadata."""
    return {"name": SERVER, "version": __version__, "extensions": list(EXTENSIONS)}


def model(models: Models, name: str, version: str) -> Json:
    """V2 model metadata; `versions` is left out for a model without versions.

    Raises:
        NotFound: no such model or version.
    """
    handle = lookup.find(models, name, version)
    versions = [each.spec.version for each in models.versions(name) if each.spec.version]
    return {
        "name": handle.spec.name,
        **({"versions": versions} if versions else {}),
        "platform": handle.platform,
        "inputs": [tensor(spec) for spec in handle.signature.inputs],
        "outputs": [tensor(spec) for spec in handle.signature.outputs],
    }


def tensor(spec: TensorSpec) -> Json:
    """A tensor as V2 metadata has it."""
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}


def index(models: Models, *, ready_only: bool) -> list[Json]:
    """The repository index."""
    return [
        {
            "name": handle.spec.name,
            **({"version": handle.spec.version} if handle.spec.version else {}),
            "state": handle.state.value,
            "reason": handle.reason,
        }
        for handle in models.all()
        if not ready_only or handle.state is ModelState.READY
    ]


def statistics(models: Models, name: str = "", version: str = "") -> list[Json]:
    """Statistics of a version, of all versions of a model, or of all models.

    Raises:
        NotFound: no such model or version.
    """
    if not name:
        handles = list(models.all())
    elif version:
        handles = [lookup.find(models, name, version)]
    else:
        lookup.find(models, name)
        handles = list(models.versions(name))
    return [{**handle.statistics(), "name": handle.spec.name, "version": handle.spec.version} for handle in handles]


def config(models: Models, name: str, version: str) -> Json:
    """The model's configuration in the words of the model configuration extension.

    Raises:
        NotFound: no such model or version.
    """
    handle = lookup.find(models, name, version)
    batching = handle.spec.batching
    size = (batching.max_size or AUTO_MAX_SIZE) if handle.batchable else 0
    return {
        "name": handle.spec.name,
        "platform": handle.platform,
        "backend": handle.spec.runtime,
        "max_batch_size": size,
        "input": [_config_tensor(spec, batched=size > 0) for spec in handle.signature.inputs],
        "output": [_config_tensor(spec, batched=size > 0) for spec in handle.signature.outputs],
        "instance_group": [{"name": handle.spec.name, "kind": "KIND_CPU", "count": handle.spec.limits.workers}],
        **({"dynamic_batching": _dynamic_batching(batching.max_wait_ms)} if size else {}),
        **({"parameters": _kept_apart(handle.batch_reason)} if handle.batch_reason else {}),
    }


def _config_tensor(spec: TensorSpec, *, batched: bool) -> Json:
    datatype = "TYPE_STRING" if spec.datatype == "BYTES" else f"TYPE_{spec.datatype}"
    return {"name": spec.name, "data_type": datatype, "dims": list(spec.shape[1:] if batched else spec.shape)}


def _dynamic_batching(max_wait_ms: float) -> Json:
    return {"max_queue_delay_microseconds": int(max_wait_ms * 1000)}


def _kept_apart(reason: str) -> Json:
    return {"not_batched_because": {"string_value": reason}}


_V1_STATES = {
    ModelState.LOADING: "LOADING",
    ModelState.READY: "AVAILABLE",
    ModelState.UNLOADING: "UNLOADING",
    ModelState.UNAVAILABLE: "END",
}


def v1_status(models: Models, name: str, version: str) -> Json:
    """V1 model status: what TensorFlow Serving says, and KServe's `name` and `ready` beside it.

    Raises:
        NotFound: no such model or version.
    """
    wanted = lookup.find(models, name, version)
    handles = [wanted] if version else models.versions(name)
    return {
        "name": name,
        "ready": wanted.state is ModelState.READY,
        "model_version_status": [_v1_version(handle) for handle in handles],
    }


def _v1_version(handle: ModelHandle) -> Json:
    failed = handle.state is ModelState.UNAVAILABLE
    return {
        "version": handle.spec.version or "1",
        "state": _V1_STATES[handle.state],
        "status": {"error_code": "UNAVAILABLE" if failed else "OK", "error_message": handle.reason},
    }


def names(models: Models) -> list[str]:
    """The names of all models, each once."""
    return list(dict.fromkeys(handle.spec.name for handle in models.all()))
