"""The runtime `transformers`: a Hugging Face folder and a task; text in, JSON or text out. On the CPU.

Parameters:
    task                what the pipeline does; by default told by the architecture in `config.json`
    pretrained_model    a folder beside the settings, or a name that is in the local cache; by default the folder itself
    output              `json` (default): the pipeline's answer for each input; `text`: only its text or label
    any other           passed to the pipeline's call, such as ``max_new_tokens`` or ``top_k``

The input is BYTES `[-1]` under any name; where a task takes several things (zero-shot classification), each text is a
JSON object of them. Code that comes with a model is never run unless ``trust_remote_code: true`` and trust are both
given.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from shoal.core.errors import ConfigError, InvalidInput
from shoal.core.types import Signature, TensorSpec
from shoal.serving.adapters.base import Array, TypedAdapter
from shoal.serving.adapters.tables import decode_texts

TASKS = {
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "ForQuestionAnswering": "question-answering",
    "ForMaskedLM": "fill-mask",
    "ForCausalLM": "text-generation",
    "LMHeadModel": "text-generation",
    "Model": "feature-extraction",
}
"""The task of an architecture, by the end of its name."""

_OWN = ("task", "pretrained_model", "output", "trust_remote_code")
_TEXTS = ("generated_text", "translation_text", "summary_text", "answer", "label", "sequence", "text")
_JSON_TASKS = ("question-answering", "zero-shot-classification", "table-question-answering")


class Transformers(TypedAdapter):
    platform = "huggingface_transformers"

    def load(self) -> None:
        torch.set_num_threads(self.spec.limits.threads)
        parameters = dict(self.spec.parameters)
        source = self._source(parameters.get("pretrained_model"))
        self.task = str(parameters.get("task") or _task_of(source))
        self._text_only = parameters.get("output", "json") == "text"
        self._options = {name: value for name, value in parameters.items() if name not in _OWN}
        trusted = parameters.get("trust_remote_code") is True and self.spec.trust == "code"
        try:
            self.pipeline: Any = transformers.pipeline(
                self.task, model=source, tokenizer=source, device="cpu", trust_remote_code=trusted
            )
        except (KeyError, ValueError, OSError, ImportError) as error:
            reason = str(error).splitlines()[0]
            raise ConfigError(f"no pipeline {self.task!r} can be made of {source}: {reason}") from error
        _give_padding(self.pipeline)

    def predict(self, inputs: dict[str, Array]) -> Mapping[str, Array | Sequence[object]]:
        if len(inputs) != 1:
            raise InvalidInput(f"the model takes one input of text; it was given {', '.join(inputs)}", field="inputs")
        texts = decode_texts(next(iter(inputs.values())))
        if self.task in _JSON_TASKS:
            answers = [self.pipeline(**_object(text), **self._options) for text in texts]
        else:
            answers = self.pipeline(texts, batch_size=len(texts), **self._options)
            answers = [answers] if self.task == "fill-mask" and len(texts) == 1 else answers  # it unwraps a single one
        result = np.empty(len(texts), dtype=np.object_)
        result[:] = [self._written(answer) for answer in answers]
        return {"predict": result}

    def signature(self) -> Signature:
        return Signature((TensorSpec("inputs", "BYTES", (-1,)),), (TensorSpec("predict", "BYTES", (-1,)),))

    def _source(self, given: object) -> str:
        folder = Path(self.spec.path)
        folder = folder if folder.is_dir() else folder.parent
        if not given:
            return str(folder)
        inside = (folder / str(given)).resolve()
        return str(inside) if folder.resolve() in inside.parents and inside.is_dir() else str(given)

    def _written(self, answer: Any) -> bytes:
        if self._text_only:
            first = answer[0] if isinstance(answer, list) else answer
            found = [first[name] for name in _TEXTS if isinstance(first, dict) and name in first]
            if found:
                return str(found[0]).encode()
        return json.dumps(_rounded(answer), ensure_ascii=False).encode()


def _task_of(source: str) -> str:
    file = Path(source) / "config.json"
    architectures = json.loads(file.read_bytes()).get("architectures") or [] if file.is_file() else []
    for architecture in architectures:
        for ending, task in TASKS.items():
            if str(architecture).endswith(ending):
                return task
    said = ", ".join(map(str, architectures)) or "none"
    hint = "say it in model.yaml: `parameters: {task: text-classification}`"
    raise ConfigError(f"the task cannot be told from the architectures ({said})", hint=hint, field="parameters.task")


def _give_padding(pipeline: Any) -> None:
    """A tokenizer without a padding token cannot make batches: the end token pads, on the left for generation."""
    tokenizer = pipeline.tokenizer
    if tokenizer is not None and tokenizer.pad_token is None and tokenizer.eos_token is not None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer is not None and pipeline.task == "text-generation":
        tokenizer.padding_side = "left"


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"each input must be a JSON object: {error}", field="inputs") from error
    if not isinstance(value, dict):
        raise InvalidInput('each input must be a JSON object, such as {"sequences": ...}', field="inputs")
    return value


def _rounded(value: Any) -> Any:
    """The answer as plain JSON; numbers to six digits, as batches of other sizes differ in the seventh."""
    if isinstance(value, dict):
        return {str(name): _rounded(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(each) for each in value]
    if isinstance(value, (np.ndarray, torch.Tensor)):
        return _rounded(value.tolist())
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.6g}")
    return value.item() if isinstance(value, np.generic) else value
