"""The runtime `torch`: TorchScript; exported programs (`.pt2`) and pickled modules with trust. On the CPU.

Inputs have the names of the arguments of `forward`, in any order; a single one is taken under any name. An exported
program tells datatypes and shapes; for the others `inputs` in model.yaml does. Outputs: a mapping's own names, else
those of `outputs` in model.yaml, else `predict`, or `output_0`, `output_1`, ...
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from shoal.core.errors import ConfigError, InvalidInput
from shoal.core.formats import is_torch_export, is_torchscript, locate, require_trust
from shoal.core.types import Signature, TensorSpec
from shoal.serving.adapters.base import Array, TypedAdapter
from shoal.serving.adapters.outputs import named
from shoal.serving.adapters.pickles import load_torch_pickle

_DATATYPES = {
    torch.bool: "BOOL",
    torch.uint8: "UINT8",
    torch.int8: "INT8",
    torch.int16: "INT16",
    torch.int32: "INT32",
    torch.int64: "INT64",
    torch.float16: "FP16",
    torch.float32: "FP32",
    torch.float64: "FP64",
}


class Torch(TypedAdapter):
    platform = "pytorch"

    def load(self) -> None:
        require_trust(self.spec)
        torch.set_num_threads(self.spec.limits.threads)
        file = locate(Path(self.spec.path), "torch")
        self._signature = Signature()
        if is_torchscript(file):
            self._load_script(file)
        elif is_torch_export(file):
            self._load_export(file)
        else:
            self._load_module(file)
        self._declared = tuple(each.name for each in self.spec.inputs)
        self._outputs = tuple(each.name for each in self.spec.outputs)

    def predict(self, inputs: dict[str, Array]) -> Mapping[str, Array | Sequence[object]]:
        arguments = [_tensor(name, array) for name, array in self._ordered(inputs)]
        with torch.inference_mode():
            result = self.module(*arguments)
        return {name: _array(value) for name, value in named(result, self._outputs).items()}

    def signature(self) -> Signature:
        return self._signature

    def _ordered(self, inputs: dict[str, Array]) -> list[tuple[str, Array]]:
        """The inputs in the order of the arguments of `forward`."""
        if len(inputs) == 1 and len(self._required) <= 1:
            return list(inputs.items())
        if set(self._required) <= inputs.keys() <= set(self._names):
            return [(name, inputs[name]) for name in self._names if name in inputs]
        if self._declared and inputs.keys() == set(self._declared):
            return [(name, inputs[name]) for name in self._declared]
        wanted = ", ".join(self._declared or self._names)
        raise InvalidInput(f"the model takes {wanted}; it was given {', '.join(inputs) or 'none'}", field="inputs")

    def _load_script(self, file: Path) -> None:
        try:
            self.module: Any = torch.jit.load(str(file), map_location="cpu").eval()
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise ConfigError(f"{file.name} is no TorchScript that can be read: {reason}") from error
        arguments = self.module.forward.schema.arguments[1:]
        self._names = tuple(each.name for each in arguments)
        self._required = tuple(each.name for each in arguments if not each.has_default_value())

    def _load_export(self, file: Path) -> None:
        try:
            program = torch.export.load(str(file))
        except Exception as error:
            raise ConfigError(f"{file.name} is no exported program that can be read: {error}") from error
        self.module = program.module()
        self._names = self._required = tuple(str(name) for name in program.graph_signature.user_inputs)
        nodes = {node.name: node.meta.get("val") for node in program.graph.nodes}
        inputs = [_spec(name, nodes.get(name)) for name in self._names]
        names = [str(name) for name in program.graph_signature.user_outputs]
        called = named([nodes.get(name) for name in names])
        outputs = [_spec(name, value) for name, value in called.items()]
        if all(inputs) and all(outputs):
            self._signature = Signature(tuple(filter(None, inputs)), tuple(filter(None, outputs)))

    def _load_module(self, file: Path) -> None:
        module = load_torch_pickle(self.spec, file)
        if not isinstance(module, torch.nn.Module):
            hint = "save the whole model: torch.jit.script(model).save(...)"
            raise ConfigError(f"{file.name} holds a {type(module).__name__}, no model", hint=hint)
        self.module = module.eval()
        parameters = list(inspect.signature(module.forward).parameters.values())
        self._names = tuple(each.name for each in parameters)
        self._required = tuple(each.name for each in parameters if each.default is each.empty)


def _tensor(name: str, array: Array) -> Any:
    if array.dtype.kind not in "biuf":
        raise InvalidInput(f"{name!r} must be numbers or bools", field=f"inputs.{name}")
    if not array.flags.writeable:  # torch may write where it reads, and says so
        array = array.copy()
    return torch.from_numpy(np.ascontiguousarray(array))


def _array(value: Any) -> Array:
    result: Array = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
    return result


def _spec(name: str, value: Any) -> TensorSpec | None:
    """What an exported tensor looks like: sizes that are symbols vary."""
    if not isinstance(value, torch.Tensor) or value.dtype not in _DATATYPES:
        return None
    return TensorSpec(
        name, _DATATYPES[value.dtype], tuple(each if isinstance(each, int) else -1 for each in value.shape)
    )
